/* push_log.h - the push log of one partition: what was applied since the last committed cut, in
 * files, so that a process that died can be followed by one with the same rows
 * (docs/format-push-log.md).
 *
 * A log is a chain of segments, DIR/server-I-K-N.log for thread K of server I. A new one begins at
 * each cut, and after segment_bytes. A segment that begins at a state that can be restored (a cut,
 * or the job's start) names it, its `base`. Once the cut is committed, those before it are free,
 * and are written over: to find new pages in memory costs the kernel five times what copying the
 * bytes does.
 *
 * A push is written with one call before it is acknowledged; then the head says that it is there.
 * Nothing is synced: the death of the process loses nothing, that of the machine loses what the
 * kernel had not written. So a log counts only until the machine starts again.
 *
 * A log that cannot be written, or that grew beyond its limit, is void until the next cut: no
 * segment is left that names a base. Training goes on.
 *
 * Owned by the partition's thread. Blocks as writing to a file does.
 */
#pragma once

#include "common/base/file.h"
#include "push_record.h"

#define PUSH_LOG_SEGMENT_BYTES ((uint64_t)64 << 20)

struct push_log;

/* What a new log belongs to. */
struct push_log_life {
    uint64_t job;
    uint32_t partition, partitions;
    const char *endpoint;
    uint64_t bytes_max;     /* beyond it the log is void; 0: no limit */
    uint64_t segment_bytes; /* after so many a new segment begins; 0: PUSH_LOG_SEGMENT_BYTES */
};
struct push_log_segment {
    uint32_t number;
    uint64_t base; /* 0: it continues the one before */
    uint64_t first;
    uint64_t bytes;
};

/* Opens the log of a thread in dir, which is made if it is not there, and looks at what an earlier
 * process has left. Files that cannot be of use are ignored. ERR_IO, ERR_MEMORY. */
enum status push_log_open(struct push_log **l, const char *dir, uint32_t server, uint32_t thread);
/* remove: nobody will need the files. */
void push_log_close(struct push_log **l, bool remove);
/* What was left: the head of the newest segment, NULL if nothing can be replayed, and the bases
 * from which the chain is whole, newest first; returns their number, at most `max`. */
const struct push_log_head *push_log_left(const struct push_log *l);
size_t push_log_bases(const struct push_log *l, uint64_t *out, size_t max);

/* Begins a log at a state that can be restored, base; what was left is free then. From then on p's
 * pushes are to be given to push_log_note. A log that cannot be begun is void. */
void push_log_begin(struct push_log *l, const struct push_log_life *life, uint64_t base,
                    const struct partition *p);
/* The same after p has a cut. */
void push_log_cut(struct push_log *l, uint64_t base, const struct partition *p);
/* The cut is committed: push_log_tick, one at a time, frees the segments before it, and removes
 * those that were free for the whole time since the last one. Giving it again does nothing. */
void push_log_commit(struct push_log *l, uint64_t base);
void push_log_tick(struct push_log *l);

/* How a push came: its frames, where they are of use. */
struct push_frames {
    const void *keys; /* packed; NULL: the note's ids are packed here */
    size_t keys_bytes;
    enum value_type values;
    const void *data;
    size_t data_bytes;
    uint32_t shard_batches; /* of a stream's shard; else 0 */
};
/* Writes what the note tells. */
void push_log_note(struct push_log *l, const struct push_note *note,
                   const struct push_frames *frames);
/* OK, also if the log is void; else the partition must not answer any more: the log is incomplete
 * and could not be made void. */
enum status push_log_check(const struct push_log *l);
uint64_t push_log_bytes(const struct push_log *l); /* in files that are needed; 0: void */

/* For replay.c. */
const struct push_log_segment *push_log_segments(const struct push_log *l, size_t *count);
enum status push_log_path(const struct push_log *l, uint32_t segment, char *out);
/* Goes on with the last segment. next: number of the next record. */
void push_log_resume(struct push_log *l, const struct push_log_life *life, uint64_t next);
