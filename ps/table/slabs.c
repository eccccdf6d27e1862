/* slabs.c - see slabs.h.
 *
 * All slabs but the first hold a power of two of rows, so a shift splits a slot into slab and
 * place. A slab takes at least 8 MB of address space on huge pages; its size is chosen so that the
 * last page is nearly full too. Memory is committed, and counted, in steps of 2 MB as slots come
 * into use. The first slab starts small: it is copied into one twice as large, and, where that
 * would exceed 2 MB, into a whole slab, because there may be hundreds of tables, most of them tiny.
 *
 * A free slot has step 0. The free slots of a slab are a list, linked through `last` to the next
 * and through `id` to the one before, so that any one can leave it.
 *
 * Shrinking begins when more than 1 / SHRINK_PART of the slots, and SHRINK_BYTES, are free, and
 * ends when less than 1 / SHRUNK_PART is. The free slots that are left keep growing and shrinking
 * from following each other closely.
 */
#include "slabs.h"

#include <assert.h>
#include <string.h>
#include "row.h"
#include "slab_memory.h"

#define SLAB_BYTES_MIN   ((size_t)8 << 20)
#define SLAB_WASTE_PART  100u /* at most 1 / SLAB_WASTE_PART of a slab is lost to page ends */
#define FIRST_ROWS_BYTES ((size_t)4 << 10)
#define SLOTS_MAX        (HANDLE_NONE - 1)
#define SHRINK_PART      4u
#define SHRUNK_PART      16u
#define SHRINK_BYTES     (2 * SLAB_PAGE_BYTES)

static uint32_t slab_rows(const struct slabs *s) {
    return 1u << s->shift;
}

static size_t slab_bytes(const struct slabs *s) {
    return (size_t)slab_rows(s) * s->row_bytes;
}

/* The bytes left unused by rounding up to whole huge pages. They are 0 at 2^19 rows at the latest,
 * because row_bytes is a multiple of 4. */
static size_t slab_waste(const struct slabs *s) {
    return (SLAB_PAGE_BYTES - slab_bytes(s) % SLAB_PAGE_BYTES) % SLAB_PAGE_BYTES;
}

void slabs_init(struct slabs *s, uint32_t row_bytes) {
    *s = (struct slabs){.row_bytes = row_bytes};
    while (slab_bytes(s) < SLAB_BYTES_MIN || slab_waste(s) > slab_bytes(s) / SLAB_WASTE_PART) {
        s->shift++;
    }
}

void slabs_fini(struct slabs *s) {
    for (uint32_t i = 0; i < s->count; i++) {
        const size_t rows = i == 0 ? s->first_rows : slab_rows(s);
        slab_memory_free(&s->list[i].rows, rows * s->row_bytes);
    }
    mem_free(&s->list);
}

static uint32_t first_rows_next(const struct slabs *s) {
    if (s->first_rows != 0) {
        const size_t twice = (size_t)s->first_rows * 2 * s->row_bytes;
        return twice < SLAB_PAGE_BYTES ? s->first_rows * 2 : slab_rows(s);
    }
    uint32_t rows = 8;
    while ((size_t)rows * 2 * s->row_bytes <= FIRST_ROWS_BYTES) {
        rows *= 2;
    }
    return rows;
}

static bool first_slab_grows(const struct slabs *s) {
    return s->first_rows < slab_rows(s);
}

/* Pages of the first slab that hold its slots and the next one, once it is a whole slab. */
static size_t first_slab_pages(const struct slabs *s) {
    return ((size_t)(s->slots + 1) * s->row_bytes + SLAB_PAGE_BYTES - 1) / SLAB_PAGE_BYTES;
}

/* Bytes that the first slab will take after its next growth. */
static uint64_t first_slab_next_bytes(const struct slabs *s) {
    const uint32_t rows = first_rows_next(s);
    return rows == slab_rows(s) ? first_slab_pages(s) * SLAB_PAGE_BYTES
                                : (uint64_t)rows * s->row_bytes;
}

static enum status grow_first_slab(struct slabs *s) {
    uint8_t *grown = NULL;
    const uint32_t rows = first_rows_next(s);
    const uint64_t used_bytes = first_slab_next_bytes(s);
    const size_t old_bytes = (size_t)s->first_rows * s->row_bytes;
    const size_t new_bytes = (size_t)rows * s->row_bytes;
    if (s->list == NULL) {
        TRY(mem_array(&s->list, 8));
        s->cap = 8;
    }
    TRY(slab_memory_alloc(&grown, new_bytes));
    if (old_bytes > 0) {
        memcpy(grown, s->list[0].rows, old_bytes);
        slab_memory_free(&s->list[0].rows, old_bytes);
    } else {
        s->list[0].free_head = HANDLE_NONE;
    }
    s->list[0].rows = grown;
    s->count = 1;
    s->first_rows = rows;
    s->bytes_used = used_bytes;
    s->ready = used_bytes / s->row_bytes < rows ? (uint32_t)(used_bytes / s->row_bytes) : rows;
    return OK;
}

static enum status add_slab(struct slabs *s) {
    if (s->count == s->cap) {
        TRY(mem_grow(&s->list, s->cap, 2 * (size_t)s->cap));
        s->cap *= 2;
    }
    TRY(slab_memory_alloc(&s->list[s->count].rows, slab_bytes(s)));
    s->list[s->count++].free_head = HANDLE_NONE;
    return OK;
}

