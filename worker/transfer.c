/* transfer.c - one batch's way to the servers and back.
 *
 * Splitting. Each key is hashed once: key -> bucket -> partition. A counting sort then lays the
 * keys out by partition, and beside each key the number of its row within its slot. From there on
 * everything is a walk along that order: a pull sends the keys, its answer's values are dealt out
 * to the rows, and a push gathers gradients from the rows in the very same order, so that the
 * ticket can stand for the keys. Where a partition has all keys of a slot (always, with one
 * partition) the walk is one copy.
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

#include "common/base/clock.h"
#include "common/base/mem.h"

#define ALIGN_FLOATS  16 /* rows of a slot begin on a cache line */
#define SEND_AGAIN_MS 5  /* after a full queue */

/* --- memory ----------------------------------------------------------------------------------- */

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
    mem_free(&x->missing);
    mem_free(&x->values);
    mem_free(inout);
}

enum status transfer_create(struct transfer **out, struct client *c) {
    enum status status = OK;
    struct transfer *x = NULL;
    *out = NULL;
    TRY(mem_new(&x));
    x->client = c;
    TRY_OUT(mem_array(&x->ask, c->partitions));
    TRY_OUT(mem_array(&x->counts, (size_t)c->partitions * c->fields));
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
    mem_free(&x->missing);
    TRY(mem_array(&x->keys, cap));
    TRY(mem_array(&x->row, cap));
    TRY(mem_array(&x->home, cap));
    TRY(mem_array(&x->missing, cap));
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
    TRY(mem_array(&x->values, cap));
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
    TRY(mem_array(&a->push, cap));
    a->push_cap = cap;
    return OK;
}

/* --- splitting -------------------------------------------------------------------------------- */

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
        a->row_floats = 0;
        a->dense_floats = c->dense_begin[k + 1] - c->dense_begin[k];
        for (uint32_t f = 0; f < c->fields; f++) {
            begin += a->counts[f];
            a->row_floats += (size_t)a->counts[f] * c->spec.layout->dim[f];
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
        size_t values =
            wire_values_bytes(c->spec.config->wire_values, a->row_floats + a->dense_floats);
        size_t keys = wire_keys_bytes_max(a->n, c->fields);
        if (values > c->spec.config->message_bytes_max ||
            keys > c->spec.config->message_bytes_max) {
            return fail(ERR_LIMIT,
                        "a batch needs %zu bytes of values and %zu of keys from partition "
                        "%u, net.message_bytes_max is %u: use a smaller train.batch or more "
                        "partitions",
                        values, keys, k, c->spec.config->message_bytes_max);
        }
    }
    return OK;
}

/* --- asking ----------------------------------------------------------------------------------- */

