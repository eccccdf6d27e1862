/* data_ranges.h - the windows and ranges (common/job/ranges.h) of a data set under a configuration:
 * the same for whoever has read the manifest. */
#pragma once

#include "common/job/config.h"
#include "common/job/ranges.h"
#include "dataset.h"

/* Memory that a window may take, by the manifest's counts. A worker holds two: the one that is
 * trained on, and the next. */
#define WINDOW_BYTES_MAX ((uint64_t)256 << 20)

/* The user fields whose bags the batches of a range share: they are pulled and pooled by the first
 * batch, once for each group of the range, and pushed by the last (worker/model/model.h). What is
 * shared are fields of more than SHARE_FIELD_VALUES a group on average, in a job with a window and
 * a run. train.share_bags=auto: only if user sides have more than SHARE_SIDE_VALUES. */
#define SHARE_FIELD_VALUES 2
#define SHARE_SIDE_VALUES  100
struct shared_fields {
    uint32_t count;
    bool field[FIELDS_MAX];
};
/* None, if the manifest does not say how many values fields have. */
struct shared_fields data_ranges_shared(const struct config *config, const struct dataset *data);

/* How many impressions of a shard the model trains on. ERR_LIMIT. */
enum status data_ranges_shard(const struct config *config, const struct dataset *data,
                              const struct shard_info *info, struct ranges_shard *out);
/* Whether a job mixes impressions across shards, so that their order does not matter. */
static inline bool data_ranges_mix(const struct config *config) {
    return config->shuffle && config->window > 0;
}
/* Of all shards. With train.shuffle a window has train.window impressions, or fewer if they would
 * take more than WINDOW_BYTES_MAX. ERR_LIMIT, ERR_MEMORY. */
enum status data_ranges(struct ranges *r, const struct config *config, const struct dataset *data);
/* Of a stream: empty, in order, for shards to be added. */
enum status data_ranges_stream(struct ranges *r, const struct config *config);
