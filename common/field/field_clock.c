#include "field_clock.h"

#include <math.h>
#include <stdio.h>

#include "common/base/nearest.h"
#include "field_number.h"

static const struct {
    const char *name, *plural;
    double per_second;
} units[CLOCK_UNITS] = {[CLOCK_AUTO] = {"auto", "", 1},
                        [CLOCK_S] = {"s", "seconds", 1},
                        [CLOCK_MS] = {"ms", "milliseconds", 1e3},
                        [CLOCK_US] = {"us", "microseconds", 1e6}};

enum status field_clock_unit_of(const char *name, enum clock_unit *out) {
    struct nearest n = nearest_of(name);
    for (int k = 0; k < CLOCK_UNITS; k++) {
        nearest_try(&n, units[k].name);
        if (strcmp(name, units[k].name) == 0) {
            *out = (enum clock_unit)k;
            return OK;
        }
    }
    return fail(ERR_CONFIG, "'%.40s'; the nearest is '%s' (s, ms, us, auto)", name, n.name);
}

static bool in_range(double seconds) {
    return seconds >= (double)CLOCK_FIRST && seconds < (double)CLOCK_END;
}

/* --- settings --------------------------------------------------------------------------------- */

static enum status find_origin(struct field_clock *c) {
    const struct span text = {c->origin_text, strlen(c->origin_text)};
    struct civil civil = {.month = 1, .day = 1};
    double seconds = 0;
    if (civil_read("iso", text, &civil)) {
        seconds = (double)(civil_seconds(&civil) - civil.offset);
    } else if (field_number_f64(text, &seconds) != FIELD_FINE) {
        return fail(ERR_CONFIG,
                    "log.time_origin: '%.40s': expected a date such as 2020-01-01, or "
                    "seconds since 1970",
                    c->origin_text);
    }
    if (!in_range(seconds)) {
        return fail(ERR_CONFIG, "log.time_origin: '%.40s' is not from 1990 to 2100",
                    c->origin_text);
    }
    c->origin = (int64_t)seconds;
    c->relative = true;
    civil_of(c->origin, &c->base);
    return OK;
}

static enum status check_format(struct field_clock *c) {
    struct civil_parts parts;
    const enum status status = civil_check(c->format, &parts);
    if (status != OK) {
        return fail(status, "log.time_format: %s", fail_text());
    }
    if (parts.year == c->relative) {
        return fail(ERR_CONFIG, parts.year
                                    ? "log.time_format names the year, so log.time_origin has "
                                      "nothing to say"
                                    : "log.time_format names no year: log.time_origin says "
                                      "from which day on");
    }
    if (c->unit != CLOCK_AUTO) {
        return fail(ERR_CONFIG, "log.time_unit is for numbers, log.time_format for texts");
    }
    c->base.hour = c->base.minute = c->base.second = 0;
    c->base.month = c->relative ? c->base.month : 1;
    c->base.day = c->relative ? c->base.day : 1;
    return OK;
}

enum status field_clock_finish(struct field_clock *c) {
    TRY(c->origin_text[0] != '\0' ? find_origin(c) : OK);
    TRY(c->format[0] != '\0' ? check_format(c) : OK);
    if (c->zone_name[0] == '\0') {
        return OK;
    }
    if (c->format[0] == '\0') {
        return fail(ERR_CONFIG,
                    "log.timezone needs log.time_format: a number of seconds has no zone");
    }
    const enum status status = zone_find(&c->zone, c->zone_name);
    if (status != OK) {
        return fail(status, "log.timezone: %s", fail_text());
    }
    return OK;
}

enum status field_clock_describe(const struct field_clock *c, struct buf *out) {
    TRY(c->format[0] != '\0' ? buf_printf(out, "time_format = %s", c->format)
                             : buf_printf(out, "time_unit = %s", units[c->unit].name));
    TRY(c->zone_name[0] != '\0' ? buf_printf(out, ", timezone = %s", c->zone_name) : OK);
    return c->relative ? buf_printf(out, ", time_origin = %s", c->origin_text) : OK;
}

/* --- cells ------------------------------------------------------------------------------------ */

/* The cell without ".0" at its end, which digits get in a column of floats: 14102100.0. */
static struct span without_zeros(const char *format, struct span cell) {
    return strchr(format, '.') == NULL && cell.n > 2 && cell.at[cell.n - 1] == '0' &&
                   cell.at[cell.n - 2] == '.'
               ? (struct span){cell.at, cell.n - 2}
               : cell;
}

