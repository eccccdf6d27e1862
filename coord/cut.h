/* cut.h - one checkpoint in the making: which parts are in, and whether it can be committed.
 *
 * A cut is ordered from all servers under a number; each partition reports its part, written or
 * failed. Every part must be reported before the cut is over, also after one has failed: the
 * directory is removed only when nobody writes into it any more. A cut that is not over by its
 * deadline has failed. What the whole checkpoint has applied is the intersection of what its parts
 * have; that, its number of names (the step) and the parts go into the manifest.
 *
 * Socket-free and disk-free (checkpoints.c writes); single thread.
 */
#pragma once

#include "common/checkpoint/manifest.h"
#include "common/net/link_messages.h"
#include "common/job/applied.h"

struct cut {
    uint32_t partitions;
    bool open;       /* of a stream: so are the sets of names */
    uint64_t number; /* of the cut, 1, 2, ... */
    uint64_t id;     /* what its parts and its manifest bear; the caller's */
    bool busy;
    char dir[WIRE_TEXT_MAX]; /* absolute; where the parts go */
    uint64_t began_ms, deadline_ms;
    struct manifest_part *part; /* [partitions] */
    bool *reported;             /* [partitions] */
    uint32_t reports;
    struct applied *applied; /* intersection of the parts so far */
    bool failed;
    char text[WIRE_TEXT_MAX]; /* of the first failure */
};

enum status cut_init(struct cut *c, uint32_t partitions, bool open);
void cut_fini(struct cut *c);
/* Begins the next cut. dir: a directory of its own. */
void cut_begin(struct cut *c, const char *dir, uint64_t now_ms, uint64_t deadline_ms);
/* Whether any partition of [first, first + count) has not reported: its server gets the order. */
bool cut_wants(const struct cut *c, uint32_t first, uint32_t count);
/* A report. Of another cut, or repeated: ignored. A part that is not what was ordered fails the
 * cut; never the caller. applied: bytes of applied_encode. */
void cut_part(struct cut *c, const struct wire_part_done *done, const void *applied,
              size_t applied_bytes, const uint32_t *batches_per_shard, uint32_t shards);
/* Whether the cut is over (look at c->failed then); a deadline that has passed fails it. */
bool cut_over(struct cut *c, uint64_t now_ms);
void cut_end(struct cut *c);
