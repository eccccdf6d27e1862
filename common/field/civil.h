/* civil.h - dates and times written out: 2014-10-21T00:30:00Z, 14102100, 21/Oct/2014.
 *
 * This is a small strptime of our own. The one of the C library needs texts that end with NUL,
 * accepts extra blanks and missing digits, and depends on the locale. Here a number that touches
 * another number must have all its digits, a text must match to its end, and the date must exist.
 * All functions are pure.
 */
#pragma once

#include <stdint.h>

#include "common/base/status.h"
#include "span.h"

struct civil {
    int32_t year, month, day; /* month and day from 1; day of the year if month is 0 */
    int32_t hour, minute, second;
    int32_t offset; /* seconds east of UTC, if the text names a zone */
    bool zoned;     /* the text names a zone */
};

/* Which parts of a date a format names. */
struct civil_parts {
    bool year, month, day;
};

/* Formats: "iso", or a text with %Y %y %m %d %j %b %H %M %S %f %z %%. ERR_CONFIG names what is
 * wrong. */
enum status civil_check(const char *format, struct civil_parts *parts);
/* Before the call *c holds the parts that the format does not name. Returns false if the text does
 * not match the format, or if there is no such time. */
bool civil_read(const char *format, struct span text, struct civil *c);
/* Seconds since 1970, as if it were UTC. */
int64_t civil_seconds(const struct civil *c);
void civil_of(int64_t seconds, struct civil *c);
/* 2014-10-21 00:30:00 */
#define CIVIL_BYTES 32
void civil_text(int64_t seconds, char out[CIVIL_BYTES]);
