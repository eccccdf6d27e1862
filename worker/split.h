/* split.h - the keys of a batch and their values, between the batch's order and the partitions'.
 *
 * Each key is hashed once: key -> bucket -> partition. A counting sort then lays the keys out by
 * partition, and beside each key the number of its row within its slot. From there on everything is
 * a walk along that order: a pull sends the keys, its answer's values are dealt out to the rows,
 * and a push gathers gradients from the rows in the very same order, so that a ticket can stand for
 * the keys. Where a partition has all keys of a slot (always, with one partition) the walk is one
 * copy.
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
    uint8_t *missing;        /* [key_cap] of each key in the batch's order: has it no row? */
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
/* How many floats partition k has: of rows, of the dense vector, or of both. */
size_t split_floats(const struct split *s, uint32_t k, bool rows, bool dense);
/* Partition k's values, packed as `type`, into `values`. */
void split_deal(struct split *s, uint32_t k, bool rows, bool dense, enum value_type type,
                const uint8_t *from);
/* Which of partition k's keys have no row: a bit for each, into `missing`. */
void split_deal_missing(struct split *s, uint32_t k, const uint8_t *bits);
/* Packs partition k's gradients of rows (drows[slot] NULL: zeros) and of its slice of the dense
 * vector: split_floats of both. */
void split_gather(const struct split *s, uint32_t k, enum value_type type,
                  const float *const *drows, const float *ddense, uint8_t *to);
