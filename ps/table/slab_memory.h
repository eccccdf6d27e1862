/* slab_memory.h - zeroed memory for slabs and indexes: below 2 MB it comes from the heap, from 2 MB
 * on from huge pages. It must be freed with the size it was allocated with. */
#pragma once

#include <stddef.h>
#include "common/base/mem.h"

#define SLAB_PAGE_BYTES ((size_t)2 << 20)

/* out: a pointer to a typed pointer. 64-byte aligned and zeroed; ERR_MEMORY. */
#define slab_memory_alloc(out, bytes) slab_memory_take((void **)(out), (bytes))
/* Sets the pointer to NULL; the pointer may be NULL before. */
#define slab_memory_free(inout, bytes) slab_memory_give((void **)(inout), (bytes))

static inline enum status slab_memory_take(void **out, size_t bytes) {
    return bytes < SLAB_PAGE_BYTES ? mem_alloc(out, bytes) : mem_pages_alloc(out, bytes);
}
static inline void slab_memory_give(void **inout, size_t bytes) {
    if (bytes < SLAB_PAGE_BYTES) {
        mem_free_at(inout);
    } else if (*inout != NULL) {
        mem_pages_free(inout, bytes);
    }
}
/* Gives whole pages of 2 MB back to the system; they read as zero from then on. */
static inline void slab_memory_release(void *at, size_t bytes) {
    mem_pages_release(at, bytes);
}
