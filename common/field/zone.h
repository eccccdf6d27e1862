/* zone.h - a time zone as a table: from when on which offset from UTC holds.
 *
 * The C library knows zones by name, but only one at a time and as the process's own, which worker
 * threads must not touch. So a name is looked up once, before there are any: the days from 1989 to
 * 2101 are walked, and every change of the offset is noted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "common/base/status.h"

#define ZONE_CHANGES_MAX 512u

struct zone {
    uint32_t count;                 /* 0 is UTC */
    int64_t from[ZONE_CHANGES_MAX]; /* ascending, seconds since 1970; the first holds before, too */
    int32_t offset[ZONE_CHANGES_MAX]; /* seconds; east is positive */
};

/* How a time on the wall fits into the zone. */
enum zone_fit {
    ZONE_ONCE,
    ZONE_NEVER, /* skipped when clocks were put forward: taken by the clock before */
    ZONE_TWICE  /* clocks were put back: taken as the first of the two */
};

/* UTC, Z, +HH:MM, -HHMM, or a name of the time zone database such as Europe/Berlin. Sets the
 * process's TZ for a while: no other thread may use it. ERR_CONFIG. */
enum status zone_find(struct zone *z, const char *name);
/* Seconds since 1970 of a time on the wall, given as if it were UTC. */
int64_t zone_utc(const struct zone *z, int64_t wall, enum zone_fit *fit);
/* +HH:MM, +HHMM, +HH or Z at *at, which then stands behind it; `end` is where the text ends. */
bool zone_offset(const char **at, const char *end, int32_t *out);
