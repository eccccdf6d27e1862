/* sampling.h - the share of a data set's impressions that a model trains on. sample.h picks them.
 */
#pragma once

#include "common/job/config.h"

/* The smallest share of its unclicked impressions that a log may have kept. */
#define SAMPLE_RATE_MIN 1e-6

/* A model trains on all clicked impressions and on a share of the unclicked ones. */
struct sampling {
    double unclicked; /* share of the unclicked impressions, in [0,1] */
    uint32_t copies;  /* how often a converted impression occurs, at least 1 */
};
struct sampling sampling_of(const struct config *c);
/* Impressions of a group in one batch of a window, at most; 0: the group stays whole. With copies
 * it does: apart they would be as many steps of the same impression, which learns it by heart. */
uint32_t sampling_run(const struct config *c);
/* The number of impressions that are picked from a shard with these counts. */
uint64_t sampling_count(const struct sampling *s, uint32_t impressions, uint32_t clicks,
                        uint32_t conversions);
static inline bool sampling_is_all(const struct sampling *s) {
    return s->unclicked >= 1.0 && s->copies == 1;
}
