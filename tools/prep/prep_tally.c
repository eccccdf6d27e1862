#include "prep_tally.h"

void prep_tally_add(struct prep_tally *to, const struct prep_tally *from) {
    to->lines += from->lines;
    to->header += from->header;
    to->blank += from->blank;
    to->dropped += from->dropped;
    to->rows += from->rows;
    to->continued += from->continued;
    to->orphans += from->orphans;
    to->splits += from->splits;
    to->skipped += from->skipped;
    to->twice += from->twice;
    prep_tally_time(to, from->first_time, from->last_time);
    for (int r = 0; r < REJECTS; r++) {
        to->rejected[r] += from->rejected[r];
    }
    for (uint32_t k = 0; k < CLASSES; k++) {
        to->class[k].rows += from->class[k].rows;
        for (int r = 0; r < REJECTS; r++) {
            to->class[k].rejected[r] += from->class[k].rejected[r];
        }
    }
}

uint64_t prep_rejected(const uint64_t rejected[REJECTS]) {
    uint64_t sum = 0;
    for (int r = 0; r < REJECTS; r++) {
        sum += rejected[r];
    }
    return sum;
}

uint64_t prep_tally_judged(const struct prep_tally *t) {
    return t->lines - t->header - t->blank - t->continued;
}

uint64_t prep_tally_sum(const struct prep_tally *t) {
    return t->header + t->blank + prep_rejected(t->rejected) + t->dropped + t->rows + t->continued;
}
