#include "lease.h"

#include <assert.h>

#include "common/base/mem.h"

enum status leases_init(struct leases *l, const struct batch_plan *plan, struct applied *done,
                        bool one_at_a_time, uint64_t lease_ms, uint64_t first_fence) {
    *l = (struct leases){.plan = plan,
                         .one_at_a_time = one_at_a_time,
                         .lease_ms = lease_ms,
                         .done = done,
                         .fence = first_fence,
                         .kind = LEASE_WAIT};
    return batch_plan_applied(plan, done, &l->done_impressions);
}

void leases_fini(struct leases *l) {
    mem_free(&l->lease);
    mem_free(&l->place);
    mem_free(&l->holder);
    affinity_fini(&l->affinity);
    if (l->done != NULL) {
        applied_destroy(&l->done);
    }
}

/* --- holders ---------------------------------------------------------------------------------- */

static enum status reserve_holder(struct leases *l, uint32_t worker) {
    if (worker >= l->holders) {
        const uint32_t count = worker < 32 ? 64 : 2 * worker;
        TRY(mem_grow(&l->holder, l->holders, count));
        for (; l->holders < count; l->holders++) {
            l->holder[l->holders].first = LEASE_NONE;
        }
    }
    return OK;
}

static uint32_t lease_first_of(const struct leases *l, uint32_t worker) {
    return worker < l->holders ? l->holder[worker].first : LEASE_NONE;
}

static uint64_t lease_impressions(const struct leases *l, const struct lease *x) {
    return l->kind == LEASE_TRAIN ? ranges_impressions(l->plan->ranges, x->shard, x->limit) : 0;
}

static void take_out(struct leases *l, struct lease *x, uint32_t worker) {
    struct lease_holder *h = &l->holder[worker];
    const uint32_t at = (uint32_t)(x - l->lease);
    x->state = LEASE_OUT;
    x->worker = worker;
    x->next = h->first;
    x->prev = LEASE_NONE;
    if (h->first != LEASE_NONE) {
        l->lease[h->first].prev = at;
    }
    h->first = at;
    h->held++;
    l->out++;
    l->out_impressions += lease_impressions(l, x);
}

/* The lease has become PENDING. */
static void lease_pends(struct leases *l, const struct lease *x) {
    const uint32_t at = (uint32_t)(x - l->lease);
    if (l->mixed) {
        affinity_add(&l->affinity, x->shard);
    } else if (at < l->pending) {
        l->pending = at;
    }
}

/* Takes an OUT lease from its holder. */
static void give_back(struct leases *l, struct lease *x, enum lease_state state) {
    struct lease_holder *h = &l->holder[x->worker];
    if (x->prev == LEASE_NONE) {
        h->first = x->next;
    } else {
        l->lease[x->prev].next = x->next;
    }
    if (x->next != LEASE_NONE) {
        l->lease[x->next].prev = x->prev;
    }
    x->state = state;
    h->held--;
    l->out--;
    l->out_impressions -= lease_impressions(l, x);
    if (state == LEASE_PENDING) {
        lease_pends(l, x);
    }
}

/* --- phases ----------------------------------------------------------------------------------- */

static enum status leases_reserve(struct leases *l, uint32_t count) {
    if (count > l->cap) {
        TRY(mem_grow(&l->place, l->cap, count));
        TRY(mem_grow(&l->lease, l->cap, count));
        l->cap = count;
    }
    return OK;
}

static void phase_begin(struct leases *l, enum lease_kind kind, uint32_t epoch) {
    assert(l->out == 0);
    l->kind = kind;
    l->epoch = epoch;
    l->mixed = kind == LEASE_TRAIN && ranges_mixed(l->plan->ranges);
    l->count = l->back = l->pending = 0;
    l->out_impressions = l->back_impressions = 0;
}

