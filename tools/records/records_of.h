/* records_of.h - the training records of a log with times, as a joiner would emit them.
 *
 * What becomes of one impression is a pure function, records_of. All records of a log are sorted in
 * memory, 32 bytes each.
 */
#pragma once

#include <stdbool.h>
#include "common/data/record.h"
#include "common/data/shard.h"
#include "common/job/streams.h"

struct records_rule {
    enum record_stream stream;
    uint64_t click_window; /* seconds from the impression until its click label is given out */
    uint64_t window;       /* from the click until its conversion label is */
    uint64_t attribution;  /* from the click: a conversion after it does not count; >= window */
    uint64_t slice;        /* > 0; slice k is the times (k slice, (k + 1) slice] */
};

/* One training record: of impression `impression`, in group `group`, of the source's shard. */
struct record {
    uint64_t time; /* when it is emitted */
    uint32_t shard, group, impression;
    uint32_t first; /* of its slice: see records_order */
    uint8_t labels, kind;
};

#define RECORDS_MAX 3u /* of an impression */
/* Writes time, labels and kind of each record of an impression with these times (click_time and
 * conversion_time 0: did not happen); gives their number, at least 1. In order of (time, kind). */
uint32_t records_of(const struct records_rule *rule, const struct moment *when,
                    struct record out[RECORDS_MAX]);
/* The slice that a record of this time is in. */
static inline uint64_t records_slice(const struct records_rule *rule, uint64_t time) {
    return (time - 1) / rule->slice;
}

/* All records of a log. */
struct records {
    struct record *records;
    size_t count, cap;
    uint64_t kinds[RECORD_KINDS]; /* how many of each */
    uint64_t clicks_late;         /* clicks after the click window: taken as none */
    uint64_t conversions_late;    /* conversions after the attribution window: taken as none */
};
/* Adds a shard's records. ERR_FORMAT if it has no times, or holds records. ERR_MEMORY, ERR_LIMIT.
 */
enum status records_add(struct records *r, const struct records_rule *rule, const struct shard *s,
                        uint32_t number);
/* Sorts by (time, shard, impression, kind). */
void records_sort(struct records *r);
/* Reorders the `count` records of one slice, sorted as above, so that records of one source group
 * stand together: groups by their first record, records of a group as they were. */
void records_order(struct record *slice, size_t count);
void records_fini(struct records *r); /* safe on a zeroed struct */
