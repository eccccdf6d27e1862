/* prep_progress.h - shows on standard error how far prep is: on a terminal one line that is
 * rewritten, otherwise a plain line every few seconds. Only the main thread uses it. */
#pragma once

#include "common/base/status.h"
#include <stdbool.h>
#include <stdint.h>

struct prep_progress {
    const char *what;
    bool terminal, shown; /* shown: the terminal's line still needs a line end */
    uint64_t started_us, next_us;
    uint64_t bytes_total; /* 0: not known */
};

void prep_progress_start(struct prep_progress *p, const char *what, uint64_t bytes_total);
/* Cheap; prints only when it is time. `impressions` 0: their number is not shown. */
void prep_progress_show(struct prep_progress *p, uint64_t bytes, uint64_t impressions);
void prep_progress_end(struct prep_progress *p);
