/* drift.h - does the share of clicks, or of conversions among them, stay the same over a log?
 *
 * A log that is sorted by its label, or by something close to it, gives batches of one kind, and
 * training on them goes wrong (docs/prep.md has a case). So a log is cut into parts, and a part
 * whose share is below half or above twice that of the whole is told, if chance does not explain
 * it.
 *
 * What chance does: with k positives expected among n a part's count spreads like a Poisson
 * variable, widened by the size of groups, since the impressions of a group are alike, at worst all
 * of them. Sizes vary, so a group counts as one of twice the average size m (2 m - 1: groups of one
 * are single); its clicks too, which may all be one user's. The spread is measured on the scale of
 * counts and on that of their roots, and the smaller result is taken: the first overstates how rare
 * large counts are, the second small ones. Some thousand parts are looked at, so five such spreads
 * are asked for.
 */
#ifndef COMMON_DATA_DRIFT_H
#define COMMON_DATA_DRIFT_H

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

#endif
