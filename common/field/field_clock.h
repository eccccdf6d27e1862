/* field_clock.h - how a log writes times, and how a cell becomes seconds since 1970.
 *
 * The times of a log are numbers or texts. A number counts seconds, milliseconds or microseconds
 * since 1970, or since a day that the schema names. A text has a format and a zone. One number
 * alone does not show its unit. So the unit is decided once per log, from its first lines
 * (csv_unit.h) or by the schema. A time that is not between 1990 and 2100 counts as not understood;
 * field_clock_guess then says what the text looks like.
 */
#pragma once

#include "common/base/bytes.h"
#include "civil.h"
#include "text_list.h"
#include "zone.h"

#define CLOCK_FIRST INT64_C(631152000)  /* 1990-01-01 */
#define CLOCK_END   INT64_C(4102444800) /* 2100-01-01 */
#define CLOCK_GUESS 128u                /* room for the text of field_clock_guess */

enum clock_unit { CLOCK_AUTO, CLOCK_S, CLOCK_MS, CLOCK_US, CLOCK_UNITS };

struct field_clock {
    enum clock_unit unit;       /* of numbers; CLOCK_AUTO: not decided */
    char format[LIST_TEXT_MAX]; /* "": numbers */
    char zone_name[LIST_TEXT_MAX], origin_text[LIST_TEXT_MAX]; /* "" not given */
    /* field_clock_finish computes the rest from the fields above */
    struct zone zone;
    bool relative; /* numbers count from the origin; a format lacks parts that it has */
    int64_t origin;
    struct civil base;
};

/* Reads "s", "ms", "us" or "auto". ERR_CONFIG for any other name. */
enum status field_clock_unit_of(const char *name, enum clock_unit *out);
/* Checks the settings and finds the zone (see zone_find). ERR_CONFIG. */
enum status field_clock_finish(struct field_clock *c);

/* Reads a cell as seconds since 1970, without the fraction. Returns false if it cannot be read, or
 * is not between 1990 and 2100. */
bool field_clock_read(const struct field_clock *c, struct span cell, uint64_t *out,
                      enum zone_fit *fit);
/* Says what a text that field_clock_read refused looks like, and what to do: "looks like
 * milliseconds: ...". The answer is "" if there is no guess. */
void field_clock_guess(const struct field_clock *c, struct span cell, char out[CLOCK_GUESS]);
/* The unit in which the number lies between 1990 and 2100; CLOCK_AUTO if there is none. */
enum clock_unit field_clock_unit_guess(struct span cell);
/* The format in which a text of digits only is a date between 1990 and 2100; NULL if there is none.
 */
const char *field_clock_digits_guess(struct span cell);

/* Appends the settings, written as the schema's keys. ERR_MEMORY. */
enum status field_clock_describe(const struct field_clock *c, struct buf *out);
