/* route.h - which partition has what: the home of each bucket, the slice of the dense vector. It is
 * the same for all batches of a job. */
#pragma once

#include "common/base/hash.h"
#include "common/job/layout.h"
#include "common/net/job_plan.h"

struct route {
    /* To be given before route_init; they stay the owner's. */
    const struct config *config;
    const struct schema *schema;
    const struct layout *layout;
    const struct job_plan *plan;
    /* Made by it. */
    uint32_t partitions, fields;
    uint64_t *dense_begin;     /* [partitions + 1] slices of the dense vector */
    uint16_t home_of[BUCKETS]; /* partition of a bucket */
};
/* ERR_PROTOCOL: the plan has no, or too many, partitions. ERR_MEMORY. */
enum status route_init(struct route *r);
void route_fini(struct route *r);
