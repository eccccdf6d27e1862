#include "prep_classes.h"

#define REJECTED_MIN 10u
#define TIMES_OTHERS 5.0

void prep_classes_take(struct prep_tally *t, uint32_t classes) {
    for (uint32_t k = 0; classes != 0; k++, classes >>= 1) {
        t->class[k].rows += classes & 1;
    }
}

enum status prep_classes_reject(struct prep_piece *p, size_t i, enum reject why, const char *seen,
                                uint32_t classes) {
    const uint32_t at = (uint32_t)p->rejects.len;
    for (uint32_t k = 0; k < CLASSES; k++) {
        struct class_tally *c = &p->tally.class[k];
        if ((classes >> k & 1) != 0) {
            if (p->first_count[k] < CLASS_FIRST_MAX) {
                p->first[k][p->first_count[k]++] = at;
            }
            c->rows++;
            c->rejected[why]++;
        }
    }
    return prep_piece_reject_seen(p, i, why, seen);
}

/* Says what to do about most of the rejects. */
static const char *reject_advice(const struct class_tally *c) {
    enum reject most = REJECT_NONE;
    for (int r = 0; r < REJECTS; r++) {
        most = c->rejected[r] > c->rejected[most] ? (enum reject)r : most;
    }
    switch (most) {
    case REJECT_LABEL:
        return "A label is 0 or 1, 0.0 or 1.0, true or false, t or f; log.labels = count takes "
               "numbers, those above 0 as 1; log.labels = funnel takes 0, 1 and 2";
    case REJECT_TIME:
        return "A time that a label asks for must be there, in one clock with the others: "
               "log.time_unit, log.time_format and log.time_origin say how times are written";
    case REJECT_ORDER:
        return "The columns of times may be others, or not of one clock and one zone";
    case REJECT_ID:
    case REJECT_VALUE:
    case REJECT_FINITE:
        return "A text that means no value is named by missing = TEXT, in [log] or the column's "
               "section";
    case REJECT_COLUMNS:
    case REJECT_QUOTES: return "Look at log.delimiter and log.quotes";
    case REJECT_NO_COMMON: return "The common file lacks their rows";
    default: return "The reason stands behind the line";
    }
}

static double class_share(uint64_t part, double whole) {
    return whole > 0 ? (double)part / whole : 0;
}

/* The remaining rows may all be good rows of the class, so before the end they count as such. */
static bool is_bad(const struct prep_output *o, const struct prep_tally *t, uint32_t class,
                   double lines) {
    const struct class_tally *c = &t->class[class];
    const uint64_t rejected = prep_rejected(c->rejected);
    const double others = (double)prep_tally_judged(t) - (double)c->rows;
    if (rejected < REJECTED_MIN || o->bad_max >= 100) {
        return false;
    }
    if (lines > (double)t->lines) {
        return class_share(rejected, (double)c->rows + lines - (double)t->lines) > o->bad_max / 100;
    }
    const double of_class = class_share(rejected, (double)c->rows);
    const uint64_t elsewhere =
        prep_rejected(t->rejected) - rejected + 1; /* zero of a few is no reliable rate */
    return of_class > o->bad_max / 100 ||
           (others > 0 && of_class > TIMES_OTHERS * class_share(elsewhere, others));
}

static enum status tell_class(const struct prep_output *o, const char *file,
                              const struct prep_tally *t, uint32_t class) {
    const struct class_tally *c = &t->class[class];
    const struct buf *first = &o->first_of[class];
    const uint64_t rejected = prep_rejected(c->rejected), rows = prep_tally_judged(t) - c->rows;
    const uint64_t others = prep_rejected(t->rejected) - rejected;
    return fail(
        ERR_LIMIT,
        "%s: %llu of the %llu lines that look like a %s were rejected (%.3g %%), of the %llu "
        "others %llu (%.3g %%): what is left would tell something else than the log. Nothing "
        "was written; --max-bad 100 would. %s. The first:\n%.*s",
        file, (unsigned long long)rejected, (unsigned long long)c->rows, dataset_label_name(class),
        100 * class_share(rejected, (double)c->rows), (unsigned long long)rows,
        (unsigned long long)others, 100 * class_share(others, (double)rows), reject_advice(c),
        (int)first->len, first->len == 0 ? "" : (const char *)first->data);
}

enum status prep_classes_check(const struct prep_output *o, const char *file,
                               const struct prep_tally *t, double lines) {
    double most = 0; /* the worst class shows most clearly what is wrong */
    uint32_t worst = CLASSES;
    for (uint32_t k = 0; k < CLASSES; k++) {
        const struct class_tally *c = &t->class[k];
        const double rejected = class_share(prep_rejected(c->rejected), (double)c->rows);
        if (rejected > most && is_bad(o, t, k, lines)) {
            most = rejected;
            worst = k;
        }
    }
    return worst == CLASSES ? OK : tell_class(o, file, t, worst);
}
