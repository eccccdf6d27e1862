/* batch_bits.h - how many batches each shard has, and where their bits lie in one array.
 *
 * Every shard's bits begin on a byte, so that a shard's bitmap is a slice of the array. Single
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

struct batch_bits {
    uint32_t *batches; /* [shards] */
    uint64_t *offset;  /* [shards + 1], byte where a shard's bits begin */
    uint32_t shards;
    uint64_t total; /* batches of all shards */
    size_t batches_cap, offset_cap;
};

/* Copies batches[shards]. ERR_MEMORY; call batch_bits_fini even after a failure. */
enum status batch_bits_init(struct batch_bits *p, const uint32_t *batches, uint32_t shards);
void batch_bits_fini(struct batch_bits *p); /* safe on a zeroed struct */
/* Extends the plan to at least this many shards; new ones have no batches. ERR_MEMORY leaves the
 * plan as it was. */
enum status batch_bits_extend(struct batch_bits *p, uint32_t shards);
/* Gives batches to a shard that has none; the bits of later shards move. */
void batch_bits_fill(struct batch_bits *p, uint32_t shard, uint32_t batches);
bool batch_bits_equal(const struct batch_bits *a, const struct batch_bits *b);
uint64_t batch_bits_hash(const struct batch_bits *p);

static inline size_t batch_bits_bytes_of(uint32_t batches) {
    return ((size_t)batches + 7) / 8;
}
/* Bytes of all bits. */
static inline size_t batch_bits_bytes(const struct batch_bits *p) {
    return (size_t)p->offset[p->shards];
}
