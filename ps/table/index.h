/* index.h - maps the hash of a key to the handle of its row: open addressing, linear probing.
 *
 * An entry is one u64: {u32 tag, u32 handle + 1}; 0 is empty. The tag is the low half of the key's
 * hash (the top bits of the hash choose the bucket). It has two uses: its low bits are the home of
 * the entry, and the other bits rule out most other keys without reading their rows. Because the
 * home follows from the entry alone, growing and deleting never read a row. Equal tags do not prove
 * equal ids: the caller compares the ids.
 *
 * The index doubles when it is three quarters full: it takes 10.7 to 21.3 bytes per row. Doubling
 * moves all entries at once (docs/rows.md gives the pause). Deleting shifts the following entries
 * back, so there are no tombstones and look-ups never become slower.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

struct index {
    uint64_t *entries; /* NULL until the first reserve */
    uint64_t mask;     /* entries - 1 */
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

void index_fini(struct index *x);
/* Makes room for one more entry. ERR_MEMORY: unchanged. */
enum status index_reserve(struct index *x);
/* Needs index_reserve before. */
void index_put(struct index *x, uint32_t tag, uint32_t handle);
/* The pair must be present. */
void index_delete(struct index *x, uint32_t tag, uint32_t handle);
size_t index_bytes(const struct index *x);
/* Bytes by which the next index_reserve would grow the index. */
size_t index_grow_bytes(const struct index *x);
