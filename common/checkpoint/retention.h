/* retention.h - which checkpoints of a run stay, and why. Decides only: no files, no clock.
 *
 * A checkpoint stays if it is among the newest, the last of one of the newest hours or days (UTC)
 * that have one, the best by a held-out metric, pinned, or if one that stays needs it as its base.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/job/config.h"

enum kept { /* bits */
            KEPT_NEWEST = 1,
            KEPT_HOURLY = 2,
            KEPT_DAILY = 4,
            KEPT_BEST = 8,
            KEPT_PINNED = 16,
            KEPT_BASE = 32 /* of another one that stays */
};
struct retention {
    uint32_t newest, hourly, daily;
    enum keep_best best;
};
struct retention retention_of(const struct config *c);

struct retention_item {
    uint64_t step;
    double saved_at;    /* wall seconds since 1970 */
    uint64_t cut, base; /* its id, and the id of the one it needs; 0: unknown, none */
    double figure;      /* the metric of `best`; NaN: not known */
    bool pinned;
    size_t index;  /* the caller's: the order changes */
    uint32_t kept; /* result: bits; 0: it may go */
};
/* Sets `kept` of all. `published`, the step of the newest in force, always stays. The items come
 * back in ascending order of steps. */
void retention_decide(const struct retention *r, uint64_t published, struct retention_item *items,
                      size_t count);
/* "newest, hourly, pinned" into out. best: the name of the metric. */
void retention_words(uint32_t kept, enum keep_best best, char *out, size_t bytes);
