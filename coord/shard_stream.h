/* shard_stream.h - a directory of shards that grows, looked at shard by shard.
 *
 * What the producer promises: DIR/manifest is there from the beginning and gives the schema (the
 * shards it lists, if any, are not asked for); shard-00000.bin, shard-00001.bin, ... appear in this
 * order, each whole, by rename; an empty file DIR/end says that no more will come. No shard is
 * taken back or changed. `esmm records` is one (docs/stream.md).
 *
 * Socket-free; the looks are a stat and the reading of a few blocks, on whatever the directory is.
 */
#pragma once

#include "common/data/shard_info.h"
#include "common/job/schema.h"

struct shard_stream {
    const char *dir;  /* borrowed */
    uint32_t next;    /* the shard that is looked for */
    bool ended;       /* no more is looked for */
    uint64_t look_ms; /* not before; the caller's */
    char damage[512]; /* why it ended too early, "" none; the caller's */
};

void shard_stream_init(struct shard_stream *s, const char *dir);
/* Looks once. *found: the next shard is there, *info is what it says of itself (shard_peek). Else
 * s->ended may have become true. ERR_CORRUPT: the shard is damaged, or the end came but one before
 * a later shard is missing; ERR_LIMIT: more than APPLIED_SHARDS_MAX; ERR_IO, ERR_MEMORY. */
enum status shard_stream_look(struct shard_stream *s, struct shard_info *info, bool *found);
/* Waits until the first shard is there, without a time limit. ERR_NOT_FOUND: the stream ended
 * without one; ERR_CLOSED: a stop signal came. */
enum status shard_stream_wait(const char *dir);
/* What stands for the data of a stream in a checkpoint: a hash of its fields. */
uint64_t shard_stream_checksum(const struct schema *schema);
