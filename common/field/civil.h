/* civil.h - dates and times written out: 2014-10-21T00:30:00Z, 14102100, 21/Oct/2014.
 *
 * A small strptime of our own: the C library's reads texts that end with NUL, forgives blanks and
 * missing digits, and depends on the locale. Here a number that touches another one has all its
 * digits, a text is read to its end, and a date must exist. Pure.
 */
#pragma once

#include <stdint.h>

#include "common/base/status.h"
#include "span.h"

struct civil {
    int32_t year, month, day; /* month and day from 1; day of the year if month is 0 */
    int32_t hour, minute, second;
    int32_t offset; /* of the text's own zone, seconds */
    bool zoned;     /* it has one */
};

/* What a format names, of a date. */
struct civil_parts {
    bool year, month, day;
};

/* Formats: "iso", or a text with %Y %y %m %d %j %b %H %M %S %f %z %%. ERR_CONFIG names what is
 * wrong. */
enum status civil_check(const char *format, struct civil_parts *parts);
/* *c holds what the format does not name. false: the text is another, or there is no such time. */
bool civil_read(const char *format, struct span text, struct civil *c);
/* Seconds since 1970, as if it were UTC. */
int64_t civil_seconds(const struct civil *c);
void civil_of(int64_t seconds, struct civil *c);
/* 2014-10-21 00:30:00 */
#define CIVIL_BYTES 32
void civil_text(int64_t seconds, char out[CIVIL_BYTES]);