static void phase_add(struct leases *l, uint32_t shard, uint32_t limit, bool complete) {
    enum lease_state state = complete ? LEASE_BACK : LEASE_PENDING;
    struct lease *x = &l->lease[l->count];
    l->place[shard] = l->count++;
    *x = (struct lease){.shard = shard, .limit = limit, .state = state};
    if (complete) {
        l->back++;
        l->back_impressions += lease_impressions(l, x);
    } else {
        lease_pends(l, x);
    }
}

static bool bits_full(const struct buf *bits, uint32_t limit) {
    for (uint32_t k = 0; k < limit; k++) {
        if (k / 8 >= bits->len || !bit_get(bits->data, k)) {
            return false;
        }
    }
    return true;
}

enum status leases_train(struct leases *l, uint32_t epoch) {
    enum status status = OK;
    const uint32_t count = l->plan->ranges->count;
    uint32_t *order = NULL, *limit = NULL;
    struct buf bits = BUF_EMPTY;
    TRY_OUT(leases_reserve(l, count));
    TRY_OUT(mem_array(&order, count));
    TRY_OUT(mem_array(&limit, count));
    TRY_OUT(batch_plan_epoch(l->plan, epoch, order, limit));
    phase_begin(l, LEASE_TRAIN, epoch);
    if (l->mixed) {
        TRY_OUT(affinity_begin(&l->affinity, l->plan->ranges, epoch));
    }
    for (uint32_t i = 0; i < count; i++) {
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
        TRY(leases_reserve(l, l->cap < 64 ? 64 : 2 * l->cap));
    }
    phase_add(l, shard, limit, limit == 0);
    return OK;
}

enum status leases_eval(struct leases *l, uint32_t epoch, const uint32_t *batches,
                        uint32_t shards) {
    TRY(leases_reserve(l, shards));
    phase_begin(l, LEASE_EVAL, epoch);
    for (uint32_t i = 0; i < shards; i++) {
        phase_add(l, i, batches[i], batches[i] == 0);
    }
    return OK;
}

void leases_finish(struct leases *l) {
    for (uint32_t w = 0; l->out > 0; w++) {
        leases_release(l, w);
    }
    phase_begin(l, LEASE_FINISHED, l->epoch);
}

bool leases_phase_complete(const struct leases *l) {
    return l->back == l->count;
}

/* --- granting and returning ------------------------------------------------------------------- */

/* *next: the lease that the worker is to be given, or NULL. */
static enum status next_pending(struct leases *l, uint32_t worker, struct lease **next) {
    if (l->mixed) {
        uint32_t range;
        TRY(affinity_take(&l->affinity, worker, l->one_at_a_time, &range));
        *next = range == AFFINITY_NONE ? NULL : &l->lease[l->place[range]];
        return OK;
    }
    while (l->pending < l->count && l->lease[l->pending].state != LEASE_PENDING) {
        l->pending++;
    }
    *next = l->pending < l->count ? &l->lease[l->pending] : NULL;
    return OK;
}

static uint32_t lease_ahead(struct leases *l, uint32_t worker) {
    if (!l->mixed) {
        return 0;
    }
    const uint32_t range = affinity_ahead(&l->affinity, worker, l->one_at_a_time);
    return range == AFFINITY_NONE ? 0 : range + 1;
}

static struct lease *lease_find(struct leases *l, uint32_t shard) {
    return shard < l->count ? &l->lease[l->place[shard]] : NULL;
}

