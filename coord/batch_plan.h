/* batch_plan.h - the plan of a job's batches, and what a set of applied names amounts to in it.
 *
 * --max-steps N means: the first N batches along the epochs' orders. So each (epoch, shard) has a
 * limit, known in advance: batches below it belong to the job, the others do not. Asynchronous
 * workers then apply exactly N batches, whoever takes which.
 */
#pragma once

#include "common/data/dataset.h"
#include "common/job/applied.h"
#include "common/job/config.h"

struct batch_plan {
    const uint32_t *batches;     /* [shards], borrowed for the plan's life, as the next */
    const uint32_t *impressions; /* [shards] */
    uint32_t shards;
    uint64_t epoch_batches; /* sums over shards */
    uint64_t epoch_impressions;
    uint64_t seed;
    bool shuffle;
    uint32_t epochs;
    uint64_t max_steps; /* UINT64_MAX: no limit */
};
/* How many of a shard's impressions the model trains on, in how many batches. `data`: which the
 * shard is of. ERR_LIMIT. */
enum status batch_plan_sample(const struct config *config, const struct dataset *data,
                              const struct shard_info *info, uint32_t *impressions,
                              uint32_t *batches);
/* Fills the sums. */
void batch_plan_init(struct batch_plan *p);
/* order[shards] and limit[shards] (by position in the order) of an epoch. */
void batch_plan_epoch(const struct batch_plan *p, uint32_t epoch, uint32_t *order, uint32_t *limit);
/* Impressions in batch k of a shard. */
uint32_t batch_plan_batch_impressions(const struct batch_plan *p, uint32_t shard, uint32_t k);
/* Batches and impressions of the whole job. ERR_MEMORY. */
enum status batch_plan_job(const struct batch_plan *p, uint64_t *batches, uint64_t *impressions);
/* Impressions in the applied batches. ERR_MEMORY. */
enum status batch_plan_applied(const struct batch_plan *p, const struct applied *applied,
                               uint64_t *impressions);