static void write_pull(const struct transfer *x, const struct ask *a, struct wire_msg *m) {
    struct wire_pull *pull = &m->u.pull;
    m->type = WIRE_PULL;
    pull->fields = x->client->fields;
    memset(pull->count, 0, pull->fields * sizeof *a->counts);
    if (x->wants_rows) {
        memcpy(pull->count, a->counts, pull->fields * sizeof *a->counts);
    }
    pull->want_dense = x->wants_dense;
    pull->want_ticket = x->wants_rows && x->train;
    pull->want_missing = x->wants_rows && !x->train;
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
    bool keys = pushing ? a->with_keys : x->wants_rows;
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

static enum status pull_keys(struct transfer *x, const uint64_t *const *ids, const uint32_t *count,
                             bool train, bool dense) {
    assert(x->state == TRANSFER_IDLE);
    size_t total = 0;
    for (uint32_t f = 0; f < x->client->fields; f++) {
        x->slot_count[f] = count[f];
        x->slot_key[f] = total;
        total += count[f];
    }
    TRY(room_for_keys(x, total));
    TRY(room_for_values(x, lay_out_values(x)));
    find_homes(x, ids);
    lay_out_asks(x);
    sort_keys(x, ids);
    TRY(check_sizes(x));
    x->train = train;
    x->wants_rows = true;
    x->wants_dense = dense;
    x->outcome = (struct transfer_outcome){0};
    x->state = TRANSFER_PULLING;
    return ask_all(x);
}

enum status transfer_pull(struct transfer *x, const uint64_t *const *ids, const uint32_t *count,
                          bool train) {
    return pull_keys(x, ids, count, train, true);
}

enum status transfer_pull_rows(struct transfer *x, const uint64_t *const *ids,
                               const uint32_t *count) {
    return pull_keys(x, ids, count, true, false);
}

enum status transfer_pull_dense(struct transfer *x) {
    assert(x->state == TRANSFER_ROWS);
    x->wants_rows = false;
    x->wants_dense = true;
    x->state = TRANSFER_PULLING_DENSE;
    return ask_all(x);
}

/* --- values: from the order of a partition to rows and back ----------------------------------- */

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

static void deal_slots(struct transfer *x, const struct ask *a, enum value_type type,
                       const uint8_t *from) {
    const struct client *c = x->client;
    const uint32_t *row = x->row + a->begin;
    for (uint32_t f = 0; f < c->fields; f++) {
        uint32_t dim = c->spec.layout->dim[f];
        uint32_t n = a->counts[f];
        deal_rows(x->values + x->slot_at[f], dim, row, n, n == x->slot_count[f], type, from);
        from += wire_values_bytes(type, (size_t)n * dim);
        row += n;
    }
}

/* How many floats partition k was asked for. */
static size_t floats_asked(const struct transfer *x, const struct ask *a) {
    return (x->wants_rows ? a->row_floats : 0) + (x->wants_dense ? a->dense_floats : 0);
}

static void deal_values(struct transfer *x, uint32_t k, enum value_type type, const uint8_t *from) {
    const struct ask *a = &x->ask[k];
    if (floats_asked(x, a) == 0) {
        return; /* more partitions than floats */
    }
    if (x->wants_rows) {
        deal_slots(x, a, type, from);
        from += wire_values_bytes(type, a->row_floats);
    }
    if (x->wants_dense) {
        wire_values_unpack(type, from, a->dense_floats,
                           x->values + x->dense_at + x->client->dense_begin[k]);
    }
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
    a->push_bytes = wire_values_bytes(type, a->row_floats + a->dense_floats);
    if (a->push_bytes == 0) {
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
    wire_values_pack(type, ddense + c->dense_begin[k], a->dense_floats, to);
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

/* --- answers ---------------------------------------------------------------------------------- */

static void settle(struct transfer *x, struct ask *a) {
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

/* Which of partition k's keys have no row, put where the batch has them. */
static enum status deal_missing(struct transfer *x, uint32_t k, const struct port_message *m) {
    const struct ask *a = &x->ask[k];
    const uint32_t *row = x->row + a->begin;
    size_t i = 0;
    if (m->keys_bytes != (a->n + 7) / 8) {
        return fail(ERR_PROTOCOL,
                    "partition %u at %s sent %zu bytes on rows that are missing of %zu keys", k,
                    port_endpoint(x->client->ports[k]), m->keys_bytes, a->n);
    }
    for (uint32_t f = 0; f < x->client->fields; f++) {
        for (uint32_t n = 0; n < a->counts[f]; n++, i++) {
            x->missing[x->slot_key[f] + row[i]] = wire_bit(m->keys, i);
        }
    }
    return OK;
}

static enum status take_pulled(struct transfer *x, uint32_t k, const struct port_message *m) {
    struct ask *a = &x->ask[k];
    const struct wire_pulled *pulled = &m->msg.u.pulled;
    size_t bytes = wire_values_bytes(pulled->values, floats_asked(x, a));
    if (m->values_bytes != bytes) {
        return fail(ERR_PROTOCOL,
                    "partition %u at %s sent %zu bytes of values for %zu keys, "
                    "expected %zu",
                    k, port_endpoint(x->client->ports[k]), m->values_bytes,
                    x->wants_rows ? a->n : 0, bytes);
    }
    if (x->wants_rows && !x->train) {
        TRY(deal_missing(x, k, m));
    }
    deal_values(x, k, pulled->values, m->values);
    if (x->wants_rows) {
        a->ticket = pulled->ticket;
        a->version = pulled->version;
    }
    a->dense_version = pulled->version;
    settle(x, a);
    return OK;
}

/* Pushes that a partition applied after a pull and before a push, by the clocks it answered them
 * with. */
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

/* --- for the caller --------------------------------------------------------------------------- */

enum transfer_state transfer_state(const struct transfer *x) {
    return x->state;
}

float *transfer_rows(struct transfer *x, uint32_t slot) {
    return x->values + x->slot_at[slot];
}

float *transfer_dense(struct transfer *x) {
    return x->values + x->dense_at;
}

const uint8_t *transfer_missing(const struct transfer *x, uint32_t slot) {
    return x->train || x->missing == NULL ? NULL : x->missing + x->slot_key[slot];
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
