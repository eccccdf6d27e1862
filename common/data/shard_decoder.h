/* shard_decoder.h - a shard's file while it is read, block after block; for shard.c, which takes
 * the columns, and shard_info.c, which peeks. Nothing of the file is trusted: META's counts are
 * bounded before anything is allocated from them. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/container.h"
#include "common/job/schema.h"

/* A column as META tells of it. */
struct shape {
    char name[FIELD_NAME_MAX];
    enum side side;
    uint8_t flags;
    uint32_t values;
};

/* Starts zeroed, with `file` opened. */
struct decoder {
    struct container_reader file;
    struct buf block; /* the bytes of the block that was taken last */
    size_t next;      /* block */
    uint32_t impressions, groups;
    uint32_t has; /* SHARD_HAS_... */
    struct shape shape[FIELDS_MAX];
    uint32_t shapes;
};

/* Takes META, which is the first block: counts, what the shard has, the shapes of its columns.
 * ERR_CORRUPT, also where the counts cannot be true. */
enum status decoder_meta(struct decoder *d);
/* The next block, which must be of this type and tag, into d->block. */
enum status decoder_take(struct decoder *d, uint16_t type, uint64_t tag);
/* The same, and it must hold exactly `bytes`. The index is checked for that before it is read. */
enum status decoder_take_of(struct decoder *d, uint16_t type, uint64_t tag, size_t bytes);
/* The weights of impressions, if the shard has them, in an array that the caller frees; else
 * *weight stays as it is. */
enum status decoder_weights(struct decoder *d, float **weight);
/* ERR_CORRUPT, with the offset of the block that was taken last. */
enum status decoder_corrupt(const struct decoder *d, const char *what);
/* Closes the file and frees the decoder, which is on the heap. */
void decoder_destroy(struct decoder **d);

/* A varint; most take one byte. */
static inline uint64_t cursor_short(struct cursor *c) {
    if (c->at < c->end && *c->at < 0x80) {
        return *c->at++;
    }
    return cursor_varint(c);
}

/* Was everything read, and nothing beyond? */
static inline bool cursor_spent(const struct cursor *c) {
    return !c->bad && cursor_left(c) == 0;
}
