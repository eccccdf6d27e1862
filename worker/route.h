/* route.h - which partition has what: the home of each bucket, the slice of the dense vector. It is
 * the same for all batches of a job. */
#pragma once

#include "common/base/hash.h"
#include "common/job/layout.h"
#include "common/net/job_plan.h"

struct route {
    /* The caller sets these before route_init, and keeps owning them. */
    const struct config *config;
    const struct schema *schema;
    const struct layout *layout;
    const struct job_plan *plan;
    /* route_init sets these. */
    uint32_t partitions, fields;
    uint64_t *dense_begin;     /* [partitions + 1] slices of the dense vector */
    uint16_t home_of[BUCKETS]; /* partition of a bucket */
};
/* ERR_PROTOCOL: the plan has no, or too many, partitions. ERR_MEMORY. */
enum status route_init(struct route *r);
void route_fini(struct route *r);
