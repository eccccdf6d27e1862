/* sampling.h - which share of a data set's impressions a model trains on. sample.h picks them. */
#pragma once

#include "common/job/config.h"

/* The least share of its unclicked impressions that a log may have kept. */
#define SAMPLE_RATE_MIN 1e-6

/* All clicked impressions, and a share of the others. */
struct sampling {
    double unclicked; /* share of the unclicked impressions, in [0,1] */
    uint32_t copies;  /* how often a converted impression occurs, at least 1 */
};
struct sampling sampling_of(const struct config *c);
/* How many impressions that makes of a shard with so many clicks and conversions. */
uint64_t sampling_count(const struct sampling *s, uint32_t impressions, uint32_t clicks,
                        uint32_t conversions);
static inline bool sampling_is_all(const struct sampling *s) {
    return s->unclicked >= 1.0 && s->copies == 1;
}
