/* record.h - the data of one impression besides its features: its labels, its times, and, for a
 * training record, the terms of the loss that it touches.
 *
 * Labels are a byte: bit 0 click, bit 1 conversion (never without click), bit 2 late, bits 3 to 6
 * behaviours after the click (never without click).
 *
 * An impression of a log occurs once, with its final labels. A live stream (`esmm records`,
 * docs/stream.md) consists of training records instead: an impression can occur in several records,
 * each with what was known at its time, and the kind says what the record adds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LABEL_CLICK      1u
#define LABEL_CONVERSION 2u
/* A correction: this conversion came after the observation window, and an earlier record of the
 * impression did not have it. Only together with the two other bits, in kinds LATE and FINAL. */
#define LABEL_LATE    4u
#define LABEL_OUTCOME (LABEL_CLICK | LABEL_CONVERSION | LABEL_LATE)
/* What a user did between click and conversion, such as adding to the cart. k runs from 1 to
 * BEHAVIOURS_MAX in the order of these steps. */
#define LABEL_BEHAVIOUR(k) (4u << (k))
#define LABEL_BEHAVIOURS   (8u | 16u | 32u | 64u)

enum record_kind {
    KIND_LOG,        /* an impression of a log, not a record: both terms of the loss */
    KIND_BOTH,       /* a record with the final labels: both terms */
    KIND_CLICK,      /* clicked, conversion not yet known: only the CTR term */
    KIND_CONVERSION, /* clicked, with what is known of the conversion by now: only the CTCVR term */
    KIND_LATE,       /* late conversion after KIND_CONVERSION: only the CTCVR term; LABEL_LATE */
    KIND_FINAL,      /* second record after KIND_CONVERSION, final label: only the CTCVR term */
    RECORD_KINDS
};
/* Whether a record of the kind touches the CTR term of the loss; the CTCVR term. */
static inline bool kind_has_ctr(uint8_t kind) {
    return kind <= KIND_CLICK;
}
static inline bool kind_has_ctcvr(uint8_t kind) {
    return kind != KIND_CLICK;
}
/* Do labels and kind go together? (What a reader and a writer of shards check.) */
bool record_good(uint8_t labels, uint8_t kind);
/* The number of a kind on disk, SHARD_KIND_..., and back. KIND_LOG has no number and becomes 0. Any
 * number that is not of a kind becomes KIND_LOG. */
uint8_t record_kind_to_disk(enum record_kind kind);
enum record_kind record_kind_from_disk(uint8_t number);

/* When things happened to an impression, in seconds since 1970. */
struct moment {
    uint64_t time;       /* of the impression; of a training record: when a joiner would emit it */
    uint64_t click_time; /* 0 without LABEL_CLICK */
    uint64_t conversion_time; /* 0 without LABEL_CONVERSION; at or after the click */
    enum record_kind kind;
};
#define SHARD_TIME_MAX ((UINT64_C(1) << 40) - 1) /* seconds; a time in milliseconds is larger */
static inline bool record_time_good(uint64_t time) {
    return time > 0 && time <= SHARD_TIME_MAX;
}
