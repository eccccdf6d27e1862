/* snapshot.h - a consistent cut of a partition while it keeps serving (design D7).
 *
 * partition_cut() marks the cut: it notes row counts and clock, and copies the dense slice and the
 * names (they are small). From then on partition_tick() hands blocks of rows (about 4 KB) in order
 * to the writer. An update to a block that is not written yet first copies the block aside. These
 * copies are limited by copy_bytes: at the limit the partition writes before it serves. The writer
 * thread of the server does the file work (container blocks, checksums, fsync, rename); it takes
 * filled chunks from a bounded queue. If a write or fsync fails, only that checkpoint fails.
 *
 * The part of a delta has only the rows that changed since another cut. Blocks without a mark
 * (changes.h) are not looked at, so it costs in proportion to what changed.
 */
#pragma once

#include "partition.h"

struct snapshot_writer; /* the thread that writes part files: snapshot_writer.h */

struct part_info {
    char name[64]; /* part-00000-of-00002.bin */
    uint32_t bucket_begin, bucket_end;
    uint64_t bytes, checksum, rows;
    uint64_t version;   /* applied pushes */
    bool whole;         /* a delta was ordered, but it has all rows */
    struct buf applied; /* applied_encode of the intersection of the domains' names at the
                                   cut; the receiver frees it (buf_fini); empty on failure */
};

struct cut_order {
    const char *dir;
    uint32_t index, count;
    uint64_t cut;       /* the id written into all parts of the checkpoint; 0: none */
    uint64_t committed; /* of the newest committed checkpoint; 0: none */
    bool delta;         /* rows that changed since `committed`; all, if these are not known */
};
/* Begins a snapshot of p into dir/part-INDEX-of-COUNT.bin. ERR_AGAIN: a snapshot is running. */
enum status partition_cut_since(struct partition *p, struct snapshot_writer *w,
                                const struct cut_order *order);
/* The same for a full checkpoint, before which none was committed. */
enum status partition_cut(struct partition *p, struct snapshot_writer *w, const char *dir,
                          uint32_t index, uint32_t count, uint64_t cut);
/* Whether the running snapshot has ended. Then *status is its result (a failure with its text), and
 * *info describes the file. */
bool partition_cut_done(struct partition *p, enum status *status, struct part_info *info);
