/* domain.h - which batches which buckets have seen (see partition.h on domains).
 *
 * A partition's domains are contiguous, ascending, and cover its buckets. Each has its own clock,
 * the number of batches applied to it: warm-up and ages count in it, so that they do not depend on
 * how buckets are spread over partitions. */
#pragma once

#include "common/job/applied.h"

struct domain {
    uint32_t bucket_begin, bucket_end;
    struct applied *applied; /* owned */
    uint64_t clock;          /* = applied_count(applied) between pushes */
    uint64_t dense_step;     /* updates of its dense floats */
    /* during a push: */
    bool takes;     /* the batch is new to it */
    float lr_scale; /* of the warm-up */
};

struct domains {
    struct domain *list;
    uint32_t count;
    size_t cap;
};

void domains_fini(struct domains *d);
/* Appends a domain; takes *applied and sets it to NULL. ERR_MEMORY: nothing taken. */
enum status domains_add(struct domains *d, uint32_t bucket_begin, uint32_t bucket_end,
                        struct applied **applied, uint64_t dense_step);
/* Joins neighbours that have seen the same batches. */
void domains_merge(struct domains *d);
/* The least clock. */
uint64_t domains_version(const struct domains *d);
/* The domain of a bucket; the bucket must be covered. */
struct domain *domains_find(const struct domains *d, uint32_t bucket);
