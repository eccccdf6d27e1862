/* prep_shards.h - a worker's impressions of one piece, into one shard or a few.
 *
 * A piece gives one shard unless its user sides are so large that the shard would need too much
 * memory; then it gives several. Names are provisional: by piece, then in order. One thread.
 */
#pragma once

#include "common/data/drift.h"
#include "prep_piece.h"
#include "tools/log/log_fields.h"

#define PREP_SHARD_VALUES_MAX (UINT64_C(3) << 20) /* of one shard: 16 bytes each in the builder */

struct prep_shards {
    struct shard_builder *builder;
    struct log_fields *fields; /* the worker's */
    const char *dir;
    struct prep_piece *piece;
    uint64_t values;    /* in the builder */
    uint32_t made;      /* shards of this piece */
    struct drift drift; /* of its impressions that are not in a shard yet */
};

/* fleeting: other shards are made of these. */
enum status prep_shards_open(struct prep_shards *s, struct log_fields *fields, const char *dir,
                             bool fleeting);
void prep_shards_close(struct prep_shards *s); /* safe on a zeroed struct */
void prep_shards_begin(struct prep_shards *s, struct prep_piece *p);
/* As shard_builder_group and shard_builder_timed; fields count the values. */
enum status prep_shards_group(struct prep_shards *s, uint64_t key, const struct feature *features,
                              size_t count);
enum status prep_shards_impression(struct prep_shards *s, uint64_t id, uint8_t labels,
                                   const struct moment *when, const struct feature *features,
                                   size_t count);
/* Sets the weight of the impression that was added last, as shard_builder_weigh. */
enum status prep_shards_weigh(struct prep_shards *s, float weight);
/* Writes what is left of the piece; its shards are then in piece->shards, what they count in
 * piece->blocks. */
enum status prep_shards_end(struct prep_shards *s);
