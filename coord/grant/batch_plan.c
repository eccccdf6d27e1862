#include "batch_plan.h"

#include "common/base/mem.h"

enum status batch_plan_epoch(const struct batch_plan *p, uint32_t epoch, uint32_t *order,
                             uint32_t *limit) {
    const struct ranges *r = p->ranges;
    uint64_t before = r->epoch_batches * epoch;
    TRY(ranges_order(r, epoch, order));
    for (uint32_t i = 0; i < r->count; i++) {
        const uint32_t batches = r->batches[order[i]];
        const uint64_t left = p->max_steps > before ? p->max_steps - before : 0;
        const bool whole = left > batches || (left > 0 && r->spec.share);
        limit[i] = whole ? batches : (uint32_t)left;
        before += batches;
    }
    return OK;
}

uint32_t batch_plan_batch_impressions(const struct batch_plan *p, uint32_t range, uint32_t k) {
    return ranges_impressions(p->ranges, range, k + 1) - ranges_impressions(p->ranges, range, k);
}

enum status batch_plan_job(const struct batch_plan *p, uint64_t *batches, uint64_t *impressions) {
    enum status status = OK;
    uint32_t *order = NULL, *limit = NULL;
    *batches = *impressions = 0;
    TRY_OUT(mem_array(&order, p->ranges->count));
    TRY_OUT(mem_array(&limit, p->ranges->count));
    for (uint32_t e = 0; e < p->epochs && *batches < p->max_steps; e++) {
        TRY_OUT(batch_plan_epoch(p, e, order, limit));
        for (uint32_t i = 0; i < p->ranges->count; i++) {
            *batches += limit[i];
            *impressions += ranges_impressions(p->ranges, order[i], limit[i]);
        }
    }
out:
    mem_free(&order);
    mem_free(&limit);
    return status;
}

static enum status batch_plan_range(const struct batch_plan *p, const struct applied *applied,
                                    uint32_t epoch, uint32_t range, struct buf *bits,
                                    uint64_t *batches, uint64_t *impressions) {
    buf_clear(bits);
    TRY(applied_bits(applied, epoch, range, bits));
    for (uint32_t k = 0; k < p->ranges->batches[range]; k++) {
        if (k / 8 < bits->len && bit_get(bits->data, k)) {
            *batches += 1;
            *impressions += batch_plan_batch_impressions(p, range, k);
        }
    }
    return OK;
}

enum status batch_plan_applied(const struct batch_plan *p, const struct applied *applied,
                               uint64_t *impressions) {
    enum status status = OK;
    struct buf bits = BUF_EMPTY;
    uint32_t epoch = applied_base(applied);
    uint64_t batches = p->ranges->epoch_batches * epoch;
    *impressions = p->ranges->sampled * epoch;
    /* The set does not list its incomplete epochs, but its size tells when all are counted. */
    for (; batches < applied_count(applied) && epoch < UINT32_MAX; epoch++) {
        for (uint32_t s = 0; s < p->ranges->count; s++) {
            if (p->ranges->batches[s] > 0) {
                TRY_OUT(batch_plan_range(p, applied, epoch, s, &bits, &batches, impressions));
            }
        }
    }
out:
    buf_fini(&bits);
    return status;
}
