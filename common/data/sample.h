/* sample.h - the impressions of a shard that a model trains on (sampling.h): base and its kin see
 * clicked impressions only, some with a share of the others or with copies of the converted. */
#ifndef COMMON_DATA_SAMPLE_H
#define COMMON_DATA_SAMPLE_H

#include "sampling.h"
#include "shard.h"

/* The first user_fields columns are the user side's. Makes of *s the shard with those impressions
 * alone, in the same order, copies side by side; groups stay, also those left empty. Which of the
 * unclicked stay depends on (seed, shard) alone: exactly the number of sampling_count, each subset
 * as likely as any other. ERR_MEMORY leaves *s as it was. */
enum status shard_sample(struct shard *s, uint32_t user_fields, const struct sampling *sampling,
                         uint64_t seed, uint32_t shard);

#endif