static bool read_text(const struct field_clock *c, struct span cell, double *seconds,
                      enum zone_fit *fit) {
    struct civil civil = c->base;
    if (!civil_read(c->format, without_zeros(c->format, cell), &civil)) {
        return false;
    }
    const int64_t wall = civil_seconds(&civil);
    *seconds = (double)(civil.zoned ? wall - civil.offset : zone_utc(&c->zone, wall, fit));
    return true;
}

static bool read_number(const struct field_clock *c, struct span cell, double *seconds) {
    uint64_t whole = 0; /* nearly always digits only: ten times as fast */
    double v = 0;
    if (field_number_u64(cell, &whole)) {
        v = (double)whole;
    } else if (field_number_f64(cell, &v) != FIELD_FINE || v < 0) {
        return false;
    }
    *seconds = floor(v / units[c->unit].per_second) + (c->relative ? (double)c->origin : 0);
    return true;
}

bool field_clock_read(const struct field_clock *c, struct span cell, uint64_t *out,
                      enum zone_fit *fit) {
    double seconds = 0;
    *fit = ZONE_ONCE;
    cell = span_trimmed(cell);
    const bool good = (c->format[0] != '\0' ? read_text(c, cell, &seconds, fit)
                                            : read_number(c, cell, &seconds)) &&
                      in_range(seconds);
    *out = good ? (uint64_t)seconds : 0;
    return good;
}

/* --- guesses ---------------------------------------------------------------------------------- */

enum clock_unit field_clock_unit_guess(struct span cell) {
    double v = 0;
    if (field_number_f64(span_trimmed(cell), &v) == FIELD_FINE) {
        for (int k = CLOCK_S; k < CLOCK_UNITS; k++) {
            if (in_range(v / units[k].per_second)) {
                return (enum clock_unit)k;
            }
        }
    }
    return CLOCK_AUTO;
}

const char *field_clock_digits_guess(struct span cell) {
    static const char *const formats[] = {"%Y%m%d",       "%y%m%d%H",   "%Y%m%d%H",
                                          "%y%m%d%H%M",   "%Y%m%d%H%M", "%y%m%d%H%M%S",
                                          "%Y%m%d%H%M%S", "%y%m%d"};
    cell = without_zeros("", span_trimmed(cell));
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        struct civil civil = {.month = 1, .day = 1};
        if (civil_read(formats[k], cell, &civil) && in_range((double)civil_seconds(&civil))) {
            return formats[k];
        }
    }
    return NULL;
}

/* Guesses the format of a text that is not a number. */
static const char *text_guess(struct span cell) {
    static const char *const formats[] = {"iso",
                                          "%Y/%m/%d %H:%M:%S",
                                          "%d/%m/%Y %H:%M:%S",
                                          "%m/%d/%Y %H:%M:%S",
                                          "%d/%b/%Y:%H:%M:%S %z",
                                          "%Y/%m/%d",
                                          "%d/%m/%Y",
                                          "%m/%d/%Y",
                                          "%d.%m.%Y %H:%M:%S",
                                          "%d.%m.%Y",
                                          "%Y%m%dT%H%M%SZ",
                                          "%Y/%m/%d %H:%M"};
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        struct civil civil = {.month = 1, .day = 1};
        if (civil_read(formats[k], cell, &civil)) {
            return formats[k];
        }
    }
    return NULL;
}

void field_clock_guess(const struct field_clock *c, struct span cell, char out[CLOCK_GUESS]) {
    double v = 0;
    cell = span_trimmed(cell);
    const bool number = field_number_f64(cell, &v) == FIELD_FINE;
    const enum clock_unit unit = field_clock_unit_guess(cell);
    const char *format = number ? field_clock_digits_guess(cell) : text_guess(cell);
    out[0] = '\0';
    if (unit != CLOCK_AUTO && (c->format[0] != '\0' || unit != c->unit)) {
        snprintf(out, CLOCK_GUESS, "looks like %s: time_unit = %s", units[unit].plural,
                 units[unit].name);
    } else if (format != NULL && strcmp(format, c->format) != 0) {
        snprintf(out, CLOCK_GUESS, "looks like a date: time_format = %s", format);
    } else if (number && in_range(v / 1e9)) {
        snprintf(out, CLOCK_GUESS, "looks like nanoseconds: divide by 1000 for time_unit = us");
    } else if (number && v >= 0 && v < (double)CLOCK_FIRST && !c->relative) {
        snprintf(out, CLOCK_GUESS,
                 "before 1990: a clock that does not begin in 1970 needs "
                 "time_origin");
    }
}
