#include "data_ranges.h"

#include "common/base/mem.h"
#include "sampling.h"

enum status data_ranges_shard(const struct config *config, const struct dataset *data,
                              const struct shard_info *info, struct ranges_shard *out) {
    const struct sampling sampling = sampling_of(config);
    const uint64_t sampled =
        sampling_count(&sampling, info->impressions, info->clicks, info->conversions);
    if (sampled > UINT32_MAX) {
        return fail(ERR_LIMIT, "%s/%s: %llu impressions with model.oversampling_factor=%u",
                    dataset_dir(data, info), info->name, (unsigned long long)sampled,
                    sampling.copies);
    }
    *out = (struct ranges_shard){info->impressions, (uint32_t)sampled};
    return OK;
}

/* Of an impression with its share of a group: values with their weights, where each field's begin,
 * id, label and time. */
static double impression_bytes(const struct dataset *d) {
    const double impressions = (double)d->impressions, groups = (double)d->groups;
    const double users = d->schema.user_count, items = d->schema.count - d->schema.user_count;
    return 8.0 * (double)d->values / impressions + 4.0 * (items + users * groups / impressions) +
           12.0 * groups / impressions + 40.0;
}

static uint32_t window_impressions(const struct config *config, const struct dataset *data) {
    if (!data_ranges_mix(config) || data->impressions == 0) {
        return 0;
    }
    const double fit = (double)WINDOW_BYTES_MAX / impression_bytes(data);
    return fit < 1 ? 1 : fit < config->window ? (uint32_t)fit : config->window;
}

struct shared_fields data_ranges_shared(const struct config *config, const struct dataset *data) {
    struct shared_fields shared = {0};
    uint64_t values = 0;
    if (config->share_bags == SHARE_NEVER || sampling_run(config) == 0 ||
        window_impressions(config, data) == 0) {
        return shared;
    }
    for (uint32_t f = 0; f < data->schema.user_count; f++) {
        values += data->field_values[f];
        shared.field[f] = data->field_values[f] > SHARE_FIELD_VALUES * data->groups;
        shared.count += shared.field[f];
    }
    const bool some =
        config->share_bags == SHARE_ALWAYS || values > SHARE_SIDE_VALUES * data->groups;
    return some ? shared : (struct shared_fields){0};
}

enum status data_ranges(struct ranges *r, const struct config *config, const struct dataset *data) {
    enum status status = OK;
    struct ranges_shard *shard = NULL;
    const struct ranges_spec spec = {.seed = config->seed,
                                     .shuffle = config->shuffle,
                                     .batch = config->batch,
                                     .window = window_impressions(config, data),
                                     .share = data_ranges_shared(config, data).count > 0};
    *r = (struct ranges){0};
    TRY_OUT(mem_array(&shard, data->shard_count));
    for (uint32_t s = 0; s < data->shard_count; s++) {
        TRY_OUT(data_ranges_shard(config, data, &data->shards[s], &shard[s]));
    }
    TRY_OUT(ranges_init(r, &spec, shard, data->shard_count));
out:
    mem_free(&shard);
    return status;
}

enum status data_ranges_stream(struct ranges *r, const struct config *config) {
    const struct ranges_spec spec = {.seed = config->seed, .batch = config->batch};
    return ranges_init(r, &spec, NULL, 0);
}
