/* push_record.h - the bytes of a push log (docs/format-push-log.md): the head of a segment, and the
 * records that follow it.
 *
 * A record says all that a push needs to be applied again to the same rows with the same result:
 * its batch's name and fence, its ids, its gradients as they came, and what memory decided
 * (struct push_choice). A record FENCES has leases that a partition has seen without applying a
 * push under them. Everything else follows from the rows themselves: ages are counted in pushes,
 * rounding at random goes by a row's step.
 *
 * A record is written as three pieces after its head, so that the frames of a request need not be
 * copied. Decoders take (bytes, length) and believe nothing.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/job/precision.h"
#include "common/net/link_messages.h"
#include "partition.h"

#define PUSH_LOG_HEAD_BYTES    256u
#define PUSH_RECORD_HEAD_BYTES 40u
#define PUSH_LOG_BOOT_BYTES    40u
#define PUSH_LOG_END_AT        240u
#define PUSH_LOG_END_BYTES     16u
#define PUSH_LOG_VERSION       1u

/* What a segment belongs to. */
struct push_log_head {
    uint64_t job; /* random number of the job's life */
    uint64_t
        base; /* what its first record follows on: the id of a cut, or the state at the start */
    uint64_t first; /* number of its first record; records of all segments are counted through */
    uint32_t segment;
    uint32_t partition, partitions;
    char boot[PUSH_LOG_BOOT_BYTES];   /* start of the machine: what was not synced died with it */
    char endpoint[WIRE_ENDPOINT_MAX]; /* where the partition is bound */
    uint64_t salt; /* checksum of all above: a record holds in its own file only */
    uint64_t end;  /* where the last record that is there ends; what follows counts for nothing */
};
/* Fills out[PUSH_LOG_HEAD_BYTES] and h->salt. */
void push_log_head_encode(struct push_log_head *h, uint8_t *out);
/* The bytes of `end` alone, which change with each record: they lie at PUSH_LOG_END_AT. */
void push_log_end_encode(uint64_t salt, uint64_t end, uint8_t out[PUSH_LOG_END_BYTES]);
/* ERR_AGAIN: fewer bytes than a head has. ERR_CORRUPT: damage, or another version. */
enum status push_log_head_decode(struct push_log_head *h, const void *data, size_t bytes);

enum push_record_kind { PUSH_RECORD_PUSH = 1, PUSH_RECORD_FENCES = 2 };
struct push_fence {
    uint32_t shard;
    uint64_t fence;
};
struct push_record {
    enum push_record_kind kind;
    uint64_t number;
    /* PUSH */
    struct batch_name name;
    uint64_t fence;
    uint32_t shard_batches; /* of a stream's shard; 0: the plan is fixed */
    uint64_t version;       /* of the partition, after the push */
    uint32_t fields;
    uint32_t counts[FIELDS_MAX];
    const void *keys; /* packed (wire_keys.h) */
    size_t keys_bytes;
    enum value_type values;
    const void *data; /* packed (wire_values.h) */
    size_t data_bytes;
    struct push_choice *choices; /* [choice_count] */
    size_t choice_count;
    /* FENCES */
    struct push_fence *fences; /* [fence_count] */
    size_t fence_count;
    /* of the decoder, which keeps the arrays from one record to the next */
    struct push_choice *choice_room;
    struct push_fence *fence_room;
    size_t choice_cap, fence_cap;
};
void push_record_fini(struct push_record *r); /* after decoding */

/* Appends the head and the first piece; keys and data are the other two, and are not copied. Fails
 * with ERR_MEMORY, and ERR_LIMIT for a piece of 4 GiB or more. */
enum status push_record_encode(const struct push_record *r, uint64_t salt, struct buf *out);
/* Reads the record that begins at data, of which `bytes` bytes are there. OK: *used is its length;
 * keys and data point into the bytes. ERR_AGAIN (no fail text): the bytes end before the record
 * does; *used is how many are needed, as far as is known. ERR_CORRUPT: the text says what is wrong;
 * the caller adds file and offset. */
enum status push_record_decode(struct push_record *r, uint64_t salt, const void *data, size_t bytes,
                               size_t *used);
