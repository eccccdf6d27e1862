/* records_of.h - the training records of a log with times, as a joiner would emit them.
 *
 * The records of one impression come from a pure function, records_of. All records of a log are
 * sorted in memory, 32 bytes each.
 */
#pragma once

#include <stdbool.h>
#include "common/data/record.h"
#include "common/data/shard.h"
#include "common/job/streams.h"

struct records_rule {
    enum record_stream stream;
    uint64_t click_window; /* seconds from the impression to the release of its click label */
    uint64_t window;       /* from the click to the release of its conversion label */
    uint64_t attribution;  /* from the click: a later conversion does not count; >= window */
    uint64_t slice;        /* > 0; slice k has the times (k slice, (k + 1) slice] */
};

/* One training record: of the impression `impression` in the group `group` of the source's
 * shard. */
struct record {
    uint64_t time; /* when it is emitted */
    uint32_t shard, group, impression;
    uint32_t first; /* place in its slice: see records_order */
    uint8_t labels, kind;
};

#define RECORDS_MAX 3u /* per impression */
/* Writes time, labels and kind of each record of an impression with these times (click_time or
 * conversion_time is 0 if it did not happen). Gives the number of records, at least 1. They are in
 * the order of (time, kind). */
uint32_t records_of(const struct records_rule *rule, const struct moment *when,
                    struct record out[RECORDS_MAX]);
/* Gives the slice of a record with this time. */
static inline uint64_t records_slice(const struct records_rule *rule, uint64_t time) {
    return (time - 1) / rule->slice;
}

/* All records of a log. */
struct records {
    struct record *records;
    size_t count, cap;
    uint64_t kinds[RECORD_KINDS]; /* how many of each */
    uint64_t clicks_late;         /* clicks after the click window: they count as no click */
    uint64_t conversions_late;    /* conversions after the attribution window: they count as none */
};
/* Adds a shard's records. ERR_FORMAT if it has no times, or already holds records. ERR_MEMORY,
 * ERR_LIMIT. */
enum status records_add(struct records *r, const struct records_rule *rule, const struct shard *s,
                        uint32_t number);
/* Sorts by (time, shard, impression, kind). */
void records_sort(struct records *r);
/* Reorders the `count` records of one slice, which are sorted as above, so that records of one
 * source group are adjacent. Groups are in the order of their first record; records of a group keep
 * their order. */
void records_order(struct record *slice, size_t count);
void records_fini(struct records *r); /* safe on a zeroed struct */
