/* transfer.c - one batch's way to the servers and back.
 *
 * Splitting. Each key is hashed once: key -> bucket -> partition. A counting sort then lays the keys
 * out by partition, and beside each key the number of its row within its slot. From there on
 * everything is a walk along that order: a pull sends the keys, its answer's values are dealt out to
 * the rows, and a push gathers gradients from the rows in the very same order, so that the ticket
 * can stand for the keys. Where a partition has all keys of a slot (always, with one partition) the
 * walk is one copy.
 *
 * Sending again needs no copy of the message: the keys stay here, the packed gradients stay here,
 * and the header and the keys' frame are made anew.
 *
 * Every partition takes part in every batch, even with no key: it has a slice of the dense vector,
 * and it must learn the batch's name.
 */
#include "transfer.h"

#include <assert.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"

#define ALIGN_FLOATS 16 /* rows of a slot begin on a cache line */
#define SEND_AGAIN_MS 5 /* after a full queue */

/* --- memory ------------------------------------------------------------------------------------- */

void transfer_destroy(struct transfer **inout) {
    struct transfer *x = *inout;
    if (x == NULL) {
        return;
    }
    struct transfer **at = &x->client->transfers;
    while (*at != NULL && *at != x) {
        at = &(*at)->next;
    }
    if (*at == x) {
        *at = x->next;
    }
    for (uint32_t k = 0; x->ask != NULL && k < x->client->partitions; k++) {
        mem_free(&x->ask[k].push);
    }
    mem_free(&x->ask);
    mem_free(&x->counts);
    mem_free(&x->keys);
    mem_free(&x->row);
    mem_free(&x->home);
    mem_free(&x->values);
    mem_free(inout);
}

enum status transfer_create(struct transfer **out, struct client *c) {
    enum status status = OK;
    struct transfer *x = NULL;
    *out = NULL;
    TRY(mem_alloc((void **)&x, sizeof *x));
    x->client = c;
    TRY_OUT(mem_array((void **)&x->ask, c->partitions, sizeof *x->ask));
    TRY_OUT(mem_array((void **)&x->counts, (size_t)c->partitions * c->fields, sizeof *x->counts));
    for (uint32_t k = 0; k < c->partitions; k++) {
        x->ask[k].counts = x->counts + (size_t)k * c->fields;
    }
    x->next = c->transfers;
    c->transfers = x;
    *out = x;
    x = NULL;
out:
    transfer_destroy(&x);
    return status;
}

static enum status room_for_keys(struct transfer *x, size_t n) {
    if (n <= x->key_cap) {
        return OK;
    }
    size_t cap = n + n / 4;
    x->key_cap = 0;
    mem_free(&x->keys);
    mem_free(&x->row);
    mem_free(&x->home);
    TRY(mem_array((void **)&x->keys, cap, sizeof *x->keys));
    TRY(mem_array((void **)&x->row, cap, sizeof *x->row));
    TRY(mem_array((void **)&x->home, cap, sizeof *x->home));
    x->key_cap = cap;
    return OK;
}

static enum status room_for_values(struct transfer *x, size_t n) {
    if (n <= x->value_cap) {
        return OK;
    }
    size_t cap = n + n / 4;
    x->value_cap = 0;
    mem_free(&x->values);
    TRY(mem_array((void **)&x->values, cap, sizeof *x->values));
    x->value_cap = cap;
    return OK;
}

static enum status room_for_push(struct ask *a, size_t bytes) {
    if (bytes <= a->push_cap) {
        return OK;
    }
    size_t cap = bytes + bytes / 4;
    a->push_cap = 0;
    mem_free(&a->push);
    TRY(mem_alloc((void **)&a->push, cap));
    a->push_cap = cap;
    return OK;
}

/* --- splitting ---------------------------------------------------------------------------------- */

