/* synth_log.h - writes one part of a synthetic log (train or eval) as files: Ali-CCP's two files
 * and truth.bin or, with times, log.csv, log.schema and truth.bin. */
#pragma once

#include "synth_fields.h"

struct synth_part {
    const struct world *world;
    const struct synth_fields *fields;
    const char *dir;      /* exists; files are written into it and synced */
    const char *name;     /* in progress lines; NULL: no progress */
    uint32_t part;        /* 0 train, 1 eval: selects the sessions */
    uint64_t first_id;    /* sample ids are first_id, first_id + 1, ... */
    uint64_t impressions; /* > 0 */
};
/* ERR_IO, ERR_MEMORY; ERR_CLOSED by a stop signal. */
enum status synth_log_write(const struct synth_part *part, struct synth_summary *summary);