/* Commits the next 2 MB of the last slab. A row that crosses the end of them waits for the next
 * step. */
static void commit_page(struct slabs *s) {
    const uint32_t base = (s->count - 1) << s->shift;
    const size_t in_use = (size_t)(s->ready - base) * s->row_bytes;
    const size_t pages = (in_use + s->row_bytes) / SLAB_PAGE_BYTES + 1;
    const size_t rows = pages * SLAB_PAGE_BYTES / s->row_bytes;
    s->ready = base + (rows < slab_rows(s) ? (uint32_t)rows : slab_rows(s));
    s->bytes_used += SLAB_PAGE_BYTES;
}

enum status slabs_reserve(struct slabs *s) {
    if (s->free > 0 || s->slots < s->ready) {
        return OK;
    }
    if (s->slots >= SLOTS_MAX - slab_rows(s)) {
        return fail(ERR_MEMORY, "a table is full at %u rows", s->slots);
    }
    if (first_slab_grows(s)) {
        return grow_first_slab(s);
    }
    if (s->slots == s->count << s->shift) {
        TRY(add_slab(s));
    }
    commit_page(s);
    return OK;
}

uint64_t slabs_grow_bytes(const struct slabs *s) {
    if (s->free > 0 || s->slots < s->ready) {
        return 0;
    }
    return first_slab_grows(s) ? first_slab_next_bytes(s) - s->bytes_used : SLAB_PAGE_BYTES;
}

/* --- free slots ------------------------------------------------------------------------------- */

static struct row *slot_row(const struct slabs *s, uint32_t slot) {
    return (struct row *)(void *)slabs_at(s, slot);
}

static uint32_t *head_of(struct slabs *s, uint32_t slot) {
    return &s->list[slot >> s->shift].free_head;
}

/* Takes a free slot out of its list. */
static void unlink_slot(struct slabs *s, uint32_t slot) {
    const struct row *row = slot_row(s, slot);
    const uint32_t before = (uint32_t)row->id, after = row->last;
    if (before == HANDLE_NONE) {
        *head_of(s, slot) = after;
    } else {
        slot_row(s, before)->last = after;
    }
    if (after != HANDLE_NONE) {
        slot_row(s, after)->id = before;
    }
    s->free--;
}

uint32_t slabs_next_free(struct slabs *s) {
    assert(s->free > 0);
    while (s->list[s->lowest].free_head == HANDLE_NONE) {
        s->lowest++;
    }
    return s->list[s->lowest].free_head;
}

uint32_t slabs_take(struct slabs *s) {
    if (s->free == 0) {
        return s->slots++;
    }
    const uint32_t slot = slabs_next_free(s), after = slot_row(s, slot)->last;
    unlink_slot(s, slot);
    if (after != HANDLE_NONE) { /* the next one is likely to be taken soon */
        __builtin_prefetch(slot_row(s, after), 1);
    }
    return slot;
}

void slabs_give(struct slabs *s, uint32_t slot) {
    struct row *row = slot_row(s, slot);
    uint32_t *head = head_of(s, slot);
    row->step = 0;
    row->last = *head;
    row->id = HANDLE_NONE;
    if (*head != HANDLE_NONE) {
        slot_row(s, *head)->id = slot;
    }
    *head = slot;
    s->free++;
    if (s->lowest > slot >> s->shift) {
        s->lowest = slot >> s->shift;
    }
}

/* --- shrinking -------------------------------------------------------------------------------- */

bool slabs_shrinks(struct slabs *s) {
    if (s->shrinks) {
        s->shrinks = s->free > s->slots / SHRUNK_PART;
    } else {
        s->shrinks = s->free > s->slots / SHRINK_PART &&
                     (uint64_t)s->free * s->row_bytes > SHRINK_BYTES && !first_slab_grows(s);
    }
    return s->shrinks;
}

/* Undoes commit_page as soon as the slots do not need the last page of the last slab. The first
 * slab keeps one page. */
static void release_page(struct slabs *s) {
    const uint32_t base = (s->count - 1) << s->shift;
    const size_t bytes = (size_t)(s->ready - base) * s->row_bytes;
    const size_t kept = (bytes + SLAB_PAGE_BYTES - 1) / SLAB_PAGE_BYTES - 1;
    const uint32_t kept_rows = (uint32_t)(kept * SLAB_PAGE_BYTES / s->row_bytes);
    if (s->slots > base + kept_rows || (base == 0 && kept == 0)) {
        return;
    }
    if (kept == 0) {
        s->count--;
        slab_memory_free(&s->list[s->count].rows, slab_bytes(s));
    } else {
        slab_memory_release(s->list[s->count - 1].rows + kept * SLAB_PAGE_BYTES, SLAB_PAGE_BYTES);
    }
    s->ready = base + kept_rows;
    s->bytes_used -= SLAB_PAGE_BYTES;
}

void slabs_drop(struct slabs *s) {
    assert(s->free > 0 && slot_row(s, s->slots - 1)->step == 0);
    unlink_slot(s, s->slots - 1);
    s->slots--;
    release_page(s);
}

uint64_t slabs_bytes(const struct slabs *s) {
    return s->cap * sizeof *s->list + s->bytes_used;
}
