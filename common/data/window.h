/* window.h - one shard in memory, put together from slices of many shards.
 *
 * Batches are drawn from a window (common/job/ranges.h), which holds a part of each of many shards.
 * The result is a struct shard like any other, so whatever comes after works on it as on a shard
 * that was read: deal.h, batch.h. A slice is some impressions of a shard, in an order of its
 * groups; a group at its border is cut. A group that is in two slices becomes two groups of one
 * key.
 *
 *     window_begin(&b, schema, mix)
 *     for each slice: shard_read, window_add, shard_free
 *     window_finish(b, &shard)
 *
 * Each column gets one ascending dictionary, of the ids that occur in the slices (of a slice that
 * is its whole shard, all ids of the shard's dictionary). A column has no weights if no slice has
 * any for it; where only some have, the values of the others weigh 1. So with the impressions'
 * weights. There are times only if all slices have them.
 *
 * Memory: the slices take what the result takes, but for the dictionaries: 8 bytes for each id that
 * occurs in a slice. window_finish moves one column after the other. While it does, the column is
 * there twice, with 36 more bytes for each of its slices' ids.
 */
#pragma once

#include "shard.h"

struct window_builder;
/* The slices come from shards that were read with a schema of the same fields. mix: the seed of a
 * random order of the impressions within each group, so that a run of some of them is a sample of
 * the group, not neighbours in time; 0: they keep their order. ERR_MEMORY: *b is NULL. */
enum status window_begin(struct window_builder **b, const struct schema *schema, uint64_t mix);
/* Adds impressions [begin, end) of the shard, in the order in which order[groups] lays its groups
 * end to end. Nothing is kept of the arguments. ERR_MEMORY; ERR_LIMIT: more than 2^32 - 1
 * impressions, or values of a column; ERR_CORRUPT: records and impressions of a log in one window.
 * After a failure only window_destroy is allowed. */
enum status window_add(struct window_builder *b, const struct shard *s, const uint32_t *order,
                       uint32_t begin, uint32_t end);
/* *out: the window, for shard_free; empty after a failure. Only window_destroy may follow.
 * ERR_MEMORY. */
enum status window_finish(struct window_builder *b, struct shard *out);
void window_destroy(struct window_builder **b); /* NULL is fine */