enum status leases_ask(struct leases *l, uint32_t worker, uint64_t incarnation, bool hold,
                       uint64_t now_ms, struct wire_lease *out, struct buf *bits) {
    *out = (struct wire_lease){.kind = l->kind == LEASE_FINISHED ? LEASE_FINISHED : LEASE_WAIT};
    buf_clear(bits);
    bool busy = l->one_at_a_time && l->kind == LEASE_TRAIN && l->out > 0;
    struct lease *next = NULL;
    TRY(reserve_holder(l, worker));
    if (!hold && !busy) {
        TRY(next_pending(l, worker, &next));
    }
    if (next == NULL) {
        return OK;
    }
    if (l->kind == LEASE_TRAIN) {
        TRY(applied_bits(l->done, l->epoch, next->shard, bits));
    }
    take_out(l, next, worker);
    next->incarnation = incarnation;
    next->fence = ++l->fence;
    next->deadline_ms = now_ms + l->lease_ms;
    *out = (struct wire_lease){.kind = l->kind,
                               .epoch = l->epoch,
                               .shard = next->shard,
                               .fence = next->fence,
                               .batch_limit = next->limit,
                               .ahead = lease_ahead(l, worker)};
    return OK;
}

static enum status add_done(struct leases *l, const struct lease *lease) {
    for (uint32_t k = 0; k < lease->limit; k++) {
        struct batch_name name = {l->epoch, lease->shard, k};
        enum status status = applied_add(l->done, name);
        if (status == OK) {
            l->done_impressions += batch_plan_batch_impressions(l->plan, lease->shard, k);
        } else if (status != ERR_EXISTS) {
            return status;
        }
    }
    return OK;
}

enum status leases_return(struct leases *l, const struct wire_lease_ask *ask) {
    struct lease *lease = lease_find(l, ask->shard);
    if (lease == NULL || l->epoch != ask->epoch || lease->state != LEASE_OUT ||
        lease->fence != ask->fence || lease->worker != ask->index ||
        lease->incarnation != ask->incarnation || l->kind != LEASE_TRAIN) {
        return OK;
    }
    TRY(add_done(l, lease));
    give_back(l, lease, LEASE_BACK);
    l->back++;
    l->back_impressions += lease_impressions(l, lease);
    return OK;
}

void leases_complete(struct leases *l, uint32_t shard) {
    struct lease *lease = lease_find(l, shard);
    if (l->kind != LEASE_EVAL || lease == NULL || lease->state == LEASE_BACK) {
        return;
    }
    if (lease->state == LEASE_OUT) {
        give_back(l, lease, LEASE_BACK);
    }
    lease->state = LEASE_BACK;
    l->back++;
}

/* --- deadlines -------------------------------------------------------------------------------- */

void leases_renew(struct leases *l, uint32_t worker, uint64_t incarnation, uint64_t now_ms) {
    for (uint32_t i = lease_first_of(l, worker); i != LEASE_NONE; i = l->lease[i].next) {
        if (l->lease[i].incarnation == incarnation) {
            l->lease[i].deadline_ms = now_ms + l->lease_ms;
        }
    }
}

/* Makes the leases of a worker whose deadline is at or before `by_ms` pending again; returns how
 * many. */
static uint32_t put_back(struct leases *l, uint32_t worker, uint64_t by_ms) {
    uint32_t count = 0;
    uint32_t next = lease_first_of(l, worker);
    while (next != LEASE_NONE) {
        struct lease *x = &l->lease[next];
        next = x->next;
        if (x->deadline_ms <= by_ms) {
            give_back(l, x, LEASE_PENDING);
            count++;
        }
    }
    if (count > 0 && l->holder[worker].held == 0) {
        affinity_drop(&l->affinity, worker);
    }
    return count;
}

uint32_t leases_release(struct leases *l, uint32_t worker) {
    affinity_drop(&l->affinity, worker);
    return put_back(l, worker, UINT64_MAX);
}

uint32_t leases_expire(struct leases *l, uint64_t now_ms) {
    uint32_t expired = 0;
    for (uint32_t w = 0; w < l->holders && l->out > 0; w++) {
        expired += put_back(l, w, now_ms);
    }
    return expired;
}

uint32_t leases_held(const struct leases *l, uint32_t worker) {
    return worker < l->holders ? l->holder[worker].held : 0;
}

const char *leases_unit(const struct leases *l) {
    return l->mixed ? "range" : "shard";
}
