/* shard_copy.h - copies a group of a shard into the builder of another shard, with all that the
 * shard holds: features, labels, weights, times, kinds. */
#pragma once

#include "feature_list.h"
#include "common/data/shard.h"

/* Replaces the contents of *out with the features on one side of entry n, which is a group or an
 * impression. schema: the one the shard was read with; the features name its slots. ERR_MEMORY. */
enum status shard_features(const struct shard *s, const struct schema *schema, enum side side,
                           uint32_t n, struct feature_list *out);
/* Adds the whole group g. *room is work space. Returns the statuses of the builder's functions. */
enum status shard_copy_group(struct shard_builder *b, const struct shard *s,
                             const struct schema *schema, uint32_t g, struct feature_list *room);
/* Returns the bytes of memory that a shard takes. */
uint64_t shard_memory(const struct shard *s);
