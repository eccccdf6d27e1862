/* domain.c - see domain.h. */
#include "domain.h"

#include <assert.h>
#include <string.h>
#include "common/base/mem.h"

void domains_fini(struct domains *d) {
    for (uint32_t i = 0; i < d->count; i++) {
        applied_destroy(&d->list[i].applied);
    }
    mem_free(&d->list);
    *d = (struct domains){0};
}

enum status domains_add(struct domains *d, uint32_t bucket_begin, uint32_t bucket_end,
                        struct applied **applied, uint64_t dense_step) {
    TRY(mem_room(&d->list, &d->cap, (size_t)d->count + 1));
    d->list[d->count++] = (struct domain){.bucket_begin = bucket_begin,
                                          .bucket_end = bucket_end,
                                          .applied = *applied,
                                          .clock = applied_count(*applied),
                                          .dense_step = dense_step};
    *applied = NULL;
    return OK;
}

/* Two domains that have seen the same batches differ in dense_step only if one of them dropped a
 * dense gradient that was not finite; then the larger count may be used. */
static void domain_join(struct domain *into, struct domain *next) {
    into->bucket_end = next->bucket_end;
    if (next->dense_step > into->dense_step) {
        into->dense_step = next->dense_step;
    }
    applied_destroy(&next->applied);
}

void domains_merge(struct domains *d) {
    uint32_t kept = 0;
    for (uint32_t i = 1; i < d->count; i++) {
        struct domain *last = &d->list[kept];
        if (last->bucket_end == d->list[i].bucket_begin && last->clock == d->list[i].clock &&
            applied_equal(last->applied, d->list[i].applied)) {
            domain_join(last, &d->list[i]);
        } else {
            d->list[++kept] = d->list[i];
        }
    }
    d->count = d->count > 0 ? kept + 1 : 0;
}

uint64_t domains_version(const struct domains *d) {
    uint64_t version = d->count > 0 ? d->list[0].clock : 0;
    for (uint32_t i = 1; i < d->count; i++) {
        version = d->list[i].clock < version ? d->list[i].clock : version;
    }
    return version;
}

struct domain *domains_find(const struct domains *d, uint32_t bucket) {
    uint32_t low = 0, high = d->count;
    while (high - low > 1) {
        const uint32_t mid = (low + high) / 2;
        if (d->list[mid].bucket_begin <= bucket) {
            low = mid;
        } else {
            high = mid;
        }
    }
    assert(d->list[low].bucket_begin <= bucket && bucket < d->list[low].bucket_end);
    return &d->list[low];
}
