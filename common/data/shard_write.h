/* shard_write.h - what a builder has collected, and the function that writes it to a file. Only for
 * shard_builder.c. */
#pragma once

#include "common/job/schema.h"
#include "record.h"
#include "shard_info.h"
#include "shard_dict.h"

/* The values of one field, in the order of their entries. */
struct pile {
    struct shard_value *values;
    size_t count, cap;
    bool on_side[2];
};

struct shard_builder {
    struct pile pile[FIELDS_MAX];
    uint64_t *group_key;
    uint32_t *group_size;
    size_t groups, groups_cap;
    uint64_t *impression_id;
    uint8_t *labels;
    size_t impressions, impressions_cap;
    float *weight; /* [weighed_cap], of the first `weighed` impressions; the rest count 1 */
    size_t weighed, weighed_cap;
    struct moment *moment; /* [timed_cap], of the first `timed` impressions */
    size_t timed, timed_cap;
    uint64_t values;
    bool fleeting;
};

/* Writes what the builder holds to `dir`/`name`. There must be impressions; either all have weights
 * or none, and either all have times or none. *info describes the file. The statuses are those of
 * shard_builder_write. */
enum status shard_write(const struct shard_builder *b, const struct schema *schema, const char *dir,
                        const char *name, struct shard_info *info);
