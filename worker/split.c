#include "split.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/net/wire_keys.h"
#include "common/net/wire_values.h"

#define ALIGN_FLOATS 16 /* rows of a slot begin on a cache line */

/* --- memory ----------------------------------------------------------------------------------- */

enum status split_init(struct split *s, const struct route *r) {
    *s = (struct split){.route = r};
    TRY(mem_array(&s->part, r->partitions));
    TRY(mem_array(&s->counts, (size_t)r->partitions * r->fields));
    for (uint32_t k = 0; k < r->partitions; k++) {
        s->part[k].counts = s->counts + (size_t)k * r->fields;
    }
    return OK;
}

void split_fini(struct split *s) {
    mem_free(&s->part);
    mem_free(&s->counts);
    mem_free(&s->keys);
    mem_free(&s->row);
    mem_free(&s->home);
    mem_free(&s->missing);
    mem_free(&s->values);
}

/* Four arrays grow together. */
static enum status room_for_keys(struct split *s, size_t n) {
    size_t cap[4] = {s->key_cap, s->key_cap, s->key_cap, s->key_cap};
    TRY(mem_room(&s->keys, &cap[0], n));
    TRY(mem_room(&s->row, &cap[1], n));
    TRY(mem_room(&s->home, &cap[2], n));
    TRY(mem_room(&s->missing, &cap[3], n));
    s->key_cap = cap[0];
    return OK;
}

/* --- splitting -------------------------------------------------------------------------------- */

/* Sets where each slot's keys lie in the batch's order, and where its rows and the dense vector lie
 * in values. */
