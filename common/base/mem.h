/* mem.h - memory: aligned, zeroed, huge pages, and a way to make it fail in tests.
 *
 * Every allocation of the program goes through here. Results are 64-byte aligned, so that two
 * buffers never differ by a few bytes modulo 4096 (a slow path of glibc's memcpy) and rows never
 * straddle more lines than they must. All functions are thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "status.h"

/* Typed allocation. The first argument is the address of a typed pointer, which gives the element
 * size:
 *   mem_new(&x)               *x, one
 *   mem_array(&x, count)      x[count]
 *   mem_grow(&x, old, count)  from x[old] to x[count]; on failure x is untouched
 *   mem_room(&x, &cap, need)  grows x[*cap] geometrically, so that it holds x[need]
 * New elements are zeroed. A count whose bytes overflow gives ERR_MEMORY, as lack of memory does.
 */
#define mem_new(out)              mem_alloc((void **)(out), sizeof **(out))
#define mem_array(out, count)     mem_array_of((void **)(out), (count), sizeof **(out))
#define mem_grow(out, old, count) mem_grow_of((void **)(out), (old), (count), sizeof **(out))
#define mem_room(out, cap, need)  mem_room_in((void **)(out), (cap), (need), sizeof **(out))

/* *out = `bytes` bytes, 64-byte aligned, zeroed; bytes 0 gives NULL and OK. ERR_MEMORY. */
enum status mem_alloc(void **out, size_t bytes);
/* The functions under the typed macros, for callers without a type: count elements of `size` bytes.
 */
enum status mem_array_of(void **out, size_t count, size_t size);
enum status mem_grow_of(void **inout, size_t old, size_t count, size_t size);
enum status mem_room_of(void **inout, size_t *cap, size_t need, size_t size);
static inline enum status mem_room_in(void **inout, size_t *cap, size_t need, size_t size) {
    return need <= *cap ? OK : mem_room_of(inout, cap, need, size); /* nearly always true */
}
/* Grows *inout (NULL allowed) from old_bytes to new_bytes and zeroes the new tail. On failure
 * *inout is unchanged and the caller still owns it. */
enum status mem_resize(void **inout, size_t old_bytes, size_t new_bytes);
/* Frees memory from the functions above and sets the pointer to NULL; NULL is allowed. */
void mem_free_at(void **inout);
#define mem_free(p) mem_free_at((void **)(p)) /* mem_free(&x->rows) */

/* Allocates zeroed pages for slabs: rounded up to 2 MB, aligned to 2 MB, with the advice to use
 * huge pages; bytes 0 gives NULL and OK. ERR_MEMORY. Free them only with mem_pages_free and the
 * same `bytes`. The pages are not touched: the caller pre-faults them. */
enum status mem_pages_alloc(void **out, size_t bytes);
void mem_pages_free(void **inout, size_t bytes);
/* Gives the memory of some of these pages back; they stay usable and read as zero from then on. */
void mem_pages_release(void *at, size_t bytes);

/* Copies a string; ERR_MEMORY. Freed with mem_free. */
enum status mem_strdup(char **out, const char *text);

/* Test seam: the n-th allocation from now (1 = next) of this thread fails with ERR_MEMORY, and so
 * do all later ones until called with 0. */
void mem_fail_after(size_t n);
