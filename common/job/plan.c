/* plan.c - see plan.h. The two kinds of permutation use different random streams of one seed. */
#include "plan.h"

#include "common/base/rng.h"

#define STREAM_SHARDS 0x7368617264730000u
#define STREAM_GROUPS 0x67726f7570730000u

static void identity(uint32_t n, uint32_t *order) {
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
}

void plan_shards(uint64_t seed, bool shuffle, uint32_t epoch, uint32_t shard_count,
                 uint32_t *order) {
    if (shuffle) {
        rng_permutation(seed ^ STREAM_SHARDS, epoch, 0, order, shard_count);
    } else {
        identity(shard_count, order);
    }
}

void plan_groups(uint64_t seed, bool shuffle, uint32_t epoch, uint32_t shard, uint32_t groups,
                 uint32_t *order) {
    if (shuffle) {
        rng_permutation(seed ^ STREAM_GROUPS, epoch, shard, order, groups);
    } else {
        identity(groups, order);
    }
}
