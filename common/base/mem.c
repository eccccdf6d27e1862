#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN_BYTES ((size_t)64)
#define HUGE_BYTES  ((size_t)2 << 20)
#define ROOM_MIN    ((size_t)16) /* elements that mem_room allocates first */

static _Thread_local size_t fail_countdown; /* 0: off; 1: this and all later ones fail */

void mem_fail_after(size_t n) {
    fail_countdown = n;
}

static bool must_fail(void) {
    if (fail_countdown == 0) {
        return false;
    }
    if (fail_countdown > 1) {
        fail_countdown--;
        return false;
    }
    return true;
}

static enum status no_memory(size_t bytes) {
    return fail(ERR_MEMORY, "out of memory: %zu bytes wanted", bytes);
}

enum status mem_alloc(void **out, size_t bytes) {
    *out = NULL;
    if (bytes == 0) {
        return OK;
    }
    if (must_fail() || bytes > SIZE_MAX - ALIGN_BYTES) {
        return no_memory(bytes);
    }
    void *p = aligned_alloc(ALIGN_BYTES, (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES);
    if (p == NULL) {
        return no_memory(bytes);
    }
    memset(p, 0, bytes);
    *out = p;
    return OK;
}

enum status mem_array_of(void **out, size_t count, size_t size) {
    size_t bytes;
    *out = NULL;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return fail(ERR_MEMORY, "out of memory: %zu times %zu bytes wanted", count, size);
    }
    return mem_alloc(out, bytes);
}

enum status mem_resize(void **inout, size_t old_bytes, size_t new_bytes) {
    void *grown;
    TRY(mem_alloc(&grown, new_bytes));
    size_t keep = old_bytes < new_bytes ? old_bytes : new_bytes;
    if (keep > 0) {
        memcpy(grown, *inout, keep);
    }
    mem_free_at(inout);
    *inout = grown;
    return OK;
}

enum status mem_grow_of(void **inout, size_t old, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return fail(ERR_MEMORY, "out of memory: %zu times %zu bytes wanted", count, size);
    }
    return mem_resize(inout, old * size, bytes);
}

enum status mem_room_of(void **inout, size_t *cap, size_t need, size_t size) {
    if (need <= *cap) {
        return OK;
    }
    const size_t twice = *cap > SIZE_MAX / 2 ? SIZE_MAX : 2 * *cap;
    const size_t grown = need > twice ? (need < ROOM_MIN ? ROOM_MIN : need) : twice;
    TRY(mem_grow_of(inout, *cap, grown, size));
    *cap = grown;
    return OK;
}

void mem_free_at(void **inout) {
    free(*inout);
    *inout = NULL;
}

static size_t huge_round(size_t bytes) {
    return (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
}

/* Maps one huge page more than asked and unmaps both ends, so that the start is aligned. */
enum status mem_pages_alloc(void **out, size_t bytes) {
    *out = NULL;
    if (bytes == 0) {
        return OK;
    }
    size_t want = huge_round(bytes);
    if (must_fail() || want < bytes) {
        return no_memory(bytes);
    }
    char *p =
        mmap(NULL, want + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return no_memory(want);
    }
    size_t skip = (HUGE_BYTES - (uintptr_t)p % HUGE_BYTES) % HUGE_BYTES;
    if (skip > 0) {
        munmap(p, skip);
    }
    if (skip < HUGE_BYTES) {
        munmap(p + skip + want, HUGE_BYTES - skip);
    }
    madvise(p + skip, want, MADV_HUGEPAGE); /* only advice: everything works without huge pages */
    *out = p + skip;
    return OK;
}

void mem_pages_free(void **inout, size_t bytes) {
    if (*inout != NULL) {
        munmap(*inout, huge_round(bytes));
        *inout = NULL;
    }
}

/* Pages that the kernel does not take back (locked ones) must read as zero all the same. */
void mem_pages_release(void *at, size_t bytes) {
    if (madvise(at, bytes, MADV_DONTNEED) != 0) {
        memset(at, 0, bytes);
    }
}

enum status mem_strdup(char **out, const char *text) {
    size_t n = strlen(text) + 1;
    TRY(mem_alloc((void **)out, n));
    memcpy(*out, text, n);
    return OK;
}
