/* shard_copy.h - a group of a shard into the builder of another, with all that the shard carries:
 * features, labels, weights, times, kinds. */
#pragma once

#include "common/data/feature_list.h"
#include "common/data/shard.h"

/* The features on one side of entry n, a group or an impression, in place of those in *out. schema:
 * the one the shard was read with, whose slots the features name. ERR_MEMORY. */
enum status shard_features(const struct shard *s, const struct schema *schema, enum side side,
                           uint32_t n, struct feature_list *out);
/* Adds group g whole. *room is work space. Statuses of the builder's functions. */
enum status shard_copy_group(struct shard_builder *b, const struct shard *s,
                             const struct schema *schema, uint32_t g, struct feature_list *room);
/* The bytes of memory that a shard takes. */
uint64_t shard_memory(const struct shard *s);
