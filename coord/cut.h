/* cut.h - one checkpoint while it is being made: which parts have been reported, and whether it can
 * be committed.
 *
 * The coordinator orders a cut from all servers under a number; each partition reports its part as
 * written or failed. The cut is over only when every part is reported, even after one has failed:
 * the directory may be removed only when nobody writes into it any more. A cut that is not over by
 * its deadline has failed. The checkpoint as a whole has applied the batches that all its parts
 * have applied (the intersection). This set, its number of names (the step) and the parts go into
 * the manifest.
 *
 * Uses no socket and no disk (checkpoints.c writes); single thread.
 */
#pragma once

#include "common/checkpoint/manifest.h"
#include "common/net/link_messages.h"
#include "common/job/applied.h"

#define CUTS_PER_TERM 20 /* bits: no two terms of a coordinator have the same numbers */
struct cut {
    uint32_t partitions;
    bool open;          /* the job follows a stream: the sets of names are open too */
    uint64_t number;    /* of the cut, 1, 2, ... */
    uint64_t id;        /* written into its parts and its manifest; the caller sets it, and: */
    uint64_t committed; /* id of the newest committed cut; 0: there is none */
    bool delta;         /* the parts are to hold what changed since `committed` */
    bool busy;
    char dir[WIRE_TEXT_MAX]; /* absolute; where the parts go */
    uint64_t began_ms, deadline_ms;
    struct manifest_part *part; /* [partitions] */
    bool *reported;             /* [partitions] */
    uint32_t reports;
    struct applied *applied; /* intersection of the parts so far */
    bool failed;
    char text[WIRE_TEXT_MAX]; /* describes the first failure */
};

enum status cut_init(struct cut *c, uint32_t partitions, bool open);
void cut_fini(struct cut *c);
/* Begins the next cut. dir: a directory that only this cut uses. */
void cut_begin(struct cut *c, const char *dir, uint64_t now_ms, uint64_t deadline_ms);
/* Whether any partition of [first, first + count) has not reported: then its server must get the
 * order. */
bool cut_wants(const struct cut *c, uint32_t first, uint32_t count);
/* Takes a report. A report of another cut and a repeated report are ignored. A part that differs
 * from what was ordered fails the cut, never the caller. applied: bytes of applied_encode. */
void cut_part(struct cut *c, const struct wire_part_done *done, const void *applied,
              size_t applied_bytes, const uint32_t *batches_per_shard, uint32_t shards);
/* Whether the cut is over; c->failed then says how it ended. A deadline that has passed fails the
 * cut. */
bool cut_over(struct cut *c, uint64_t now_ms);
void cut_end(struct cut *c);
