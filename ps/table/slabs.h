/* slabs.h - the memory of a table's rows: slots of one size, numbered from 0.
 *
 * Slots are numbered in order of creation; freed slots are taken again first, of the lowest slab
 * that has some. A free slot has step 0 (row.h). Slots lie in slabs of huge pages. The first slab
 * is copied when it grows, so rows are reached by number; a pointer to a slot is valid only until
 * the next slabs_reserve or slabs_drop.
 *
 * When more than a quarter of the slots is free, memory can come back: the caller empties the last
 * slot, whose row it moves to slabs_take's slot, and drops it, one slot after the other, until few
 * free slots are left. Pages and slabs above the last slot go back to the system. All of this
 * follows from the sequence of calls. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

struct slab {
    uint8_t *rows;
    uint32_t free_head; /* HANDLE_NONE: no free slot in this slab */
};

struct slabs {
    uint32_t row_bytes;
    uint32_t shift;      /* a slab holds 1 << shift rows */
    uint32_t slots;      /* slots in use: live and free */
    uint32_t ready;      /* committed: slots below it cost no further memory */
    uint32_t first_rows; /* rows of slab 0 */
    uint32_t free;       /* free slots */
    uint32_t lowest;     /* no slab below it has a free slot */
    bool shrinks;        /* slabs_shrinks has begun and not ended */
    uint64_t bytes_used; /* committed bytes of all slabs */
    struct slab *list;
    uint32_t count, cap; /* of list */
};

static inline uint8_t *slabs_at(const struct slabs *s, uint32_t slot) {
    const uint32_t place = slot & ((1u << s->shift) - 1);
    return s->list[slot >> s->shift].rows + (size_t)place * s->row_bytes;
}

void slabs_init(struct slabs *s, uint32_t row_bytes);
void slabs_fini(struct slabs *s);
/* Makes room for one more row. ERR_MEMORY: unchanged. */
enum status slabs_reserve(struct slabs *s);
/* A slot, whose bytes are undefined; needs slabs_reserve before, unless a slot is free. */
uint32_t slabs_take(struct slabs *s);
/* The slot that slabs_take would give; there must be a free one. */
uint32_t slabs_next_free(struct slabs *s);
/* Frees a slot: sets its step to 0. */
void slabs_give(struct slabs *s, uint32_t slot);
/* Whether slots are to be dropped now. */
bool slabs_shrinks(struct slabs *s);
/* Drops the last slot, which must be free, and gives back the page or slab behind it. */
void slabs_drop(struct slabs *s);
/* Bytes by which the next slabs_reserve would raise slabs_bytes. */
uint64_t slabs_grow_bytes(const struct slabs *s);
uint64_t slabs_bytes(const struct slabs *s); /* committed, and the list of slabs */
