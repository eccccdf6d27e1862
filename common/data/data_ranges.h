/* data_ranges.h - the windows and ranges (common/job/ranges.h) of a data set under a configuration:
 * the same for whoever has read the manifest. */
#pragma once

#include "common/job/config.h"
#include "common/job/ranges.h"
#include "dataset.h"

/* Memory that a window may take, by the manifest's counts. A worker holds two: the one that is
 * trained on, and the next. */
#define WINDOW_BYTES_MAX ((uint64_t)256 << 20)

/* How many impressions of a shard the model trains on. ERR_LIMIT. */
enum status data_ranges_shard(const struct config *config, const struct dataset *data,
                              const struct shard_info *info, struct ranges_shard *out);
/* Of all shards. With train.shuffle a window has train.window impressions, or fewer if they would
 * take more than WINDOW_BYTES_MAX. ERR_LIMIT, ERR_MEMORY. */
enum status data_ranges(struct ranges *r, const struct config *config, const struct dataset *data);
/* Of a stream: empty, in order, for shards to be added. */
enum status data_ranges_stream(struct ranges *r, const struct config *config);
