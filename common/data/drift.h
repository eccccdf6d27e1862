/* drift.h - does the share of clicks, or of conversions among them, stay the same over a log?
 *
 * A log that is sorted by its label, or by something close to it, gives batches of one kind, and
 * training on them goes wrong (docs/prep.md has a case). So a log is cut into parts. A part whose
 * share is below half or above twice that of the whole is a finding, unless chance explains it.
 *
 * What chance does: where k positives are expected, a part's count spreads like a Poisson variable.
 * The impressions of a group are alike, at worst all of them, which widens the spread by the size
 * of groups. Sizes vary, so every group is taken for one of twice the average size m (of 2 m - 1,
 * so that groups of one impression stay single); so are clicks, which may all be one user's. The
 * distance from the expected count is measured in spreads, once on the scale of counts and once on
 * that of their roots, and the smaller of the two is taken: the first overstates how rare large
 * counts are, the second how rare small ones are. Since some thousand parts are looked at, a
 * finding must be five spreads away.
 */
#pragma once

#include "common/base/bytes.h"

/* Counts of a stretch of a log. */
struct drift_counts {
    uint64_t impressions, clicks, conversions;
};

/* A log in the order in which it is read, in blocks of a thousand impressions. Starts zeroed. */
struct drift {
    struct buf blocks; /* struct drift_counts */
    struct drift_counts open;
};
enum status drift_label(struct drift *d, uint8_t labels); /* one impression more. ERR_MEMORY */
/* The blocks of another, which comes next, as they are; its open one is closed. ERR_MEMORY. */
enum status drift_add(struct drift *d, const struct buf *blocks);
/* Closes the open block. ERR_MEMORY. */
enum status drift_end(struct drift *d);
void drift_fini(struct drift *d);

struct drift_finding {
    bool found;
    bool conversions;   /* of clicks; else clicks of impressions */
    size_t part, parts; /* that part is the farthest; how many are beyond */
    double share, mean; /* of the part; of all */
};
/* The share that stands out most among the parts; `groups` is of all parts together. */
struct drift_finding drift_judge(const struct drift_counts *parts, size_t count, uint64_t groups);
/* The same of ten stretches of a log with as many impressions each, as far as blocks allow. */
struct drift_finding drift_tenths(const struct drift *d, uint64_t groups);
