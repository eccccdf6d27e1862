/* applied.h - the set of batch names that have been applied (design D4).
 *
 * A batch's name is (epoch, shard, batch). The set is exact and small: all epochs below `base` are
 * complete; above it, one bitmap per (epoch, shard) that has any name; an epoch whose batches are
 * all present and that follows on `base` is folded into it. The number of batches per shard is
 * fixed when the set is made, except in an OPEN set, whose shards become known one by one
 * (applied_grow): that of a stream, which has one epoch that is never complete, so `base` stays 0.
 * Part of every checkpoint. Single thread.
 */
#pragma once

#include <stdbool.h>
#include "common/base/bytes.h"
#include "common/base/status.h"

struct batch_name {
    uint32_t epoch, shard, batch;
};

struct applied;

/* Of an open set: shards in a row, gaps counted; batches of a shard. */
#define APPLIED_SHARDS_MAX  (1u << 20)
#define APPLIED_BATCHES_MAX (1u << 24)

/* batches_per_shard[shards] is copied. ERR_MEMORY gives NULL, here and below. */
enum status applied_create(struct applied **a, const uint32_t *batches_per_shard, uint32_t shards);
/* An open set without shards. */
enum status applied_create_open(struct applied **a);
enum status applied_copy(struct applied **out, const struct applied *from);
void applied_destroy(struct applied **a);
bool applied_is_open(const struct applied *a);
/* Makes a shard of an open set known; those before it that nobody has named have no batches until
 * they are. OK too if it is known with as many. ERR_PROTOCOL: it has another number of batches, or
 * the set is not open, or a limit is passed. ERR_MEMORY: names are untouched. */
enum status applied_grow(struct applied *a, uint32_t shard, uint32_t batches);

/* ERR_PROTOCOL if the name is outside the plan, or if it begins one incomplete epoch too many. */
enum status applied_has(const struct applied *a, struct batch_name name, bool *has);
enum status applied_add(struct applied *a, struct batch_name name); /* ERR_EXISTS if there */
uint64_t applied_count(const struct applied *a);                    /* names in the set */
uint32_t applied_base(const struct applied *a);                     /* epochs below are complete */
bool applied_equal(const struct applied *a, const struct applied *b); /* the same plan and names */
/* into := into AND with (names in both). Open sets may know their plan to different ends: `into`
 * then knows what either knew. ERR_CONFIG: one is open and one is not, or their plans differ;
 * ERR_PROTOCOL: they know a shard with different batches; ERR_MEMORY. `into` has its names still
 * after each of them. */
enum status applied_intersect(struct applied *into, const struct applied *with);
/* out := bitmap of a shard's applied batches in an epoch: bit i of byte i/8, (batches+7)/8 bytes.
 */
enum status applied_bits(const struct applied *a, uint32_t epoch, uint32_t shard, struct buf *out);

/* Appends the set's bytes to out. */
enum status applied_encode(const struct applied *a, struct buf *out);
/* Hostile bytes give ERR_CORRUPT; the plan must match batches_per_shard (ERR_CONFIG: other data).
 * An open set must know no shard otherwise than the plan does; decoded, it knows the whole plan. */
enum status applied_decode(struct applied **out, const void *data, size_t bytes,
                           const uint32_t *batches_per_shard, uint32_t shards);
