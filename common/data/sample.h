/* sample.h - picks the impressions of a shard that a model trains on (sampling.h). The model base
 * and its variants train on clicked impressions only; some variants add a share of the unclicked
 * ones, or copies of the converted ones. */
#pragma once

#include "sampling.h"
#include "shard.h"

/* Keeps only these impressions in *s, in the same order, with copies side by side. Groups stay,
 * even if they become empty. The first user_fields columns are the user side. Which unclicked
 * impressions stay depends only on (seed, shard). sampling_count tells their number, and each
 * subset of that size is equally likely. ERR_MEMORY leaves *s unchanged. */
enum status shard_sample(struct shard *s, uint32_t user_fields, const struct sampling *sampling,
                         uint64_t seed, uint32_t shard);
