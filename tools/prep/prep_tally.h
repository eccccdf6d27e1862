/* prep_tally.h - what esmm prep counts of lines, of a piece or of a file. */
#pragma once

#include "common/data/dataset.h"
#include "tools/log/log_label.h"
#include "tools/log/log_reject.h"

/* Lines that have a label, or look so (prep_classes.h). */
struct class_tally {
    uint64_t rows, rejected[REJECTS]; /* the rejected ones are among the rows */
};
#define CLASSES         DATASET_LABELS
#define CLASS_FIRST_MAX 3u /* rejects of a class that are shown */

/* What was counted, of a piece or of a file. Every line is in one of the counts below `lines`:
 *
 *     lines = header + blank + rejected + dropped + rows + continued
 *
 * A rejected record of several lines counts as so many rejected lines. */
struct prep_tally {
    uint64_t lines; /* of the file; the last one may have no end */
    uint64_t header, blank;
    uint64_t rejected[REJECTS];
    uint64_t dropped;   /* orphans that were left out */
    uint64_t rows;      /* impressions, or rows of a common file: what came out */
    uint64_t continued; /* further lines of records that were not rejected */
    struct class_tally class[CLASSES];
    uint64_t orphans; /* conversions without a click */
    uint64_t splits;  /* groups begun because the user side changed within a group value (csv) */
    /* With times: of the impressions, seconds since 1970, 0 if there are none; and of how many a
     * time is one that the zone skips, or has twice (zone.h). */
    uint64_t first_time, last_time, skipped, twice;
};
/* Notes an impression's time. */
static inline void prep_tally_time(struct prep_tally *t, uint64_t first, uint64_t last) {
    t->first_time =
        t->first_time == 0 || (first > 0 && first < t->first_time) ? first : t->first_time;
    t->last_time = last > t->last_time ? last : t->last_time;
}
void prep_tally_add(struct prep_tally *to, const struct prep_tally *from);
/* The sum over all reasons: of a tally, or of one of its classes. */
uint64_t prep_rejected(const uint64_t rejected[REJECTS]);
/* Lines that were taken for rows, good or bad. */
uint64_t prep_tally_judged(const struct prep_tally *t);
uint64_t prep_tally_sum(const struct prep_tally *t); /* of the counts; see above */