/* Where each slot's rows and the dense vector lie in values. Returns the floats needed. */
static size_t lay_out_values(struct transfer *x) {
    const struct layout *l = x->client->spec.layout;
    size_t at = 0;
    for (uint32_t f = 0; f < x->client->fields; f++) {
        x->slot_at[f] = at;
        at += (size_t)x->slot_count[f] * l->dim[f];
        at = (at + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    }
    x->dense_at = at;
    return at + l->count;
}

/* Finds each key's partition and counts the keys of each slot. */
static void find_homes(struct transfer *x, const uint64_t *const *ids) {
    const struct client *c = x->client;
    uint16_t *home = x->home;
    memset(x->counts, 0, (size_t)c->partitions * c->fields * sizeof *x->counts);
    for (uint32_t f = 0; f < c->fields; f++) {
        uint64_t salt = c->spec.schema->fields[f].salt;
        for (uint32_t i = 0; i < x->slot_count[f]; i++) {
            uint16_t k = c->home_of[hash_bucket(hash_key(salt, ids[f][i]))];
            x->ask[k].counts[f]++;
            *home++ = k;
        }
    }
}

static void lay_out_asks(struct transfer *x) {
    const struct client *c = x->client;
    size_t begin = 0;
    for (uint32_t k = 0; k < c->partitions; k++) {
        struct ask *a = &x->ask[k];
        a->begin = begin;
        a->n = 0;
        a->floats = c->dense_begin[k + 1] - c->dense_begin[k];
        for (uint32_t f = 0; f < c->fields; f++) {
            begin += a->counts[f];
            a->floats += (size_t)a->counts[f] * c->spec.layout->dim[f];
        }
    }
}

static void sort_keys(struct transfer *x, const uint64_t *const *ids) {
    const uint16_t *home = x->home;
    for (uint32_t f = 0; f < x->client->fields; f++) {
        for (uint32_t i = 0; i < x->slot_count[f]; i++) {
            struct ask *a = &x->ask[*home++];
            x->keys[a->begin + a->n] = ids[f][i];
            x->row[a->begin + a->n] = i;
            a->n++;
        }
    }
}

static enum status check_sizes(const struct transfer *x) {
    const struct client *c = x->client;
    for (uint32_t k = 0; k < c->partitions; k++) {
        const struct ask *a = &x->ask[k];
        size_t values = wire_values_bytes(c->spec.config->wire_values, a->floats);
        size_t keys = wire_keys_bytes_max(a->n, c->fields);
        if (values > c->spec.config->message_bytes_max ||
            keys > c->spec.config->message_bytes_max) {
            return fail(ERR_LIMIT, "a batch needs %zu bytes of values and %zu of keys from partition "
                        "%u, net.message_bytes_max is %u: use a smaller train.batch or more "
                        "partitions", values, keys, k, c->spec.config->message_bytes_max);
        }
    }
    return OK;
}

/* --- asking ------------------------------------------------------------------------------------- */

static void write_pull(const struct transfer *x, const struct ask *a, struct wire_msg *m) {
    struct wire_pull *pull = &m->u.pull;
    m->type = WIRE_PULL;
    pull->fields = x->client->fields;
    memcpy(pull->count, a->counts, pull->fields * sizeof *a->counts);
    pull->want_dense = true;
    pull->want_ticket = x->train;
    pull->values = x->client->spec.config->wire_values;
}

static void write_push(const struct transfer *x, const struct ask *a, struct wire_msg *m) {
    struct wire_push *push = &m->u.push;
    m->type = WIRE_PUSH;
    push->name = x->name;
    push->fence = x->fence;
    push->shard_batches = x->shard_batches;
    push->ticket = a->ticket;
    push->fields = a->with_keys ? x->client->fields : 0;
    memcpy(push->count, a->counts, push->fields * sizeof *a->counts);
    push->values = x->client->spec.config->wire_values;
}

enum status transfer_send(struct transfer *x, uint32_t k, uint64_t now_ms) {
    struct client *c = x->client;
    struct ask *a = &x->ask[k];
    struct wire_msg *m = &c->out;
    bool pushing = x->state == TRANSFER_PUSHING;
    bool keys = !pushing || a->with_keys;
    m->job = c->spec.job;
    m->id = a->id;
    if (pushing) {
        write_push(x, a, m);
    } else {
        write_pull(x, a, m);
    }
    size_t key_bytes = 0;
    if (keys) {
        buf_clear(&c->keys);
        TRY(buf_reserve(&c->keys, wire_keys_bytes_max(a->n, c->fields)));
        key_bytes = wire_keys_pack(a->counts, c->fields, x->keys + a->begin, c->keys.data);
    }
    enum status status = port_send(c->ports[k], NULL, 0, m, c->keys.data, key_bytes,
                                   pushing ? a->push : NULL, pushing ? a->push_bytes : 0);
    a->attempts++;
    a->tried_ms = now_ms;
    a->queued = status == OK;
    a->sent_ms = status == OK ? now_ms : a->sent_ms;
    return status == ERR_AGAIN ? OK : status;
}

uint64_t transfer_due_ms(const struct ask *a) {
    return a->queued ? a->sent_ms + a->wait_ms : a->tried_ms + SEND_AGAIN_MS;
}

static enum status ask_partition(struct transfer *x, uint32_t k, uint64_t now_ms) {
    struct ask *a = &x->ask[k];
    a->id = ++x->client->last_id;
    a->first_ms = now_ms;
    a->sent_ms = now_ms;
    a->wait_ms = x->client->spec.config->request_ms;
    a->attempts = 0;
    if (!a->waiting) {
        a->waiting = true;
        x->asks_waiting++;
    }
    return transfer_send(x, k, now_ms);
}

static enum status ask_all(struct transfer *x) {
    uint64_t now_ms = clock_mono_ms();
    for (uint32_t k = 0; k < x->client->partitions; k++) {
        TRY(ask_partition(x, k, now_ms));
    }
    return OK;
}

enum status transfer_pull(struct transfer *x, const uint64_t *const *ids, const uint32_t *count,
                          bool train) {
    assert(x->state == TRANSFER_IDLE);
    size_t total = 0;
    for (uint32_t f = 0; f < x->client->fields; f++) {
        x->slot_count[f] = count[f];
        total += count[f];
    }
    TRY(room_for_keys(x, total));
    TRY(room_for_values(x, lay_out_values(x)));
    find_homes(x, ids);
    lay_out_asks(x);
    sort_keys(x, ids);
    TRY(check_sizes(x));
    x->train = train;
    x->outcome = (struct transfer_outcome){0};
    x->state = TRANSFER_PULLING;
    return ask_all(x);
}

/* --- values: from the order of a partition to rows and back ------------------------------------- */

static void deal_rows(float *rows, uint32_t dim, const uint32_t *row, uint32_t n, bool all,
                      enum value_type type, const uint8_t *from) {
    size_t step = wire_values_bytes(type, dim);
    if (all) {
        wire_values_unpack(type, from, (size_t)n * dim, rows);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        wire_values_unpack(type, from + i * step, dim, rows + (size_t)row[i] * dim);
    }
}

static void deal_values(struct transfer *x, uint32_t k, enum value_type type,
                        const uint8_t *from) {
    const struct client *c = x->client;
    const struct ask *a = &x->ask[k];
    if (a->floats == 0) {
        return; /* more partitions than floats */
    }
    const uint32_t *row = x->row + a->begin;
    for (uint32_t f = 0; f < c->fields; f++) {
        uint32_t dim = c->spec.layout->dim[f];
        uint32_t n = a->counts[f];
        deal_rows(x->values + x->slot_at[f], dim, row, n, n == x->slot_count[f], type, from);
        from += wire_values_bytes(type, (size_t)n * dim);
        row += n;
    }
    size_t dense = c->dense_begin[k + 1] - c->dense_begin[k];
    wire_values_unpack(type, from, dense, x->values + x->dense_at + c->dense_begin[k]);
}

static void gather_rows(const float *rows, uint32_t dim, const uint32_t *row, uint32_t n, bool all,
                        enum value_type type, uint8_t *to) {
    size_t step = wire_values_bytes(type, dim);
    if (rows == NULL) {
        memset(to, 0, n * step);
    } else if (all) {
        wire_values_pack(type, rows, (size_t)n * dim, to);
    } else {
        for (uint32_t i = 0; i < n; i++) {
            wire_values_pack(type, rows + (size_t)row[i] * dim, dim, to + i * step);
        }
    }
}

static enum status gather_values(struct transfer *x, uint32_t k, const float *const *drows,
                                 const float *ddense) {
    const struct client *c = x->client;
    struct ask *a = &x->ask[k];
    enum value_type type = c->spec.config->wire_values;
    const uint32_t *row = x->row + a->begin;
    a->push_bytes = wire_values_bytes(type, a->floats);
    if (a->floats == 0) {
        return OK;
    }
    TRY(room_for_push(a, a->push_bytes));
    uint8_t *to = a->push;
    for (uint32_t f = 0; f < c->fields; f++) {
        uint32_t dim = c->spec.layout->dim[f];
        uint32_t n = a->counts[f];
        if (n > 0) {
            gather_rows(drows[f], dim, row, n, n == x->slot_count[f], type, to);
        }
        to += wire_values_bytes(type, (size_t)n * dim);
        row += n;
    }
    size_t dense = c->dense_begin[k + 1] - c->dense_begin[k];
    wire_values_pack(type, ddense + c->dense_begin[k], dense, to);
    return OK;
}

enum status transfer_push(struct transfer *x, struct batch_name name, uint64_t fence,
                          uint32_t shard_batches, const float *const *drows, const float *ddense) {
    assert(x->state == TRANSFER_PULLED && x->train);
    x->name = name;
    x->fence = fence;
    x->shard_batches = shard_batches;
    for (uint32_t k = 0; k < x->client->partitions; k++) {
        TRY(gather_values(x, k, drows, ddense));
        x->ask[k].with_keys = x->ask[k].ticket == 0; /* the partition could not keep one */
    }
    x->state = TRANSFER_PUSHING;
    return ask_all(x);
}

/* --- answers ------------------------------------------------------------------------------------ */

static void settle(struct transfer *x, struct ask *a) {
    a->waiting = false;
    x->asks_waiting--;
    if (x->asks_waiting == 0) {
        x->state = x->state == TRANSFER_PULLING ? TRANSFER_PULLED : TRANSFER_DONE;
    }
}

static enum status take_pulled(struct transfer *x, uint32_t k, const struct port_message *m) {
    struct ask *a = &x->ask[k];
    const struct wire_pulled *pulled = &m->msg.u.pulled;
    size_t bytes = wire_values_bytes(pulled->values, a->floats);
    if (m->values_bytes != bytes) {
        return fail(ERR_PROTOCOL, "partition %u at %s sent %zu bytes of values for %zu keys, "
                    "expected %zu", k, port_endpoint(x->client->ports[k]), m->values_bytes, a->n,
                    bytes);
    }
    deal_values(x, k, pulled->values, m->values);
    a->ticket = pulled->ticket;
    a->version = pulled->version;
    settle(x, a);
    return OK;
}

static void take_pushed(struct transfer *x, struct ask *a, const struct wire_pushed *pushed) {
    struct transfer_outcome *o = &x->outcome;
    if (pushed->duplicate) {
        o->duplicates++;
    } else if (pushed->version > a->version + 1) {
        uint64_t staleness = pushed->version - 1 - a->version;
        o->staleness = staleness > o->staleness ? staleness : o->staleness;
    }
    o->dropped_values += pushed->dropped_values;
    settle(x, a);
}

static enum status take_error(struct transfer *x, uint32_t k, const struct wire_error *e) {
    struct ask *a = &x->ask[k];
    bool pushing = x->state == TRANSFER_PUSHING;
    if (pushing && e->status == ERR_TICKET && !a->with_keys) {
        x->client->tickets_unknown++;
        a->with_keys = true;
        return ask_partition(x, k, clock_mono_ms());
    }
    if (pushing && e->status == ERR_FENCED) {
        x->outcome.fenced = true;
        settle(x, a);
        return OK;
    }
    return fail(ERR_PROTOCOL, "partition %u at %s refused a %s: %s", k,
                port_endpoint(x->client->ports[k]), pushing ? "PUSH" : "PULL", e->text);
}

enum status transfer_take(struct transfer *x, uint32_t k, const struct port_message *m) {
    bool pushing = x->state == TRANSFER_PUSHING;
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
    return fail(ERR_PROTOCOL, "partition %u at %s answered a %s with %s", k,
                port_endpoint(x->client->ports[k]), pushing ? "PUSH" : "PULL",
                wire_type_name(m->msg.type));
}

/* --- for the caller ----------------------------------------------------------------------------- */

enum transfer_state transfer_state(const struct transfer *x) {
    return x->state;
}

float *transfer_rows(struct transfer *x, uint32_t slot) {
    return x->values + x->slot_at[slot];
}

float *transfer_dense(struct transfer *x) {
    return x->values + x->dense_at;
}

struct transfer_outcome transfer_outcome(const struct transfer *x) {
    return x->outcome;
}

void transfer_reset(struct transfer *x) {
    for (uint32_t k = 0; k < x->client->partitions; k++) {
        x->ask[k].waiting = false;
    }
    x->asks_waiting = 0;
    x->state = TRANSFER_IDLE;
}
