/* applied.h - the set of names of the batches that have been applied (design D4).
 *
 * A batch's name is (epoch, shard, batch). The set is exact and small. All epochs below `base` are
 * complete. From `base` on there is one bitmap per (epoch, shard) that has any name. When epoch
 * `base` has all its batches, it is dropped and `base` grows by one. The number of batches per
 * shard is fixed when the set is made, except in an OPEN set, whose shards become known one by one
 * (applied_grow). A stream has an open set: it has one epoch that is never complete, so `base`
 * stays 0. Every checkpoint holds the set. Single thread.
 */
#pragma once

#include <stdbool.h>
#include "common/base/bytes.h"
#include "common/base/status.h"

struct batch_name {
    uint32_t epoch, shard, batch;
};

struct applied;

/* Limits of an open set: shards, gaps included, and batches of a shard. */
#define APPLIED_SHARDS_MAX  (1u << 20)
#define APPLIED_BATCHES_MAX (1u << 24)

/* batches_per_shard[shards] is copied. ERR_MEMORY gives NULL, here and below. */
enum status applied_create(struct applied **a, const uint32_t *batches_per_shard, uint32_t shards);
/* An open set without shards. */
enum status applied_create_open(struct applied **a);
enum status applied_copy(struct applied **out, const struct applied *from);
void applied_destroy(struct applied **a);
bool applied_is_open(const struct applied *a);
/* Makes a shard of an open set known. Shards before it that are not known yet have no batches until
 * they are. Also OK if the shard is known with the same number of batches. ERR_PROTOCOL: it is
 * known with another number, or the set is not open, or a limit is passed. ERR_MEMORY: names are
 * unchanged. */
enum status applied_grow(struct applied *a, uint32_t shard, uint32_t batches);

/* ERR_PROTOCOL if the name is outside the plan, or if it would start more incomplete epochs than
 * allowed. */
enum status applied_has(const struct applied *a, struct batch_name name, bool *has);
enum status applied_add(struct applied *a, struct batch_name name); /* ERR_EXISTS if there */
uint64_t applied_count(const struct applied *a);                    /* names in the set */
uint32_t applied_base(const struct applied *a);                     /* epochs below are complete */
bool applied_equal(const struct applied *a, const struct applied *b); /* the same plan and names */
/* into := into AND with (names in both). Open sets may know different numbers of shards of their
 * plan; `into` then knows all that either knew. ERR_CONFIG: only one is open, or their plans
 * differ; ERR_PROTOCOL: they know a shard with different numbers of batches; ERR_MEMORY. After each
 * of these errors `into` still has its names. */
enum status applied_intersect(struct applied *into, const struct applied *with);
/* out := bitmap of a shard's applied batches in an epoch: bit i of byte i/8, (batches+7)/8 bytes.
 */
enum status applied_bits(const struct applied *a, uint32_t epoch, uint32_t shard, struct buf *out);

/* Appends the set's bytes to out. */
enum status applied_encode(const struct applied *a, struct buf *out);
/* Hostile bytes give ERR_CORRUPT; the plan must match batches_per_shard (ERR_CONFIG: other data).
 * The shards of an open set must agree with the plan; after decoding the set knows the whole plan.
 */
enum status applied_decode(struct applied **out, const void *data, size_t bytes,
                           const uint32_t *batches_per_shard, uint32_t shards);
