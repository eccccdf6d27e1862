#include "batch_plan.h"

#include "common/base/mem.h"
#include "common/data/sampling.h"
#include "common/job/plan.h"

enum status batch_plan_sample(const struct config *config, const struct dataset *data,
                              const struct shard_info *info, uint32_t *impressions,
                              uint32_t *batches) {
    const struct sampling sampling = sampling_of(config);
    const uint64_t sampled =
        sampling_count(&sampling, info->impressions, info->clicks, info->conversions);
    if (sampled > UINT32_MAX) {
        return fail(ERR_LIMIT, "%s/%s: %llu impressions with model.oversampling_factor=%u",
                    dataset_dir(data, info), info->name, (unsigned long long)sampled,
                    sampling.copies);
    }
    *impressions = (uint32_t)sampled;
    *batches = plan_sampled_batches(info->impressions, *impressions, config->batch);
    return OK;
}

void batch_plan_init(struct batch_plan *p) {
    p->epoch_batches = 0;
    p->epoch_impressions = 0;
    for (uint32_t s = 0; s < p->shards; s++) {
        p->epoch_batches += p->batches[s];
        p->epoch_impressions += p->impressions[s];
    }
}

void batch_plan_epoch(const struct batch_plan *p, uint32_t epoch, uint32_t *order,
                      uint32_t *limit) {
    plan_shards(p->seed, p->shuffle, epoch, p->shards, order);
    uint64_t before = p->epoch_batches * epoch;
    for (uint32_t i = 0; i < p->shards; i++) {
        uint32_t batches = p->batches[order[i]];
        uint64_t left = p->max_steps > before ? p->max_steps - before : 0;
        limit[i] = left < batches ? (uint32_t)left : batches;
        before += batches;
    }
}

uint32_t batch_plan_batch_impressions(const struct batch_plan *p, uint32_t shard, uint32_t k) {
    uint32_t n = p->impressions[shard], batches = p->batches[shard];
    return plan_begin(n, batches, k + 1) - plan_begin(n, batches, k);
}

enum status batch_plan_job(const struct batch_plan *p, uint64_t *batches, uint64_t *impressions) {
    enum status status = OK;
    uint32_t *order = NULL, *limit = NULL;
    *batches = *impressions = 0;
    TRY_OUT(mem_array(&order, p->shards));
    TRY_OUT(mem_array(&limit, p->shards));
    for (uint32_t e = 0; e < p->epochs && *batches < p->max_steps; e++) {
        batch_plan_epoch(p, e, order, limit);
        for (uint32_t i = 0; i < p->shards; i++) {
            uint32_t s = order[i];
            *batches += limit[i];
            if (limit[i] > 0) {
                *impressions += plan_begin(p->impressions[s], p->batches[s], limit[i]);
            }
        }
    }
out:
    mem_free(&order);
    mem_free(&limit);
    return status;
}

static enum status batch_plan_shard(const struct batch_plan *p, const struct applied *applied,
                                    uint32_t epoch, uint32_t shard, struct buf *bits,
                                    uint64_t *batches, uint64_t *impressions) {
    buf_clear(bits);
    TRY(applied_bits(applied, epoch, shard, bits));
    for (uint32_t k = 0; k < p->batches[shard]; k++) {
        if (k / 8 < bits->len && bit_get(bits->data, k)) {
            *batches += 1;
            *impressions += batch_plan_batch_impressions(p, shard, k);
        }
    }
    return OK;
}

enum status batch_plan_applied(const struct batch_plan *p, const struct applied *applied,
                               uint64_t *impressions) {
    enum status status = OK;
    struct buf bits = BUF_EMPTY;
    uint32_t epoch = applied_base(applied);
    uint64_t batches = p->epoch_batches * epoch;
    *impressions = p->epoch_impressions * epoch;
    /* The set does not list its incomplete epochs, but its size tells when all are counted. */
    for (; batches < applied_count(applied) && epoch < UINT32_MAX; epoch++) {
        for (uint32_t s = 0; s < p->shards; s++) {
            if (p->batches[s] > 0) {
                TRY_OUT(batch_plan_shard(p, applied, epoch, s, &bits, &batches, impressions));
            }
        }
    }
out:
    buf_fini(&bits);
    return status;
}
