/* shard_dict.c - finds the distinct ids of a column, sorts them, and gives each value its code.
 *
 * The ids are found by hashing, since most values repeat: an open-addressing table maps an id to
 * the ordinal of its first occurrence. Then only the distinct ids are sorted, and `rank` maps
 * ordinals to sorted places. The arrays are reused for the next column. Rejected: sorting all
 * values; it would touch the 500 values per group of a user column eight times.
 *
 * The result depends only on the ids, not on the order in the hash table.
 */
#include "shard_dict.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#define SLOTS_FIRST 1024u

void shard_dict_fini(struct shard_dict *d) {
    mem_free(&d->slot);
    mem_free(&d->entry);
    mem_free(&d->ordinal);
    mem_free(&d->rank);
}

static size_t place_of(const struct shard_dict *d, uint64_t id) {
    size_t at = (size_t)rng_mix(id) & (d->slots - 1);
    while (d->slot[at] != 0 && d->entry[d->slot[at] - 1].key != id) {
        at = (at + 1) & (d->slots - 1);
    }
    return at;
}

/* Makes a hash table of `slots` for entry[0, count). Each column starts with a small table, so that
 * a small dictionary stays in cache even after a large one. */
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
        d->slot[place_of(d, d->entry[k].key)] = (uint32_t)k + 1;
    }
    return OK;
}

/* Makes room for slots / 2 entries. */
static enum status dict_room(struct shard_dict *d, size_t slots) {
    size_t same = d->cap;
    TRY(mem_room(&d->rank, &same, slots / 2));
    TRY(mem_room(&d->entry, &d->cap, slots / 2));
    return rehash(d, slots);
}

/* Fills ordinal[], and entry[] with distinct ids in order of first occurrence. */
static enum status number_ids(struct shard_dict *d, const struct shard_value *values, size_t n) {
    TRY(mem_room(&d->ordinal, &d->ordinal_cap, n));
    d->count = 0;
    TRY(dict_room(d, SLOTS_FIRST));
    for (size_t i = 0; i < n; i++) {
        if (d->count == d->slots / 2) {
            TRY(dict_room(d, d->slots * 2));
        }
        const uint64_t id = values[i].id;
        const size_t at = place_of(d, id);
        if (d->slot[at] == 0) {
            d->entry[d->count] = (struct ranked){.key = id, .tag = d->count};
            d->slot[at] = (uint32_t)++d->count;
        }
        d->ordinal[i] = d->slot[at] - 1;
    }
    return OK;
}

enum status shard_dict_make(struct shard_dict *d, const struct shard_value *values, size_t n) {
    TRY(number_ids(d, values, n));
    TRY(rank_sort(d->entry, d->count));
    for (size_t k = 0; k < d->count; k++) {
        d->rank[d->entry[k].tag] = (uint32_t)k;
    }
    return OK;
}
