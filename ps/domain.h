/* domain.h - which batches each range of buckets has seen (partition.h explains domains).
 *
 * A partition's domains are contiguous, ascending, and cover its buckets. Each domain has its own
 * clock, the number of batches applied to it. Warm-up and ages are counted by this clock, so they
 * do not depend on how buckets are spread over partitions. */
#pragma once

#include "common/job/applied.h"

struct domain {
    uint32_t bucket_begin, bucket_end;
    struct applied *applied; /* owned */
    uint64_t clock;          /* = applied_count(applied) between pushes */
    uint64_t dense_step;     /* updates of its dense floats */
    /* during a push: */
    bool takes;     /* the batch is new to it */
    float lr_scale; /* factor of the warm-up */
};

struct domains {
    struct domain *list;
    uint32_t count;
    size_t cap;
};

void domains_fini(struct domains *d);
/* Appends a domain; takes over *applied and sets it to NULL. ERR_MEMORY: *applied is not taken. */
enum status domains_add(struct domains *d, uint32_t bucket_begin, uint32_t bucket_end,
                        struct applied **applied, uint64_t dense_step);
/* Joins neighbours that have seen the same batches. */
void domains_merge(struct domains *d);
/* The least clock of all domains. */
uint64_t domains_version(const struct domains *d);
/* The domain of a bucket; the bucket must be covered. */
struct domain *domains_find(const struct domains *d, uint32_t bucket);
