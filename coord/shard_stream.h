/* shard_stream.h - a directory to which shards are added, read shard by shard.
 *
 * The producer promises: DIR/manifest exists from the beginning and gives the schema (the shards it
 * lists, if any, are ignored); shard-00000.bin, shard-00001.bin, ... appear in this order, each one
 * complete, by rename; an empty file DIR/end says that no more shards will come. No shard is
 * removed or changed. `esmm records` is such a producer (docs/stream.md).
 *
 * Uses no sockets. Each look is a stat and reads a few blocks, on whatever file system holds the
 * directory.
 */
#pragma once

#include "common/data/shard_info.h"
#include "common/job/schema.h"

struct shard_stream {
    const char *dir;  /* borrowed */
    uint32_t next;    /* the shard to look for */
    bool ended;       /* no more shards are looked for */
    uint64_t look_ms; /* time of the next look; the caller sets it */
    char damage[512]; /* why it ended too early, or ""; the caller sets it */
};

void shard_stream_init(struct shard_stream *s, const char *dir);
/* Looks once. *found: the next shard is there, and *info is what it says of itself (shard_peek). If
 * it is not there, s->ended may have become true. ERR_CORRUPT: the shard is damaged, or the stream
 * ended and a shard before a later one is missing; ERR_LIMIT: more than APPLIED_SHARDS_MAX; ERR_IO,
 * ERR_MEMORY. */
enum status shard_stream_look(struct shard_stream *s, struct shard_info *info, bool *found);
/* Waits until the first shard is there, without a time limit. ERR_NOT_FOUND: the stream ended
 * without one; ERR_CLOSED: a stop signal came. */
enum status shard_stream_wait(const char *dir);
/* The data checksum of a stream in a checkpoint: a hash of its fields. */
uint64_t shard_stream_checksum(const struct schema *schema);
