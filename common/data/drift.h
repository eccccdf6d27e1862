/* drift.h - checks whether the share of clicks, or of conversions among clicks, stays the same over
 * a log.
 *
 * A log that is sorted by its label, or by something close to it, gives batches with almost only
 * one label, and training on them fails (docs/prep.md has a case). So the log is divided into
 * parts. A part is a finding if its share is below half or above twice the share of the whole log,
 * unless chance explains it.
 *
 * The effect of chance: where k positives are expected, the count of a part spreads like a Poisson
 * variable. The impressions of a group are alike, in the worst case all of them, so the spread
 * grows with the size of groups. Sizes vary, so every group is treated as if it had about twice the
 * average size m (2 m - 1, so that groups of one impression stay single). Clicks are treated the
 * same way, since all may be of one user. The distance from the expected count is measured in
 * spreads, once on the scale of counts and once on the scale of their square roots. The smaller
 * distance is used: the first scale overstates how rare large counts are, the second how rare small
 * counts are. Since about a thousand parts are examined, a finding must be five spreads away.
 */
#pragma once

#include "common/base/bytes.h"

/* Counts of a contiguous piece of a log. */
struct drift_counts {
    uint64_t impressions, clicks, conversions;
};

/* A log in the order in which it is read, in blocks of a thousand impressions. Starts zeroed. */
struct drift {
    struct buf blocks; /* struct drift_counts */
    struct drift_counts open;
};
enum status drift_label(struct drift *d, uint8_t labels); /* adds one impression. ERR_MEMORY */
/* Closes the open block of *d, then appends the blocks of the next piece of the log. ERR_MEMORY. */
enum status drift_add(struct drift *d, const struct buf *blocks);
/* Closes the open block. ERR_MEMORY. */
enum status drift_end(struct drift *d);
void drift_fini(struct drift *d);

struct drift_finding {
    bool found;
    bool conversions;   /* share of conversions among clicks; else of clicks among all */
    size_t part, parts; /* the part that deviates most; number of parts that are findings */
    double share, mean; /* of the part; of all */
};
/* Finds the share that deviates most among the parts. `groups` is the number of groups in all
 * parts. */
struct drift_finding drift_judge(const struct drift_counts *parts, size_t count, uint64_t groups);
/* Does the same for ten pieces of a log with equally many impressions, as far as the blocks allow.
 */
struct drift_finding drift_tenths(const struct drift *d, uint64_t groups);
