/* replay.h - applies what a push log holds to a partition that was restored from one of its bases.
 *
 * The rows are then those that the process before had when it acknowledged its last push, or a push
 * later. */
#pragma once

#include "push_log.h"

struct replay_result {
    uint64_t pushes, bytes; /* applied, and read */
};
/* pause: NULL, or called between records. Then the log is open for what follows. ERR_CORRUPT: a
 * record is damaged, or does not follow on the rows: the text names file and offset. ERR_NOT_FOUND:
 * the log has no such base. After a failure the partition must be destroyed, and the log may be
 * begun anew. */
enum status replay_run(struct push_log *l, const struct push_log_life *life, uint64_t base,
                       struct partition *p, void (*pause)(void *self), void *self,
                       struct replay_result *out);