static enum status lay_out_slots(struct split *s, const uint32_t *count) {
    const struct layout *l = s->route->layout;
    size_t keys = 0, at = 0;
    for (uint32_t f = 0; f < s->route->fields; f++) {
        s->slot_count[f] = count[f];
        s->slot_key[f] = keys;
        s->slot_at[f] = at;
        keys += count[f];
        at += (size_t)count[f] * l->dim[f];
        at = (at + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    }
    s->dense_at = at;
    TRY(room_for_keys(s, keys));
    return mem_room(&s->values, &s->value_cap, at + l->count);
}

/* Finds each key's partition and counts the keys of each slot. */
static void find_homes(struct split *s, const uint64_t *const *ids) {
    const struct route *r = s->route;
    uint16_t *home = s->home;
    memset(s->counts, 0, (size_t)r->partitions * r->fields * sizeof *s->counts);
    for (uint32_t f = 0; f < r->fields; f++) {
        const uint64_t salt = r->schema->fields[f].salt;
        for (uint32_t i = 0; i < s->slot_count[f]; i++) {
            const uint16_t k = r->home_of[hash_bucket(hash_key(salt, ids[f][i]))];
            s->part[k].counts[f]++;
            *home++ = k;
        }
    }
}

static void lay_out_parts(struct split *s) {
    const struct route *r = s->route;
    size_t begin = 0;
    for (uint32_t k = 0; k < r->partitions; k++) {
        struct split_part *p = &s->part[k];
        p->begin = begin;
        p->n = 0;
        p->row_floats = 0;
        p->dense_floats = r->dense_begin[k + 1] - r->dense_begin[k];
        for (uint32_t f = 0; f < r->fields; f++) {
            begin += p->counts[f];
            p->row_floats += (size_t)p->counts[f] * r->layout->dim[f];
        }
    }
}

static void sort_keys(struct split *s, const uint64_t *const *ids) {
    const uint16_t *home = s->home;
    for (uint32_t f = 0; f < s->route->fields; f++) {
        for (uint32_t i = 0; i < s->slot_count[f]; i++) {
            struct split_part *p = &s->part[*home++];
            s->keys[p->begin + p->n] = ids[f][i];
            s->row[p->begin + p->n] = i;
            p->n++;
        }
    }
}

static enum status check_sizes(const struct split *s) {
    const struct config *config = s->route->config;
    for (uint32_t k = 0; k < s->route->partitions; k++) {
        const size_t values =
            wire_values_bytes(config->wire_values, split_floats(s, k, true, true));
        const size_t keys = wire_keys_bytes_max(s->part[k].n, s->route->fields);
        if (values > config->message_bytes_max || keys > config->message_bytes_max) {
            return fail(ERR_LIMIT,
                        "a batch needs %zu bytes of values and %zu of keys from partition "
                        "%u, net.message_bytes_max is %u: use a smaller train.batch or more "
                        "partitions",
                        values, keys, k, config->message_bytes_max);
        }
    }
    return OK;
}

enum status split_keys(struct split *s, const uint64_t *const *ids, const uint32_t *count) {
    TRY(lay_out_slots(s, count));
    find_homes(s, ids);
    lay_out_parts(s);
    sort_keys(s, ids);
    return check_sizes(s);
}

/* --- values: from the order of a partition to rows and back ----------------------------------- */

size_t split_floats(const struct split *s, uint32_t k, bool rows, bool dense) {
    return (rows ? s->part[k].row_floats : 0) + (dense ? s->part[k].dense_floats : 0);
}

static void deal_slot(float *rows, uint32_t dim, const uint32_t *row, uint32_t n, bool all,
                      enum value_type type, const uint8_t *from) {
    const size_t step = wire_values_bytes(type, dim);
    if (all) {
        wire_values_unpack(type, from, (size_t)n * dim, rows);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        wire_values_unpack(type, from + i * step, dim, rows + (size_t)row[i] * dim);
    }
}

void split_deal(struct split *s, uint32_t k, bool rows, bool dense, enum value_type type,
                const uint8_t *from) {
    const struct route *r = s->route;
    const struct split_part *p = &s->part[k];
    const uint32_t *row = s->row + p->begin;
    if (split_floats(s, k, rows, dense) == 0) {
        return; /* fewer floats than partitions: there is no `from` */
    }
    for (uint32_t f = 0; rows && f < r->fields; f++) {
        const uint32_t dim = r->layout->dim[f], n = p->counts[f];
        deal_slot(s->values + s->slot_at[f], dim, row, n, n == s->slot_count[f], type, from);
        from += wire_values_bytes(type, (size_t)n * dim);
        row += n;
    }
    if (dense) {
        wire_values_unpack(type, from, p->dense_floats,
                           s->values + s->dense_at + r->dense_begin[k]);
    }
}

void split_deal_missing(struct split *s, uint32_t k, const uint8_t *bits) {
    const struct split_part *p = &s->part[k];
    size_t i = 0;
    for (uint32_t f = 0; f < s->route->fields; f++) {
        for (uint32_t n = 0; n < p->counts[f]; n++, i++) {
            s->missing[s->slot_key[f] + s->row[p->begin + i]] = bit_get(bits, i);
        }
    }
}

static void gather_slot(const float *rows, uint32_t dim, const uint32_t *row, uint32_t n, bool all,
                        enum value_type type, uint8_t *to) {
    const size_t step = wire_values_bytes(type, dim);
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

void split_gather(const struct split *s, uint32_t k, enum value_type type,
                  const float *const *drows, const float *ddense, uint8_t *to) {
    const struct route *r = s->route;
    const struct split_part *p = &s->part[k];
    const uint32_t *row = s->row + p->begin;
    if (split_floats(s, k, true, true) == 0) {
        return; /* there is no `to` */
    }
    for (uint32_t f = 0; f < r->fields; f++) {
        const uint32_t dim = r->layout->dim[f], n = p->counts[f];
        if (n > 0) {
            gather_slot(drows[f], dim, row, n, n == s->slot_count[f], type, to);
        }
        to += wire_values_bytes(type, (size_t)n * dim);
        row += n;
    }
    wire_values_pack(type, ddense + r->dense_begin[k], p->dense_floats, to);
}
