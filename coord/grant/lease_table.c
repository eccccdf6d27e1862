#include "lease_table.h"

#include "common/base/mem.h"

enum status lease_reserve_holder(struct leases *l, uint32_t worker) {
    if (worker >= l->holders) {
        const uint32_t count = worker < 32 ? 64 : 2 * worker;
        TRY(mem_grow(&l->holder, l->holders, count));
        for (; l->holders < count; l->holders++) {
            l->holder[l->holders].first = l->holder[l->holders].helps = LEASE_NONE;
        }
    }
    return OK;
}

uint32_t lease_first_of(const struct leases *l, uint32_t worker) {
    return worker < l->holders ? l->holder[worker].first : LEASE_NONE;
}

uint64_t lease_impressions(const struct leases *l, const struct lease *x) {
    return l->kind == LEASE_TRAIN ? ranges_impressions(l->plan->ranges, x->shard, x->limit) : 0;
}

void lease_take_out(struct leases *l, struct lease *x, uint32_t worker) {
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

void lease_pends(struct leases *l, const struct lease *x) {
    const uint32_t at = (uint32_t)(x - l->lease);
    if (l->mixed) {
        affinity_add(&l->affinity, x->shard);
    } else if (at < l->pending) {
        l->pending = at;
    }
}

void lease_end_second(struct leases *l, struct lease *x) {
    if (x->second != LEASE_NONE) {
        l->holder[x->second].helps = LEASE_NONE;
        x->second = LEASE_NONE;
    }
}

void lease_give_back(struct leases *l, struct lease *x, enum lease_state state) {
    struct lease_holder *h = &l->holder[x->worker];
    lease_end_second(l, x);
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

bool leases_idle(const struct leases *l, uint32_t worker) {
    return worker >= l->holders ||
           (l->holder[worker].held == 0 && l->holder[worker].helps == LEASE_NONE);
}
