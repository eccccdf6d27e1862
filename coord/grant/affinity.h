/* affinity.h - from which window each worker takes its ranges, and which window it will take next.
 *
 * A window is expensive to have: a worker reads pieces of many shards for it, and holds it in
 * memory. So a worker takes the ranges of its window, in order, as long as some are pending. Then
 * it goes on to
 *
 *   1. the window that was reserved for it, which it has been told to read ahead;
 *   2. else the first free window: pending, nobody is on it, and it is reserved for nobody;
 *   3. else the first pending one that nobody is on: a worker that has nothing to do comes before
 *      one that would go there later (who may still go there, and has read it already);
 *   4. else the first pending one: at an epoch's end, or if there are fewer windows than workers,
 *      workers help each other.
 *
 * `pending` says of a window that a range of it is. The order is that of the epoch, which is that
 * of the numbers (ranges_order). A window is reserved as soon as it is told (affinity_ahead), at
 * most one for each worker.
 *
 * `strict` (deterministic jobs): always the first pending range of all, and ahead of it the next
 * window with pending ones.
 *
 * Costs: amortised O(1), but O(windows) where case 3 or 4 is reached, which changes the window.
 *
 * Pure bookkeeping; single thread.
 */
#pragma once

#include "common/job/ranges.h"

#define AFFINITY_NONE UINT32_MAX
struct affinity_window {
    uint32_t pending;      /* ranges */
    uint32_t first;        /* no range of the window before it is pending */
    uint32_t on, reserved; /* by how many workers */
};
struct affinity_worker {
    uint32_t on, ahead; /* windows, or AFFINITY_NONE */
};
struct affinity {
    const struct ranges *ranges; /* borrowed */
    uint32_t epoch;
    bool *pending;                  /* [ranges->count] */
    struct affinity_window *window; /* [ranges->windows] */
    struct affinity_worker *worker; /* [workers] */
    uint32_t workers;
    size_t workers_cap;
    uint32_t first, first_free; /* no window before it is pending; free */
};

void affinity_fini(struct affinity *a); /* safe on a zeroed struct */
/* Begins an epoch with nothing pending, or one of which a part is trained already. If it is the
 * epoch that was begun last, workers stay with their windows. ranges: the same at each call.
 * ERR_MEMORY. */
enum status affinity_begin(struct affinity *a, const struct ranges *ranges, uint32_t epoch);
void affinity_add(struct affinity *a, uint32_t range); /* has become pending */
/* Takes the worker's next range, which is pending no more. *range: AFFINITY_NONE if none is.
 * ERR_MEMORY. */
enum status affinity_take(struct affinity *a, uint32_t worker, bool strict, uint32_t *range);
/* The first pending range of the window that the worker, who has taken a range, will probably be
 * given next; AFFINITY_NONE if all others are somebody's. Reserves it. */
uint32_t affinity_ahead(struct affinity *a, uint32_t worker, bool strict);
/* For a coordinator that takes a job over: the worker has taken that pending range before, and was
 * told that the window of `ahead` comes next (AFFINITY_NONE: none). ERR_MEMORY. */
enum status affinity_restore(struct affinity *a, uint32_t worker, uint32_t range, uint32_t ahead);
/* The worker is lost: it is on no window, and none is reserved for it. */
void affinity_drop(struct affinity *a, uint32_t worker);
