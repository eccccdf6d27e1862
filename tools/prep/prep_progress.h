/* prep_progress.h - how far prep is, on standard error: one line rewritten on a terminal, a plain
 * line every few seconds otherwise. Main thread only. */
#pragma once

#include "common/base/status.h"
#include <stdbool.h>
#include <stdint.h>

struct prep_progress {
    const char *what;
    bool terminal, shown; /* shown: the terminal's line is not ended */
    uint64_t started_us, next_us;
    uint64_t bytes_total; /* 0: not known */
};

void prep_progress_start(struct prep_progress *p, const char *what, uint64_t bytes_total);
/* Cheap; prints when it is time. `impressions` 0: not said. */
void prep_progress_show(struct prep_progress *p, uint64_t bytes, uint64_t impressions);
void prep_progress_end(struct prep_progress *p);
