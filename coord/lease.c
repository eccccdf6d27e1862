#include "lease.h"

#include <assert.h>

#include "common/mem.h"

enum status leases_init(struct leases *l, const struct tally_plan *plan, struct applied *done,
                        bool one_at_a_time, uint64_t lease_ms, uint64_t first_fence) {
    *l = (struct leases){.plan = plan,
                         .one_at_a_time = one_at_a_time,
                         .lease_ms = lease_ms,
                         .done = done,
                         .fence = first_fence,
                         .kind = LEASE_WAIT};
    return tally_applied(plan, done, &l->done_impressions);
}

void leases_fini(struct leases *l) {
    mem_free(&l->lease);
    if (l->done != NULL) {
        applied_destroy(&l->done);
    }
}

/* --- phases ----------------------------------------------------------------------------------- */

static enum status reserve(struct leases *l, uint32_t count) {
    if (count > l->cap) {
        TRY(mem_grow((void **)&l->lease, l->cap * sizeof *l->lease, count * sizeof *l->lease));
        l->cap = count;
    }
    return OK;
}

static void skip_back(struct leases *l) {
    while (l->first < l->count && l->lease[l->first].state == LEASE_BACK) {
        l->first++;
    }
}

static void phase_add(struct leases *l, uint32_t shard, uint32_t limit, bool complete) {
    enum lease_state state = complete ? LEASE_BACK : LEASE_PENDING;
    l->lease[l->count++] = (struct lease){.shard = shard, .limit = limit, .state = state};
    l->back += complete;
    skip_back(l);
}

static bool bits_full(const struct buf *bits, uint32_t limit) {
    for (uint32_t k = 0; k < limit; k++) {
        if (k / 8 >= bits->len || (bits->data[k / 8] >> (k % 8) & 1) == 0) {
            return false;
        }
    }
    return true;
}

enum status leases_train(struct leases *l, uint32_t epoch) {
    enum status status = OK;
    uint32_t shards = l->plan->shards;
    uint32_t *order = NULL, *limit = NULL;
    struct buf bits = BUF_EMPTY;
    assert(l->out == 0);
    TRY_OUT(reserve(l, shards));
    TRY_OUT(mem_array((void **)&order, shards, sizeof *order));
    TRY_OUT(mem_array((void **)&limit, shards, sizeof *limit));
    tally_epoch(l->plan, epoch, order, limit);
    l->kind = LEASE_TRAIN;
    l->epoch = epoch;
    l->count = l->back = l->first = 0;
    for (uint32_t i = 0; i < shards; i++) {
        buf_clear(&bits);
        if (limit[i] > 0) { /* an empty shard has no names */
            TRY_OUT(applied_bits(l->done, epoch, order[i], &bits));
        }
        phase_add(l, order[i], limit[i], bits_full(&bits, limit[i]));
    }
out:
    mem_free(&order);
    mem_free(&limit);
    buf_fini(&bits);
    return status;
}

enum status leases_add(struct leases *l, uint32_t shard, uint32_t limit) {
    assert(l->kind == LEASE_TRAIN);
    if (l->count == l->cap) {
        TRY(reserve(l, l->cap < 64 ? 64 : 2 * l->cap));
    }
    phase_add(l, shard, limit, limit == 0);
    return OK;
}

enum status leases_eval(struct leases *l, uint32_t epoch, const uint32_t *batches,
                        uint32_t shards) {
    assert(l->out == 0);
    TRY(reserve(l, shards));
    l->kind = LEASE_EVAL;
    l->epoch = epoch;
    l->count = l->back = l->first = 0;
    for (uint32_t i = 0; i < shards; i++) {
        phase_add(l, i, batches[i], batches[i] == 0);
    }
    return OK;
}

void leases_finish(struct leases *l) {
    l->kind = LEASE_FINISHED;
    l->count = l->back = l->out = l->first = 0;
}

bool leases_phase_complete(const struct leases *l) {
    return l->back == l->count;
}

/* --- granting and returning ------------------------------------------------------------------- */

static struct lease *next_pending(struct leases *l) {
    for (uint32_t i = l->first; i < l->count; i++) {
        if (l->lease[i].state == LEASE_PENDING) {
            return &l->lease[i];
        }
    }
    return NULL;
}

