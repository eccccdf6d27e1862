/* prep_shards.h - writes a worker's impressions of one piece into one shard or a few.
 *
 * A piece gives one shard. It gives several if its user sides are so large that one shard would
 * need too much memory. Names are provisional: the piece's number, then the shard's within it. Each
 * thread uses its own struct.
 */
#pragma once

#include "common/data/drift.h"
#include "prep_piece.h"
#include "tools/log/log_fields.h"

#define PREP_SHARD_VALUES_MAX (UINT64_C(3) << 20) /* per shard; 16 bytes each in the builder */

struct prep_shards {
    struct shard_builder *builder;
    struct log_fields *fields; /* the worker's */
    const char *dir;
    struct prep_piece *piece;
    uint64_t values;    /* in the builder */
    uint32_t made;      /* shards of this piece */
    struct drift drift; /* of its impressions that are not in a shard yet */
};

/* fleeting: these shards are temporary, other shards are made from them. */
enum status prep_shards_open(struct prep_shards *s, struct log_fields *fields, const char *dir,
                             bool fleeting);
void prep_shards_close(struct prep_shards *s); /* safe on a zeroed struct */
void prep_shards_begin(struct prep_shards *s, struct prep_piece *p);
/* Like shard_builder_group and shard_builder_timed; the values are also counted in fields. */
enum status prep_shards_group(struct prep_shards *s, uint64_t key, const struct feature *features,
                              size_t count);
enum status prep_shards_impression(struct prep_shards *s, uint64_t id, uint8_t labels,
                                   const struct moment *when, const struct feature *features,
                                   size_t count);
/* Sets the weight of the last impression added, like shard_builder_weigh. */
enum status prep_shards_weigh(struct prep_shards *s, float weight);
/* Writes the rest of the piece. Then piece->shards has its shards, and piece->blocks their
 * counts. */
enum status prep_shards_end(struct prep_shards *s);
