/* prep_tally.h - the counts that esmm prep keeps of the lines of a piece or a file. */
#pragma once

#include "common/data/dataset.h"
#include "tools/log/log_label.h"
#include "tools/log/log_reject.h"

/* Lines that have a label, or seem to have it (prep_classes.h). */
struct class_tally {
    uint64_t rows, rejected[REJECTS]; /* the rejected ones are among the rows */
};
#define CLASSES         DATASET_LABELS
#define CLASS_FIRST_MAX 3u /* at most so many rejects of a class are shown */

/* The counts of a piece or of a file. Every line is in exactly one of the counts below `lines`:
 *
 *     lines = header + blank + rejected + dropped + rows + continued
 *
 * A rejected record of several lines counts as that many rejected lines. */
struct prep_tally {
    uint64_t lines; /* of the file; the last one may have no end */
    uint64_t header, blank;
    uint64_t rejected[REJECTS];
    uint64_t dropped;   /* orphans that were left out */
    uint64_t rows;      /* rows that came out: impressions, or rows of a common file */
    uint64_t continued; /* further lines of records that were not rejected */
    struct class_tally class[CLASSES];
    uint64_t orphans; /* conversions without a click */
    uint64_t splits;  /* groups begun because the user side changed within a group value (csv) */
    /* Set in a log with times; 0 if there are none. first_time and last_time are of the
     * impressions, in seconds since 1970. skipped and twice count the impressions with a time that
     * the zone skips, or has twice (zone.h). */
    uint64_t first_time, last_time, skipped, twice;
};
/* Notes an impression's time. */
static inline void prep_tally_time(struct prep_tally *t, uint64_t first, uint64_t last) {
    t->first_time =
        t->first_time == 0 || (first > 0 && first < t->first_time) ? first : t->first_time;
    t->last_time = last > t->last_time ? last : t->last_time;
}
void prep_tally_add(struct prep_tally *to, const struct prep_tally *from);
/* Sums over all reasons, for a tally or one of its classes. */
uint64_t prep_rejected(const uint64_t rejected[REJECTS]);
/* The number of lines that were treated as rows, good or bad. */
uint64_t prep_tally_judged(const struct prep_tally *t);
uint64_t prep_tally_sum(const struct prep_tally *t); /* sum of the counts; see above */
