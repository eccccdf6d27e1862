#include "transfer.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/net/wire_keys.h"
#include "common/net/wire_values.h"

enum status transfer_init(struct transfer *x, const struct route *r) {
    *x = (struct transfer){0};
    TRY(split_init(&x->split, r));
    return mem_array(&x->ask, r->partitions);
}

void transfer_fini(struct transfer *x) {
    for (uint32_t k = 0; x->ask != NULL && k < x->split.route->partitions; k++) {
        mem_free(&x->ask[k].push);
    }
    mem_free(&x->ask);
    split_fini(&x->split);
}

static const struct config *config_of(const struct transfer *x) {
    return x->split.route->config;
}

/* --- steps ------------------------------------------------------------------------------------ */

static void ask_partition(struct transfer *x, uint32_t k) {
    x->asks_waiting += !x->ask[k].waiting;
    x->ask[k].waiting = true;
    x->ask[k].fresh = true;
}

static void ask_all(struct transfer *x, enum transfer_state state) {
    x->state = state;
    for (uint32_t k = 0; k < x->split.route->partitions; k++) {
        ask_partition(x, k);
    }
}

enum status transfer_pull(struct transfer *x, const uint64_t *const *ids, const uint32_t *count,
                          bool train, bool dense) {
    assert(x->state == TRANSFER_IDLE);
    TRY(split_keys(&x->split, ids, count));
    x->train = train;
    x->wants_rows = true;
    x->wants_dense = dense;
    x->outcome = (struct transfer_outcome){0};
    ask_all(x, TRANSFER_PULLING);
    return OK;
}

void transfer_pull_dense(struct transfer *x) {
    assert(x->state == TRANSFER_ROWS);
    x->wants_rows = false;
    x->wants_dense = true;
    ask_all(x, TRANSFER_PULLING_DENSE);
}

static enum status pack_gradients(struct transfer *x, uint32_t k, const float *const *drows,
                                  const float *ddense) {
    struct ask *a = &x->ask[k];
    const enum value_type type = config_of(x)->wire_values;
    a->push_bytes = wire_values_bytes(type, split_floats(&x->split, k, true, true));
    TRY(mem_room(&a->push, &a->push_cap, a->push_bytes));
    split_gather(&x->split, k, type, drows, ddense, a->push);
    return OK;
}

enum status transfer_push(struct transfer *x, struct batch_name name, uint64_t fence,
                          uint32_t shard_batches, const float *const *drows, const float *ddense) {
    assert(x->state == TRANSFER_PULLED && x->train);
    x->name = name;
    x->fence = fence;
    x->shard_batches = shard_batches;
    for (uint32_t k = 0; k < x->split.route->partitions; k++) {
        TRY(pack_gradients(x, k, drows, ddense));
        x->ask[k].with_keys = x->ask[k].ticket == 0; /* the partition could not keep one */
    }
    ask_all(x, TRANSFER_PUSHING);
    return OK;
}

void transfer_reset(struct transfer *x) {
    for (uint32_t k = 0; k < x->split.route->partitions; k++) {
        x->ask[k].waiting = false;
    }
    x->asks_waiting = 0;
    x->state = TRANSFER_IDLE;
}

/* --- asking ----------------------------------------------------------------------------------- */

static void write_pull(const struct transfer *x, const uint32_t *counts, struct wire_msg *m) {
    struct wire_pull *pull = &m->u.pull;
    m->type = WIRE_PULL;
    pull->fields = x->split.route->fields;
    memset(pull->count, 0, pull->fields * sizeof *counts);
    if (x->wants_rows) {
        memcpy(pull->count, counts, pull->fields * sizeof *counts);
    }
    pull->want_dense = x->wants_dense;
    pull->want_ticket = x->wants_rows && x->train;
    pull->want_missing = x->wants_rows && !x->train;
    pull->values = config_of(x)->wire_values;
}

static void write_push(const struct transfer *x, const struct ask *a, const uint32_t *counts,
                       struct wire_msg *m) {
    struct wire_push *push = &m->u.push;
    m->type = WIRE_PUSH;
    push->name = x->name;
    push->fence = x->fence;
    push->shard_batches = x->shard_batches;
    push->ticket = a->ticket;
    push->fields = a->with_keys ? x->split.route->fields : 0;
    memcpy(push->count, counts, push->fields * sizeof *counts);
    push->values = config_of(x)->wire_values;
}

