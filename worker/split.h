/* split.h - moves the keys and values of a batch between the batch's order and the partitions'.
 *
 * Each key is hashed once: key -> bucket -> partition. A counting sort then lays the keys out by
 * partition, and stores beside each key the number of its row within its slot. All later steps walk
 * along that order: a pull sends the keys, the values of the answer are copied to the rows, and a
 * push gathers gradients from the rows in the same order, so that a ticket can stand for the keys.
 * If one partition has all keys of a slot (always, with one partition) the walk is one copy.
 *
 * Keys of partition k are keys[begin, begin + n), in slot order and within a slot in the batch's
 * order; row[] says, for each of them, which row of its slot it is. A slot is a field's place in
 * the batch.
 */
#pragma once

#include "common/job/precision.h"
#include "route.h"

struct split_part {      /* what one partition has of the batch */
    uint32_t *counts;    /* [fields] keys of each slot */
    size_t begin, n;     /* keys */
    size_t row_floats;   /* of all its rows */
    size_t dense_floats; /* of its slice of the dense vector */
};
struct split {
    const struct route *route;
    struct split_part *part; /* [partitions] */
    uint32_t *counts;        /* [partitions][fields], behind part[].counts */
    uint64_t *keys;          /* [key_cap], by partition */
    uint32_t *row;           /* [key_cap] */
    uint8_t *missing;        /* [key_cap] for each key in the batch's order: 1 if it has no row */
    uint16_t *home;          /* [key_cap] scratch: partition of each key, in the batch's order */
    size_t key_cap;
    float *values; /* [value_cap] rows of all slots, then dense */
    size_t value_cap;
    uint32_t slot_count[FIELDS_MAX];
    size_t slot_at[FIELDS_MAX];  /* where a slot's rows begin in values */
    size_t slot_key[FIELDS_MAX]; /* where a slot's keys begin in the batch's order */
    size_t dense_at;
};
enum status split_init(struct split *s, const struct route *r);
void split_fini(struct split *s);

/* The keys ids[slot][count[slot]], copied. ERR_MEMORY; ERR_LIMIT: a message would be too large. */
enum status split_keys(struct split *s, const uint64_t *const *ids, const uint32_t *count);
/* The number of floats of partition k: of its rows, its slice of the dense vector, or both. */
size_t split_floats(const struct split *s, uint32_t k, bool rows, bool dense);
/* Unpacks partition k's values, packed as `type`, into `values`. */
void split_deal(struct split *s, uint32_t k, bool rows, bool dense, enum value_type type,
                const uint8_t *from);
/* Sets `missing` from the answer of partition k: a bit for each of its keys, 1 if it has no row. */
void split_deal_missing(struct split *s, uint32_t k, const uint8_t *bits);
/* Packs partition k's gradients of rows (drows[slot] NULL: zeros) and of its slice of the dense
 * vector; their number is split_floats of both. */
void split_gather(const struct split *s, uint32_t k, enum value_type type,
                  const float *const *drows, const float *ddense, uint8_t *to);
