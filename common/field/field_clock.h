/* field_clock.h - how a log writes times, and a cell of it as seconds since 1970.
 *
 * A log's times are numbers (of seconds, or thousandths, since 1970 or since a day that the schema
 * names) or texts of a format, in a zone. What a number means cannot be seen from one of them: so
 * the unit is decided once a log, from its first lines (csv_unit.h), or by the schema. A time
 * that is not from 1990 to 2100 counts as not understood; field_clock_guess then says what the text
 * looks like.
 */
#pragma once

#include "common/base/bytes.h"
#include "civil.h"
#include "text_list.h"
#include "zone.h"

#define CLOCK_FIRST INT64_C(631152000)  /* 1990-01-01 */
#define CLOCK_END   INT64_C(4102444800) /* 2100-01-01 */
#define CLOCK_GUESS 128u                /* bytes of what a text looks like */

enum clock_unit { CLOCK_AUTO, CLOCK_S, CLOCK_MS, CLOCK_US, CLOCK_UNITS };

struct field_clock {
    enum clock_unit unit;       /* of numbers; CLOCK_AUTO: not decided */
    char format[LIST_TEXT_MAX]; /* "": numbers */
    char zone_name[LIST_TEXT_MAX], origin_text[LIST_TEXT_MAX]; /* "" not given */
    /* made of them by field_clock_finish */
    struct zone zone;
    bool relative; /* numbers count from the origin; a format lacks parts that it has */
    int64_t origin;
    struct civil base;
};

/* "s", "ms", "us"; "auto". ERR_CONFIG. */
enum status field_clock_unit_of(const char *name, enum clock_unit *out);
/* Checks what was given, finds the zone (see zone_find). ERR_CONFIG. */
enum status field_clock_finish(struct field_clock *c);

/* Seconds since 1970, fractions cut off; false: unreadable, or not from 1990 to 2100. */
bool field_clock_read(const struct field_clock *c, struct span cell, uint64_t *out,
                      enum zone_fit *fit);
/* What a text that field_clock_read refused looks like, and what to do: "looks like milliseconds: ...".
 * "" if nothing comes to mind. */
void field_clock_guess(const struct field_clock *c, struct span cell, char out[CLOCK_GUESS]);
/* The unit in which a number is from 1990 to 2100; CLOCK_AUTO if there is none. */
enum clock_unit field_clock_unit_guess(struct span cell);
/* The format by which a text of digits alone is a date from 1990 to 2100; NULL if there is none. */
const char *field_clock_digits_guess(struct span cell);

/* The settings in the schema's keys. ERR_MEMORY. */
enum status field_clock_describe(const struct field_clock *c, struct buf *out);
