/* batch_plan.h - the plan of a job's batches, and how many impressions a set of applied batches
 * holds.
 *
 * --max-steps N means: the job trains the first N batches in the order of the epochs. So each
 * (epoch, shard) has a limit that is known in advance: batches below it belong to the job, the
 * others do not. Asynchronous workers then apply exactly N batches, no matter which worker takes
 * which batch.
 */
#pragma once

#include "common/data/dataset.h"
#include "common/job/applied.h"
#include "common/job/config.h"

struct batch_plan {
    const uint32_t *batches;     /* [shards]; this and the next are borrowed for the plan's life */
    const uint32_t *impressions; /* [shards] */
    uint32_t shards;
    uint64_t epoch_batches; /* sums over shards */
    uint64_t epoch_impressions;
    uint64_t seed;
    bool shuffle;
    uint32_t epochs;
    uint64_t max_steps; /* UINT64_MAX: no limit */
};
/* Gives how many impressions of a shard the model trains on, and in how many batches. `data`: the
 * data set that the shard belongs to. ERR_LIMIT. */
enum status batch_plan_sample(const struct config *config, const struct dataset *data,
                              const struct shard_info *info, uint32_t *impressions,
                              uint32_t *batches);
/* Fills epoch_batches and epoch_impressions. */
void batch_plan_init(struct batch_plan *p);
/* Fills order[shards] and limit[shards] (by position in the order) for an epoch. */
void batch_plan_epoch(const struct batch_plan *p, uint32_t epoch, uint32_t *order, uint32_t *limit);
/* Impressions in batch k of a shard. */
uint32_t batch_plan_batch_impressions(const struct batch_plan *p, uint32_t shard, uint32_t k);
/* Batches and impressions of the whole job. ERR_MEMORY. */
enum status batch_plan_job(const struct batch_plan *p, uint64_t *batches, uint64_t *impressions);
/* Impressions in the applied batches. ERR_MEMORY. */
enum status batch_plan_applied(const struct batch_plan *p, const struct applied *applied,
                               uint64_t *impressions);
