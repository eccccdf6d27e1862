/* plan.h - cuts a data set into batches and gives their order in an epoch.
 *
 * Pure functions of (data set, batch size, seed, epoch, shard), so that a coordinator, a worker and
 * a resumed job agree without talking. A shard of n impressions is cut into ceil(n / batch_max)
 * batches of nearly equal size: batch k holds positions [n*k/K, n*(k+1)/K) of the shard's
 * impressions in the epoch's order. The order permutes whole groups when shuffling is on.
 *
 * A model that trains on a sample of the shard (common/data/sampling.h) makes as many batches as
 * one that trains on all of it: its batches are smaller instead. So models make the same number of
 * steps in a pass, and `train.batch` means the same for all.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline uint32_t plan_batches(uint32_t impressions, uint32_t batch_max) {
    return (impressions + batch_max - 1) / batch_max;
}
/* The same for a shard of which only `sampled` impressions are trained on; no batch is empty. */
static inline uint32_t plan_sampled_batches(uint32_t impressions, uint32_t sampled,
                                            uint32_t batch_max) {
    const uint32_t batches = plan_batches(impressions, batch_max);
    return batches < sampled ? batches : sampled;
}
static inline uint32_t plan_begin(uint32_t impressions, uint32_t batches, uint32_t k) {
    return (uint32_t)((uint64_t)impressions * k / batches);
}
/* order[shard_count]: the epoch's order of shards. */
void plan_shards(uint64_t seed, bool shuffle, uint32_t epoch, uint32_t shard_count,
                 uint32_t *order);
/* order[groups]: the epoch's order of the shard's groups. */
void plan_groups(uint64_t seed, bool shuffle, uint32_t epoch, uint32_t shard, uint32_t groups,
                 uint32_t *order);
