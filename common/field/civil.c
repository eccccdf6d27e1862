#include "civil.h"

#include <stdio.h>
#include <strings.h>

#include "zone.h"

static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* --- days ------------------------------------------------------------------------------------- */

static bool is_leap(int32_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int32_t days_before(int32_t year, int32_t month) { /* days of the year before the month */
    static const int32_t days[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    return days[month - 1] + (month > 2 && is_leap(year));
}

static int32_t days_in(int32_t year, int32_t month) {
    return month == 12 ? 31 : days_before(year, month + 1) - days_before(year, month);
}

/* Days from 1970-01-01 to the first day of the year. */
static int64_t days_to(int32_t year) {
    const int64_t y = (int64_t)year - 1;
    return 365 * ((int64_t)year - 1970) + (y / 4 - y / 100 + y / 400) -
           (1969 / 4 - 1969 / 100 + 1969 / 400);
}

int64_t civil_seconds(const struct civil *c) {
    const int64_t day =
        days_to(c->year) + (c->month == 0 ? 0 : days_before(c->year, c->month)) + c->day - 1;
    return day * 86400 + c->hour * 3600 + c->minute * 60 + c->second;
}

void civil_of(int64_t seconds, struct civil *c) {
    const int64_t day = seconds >= 0 ? seconds / 86400 : -((86399 - seconds) / 86400);
    const int32_t rest = (int32_t)(seconds - day * 86400);
    *c = (struct civil){.year = (int32_t)(1970 + day / 366), .month = 1};
    while (days_to(c->year + 1) <= day) {
        c->year++;
    }
    while (days_to(c->year) > day) {
        c->year--;
    }
    c->day = (int32_t)(day - days_to(c->year)) + 1;
    while (c->day > days_in(c->year, c->month)) {
        c->day -= days_in(c->year, c->month);
        c->month++;
    }
    c->hour = rest / 3600;
    c->minute = rest / 60 % 60;
    c->second = rest % 60;
}

void civil_text(int64_t seconds, char out[CIVIL_BYTES]) {
    struct civil c;
    civil_of(seconds, &c);
    snprintf(out, CIVIL_BYTES, "%04d-%02d-%02d %02d:%02d:%02d", c.year, c.month, c.day, c.hour,
             c.minute, c.second);
}

static bool civil_exists(const struct civil *c) {
    const bool day = c->month == 0 ? c->day >= 1 && c->day <= 365 + is_leap(c->year)
                                   : c->month >= 1 && c->month <= 12 && c->day >= 1 &&
                                         c->day <= days_in(c->year, c->month);
    return c->year >= 1 && day && c->hour <= 23 && c->minute <= 59 && c->second <= 60;
}

/* --- formats ---------------------------------------------------------------------------------- */

enum { DIGITS_Y = 4, DIGITS_J = 3, DIGITS_F = 9 };

static size_t digits_of(char directive) {
    switch (directive) {
    case 'Y': return DIGITS_Y;
    case 'j': return DIGITS_J;
    case 'f': return DIGITS_F;
    case 'b':
    case 'z':
    case '%': return 0;
    default: return 2;
    }
}

enum status civil_check(const char *format, struct civil_parts *parts) {
    *parts = (struct civil_parts){0};
    if (strcmp(format, "iso") == 0) {
        *parts = (struct civil_parts){true, true, true};
        return OK;
    }
    if (strchr(format, '%') == NULL) {
        return fail(ERR_CONFIG, "'%.40s': expected iso, or a text such as %%Y-%%m-%%d %%H:%%M:%%S",
                    format);
    }
    for (const char *f = format; *f != '\0'; f++) {
        if (*f != '%') {
            continue;
        }
        f++;
        if (*f == '\0' || strchr("YymdjbHMSfz%", *f) == NULL) {
            return fail(ERR_CONFIG,
                        "'%%%.1s' in '%.40s': known are %%Y %%y %%m %%d %%j %%b %%H %%M "
                        "%%S %%f %%z %%%%",
                        f, format);
        }
        parts->year = parts->year || *f == 'Y' || *f == 'y';
        parts->month = parts->month || *f == 'm' || *f == 'b' || *f == 'j';
        parts->day = parts->day || *f == 'd' || *f == 'j';
    }
    return OK;
}

/* Reads digits at *at: exactly `most` of them, or 1 to `most` if no other number touches them
 * (alone). */
static bool civil_number(const char **at, const char *end, size_t most, bool alone, int32_t *out) {
    size_t n = 0;
    int32_t v = 0;
    while (n < most && *at + n < end && (*at)[n] >= '0' && (*at)[n] <= '9') {
        v = v * 10 + ((*at)[n] - '0');
        n++;
    }
    *at += n;
    *out = v;
    return alone ? n > 0 : n == most;
}

static bool month_name(const char **at, const char *end, int32_t *out) {
    for (int32_t m = 0; end - *at >= 3 && m < 12; m++) {
        if (strncasecmp(*at, month_names[m], 3) == 0) {
            *at += 3;
            *out = m + 1;
            return true;
        }
    }
    return false;
}

static bool civil_directive(char d, const char **at, const char *end, bool alone, struct civil *c) {
    int32_t v = 0;
    if (digits_of(d) > 0 && !civil_number(at, end, digits_of(d), alone && d != 'Y', &v)) {
        return false;
    }
    switch (d) {
    case 'Y': c->year = v; return true;
    case 'y': c->year = v < 69 ? 2000 + v : 1900 + v; return true;
    case 'm': c->month = v; return v > 0;
    case 'd': c->day = v; return true;
    case 'j':
        c->month = 0;
        c->day = v;
        return true;
    case 'H': c->hour = v; return true;
    case 'M': c->minute = v; return true;
    case 'S': c->second = v; return true;
    case 'b': return month_name(at, end, &c->month);
    case 'z': c->zoned = true; return zone_offset(at, end, &c->offset);
    case '%': return *at < end && *(*at)++ == '%';
    default: return true; /* %f: fractions are cut off */
    }
}

/* Is the character *f of the format part of a number? */
static bool touches(const char *format, const char *f) {
    if (f < format || *f == '\0') {
        return false;
    }
    return (*f >= '0' && *f <= '9') || *f == '%';
}

static bool read_format(const char *format, const char *at, const char *end, struct civil *c) {
    bool after = false; /* the previous part of the format was a number */
    for (const char *f = format; *f != '\0'; f++) {
        if (*f != '%') {
            if (at == end || *at != *f) {
                return false;
            }
            at++;
            after = *f >= '0' && *f <= '9';
            continue;
        }
        f++;
        const bool alone = *f == 'f' || (!after && !touches(format, f + 1));
        if (!civil_directive(*f, &at, end, alone, c)) {
            return false;
        }
        after = digits_of(*f) > 0;
    }
    return at == end;
}

static bool take_byte(const char **at, const char *end, const char *any_of) {
    const bool is = *at < end && strchr(any_of, **at) != NULL && **at != '\0';
    *at += is;
    return is;
}

static bool read_clock(const char **at, const char *end, struct civil *c) {
    int32_t fraction = 0; /* cut off */
    if (!civil_number(at, end, 2, false, &c->hour) || !take_byte(at, end, ":") ||
        !civil_number(at, end, 2, false, &c->minute)) {
        return false;
    }
    return !take_byte(at, end, ":") ||
           (civil_number(at, end, 2, false, &c->second) &&
            (!take_byte(at, end, ".,") || civil_number(at, end, DIGITS_F, true, &fraction)));
}

/* YYYY-MM-DD, then perhaps T or a blank and HH:MM, :SS, a fraction, and a zone. */
static bool read_iso(const char *at, const char *end, struct civil *c) {
    c->hour = c->minute = c->second = 0;
    if (!civil_number(&at, end, 4, false, &c->year) || !take_byte(&at, end, "-") ||
        !civil_number(&at, end, 2, false, &c->month) || !take_byte(&at, end, "-") ||
        !civil_number(&at, end, 2, false, &c->day) || c->month == 0) {
        return false;
    }
    if (at == end) {
        return true;
    }
    if (!take_byte(&at, end, "Tt ") || !read_clock(&at, end, c)) {
        return false;
    }
    take_byte(&at, end, " ");
    c->zoned = at < end;
    return at == end || (zone_offset(&at, end, &c->offset) && at == end);
}

bool civil_read(const char *format, struct span text, struct civil *c) {
    const char *end = text.at + text.n;
    const bool read = strcmp(format, "iso") == 0 ? read_iso(text.at, end, c)
                                                 : read_format(format, text.at, end, c);
    return read && civil_exists(c);
}
