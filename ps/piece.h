/* piece.h - zeroed memory for slabs and indexes: small pieces from the heap, pieces of 2 MB and
 * more on huge pages. A piece is freed with the size it was taken with. */
#ifndef PS_PIECE_H
#define PS_PIECE_H

#include <stddef.h>
#include "common/base/mem.h"

#define PIECE_PAGE_BYTES ((size_t)2 << 20)

/* 64-byte aligned and zeroed; ERR_MEMORY. */
static inline enum status piece_alloc(void **out, size_t bytes) {
    return bytes < PIECE_PAGE_BYTES ? mem_alloc(out, bytes) : mem_pages_alloc(out, bytes);
}
static inline void piece_free(void **inout, size_t bytes) {
    if (bytes < PIECE_PAGE_BYTES) {
        mem_free_at(inout);
    } else if (*inout != NULL) {
        mem_pages_free(inout, bytes);
    }
}

#endif
