/* mem.h - memory: aligned, zeroed, huge pages, and a way to make it fail in tests.
 *
 * Every allocation of the program goes through here. Results are 64-byte aligned, so that two
 * buffers never differ by a few bytes modulo 4096 (a slow path of glibc's memcpy) and rows never
 * straddle more lines than they must. All functions are thread-safe.
 */
#ifndef COMMON_BASE_MEM_H
#define COMMON_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include "status.h"

/* *out = `bytes` bytes, 64-byte aligned, zeroed; bytes 0 gives NULL and OK. ERR_MEMORY. */
enum status mem_alloc(void **out, size_t bytes);
/* The same for count * size, refusing overflow with ERR_MEMORY. */
enum status mem_array(void **out, size_t count, size_t size);
/* Grows *inout (NULL allowed) from old_bytes to new_bytes, new tail zeroed; on failure *inout is
 * untouched and still owned by the caller. */
enum status mem_grow(void **inout, size_t old_bytes, size_t new_bytes);
/* Frees what the functions above gave; NULL allowed; sets the pointer to NULL. */
void mem_free_at(void **inout);
#define mem_free(p) mem_free_at((void **)(p)) /* mem_free(&x->rows) */

/* Zeroed pages for slabs: rounded up to 2 MB, aligned to 2 MB, advised huge; bytes 0 gives NULL and
 * OK. ERR_MEMORY. Freed only by mem_pages_free with the same `bytes`. Pages are not touched: the
 * caller pre-faults. */
enum status mem_pages_alloc(void **out, size_t bytes);
void mem_pages_free(void **inout, size_t bytes);

/* Copies a string; ERR_MEMORY. Freed with mem_free. */
enum status mem_strdup(char **out, const char *text);

/* Test seam: the n-th allocation from now (1 = next) of this thread fails with ERR_MEMORY, and so
 * do all later ones until called with 0. */
void mem_fail_after(size_t n);

#endif
