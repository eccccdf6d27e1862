/* prep_side.h - the shards that prep's second pass writes: those of one side of --split, or all.
 *
 * Groups are added whole; a shard ends before a group that would make it too large. Each thread
 * uses its own struct.
 */
#pragma once

#include "common/data/drift.h"
#include "common/base/file.h"
#include "tools/common/shard_copy.h"

struct prep_side {
    char dir[PATH_BYTES_MAX];    /* of its shards */
    const struct schema *schema; /* finished */
    uint32_t shard_impressions;
    struct shard_builder *builder;
    struct feature_list room;
    uint64_t values_held; /* in the builder */
    struct buf shards;    /* struct shard_info, in order; names are provisional */
    struct drift drift;
    uint64_t values[FIELDS_MAX];    /* by slot of the schema */
    uint64_t first_time, last_time; /* of the impressions; 0: they have no times */
};

/* Shards go to dir, which must exist. ERR_MEMORY. */
enum status prep_side_open(struct prep_side *s, const char *dir, const struct schema *schema,
                           uint32_t shard_impressions);
enum status prep_side_add(struct prep_side *s, const struct shard *from, uint32_t group);
enum status prep_side_end(struct prep_side *s); /* writes what is left */
void prep_side_close(struct prep_side *s);      /* safe on a zeroed struct */
