/* best.h - the best evaluation of a job so far, and for how many there has been no better one.
 *
 * No files, no clock. A figure that is undefined (NaN) is not better.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/job/config.h"

struct best {
    enum keep_best metric;
    double figure; /* NaN: none yet */
    uint64_t step, impressions;
    uint32_t since; /* evaluations after it */
};
void best_init(struct best *b, enum keep_best metric);
/* Takes the figure of one evaluation; true: it is the best so far. */
bool best_take(struct best *b, double figure, uint64_t step, uint64_t impressions);
/* Whether the last `patience` evaluations were no better; never with 0. */
bool best_exhausted(const struct best *b, uint32_t patience);
const char *best_metric_name(enum keep_best metric);
