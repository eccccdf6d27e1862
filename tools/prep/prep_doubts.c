#include "prep_doubts.h"

#include "common/base/clock.h"
#include "common/field/civil.h"

#define ORPHANS_MIN    10u
#define ROWS_MIN       1000u
#define CLICKS_MIN     100u
#define AHEAD_S_MAX    (7 * 86400.0) /* room for wrong clocks and for dates without a zone */
#define DISTINCT_SHARE 0.9           /* 1 minus three standard errors of a sketch */

/* If no row has a label, its column is probably another one. If there are orphans, something else
 * is wrong. */
static enum status doubt_none(const struct dataset *d, struct buf *out) {
    const char *what = d->clicks == 0                             ? "click"
                       : d->conversions == 0 && !d->no_conversion ? "conversion"
                                                                  : NULL;
    return what == NULL || d->impressions < ROWS_MIN || d->orphans > 0
               ? OK
               : buf_printf(out,
                            "no row of %llu has a %s: is the column of that label the right one?\n",
                            (unsigned long long)d->impressions, what);
}

/* Every row has a label: for example, click_from is used on a column of 0 and 1, or both labels use
 * one column. */
static enum status doubt_all(const struct prep_run *r, const struct dataset *d, struct buf *out) {
    if (d->impressions < ROWS_MIN || d->orphans > 0) {
        return OK;
    }
    if (d->clicks == d->impressions && !r->click_all) {
        TRY(buf_printf(out,
                       "every one of %llu rows has a click: is the column of that label the right "
                       "one? (A log of clicks alone says click = all)\n",
                       (unsigned long long)d->impressions));
    }
    return d->clicks < CLICKS_MIN || d->conversions < d->clicks
               ? OK
               : buf_printf(
                     out,
                     "every one of %llu clicks has a conversion: is the column of that label "
                     "the right one?\n",
                     (unsigned long long)d->clicks);
}

/* A log is from the past. Times in the future were read with the wrong unit, origin or format. */
static enum status doubt_future(const struct dataset *d, struct buf *out) {
    char last[CIVIL_BYTES];
    const double now = clock_wall_s();
    if ((double)d->last_time < now + AHEAD_S_MAX) {
        return OK;
    }
    civil_text((int64_t)d->last_time, last);
    return buf_printf(
        out,
        "the last time is %s, which is yet to come: are log.time_unit, time_format and "
        "time_origin those of the log?\n",
        last);
}

/* A conversion needs a click. Many conversions without a click, or more conversions than clicks,
 * mean that the two are swapped. */
static enum status doubt_labels(const struct prep_run *r, const struct dataset *d,
                                struct buf *out) {
    const uint64_t all = d->conversions + d->orphans;
    if (d->orphans < ORPHANS_MIN || (2 * d->orphans <= all && all <= d->clicks)) {
        return OK;
    }
    return buf_printf(out,
                      "%llu of %llu conversions have no click%s: are the columns of clicks and "
                      "conversions swapped? The %s\n",
                      (unsigned long long)d->orphans, (unsigned long long)all,
                      all > d->clicks ? ", and there are more of them than clicks" : "",
                      r->o->drop_orphans ? "rows were dropped" : "rows count as no conversion");
}

static enum status doubt_field(const struct prep_run *r, const struct dataset *d, uint32_t slot,
                               struct buf *out) {
    const double values = (double)r->fields.values[slot], rows = (double)d->impressions;
    if (rows < ROWS_MIN || values < DISTINCT_SHARE * rows) {
        return OK;
    }
    const double distinct = log_sketch_count(&r->fields.sketch[slot]);
    return distinct < DISTINCT_SHARE * values
               ? OK
               : buf_printf(out,
                            "field '%s' has a value of its own in nearly every row (about %.2g "
                            "distinct in %llu): a row number or a request's id is no feature\n",
                            r->fields.schema.fields[slot].name, distinct,
                            (unsigned long long)d->impressions);
}

enum status prep_doubts(const struct prep_run *r, const struct dataset *d, struct buf *out) {
    TRY(doubt_labels(r, d, out));
    TRY(doubt_none(d, out));
    TRY(doubt_future(d, out));
    TRY(doubt_all(r, d, out));
    for (uint32_t slot = 0; slot < r->fields.schema.count; slot++) {
        TRY(doubt_field(r, d, slot, out));
    }
    return OK;
}
