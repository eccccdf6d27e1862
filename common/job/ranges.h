/* ranges.h - cuts an epoch into windows, and windows into ranges of batches.
 *
 * Pure functions of (sizes of the shards, seed, epoch, settings), so that a coordinator, a worker
 * and a resumed job agree without talking, and batch k of an epoch is always the same impressions.
 * Sizes do not depend on the epoch; which impressions are in a window does.
 *
 *   window   impressions that are in memory together, and mixed with each other (data/deal.h)
 *   range    batches in a row of one window: what a lease grants. A batch's name is
 *            (epoch, range, batch within the range)
 *
 * Mixed (`window` > 0): the shards are put in the epoch's order, and their impressions, each
 * shard's in the epoch's order of its groups (plan_groups), are laid end to end. The line is cut
 * into draws of equal length, of at least RANGES_OPEN_SHARDS shards on average (one draw, if there
 * are fewer), and a draw into windows. Each window takes its part of every shard's piece in the
 * draw, so it is a sample of the whole draw. A shard is read once per window that takes from it:
 * windows_per_draw times in an epoch, and once more for each border of draws that it lies across.
 *
 * In order (`window` 0): a window is a shard, and one range. Shards, and groups within them, are
 * permuted if `shuffle`; so what is mixed is mixed within its shard only. Streams and
 * train.shuffle=false are read in this way, and so is everything until version 0.2.
 */
#pragma once

#include <stdbool.h>

#include "common/base/status.h"
#include "plan.h"

#define RANGES_OPEN_SHARDS 64
#define RANGE_BATCHES      16 /* of a range, at most */
#define RANGES_AT_LEAST    64 /* ranges get shorter, so that an epoch has as many */
/* The same, if the batches of a range share bags (data_ranges.h): fewer updates of these rows. */
#define SHARED_RANGE_BATCHES   32
#define SHARED_RANGES_AT_LEAST 16

struct ranges_spec {
    uint64_t seed;
    bool shuffle;
    uint32_t batch;  /* impressions of a batch, at most, if the model trains on all of them */
    uint32_t window; /* impressions of a window, at most; 0: in order */
    bool share;      /* the batches of a range share bags; needs a window */
};
struct ranges_shard {
    uint32_t impressions; /* of the shard's file */
    uint32_t sampled;     /* impressions that the model trains on */
};
struct ranges {
    struct ranges_spec spec;
    struct ranges_shard *shard; /* [shards], owned */
    uint32_t shards;
    uint64_t impressions, sampled; /* sums over shards */
    uint32_t draws, windows_per_draw;
    uint32_t windows;
    uint32_t *first_range; /* [windows+1], owned: ranges of a window lie together */
    uint32_t count;        /* of ranges */
    uint32_t *batches;     /* [count], owned: batches of a range */
    uint32_t *window;      /* [count], owned: the window of a range */
    uint64_t epoch_batches;
    size_t shard_cap, first_cap, batches_cap, window_cap; /* of the arrays */
};
/* shard[shards] is copied. ERR_MEMORY; ERR_LIMIT: more than 2^32 - 1 windows or ranges. */
enum status ranges_init(struct ranges *r, const struct ranges_spec *spec,
                        const struct ranges_shard *shard, uint32_t shards);
void ranges_fini(struct ranges *r);
/* In order only, for a stream: adds a shard, that is, a window and a range. ERR_MEMORY. */
enum status ranges_add(struct ranges *r, struct ranges_shard shard);

/* Whether windows reach across shards; else a window is a shard. */
static inline bool ranges_mixed(const struct ranges *r) {
    return r->spec.window > 0;
}

struct range_batches { /* batches [first, first + count) of the window */
    uint32_t first, count;
};
struct range_batches ranges_place(const struct ranges *r, uint32_t range);
uint32_t ranges_window_impressions(const struct ranges *r, uint32_t window);
uint32_t ranges_window_batches(const struct ranges *r, uint32_t window);
/* Impressions in the first `count` batches of a range. */
uint32_t ranges_impressions(const struct ranges *r, uint32_t range, uint32_t count);
/* order[count]: the order of the ranges in an epoch. ERR_MEMORY. */
enum status ranges_order(const struct ranges *r, uint32_t epoch, uint32_t *order);

/* Impressions [begin, end) of a shard's, in the epoch's order of its groups; not empty. */
struct slice {
    uint32_t shard, begin, end;
};
/* The slices that make a window, in the order of the line. *out is the caller's (mem_free).
 * ERR_MEMORY. */
enum status ranges_slices(const struct ranges *r, uint32_t epoch, uint32_t window,
                          struct slice **out, uint32_t *count);
