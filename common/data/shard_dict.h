/* shard_dict.h - the dictionary of one column of a shard that is being written. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/rank.h"
#include "common/base/status.h"

/* A feature that was added to an entry of its column. The entry is a group or an impression. */
struct shard_value {
    uint64_t id;
    uint32_t entry;
    float weight;
};

/* Starts zeroed; used for one column after the other. */
struct shard_dict {
    struct ranked *entry; /* [count] distinct ids, ascending; tag: ordinal of first occurrence */
    size_t count, cap;    /* cap >= slots / 2 */
    uint32_t *ordinal;    /* [values] of each value; its code is rank[ordinal] */
    size_t ordinal_cap;
    uint32_t *rank; /* [cap] ordinal -> place in entry[] */
    /* work space */
    uint32_t *slot;          /* hash table: ordinal + 1, 0 free */
    size_t slots, slots_cap; /* used by this column, a power of two; allocated */
};

/* Makes the dictionary of n values; it replaces the previous one. ERR_MEMORY. */
enum status shard_dict_make(struct shard_dict *d, const struct shard_value *values, size_t n);
void shard_dict_fini(struct shard_dict *d); /* safe on a zeroed struct */
