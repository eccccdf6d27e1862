/* zone.h - a time zone as a table of offsets from UTC and the times from which they hold.
 *
 * The C library knows zones by name, but only one at a time, as the zone of the whole process, and
 * worker threads must not change that. So a name is looked up once, before worker threads start: a
 * loop over the days from 1989 to 2101 notes every change of the offset.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "common/base/status.h"

#define ZONE_CHANGES_MAX 512u

struct zone {
    uint32_t count;                 /* 0 is UTC */
    int64_t from[ZONE_CHANGES_MAX]; /* ascending, seconds since 1970; offset[0] also holds before */
    int32_t offset[ZONE_CHANGES_MAX]; /* seconds; east is positive */
};

/* How a local time fits into the zone. */
enum zone_fit {
    ZONE_ONCE,
    ZONE_NEVER, /* skipped: clocks were put forward; the offset before is used */
    ZONE_TWICE  /* clocks were put back; the first of the two times is used */
};

/* Finds the zone of a name: UTC, Z, +HH:MM, -HHMM, or a name of the time zone database such as
 * Europe/Berlin. Sets the process's TZ for a while: no other thread may use it. ERR_CONFIG. */
enum status zone_find(struct zone *z, const char *name);
/* Seconds since 1970 of a local time; `wall` is that time as if it were UTC. */
int64_t zone_utc(const struct zone *z, int64_t wall, enum zone_fit *fit);
/* Reads +HH:MM, +HHMM, +HH or Z at *at and moves *at behind it; `end` is where the text ends. */
bool zone_offset(const char **at, const char *end, int32_t *out);