enum status transfer_message(const struct transfer *x, uint32_t k, struct wire_msg *m,
                             struct buf *keys, const uint8_t **values, size_t *values_bytes) {
    const struct ask *a = &x->ask[k];
    const struct split_part *p = &x->split.part[k];
    const bool pushing = x->state == TRANSFER_PUSHING;
    if (pushing) {
        write_push(x, a, p->counts, m);
    } else {
        write_pull(x, p->counts, m);
    }
    buf_clear(keys);
    if (pushing ? a->with_keys : x->wants_rows) {
        const uint32_t fields = x->split.route->fields;
        TRY(buf_reserve(keys, wire_keys_bytes_max(p->n, fields)));
        keys->len = wire_keys_pack(p->counts, fields, x->split.keys + p->begin, keys->data);
    }
    *values = pushing ? a->push : NULL;
    *values_bytes = pushing ? a->push_bytes : 0;
    return OK;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void settle_ask(struct transfer *x, struct ask *a) {
    a->waiting = false;
    x->asks_waiting--;
    if (x->asks_waiting > 0) {
        return;
    }
    if (x->state == TRANSFER_PUSHING) {
        x->state = TRANSFER_DONE;
    } else {
        x->state = x->wants_dense ? TRANSFER_PULLED : TRANSFER_ROWS;
    }
}

static const char *endpoint_of(const struct transfer *x, uint32_t k) {
    return x->split.route->plan->endpoint[k];
}

static enum status check_pulled(const struct transfer *x, uint32_t k,
                                const struct port_message *m) {
    const size_t n = x->wants_rows ? x->split.part[k].n : 0;
    const size_t bytes = wire_values_bytes(
        m->msg.u.pulled.values, split_floats(&x->split, k, x->wants_rows, x->wants_dense));
    if (m->values_bytes != bytes) {
        return fail(ERR_PROTOCOL,
                    "partition %u at %s sent %zu bytes of values for %zu keys, "
                    "expected %zu",
                    k, endpoint_of(x, k), m->values_bytes, n, bytes);
    }
    if (x->wants_rows && !x->train && m->keys_bytes != (n + 7) / 8) {
        return fail(ERR_PROTOCOL,
                    "partition %u at %s sent %zu bytes on rows that are missing of %zu keys", k,
                    endpoint_of(x, k), m->keys_bytes, n);
    }
    return OK;
}

static enum status take_pulled(struct transfer *x, uint32_t k, const struct port_message *m) {
    struct ask *a = &x->ask[k];
    const struct wire_pulled *pulled = &m->msg.u.pulled;
    TRY(check_pulled(x, k, m));
    if (x->wants_rows && !x->train) {
        split_deal_missing(&x->split, k, m->keys);
    }
    split_deal(&x->split, k, x->wants_rows, x->wants_dense, pulled->values, m->values);
    if (x->wants_rows) {
        a->ticket = pulled->ticket;
        a->version = pulled->version;
    }
    a->dense_version = pulled->version;
    settle_ask(x, a);
    return OK;
}

/* The number of pushes that a partition applied after a pull and before a push, from the clocks in
 * its two answers. */
static uint64_t applied_between(uint64_t pulled, uint64_t pushed) {
    return pushed > pulled + 1 ? pushed - 1 - pulled : 0;
}

static void take_pushed(struct transfer *x, struct ask *a, const struct wire_pushed *pushed) {
    struct transfer_outcome *o = &x->outcome;
    if (pushed->duplicate) {
        o->duplicates++;
    } else {
        raise_to(&o->staleness, applied_between(a->version, pushed->version));
        raise_to(&o->dense_staleness, applied_between(a->dense_version, pushed->version));
    }
    o->dropped_values += pushed->dropped_values;
    settle_ask(x, a);
}

static enum status take_error(struct transfer *x, uint32_t k, const struct wire_error *e) {
    struct ask *a = &x->ask[k];
    const bool pushing = x->state == TRANSFER_PUSHING;
    if (pushing && e->status == ERR_TICKET && !a->with_keys) {
        x->tickets_unknown++;
        a->with_keys = true;
        ask_partition(x, k);
        return OK;
    }
    if (pushing && e->status == ERR_FENCED) {
        x->outcome.fenced = true;
        settle_ask(x, a);
        return OK;
    }
    return fail(ERR_PROTOCOL, "partition %u at %s refused a %s: %s", k, endpoint_of(x, k),
                pushing ? "PUSH" : "PULL", e->text);
}

enum status transfer_take(struct transfer *x, uint32_t k, const struct port_message *m) {
    const bool pushing = x->state == TRANSFER_PUSHING;
    if (m->msg.type == WIRE_ERROR) {
        return take_error(x, k, &m->msg.u.error);
    }
    if (!pushing && m->msg.type == WIRE_PULLED) {
        return take_pulled(x, k, m);
    }
    if (pushing && m->msg.type == WIRE_PUSHED) {
        take_pushed(x, &x->ask[k], &m->msg.u.pushed);
        return OK;
    }
    return fail(ERR_PROTOCOL, "partition %u at %s answered a %s with %s", k, endpoint_of(x, k),
                pushing ? "PUSH" : "PULL", wire_type_name(m->msg.type));
}

/* --- for the caller --------------------------------------------------------------------------- */

float *transfer_rows(struct transfer *x, uint32_t slot) {
    return x->split.values + x->split.slot_at[slot];
}

float *transfer_dense(struct transfer *x) {
    return x->split.values + x->split.dense_at;
}

const uint8_t *transfer_missing(const struct transfer *x, uint32_t slot) {
    const struct split *s = &x->split;
    return x->train || s->missing == NULL ? NULL : s->missing + s->slot_key[slot];
}
