/* coord_options.h - what the coordinator is asked to do: its command line, read. All is borrowed
 * and outlives the job. */
#pragma once

#include <stdbool.h>

#include "common/base/file.h"
#include "common/job/config.h"

struct coord_options {
    const char *listen;           /* ipc://... or tcp://host:port */
    const struct file_list *data; /* directories of training shards */
    bool stream; /* it is one that grows, and is followed to its end (shard_stream.h) */
    const struct file_list *eval; /* none: no evaluation */
    const char *out_dir;          /* run directory */
    const struct config *config;
    uint32_t servers, workers;
    bool resume;         /* from out_dir/checkpoints/latest; none there: start afresh, said */
    uint64_t timeout_ms; /* for all roles to appear */
    int progress_fd;     /* < 0: none; else a JSON line per second for `esmm train`'s view */
    int lock_fd; /* of out_dir/lock, held by the parent (common/base/lock.h); 0: takes its own */
};
