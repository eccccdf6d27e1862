/* shard_decoder.h - reads the file of a shard block by block. shard.c uses it to read the columns,
 * shard_info.c to peek. Nothing in the file is trusted: the counts of META are checked against
 * limits before memory is allocated for them. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/container.h"
#include "common/job/schema.h"

/* A column as META describes it. */
struct shape {
    char name[FIELD_NAME_MAX];
    enum side side;
    uint8_t flags;
    uint32_t values;
};

/* Starts zeroed, with `file` opened. */
struct decoder {
    struct container_reader file;
    struct buf block; /* bytes of the block that was read last */
    size_t next;      /* index of the next block */
    uint32_t impressions, groups;
    uint32_t has; /* SHARD_HAS_... */
    struct shape shape[FIELDS_MAX];
    uint32_t shapes;
};

/* Reads META, the first block: the counts, what the shard has, and the shapes of its columns.
 * ERR_CORRUPT, also if the counts are not possible. */
enum status decoder_meta(struct decoder *d);
/* Reads the next block into d->block; it must have this type and tag. */
enum status decoder_take(struct decoder *d, uint16_t type, uint64_t tag);
/* Like decoder_take, but the block must also hold exactly `bytes`. The index is checked for this
 * before the block is read. */
enum status decoder_take_of(struct decoder *d, uint16_t type, uint64_t tag, size_t bytes);
/* Reads the weights of the impressions into a new array that the caller frees. If the shard has no
 * weights, *weight is not changed. */
enum status decoder_weights(struct decoder *d, float **weight);
/* Returns ERR_CORRUPT; the message has the offset of the block that was read last. */
enum status decoder_corrupt(const struct decoder *d, const char *what);
/* Closes the file and frees the decoder, which is on the heap. */
void decoder_destroy(struct decoder **d);

/* Reads a varint. Most take one byte. */
static inline uint64_t cursor_short(struct cursor *c) {
    if (c->at < c->end && *c->at < 0x80) {
        return *c->at++;
    }
    return cursor_varint(c);
}

/* Whether all bytes were read, and none beyond the end. */
static inline bool cursor_spent(const struct cursor *c) {
    return !c->bad && cursor_left(c) == 0;
}
