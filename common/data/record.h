/* record.h - what is noted of one impression besides its features: its labels, when things happened
 * to it, and, of a training record, which terms of the loss it touches.
 *
 * Labels are a byte: bit 0 click, bit 1 conversion (never without click), bit 2 late, bits 3 to 6
 * behaviours after the click (never without click).
 *
 * A log's impression occurs once, with all that became of it. A live stream (`esmm records`,
 * docs/stream.md) is made of training records instead: an impression then occurs in several
 * records, each with what was known at its time, and the kind says what a record adds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LABEL_CLICK      1u
#define LABEL_CONVERSION 2u
/* A correction: this conversion came after the observation window, and another record of the
 * impression was emitted without it. Only together with the two others, in kinds LATE and FINAL. */
#define LABEL_LATE    4u
#define LABEL_OUTCOME (LABEL_CLICK | LABEL_CONVERSION | LABEL_LATE)
/* What a user did after the click on the way to a conversion, such as the cart; k from 1 to
 * BEHAVIOURS_MAX in the order of that way. */
#define LABEL_BEHAVIOUR(k) (4u << (k))
#define LABEL_BEHAVIOURS   (8u | 16u | 32u | 64u)

enum record_kind {
    KIND_LOG,        /* an impression of a log, not a record: both terms of the loss */
    KIND_BOTH,       /* all that will be known: both terms */
    KIND_CLICK,      /* clicked, conversion not yet known: the CTR term alone */
    KIND_CONVERSION, /* clicked, with the conversion observed by now: the CTCVR term alone */
    KIND_LATE,       /* the late conversion of such a one, CTCVR term alone; LABEL_LATE */
    KIND_FINAL,      /* the second record of such a one, at its final label: CTCVR term alone */
    RECORD_KINDS
};
/* Which terms of the loss a record of that kind touches: the click's, the conversion's. */
static inline bool kind_has_ctr(uint8_t kind) {
    return kind <= KIND_CLICK;
}
static inline bool kind_has_ctcvr(uint8_t kind) {
    return kind != KIND_CLICK;
}
/* Do labels and kind go together? (What a reader and a writer of shards check.) */
bool record_good(uint8_t labels, uint8_t kind);
/* The number of a kind on disk, SHARD_KIND_..., and back. KIND_LOG has none: 0, and what is no
 * number of a kind is KIND_LOG. */
uint8_t record_kind_to_disk(enum record_kind kind);
enum record_kind record_kind_from_disk(uint8_t number);

/* When things happened to an impression, in seconds since 1970. */
struct moment {
    uint64_t time;       /* of the impression; of a training record: when a joiner would emit it */
    uint64_t click_time; /* 0 without LABEL_CLICK */
    uint64_t conversion_time; /* 0 without LABEL_CONVERSION; at or after the click */
    enum record_kind kind;
};
#define SHARD_TIME_MAX ((UINT64_C(1) << 40) - 1) /* s; milliseconds are beyond */
static inline bool record_time_good(uint64_t time) {
    return time > 0 && time <= SHARD_TIME_MAX;
}
