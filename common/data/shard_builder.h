/* shard_builder.h - collects groups of impressions and writes them as a shard's file (shard.h says
 * what a shard is). One builder, one thread. Memory is about 16 bytes a value until written. */
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
 * group that gets no impression is not written. ERR_FORMAT: a weight that is not finite. ERR_LIMIT:
 * the builder holds all that one shard can. */
enum status shard_builder_group(struct shard_builder *b, uint64_t group_key,
                                const struct feature *user, size_t count);
/* Adds an impression to the current group. ERR_FORMAT: labels that no log has
 * (record_good). */
enum status shard_builder_impression(struct shard_builder *b, uint64_t impression_id,
                                     uint8_t labels, const struct feature *item, size_t count);
/* The same with times and a kind; `when` NULL: without. All impressions of a shard have times or
 * none has, and all are records or none is; else the write is ERR_FORMAT. ERR_FORMAT here: a time
 * that its label asks for is not in 1..SHARD_TIME_MAX, a conversion comes before its click, or the
 * kind does not go with the labels. Times that the labels do not ask for are ignored. */
enum status shard_builder_timed(struct shard_builder *b, uint64_t impression_id, uint8_t labels,
                                const struct moment *when, const struct feature *item,
                                size_t count);
/* What the impression that was added last counts; 1 without a call. A shard whose impressions all
 * count 1 has the bytes of one without weights. ERR_FORMAT: not a number from 0 to
 * SHARD_WEIGHT_MAX. */
enum status shard_builder_weigh(struct shard_builder *b, float weight);
/* What it writes from now on is not needed after a crash, and not synced. */
void shard_builder_fleeting(struct shard_builder *b);
uint32_t shard_builder_impressions(const struct shard_builder *b);
size_t shard_builder_bytes(const struct shard_builder *b);
/* Writes dir/name durably and empties the builder (a failure leaves it as it was). Fields refer to
 * *schema's slots, which here may be an unfinished schema: columns are stored under their NAME, in
 * slot order of the finished schema, those without values left out. ERR_FORMAT without impressions,
 * or with a feature on the other side than its field. */
enum status shard_builder_write(struct shard_builder *b, const struct schema *schema,
                                const char *dir, const char *name, struct shard_info *info);
