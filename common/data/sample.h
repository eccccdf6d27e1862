/* sample.h - the impressions of a shard that a model trains on (sampling.h): base and its kin see
 * clicked impressions only, some with a share of the others or with copies of the converted. */
#pragma once

#include "sampling.h"
#include "shard.h"

/* Leaves only those impressions in *s, in the same order, with copies side by side. Groups stay,
 * also where they are left empty; the first user_fields columns are the user side's. Which of the
 * unclicked impressions stay depends on (seed, shard) alone; they are as many as sampling_count
 * says, and each subset of that size is as likely as any other. ERR_MEMORY leaves *s as it was. */
enum status shard_sample(struct shard *s, uint32_t user_fields, const struct sampling *sampling,
                         uint64_t seed, uint32_t shard);
