/* index.h - maps the hash of a key to the handle of its row: open addressing, linear probing.
 *
 * An entry is one u64: {u32 tag, u32 handle + 1}; 0 is empty. The tag is the low half of the key's
 * hash (the top bits of the hash choose the bucket). Its place in the range of all tags gives the
 * home of the entry, tag * size / 2^32, and its 32 bits rule out nearly all other keys without
 * reading their rows. Because the home follows from the entry alone, growing and deleting never
 * read a row. Equal tags do not prove equal ids: the caller compares the ids.
 *
 * The index grows by half when it is three quarters full, and shrinks to three fifths full when it
 * is two fifths full, without a pause. For a while there are two arrays, the one in use and the
 * next one. Every fourth index_reserve moves the entries of some homes, in ascending order. Homes
 * grow with tags, so one number, `moved`, says which array a tag is in. Pages of the old array go
 * back to the system as soon as they are moved, and the pages of the next one come one by one:
 * together they are hardly larger than the larger array. Deleting shifts the following entries
 * back, so there are no tombstones and look-ups never become slower.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

struct index_side {
    uint64_t *entries; /* [size]; NULL: none */
    uint64_t size;     /* any number up to 2^32 */
};

struct index {
    struct index_side side[2]; /* [0] in use; [1] the next one, or none */
    uint64_t moved;            /* tags below it are in side[1] */
    uint64_t cursor;           /* the homes of side[0] below it are moved */
    uint64_t released;         /* pages of side[0] below it are given back, but for page 0 */
    uint64_t used;
};

static inline uint32_t index_tag(uint64_t key_hash) {
    return (uint32_t)key_hash;
}
static inline uint32_t entry_tag(uint64_t entry) {
    return (uint32_t)(entry >> 32);
}
static inline uint32_t entry_handle(uint64_t entry) {
    return (uint32_t)entry - 1;
}

/* The array that has all entries of the tag. */
static inline const struct index_side *index_side(const struct index *x, uint32_t tag) {
    return &x->side[tag < x->moved];
}
static inline uint64_t side_home(const struct index_side *s, uint32_t tag) {
    return (uint64_t)tag * s->size >> 32;
}
static inline uint64_t side_next(const struct index_side *s, uint64_t at) {
    return at + 1 == s->size ? 0 : at + 1;
}

void index_fini(struct index *x);
/* Makes room for one more entry; if the index is growing or shrinking, moves a few entries.
 * ERR_MEMORY: no entry is lost. */
enum status index_reserve(struct index *x);
/* Needs index_reserve before. */
void index_put(struct index *x, uint32_t tag, uint32_t handle);
/* The pair must be present. */
void index_delete(struct index *x, uint32_t tag, uint32_t handle);
/* Replaces the handle of a pair that is present. */
void index_replace(struct index *x, uint32_t tag, uint32_t handle, uint32_t by);
/* Housekeeping: begins to shrink if there is much room, and moves the entries of `homes` homes if
 * the index grows or shrinks. True: there is more to do. */
bool index_tidy(struct index *x, uint64_t homes);
/* Bytes of the larger array. While entries move, up to three pages of 2 MB more are in use. */
size_t index_bytes(const struct index *x);
/* Bytes by which the next index_reserve would raise index_bytes. */
size_t index_grow_bytes(const struct index *x);
