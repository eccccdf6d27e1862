/* changes.h - what a partition remembers for a delta: which rows changed since a cut, and which are
 * gone.
 *
 * Each row bears the clock of its last update, so whether a row changed since a cut is known from
 * the row and the clocks of its domain at the cut. To find such rows without looking at all of
 * them, every write sets the mark of its block of rows (about 4 KB, the blocks of a snapshot).
 * A row that makes room for another under the memory limit leaves its id. Rows past their age leave
 * nothing: a reader of the delta finds out by its clocks (docs/format-checkpoint.md), and the same
 * holds for sightings of a feature that got its row.
 *
 * A cut counts only once the coordinator has committed it. So there are two points, the base and
 * the newest cut, and marks before and after the latter are kept apart: if the next order says that
 * it was committed, it becomes the base and the marks before it are dropped; if not, they stay, and
 * the base as well.
 *
 * If memory fails, or more ids are gone than GONE_PART allows, the points are lost: the next part
 * has all rows. A partition that never cuts for deltas keeps nothing. */
#pragma once

#include "partition_state.h"

#define CHANGES_BLOCK_BYTES 4096u

/* The least and the largest share of a table's rows that may be gone between cuts. */
#define GONE_MIN  4096u
#define GONE_PART 8u

/* 1 << shift rows of so many bytes are a block. */
uint32_t changes_block_shift(uint32_t row_bytes);
/* The clocks of the domains now, as those of the cut `cut`. ERR_MEMORY. */
enum status cut_point_set(struct cut_point *point, uint64_t cut, const struct domains *d);
void cut_point_fini(struct cut_point *point);
/* The clock of a bucket at the cut. */
static inline uint64_t cut_point_clock(const struct cut_point *point, uint32_t bucket) {
    uint32_t i = 0;
    while (bucket >= point->clocks[i].bucket_end) {
        i++;
    }
    return point->clocks[i].clock;
}
/* Whether the row was updated after the cut. */
static inline bool cut_point_changed(const struct cut_point *point, const struct field_rows *f,
                                     const struct row *row) {
    const uint64_t clock =
        point->count == 1 ? point->clocks[0].clock : cut_point_clock(point, key_bucket(f, row->id));
    return (int32_t)(row->last - (uint32_t)clock) > 0;
}

/* The rows are exactly those of the checkpoint with this cut: it becomes the base. A failure only
 * costs a delta. */
void changes_restored(struct partition *p, uint64_t cut);
/* A cut begins, and `committed` is the newest committed one (0: none). The base that a delta can be
 * made against, or NULL: all rows must be written. */
const struct cut_point *changes_base(struct partition *p, uint64_t committed);
/* The cut is now: what comes is after it. */
void changes_cut(struct partition *p, uint64_t cut);
/* Whether a block has a mark since the base; the words of marks, 64 blocks each. */
uint64_t changes_word(const struct store *s, uint32_t word);

/* For ps/eviction.c: a slot was taken; a row made room for another. */
void changes_room(struct partition *p, struct store *s, uint32_t handle);
void changes_gone(struct partition *p, struct store *s, uint64_t id);
