/* shard_dict.c - the distinct ids of a column, sorted, and which of them each value is.
 *
 * They are found by hashing, since most values repeat: an open-addressing table maps an id to its
 * ordinal of first occurrence; then the distinct ids alone are sorted (radix sort, a byte a pass,
 * passes over bytes that are all equal left out), and `rank` renames the ordinals. The arrays are
 * reused from column to column. Rejected: sorting all values, which touches a user column's 500
 * values a group eight times.
 *
 * What comes out depends on the ids alone: nothing of the hash table's order is seen.
 */
#include "shard_dict.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#define SLOTS_FIRST 1024u

void shard_dict_fini(struct shard_dict *d) {
    mem_free(&d->slot);
    mem_free(&d->entry);
    mem_free(&d->other);
    mem_free(&d->ordinal);
    mem_free(&d->rank);
}

/* Makes *array at least `need` items long; what it held is gone. */
static enum status fresh(void **array, size_t *cap, size_t need, size_t size) {
    if (need > *cap) {
        mem_free_at(array);
        *cap = 0;
        TRY(mem_array_of(array, need, size));
        *cap = need;
    }
    return OK;
}

static size_t place_of(const struct shard_dict *d, uint64_t id) {
    size_t at = (size_t)rng_mix(id) & (d->slots - 1);
    while (d->slot[at] != 0 && d->entry[d->slot[at] - 1].id != id) {
        at = (at + 1) & (d->slots - 1);
    }
    return at;
}

/* A table of `slots` over entry[0, count). A column starts with a small one, so that a small
 * dictionary is probed in cache also after a large one. */
static enum status rehash(struct shard_dict *d, size_t slots) {
    if (slots > d->slots_cap) {
        mem_free(&d->slot);
        d->slots_cap = 0;
        TRY(mem_array(&d->slot, slots));
        d->slots_cap = slots;
    } else {
        memset(d->slot, 0, slots * sizeof *d->slot);
    }
    d->slots = slots;
    for (size_t k = 0; k < d->count; k++) {
        d->slot[place_of(d, d->entry[k].id)] = (uint32_t)k + 1;
    }
    return OK;
}

/* Half of `slots` entries fit. */
static enum status dict_room(struct shard_dict *d, size_t slots) {
    const size_t cap = slots / 2;
    if (cap > d->cap) {
        TRY(mem_grow(&d->entry, d->count, cap));
        mem_free(&d->other);
        mem_free(&d->rank);
        TRY(mem_array(&d->other, cap));
        TRY(mem_array(&d->rank, cap));
        d->cap = cap;
    }
    return rehash(d, slots);
}

/* Fills ordinal[], and entry[] with distinct ids in order of first occurrence. */
static enum status number_ids(struct shard_dict *d, const struct shard_value *values, size_t n) {
    TRY(fresh((void **)&d->ordinal, &d->ordinal_cap, n, sizeof *d->ordinal));
    d->count = 0;
    TRY(dict_room(d, SLOTS_FIRST));
    for (size_t i = 0; i < n; i++) {
        if (d->count == d->slots / 2) {
            TRY(dict_room(d, d->slots * 2));
        }
        const uint64_t id = values[i].id;
        const size_t at = place_of(d, id);
        if (d->slot[at] == 0) {
            d->entry[d->count] = (struct dict_entry){.id = id, .ordinal = (uint32_t)d->count};
            d->slot[at] = (uint32_t)++d->count;
        }
        d->ordinal[i] = d->slot[at] - 1;
    }
    return OK;
}

/* One stable pass by byte `shift`/8; false if that byte is the same everywhere. */
static bool radix_pass(const struct dict_entry *from, struct dict_entry *to, size_t n,
                       unsigned shift) {
    size_t count[256] = {0}, at = 0;
    for (size_t i = 0; i < n; i++) {
        count[(from[i].id >> shift) & 0xff]++;
    }
    if (count[(from[0].id >> shift) & 0xff] == n) {
        return false;
    }
    for (size_t k = 0; k < 256; k++) {
        const size_t here = count[k];
        count[k] = at;
        at += here;
    }
    for (size_t i = 0; i < n; i++) {
        to[count[(from[i].id >> shift) & 0xff]++] = from[i];
    }
    return true;
}

static void sort_dict(struct shard_dict *d) {
    for (unsigned shift = 0; shift < 64 && d->count > 1; shift += 8) {
        if (radix_pass(d->entry, d->other, d->count, shift)) {
            struct dict_entry *sorted = d->other;
            d->other = d->entry;
            d->entry = sorted;
        }
    }
    for (size_t k = 0; k < d->count; k++) {
        d->rank[d->entry[k].ordinal] = (uint32_t)k;
    }
}

enum status shard_dict_make(struct shard_dict *d, const struct shard_value *values, size_t n) {
    TRY(number_ids(d, values, n));
    sort_dict(d);
    return OK;
}
