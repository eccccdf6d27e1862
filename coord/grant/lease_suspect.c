#include "lease_suspect.h"

#include "common/base/mem.h"

static enum status set_aside(struct leases *l, const struct lease *x, uint32_t batch,
                             uint32_t impressions) {
    TRY(mem_room(&l->aside, &l->asides_cap, (size_t)l->asides + 1));
    l->aside[l->asides++] = (struct lease_aside){l->epoch, x->shard, batch, impressions};
    return OK;
}

static bool is_aside(const struct leases *l, const struct lease *x, uint32_t batch) {
    for (uint32_t i = 0; i < l->asides; i++) {
        const struct lease_aside *a = &l->aside[i];
        if (a->epoch == l->epoch && a->range == x->shard &&
            (a->batch == batch || a->batch == LEASE_NONE)) {
            return true;
        }
    }
    return false;
}

static bool batch_done(const struct buf *bits, uint32_t batch) {
    return batch / 8 < bits->len && bit_get(bits->data, batch);
}

/* The first batch that is neither done nor set aside; the limit: there is none. */
static uint32_t first_left(const struct leases *l, const struct lease *x, const struct buf *bits) {
    uint32_t k = 0;
    while (k < x->limit && (batch_done(bits, k) || is_aside(l, x, k))) {
        k++;
    }
    return k;
}

/* All that is left of a range whose batches must stay together. */
static enum status whole_aside(struct leases *l, const struct lease *x) {
    struct buf bits = BUF_EMPTY;
    uint32_t impressions = 0;
    enum status status = applied_bits(l->done, l->epoch, x->shard, &bits);
    for (uint32_t k = 0; status == OK && k < x->limit; k++) {
        impressions +=
            batch_done(&bits, k) ? 0 : batch_plan_batch_impressions(l->plan, x->shard, k);
    }
    buf_fini(&bits);
    return status == OK ? set_aside(l, x, LEASE_NONE, impressions) : status;
}

enum status suspect_done(struct leases *l, struct lease *x, bool *complete) {
    struct buf bits = BUF_EMPTY;
    *complete = true;
    if (x->only == LEASE_NONE) {
        return OK;
    }
    const enum status status = applied_bits(l->done, l->epoch, x->shard, &bits);
    *complete = status == OK && first_left(l, x, &bits) == x->limit;
    buf_fini(&bits);
    return status;
}

enum status suspect_died(struct leases *l, struct lease *x, bool *complete) {
    *complete = false;
    if (l->kind != LEASE_TRAIN || l->one_at_a_time) {
        return OK;
    }
    if (x->only != LEASE_NONE && x->only != x->at) { /* the first death with this batch alone */
        x->at = x->only;
        x->deaths = 1;
    }
    x->deaths++;
    if (x->deaths < SUSPECT_DEATHS) {
        return OK;
    }
    x->deaths = 1; /* the next batch is as suspect as this one was */
    if (l->whole_ranges) {
        *complete = true;
        return whole_aside(l, x);
    }
    TRY(set_aside(l, x, x->only, batch_plan_batch_impressions(l->plan, x->shard, x->only)));
    return suspect_done(l, x, complete);
}

enum status suspect_narrow(struct leases *l, struct lease *x, struct buf *bits) {
    x->only = LEASE_NONE;
    if (x->deaths == 0 || l->kind != LEASE_TRAIN || l->whole_ranges) {
        return OK;
    }
    x->only = first_left(l, x, bits);
    for (uint32_t k = 0; k < x->limit; k++) {
        if (k / 8 >= bits->len) {
            TRY(buf_put_u8(bits, 0));
        }
        if (k != x->only) {
            bit_set(bits->data, k);
        }
    }
    return OK;
}

bool leases_next_aside(struct leases *l, struct lease_aside *out) {
    if (l->asides_told == l->asides) {
        return false;
    }
    *out = l->aside[l->asides_told++];
    return true;
}