static struct lease *find(struct leases *l, uint32_t shard) {
    for (uint32_t i = l->first; i < l->count; i++) {
        if (l->lease[i].shard == shard) {
            return &l->lease[i];
        }
    }
    return NULL;
}

enum status leases_ask(struct leases *l, uint32_t worker, uint64_t incarnation, bool hold,
                       uint64_t now_ms, struct wire_lease *out, struct buf *bits) {
    *out = (struct wire_lease){.kind = l->kind == LEASE_FINISHED ? LEASE_FINISHED : LEASE_WAIT};
    buf_clear(bits);
    bool busy = l->one_at_a_time && l->kind == LEASE_TRAIN && l->out > 0;
    struct lease *next = hold || busy ? NULL : next_pending(l);
    if (next == NULL) {
        return OK;
    }
    if (l->kind == LEASE_TRAIN) {
        TRY(applied_bits(l->done, l->epoch, next->shard, bits));
    }
    next->state = LEASE_OUT;
    next->worker = worker;
    next->incarnation = incarnation;
    next->fence = ++l->fence;
    next->deadline_ms = now_ms + l->lease_ms;
    l->out++;
    *out = (struct wire_lease){.kind = l->kind,
                               .epoch = l->epoch,
                               .shard = next->shard,
                               .fence = next->fence,
                               .batch_limit = next->limit};
    return OK;
}

static enum status add_done(struct leases *l, const struct lease *lease) {
    for (uint32_t k = 0; k < lease->limit; k++) {
        struct batch_name name = {l->epoch, lease->shard, k};
        enum status status = applied_add(l->done, name);
        if (status == OK) {
            l->done_impressions += tally_batch_impressions(l->plan, lease->shard, k);
        } else if (status != ERR_EXISTS) {
            return status;
        }
    }
    return OK;
}

enum status leases_return(struct leases *l, const struct wire_lease_ask *ask) {
    struct lease *lease = find(l, ask->shard);
    if (lease == NULL || l->epoch != ask->epoch || lease->state != LEASE_OUT ||
        lease->fence != ask->fence || lease->worker != ask->index ||
        lease->incarnation != ask->incarnation || l->kind != LEASE_TRAIN) {
        return OK;
    }
    TRY(add_done(l, lease));
    lease->state = LEASE_BACK;
    l->out--;
    l->back++;
    skip_back(l);
    return OK;
}

void leases_complete(struct leases *l, uint32_t shard) {
    struct lease *lease = find(l, shard);
    if (l->kind != LEASE_EVAL || lease == NULL || lease->state == LEASE_BACK) {
        return;
    }
    l->out -= lease->state == LEASE_OUT;
    lease->state = LEASE_BACK;
    l->back++;
    skip_back(l);
}

/* --- deadlines -------------------------------------------------------------------------------- */

void leases_renew(struct leases *l, uint32_t worker, uint64_t incarnation, uint64_t now_ms) {
    for (uint32_t i = l->first; i < l->count; i++) {
        struct lease *x = &l->lease[i];
        if (x->state == LEASE_OUT && x->worker == worker && x->incarnation == incarnation) {
            x->deadline_ms = now_ms + l->lease_ms;
        }
    }
}

static void put_back(struct leases *l, struct lease *x) {
    x->state = LEASE_PENDING;
    l->out--;
}

uint32_t leases_release(struct leases *l, uint32_t worker) {
    uint32_t released = 0;
    for (uint32_t i = l->first; i < l->count; i++) {
        struct lease *x = &l->lease[i];
        if (x->state == LEASE_OUT && x->worker == worker) {
            put_back(l, x);
            released++;
        }
    }
    return released;
}

uint32_t leases_expire(struct leases *l, uint64_t now_ms) {
    uint32_t expired = 0;
    for (uint32_t i = l->first; i < l->count; i++) {
        struct lease *x = &l->lease[i];
        if (x->state == LEASE_OUT && now_ms >= x->deadline_ms) {
            put_back(l, x);
            expired++;
        }
    }
    return expired;
}

uint32_t leases_held(const struct leases *l, uint32_t worker) {
    uint32_t held = 0;
    for (uint32_t i = l->first; i < l->count; i++) {
        held += l->lease[i].state == LEASE_OUT && l->lease[i].worker == worker;
    }
    return held;
}
