/* shard_builder.h - collects groups of impressions and writes them as a shard's file (shard.h says
 * what a shard is). One builder, one thread. Until the write it needs about 16 bytes per value. */
#pragma once

#include <stddef.h>

#include "common/job/schema.h"
#include "record.h"
#include "shard_info.h"

struct shard_builder;
enum status shard_builder_create(struct shard_builder **b);
void shard_builder_destroy(struct shard_builder **b);
struct feature {
    uint32_t field; /* slot in the schema given to shard_builder_write */
    float weight;
    uint64_t id;
};
/* Begins a group with its user-side features (any field order; order within a field is kept). A
 * group that gets no impression is not written. ERR_FORMAT: a weight is not finite. ERR_LIMIT: the
 * shard is full. */
enum status shard_builder_group(struct shard_builder *b, uint64_t group_key,
                                const struct feature *user, size_t count);
/* Adds an impression to the current group. ERR_FORMAT: these labels cannot occur in a log
 * (record_good). */
enum status shard_builder_impression(struct shard_builder *b, uint64_t impression_id,
                                     uint8_t labels, const struct feature *item, size_t count);
/* Adds an impression with times and a kind; if `when` is NULL, without them. Either all impressions
 * of a shard have times or none, and either all are records or none; otherwise shard_builder_write
 * returns ERR_FORMAT. ERR_FORMAT here: a time that a label requires is not in 1..SHARD_TIME_MAX, a
 * conversion comes before its click, or the kind does not match the labels. Times that the labels
 * do not require are ignored. */
enum status shard_builder_timed(struct shard_builder *b, uint64_t impression_id, uint8_t labels,
                                const struct moment *when, const struct feature *item,
                                size_t count);
/* Sets the weight of the impression that was added last; without a call it is 1. If all weights are
 * 1, the file is the same as one without weights. ERR_FORMAT: the weight is not a number from 0 to
 * SHARD_WEIGHT_MAX. */
enum status shard_builder_weigh(struct shard_builder *b, float weight);
/* The files that the builder writes from now on are not synced, since they are not needed after a
 * crash. */
void shard_builder_fleeting(struct shard_builder *b);
uint32_t shard_builder_impressions(const struct shard_builder *b);
size_t shard_builder_bytes(const struct shard_builder *b);
/* Writes dir/name durably and empties the builder. After a failure the builder is unchanged.
 * feature.field is a slot of *schema, which may be an unfinished schema. Columns are stored under
 * their names, in the slot order of the finished schema; columns without values are left out.
 * ERR_FORMAT: there are no impressions, or a feature is not on the side of its field. */
enum status shard_builder_write(struct shard_builder *b, const struct schema *schema,
                                const char *dir, const char *name, struct shard_info *info);
