#include "lease.h"

#include <assert.h>

#include "common/base/mem.h"
#include "lease_backup.h"
#include "lease_suspect.h"

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
    mem_free(&l->aside);
    affinity_fini(&l->affinity);
    if (l->done != NULL) {
        applied_destroy(&l->done);
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
    *x = (struct lease){.shard = shard,
                        .limit = limit,
                        .state = state,
                        .second = LEASE_NONE,
                        .only = LEASE_NONE,
                        .at = LEASE_NONE};
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

static struct wire_lease lease_words(const struct leases *l, const struct lease *x,
                                     uint32_t ahead) {
    return (struct wire_lease){.kind = l->kind,
                               .epoch = l->epoch,
                               .shard = x->shard,
                               .fence = x->fence,
                               .batch_limit = x->limit,
                               .ahead = ahead};
}

enum status leases_ask(struct leases *l, uint32_t worker, uint64_t incarnation, bool hold,
                       uint64_t now_ms, struct wire_lease *out, struct buf *bits) {
    *out = (struct wire_lease){.kind = l->kind == LEASE_FINISHED ? LEASE_FINISHED : LEASE_WAIT};
    buf_clear(bits);
    bool busy = l->one_at_a_time && l->kind == LEASE_TRAIN && l->out > 0;
    struct lease *next = NULL;
    TRY(lease_reserve_holder(l, worker));
    if (!hold && !busy) {
        TRY(next_pending(l, worker, &next));
    }
    const bool second = next == NULL && !hold && !busy;
    if (second) {
        next = backup_find(l, worker, now_ms);
    }
    if (next == NULL) {
        return OK;
    }
    if (l->kind == LEASE_TRAIN) {
        TRY(applied_bits(l->done, l->epoch, next->shard, bits));
    }
    if (second) {
        backup_grant(l, next, worker, incarnation);
        *out = lease_words(l, next, 0);
        return OK;
    }
    TRY(suspect_narrow(l, next, bits));
    lease_take_out(l, next, worker);
    next->incarnation = incarnation;
    next->fence = ++l->fence;
    next->granted_ms = now_ms;
    next->deadline_ms = now_ms + l->lease_ms;
    *out = lease_words(l, next, lease_ahead(l, worker));
    return OK;
}

static enum status add_done(struct leases *l, const struct lease *lease) {
    for (uint32_t k = 0; k < lease->limit; k++) {
        struct batch_name name = {l->epoch, lease->shard, k};
        enum status status =
            lease->only == LEASE_NONE || lease->only == k ? applied_add(l->done, name) : ERR_EXISTS;
        if (status == OK) {
            l->done_impressions += batch_plan_batch_impressions(l->plan, lease->shard, k);
        } else if (status != ERR_EXISTS) {
            return status;
        }
    }
    return OK;
}

static void range_back(struct leases *l, struct lease *x) {
    lease_give_back(l, x, LEASE_BACK);
    l->back++;
    l->back_impressions += lease_impressions(l, x);
}

static bool is_holders(const struct lease *x, const struct wire_lease_ask *ask) {
    return (x->worker == ask->index && x->incarnation == ask->incarnation) ||
           (x->second == ask->index && x->second_incarnation == ask->incarnation);
}

enum status leases_return(struct leases *l, const struct wire_lease_ask *ask, uint64_t now_ms) {
    struct lease *lease = lease_find(l, ask->shard);
    if (lease == NULL || l->epoch != ask->epoch || lease->state != LEASE_OUT ||
        lease->fence != ask->fence || !is_holders(lease, ask) || l->kind != LEASE_TRAIN) {
        return OK;
    }
    bool complete;
    TRY(add_done(l, lease));
    TRY(suspect_done(l, lease, &complete));
    if (!complete) {
        lease_give_back(l, lease, LEASE_PENDING);
        return OK;
    }
    backup_learn(l, lease->granted_ms, now_ms);
    range_back(l, lease);
    return OK;
}

void leases_complete(struct leases *l, uint32_t shard) {
    struct lease *lease = lease_find(l, shard);
    if (l->kind != LEASE_EVAL || lease == NULL || lease->state == LEASE_BACK) {
        return;
    }
    if (lease->state == LEASE_OUT) {
        lease_give_back(l, lease, LEASE_BACK);
    }
    lease->state = LEASE_BACK;
    l->back++;
}

enum status leases_restore(struct leases *l, uint32_t worker, uint64_t incarnation,
                           const struct wire_lease *was, uint64_t now_ms, bool *restored) {
    struct lease *x = lease_find(l, was->shard);
    *restored =
        l->kind == LEASE_TRAIN && was->epoch == l->epoch && x != NULL && x->state == LEASE_PENDING;
    if (!*restored) {
        return OK;
    }
    TRY(lease_reserve_holder(l, worker));
    if (l->mixed) {
        TRY(affinity_restore(&l->affinity, worker, was->shard,
                             was->ahead > 0 ? was->ahead - 1 : AFFINITY_NONE));
    }
    lease_take_out(l, x, worker);
    x->incarnation = incarnation;
    x->fence = was->fence;
    x->granted_ms = now_ms;
    x->deadline_ms = now_ms + l->lease_ms;
    return OK;
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
        if (x->deadline_ms <= by_ms && !backup_promote(l, x)) {
            lease_give_back(l, x, LEASE_PENDING);
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
    if (worker < l->holders && l->holder[worker].helps != LEASE_NONE) {
        lease_end_second(l, &l->lease[l->holder[worker].helps]);
    }
    return put_back(l, worker, UINT64_MAX);
}

uint32_t leases_died(struct leases *l, uint32_t worker) {
    const uint32_t held = leases_held(l, worker);
    for (uint32_t i = lease_first_of(l, worker), next; i != LEASE_NONE; i = next) {
        struct lease *x = &l->lease[i];
        bool complete = false;
        next = x->next;
        if (suspect_died(l, x, &complete) == OK && complete) {
            range_back(l, x);
        }
    }
    leases_release(l, worker);
    return held;
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
