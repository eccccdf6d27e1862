/* table.c - slabs of rows and their index (see table.h).
 *
 * Slots are numbered in order of creation; the handle is the slot. All slabs but the first hold
 * slab_rows rows, a power of two, so a shift splits a handle into slab and place. A slab takes at
 * least 8 MB of address space on huge pages; its size is chosen so that the last page is nearly
 * full too. Memory is committed, and counted, in steps of 2 MB as slots come into use. The first
 * slab starts small: it is copied into one twice as large, and, where that would exceed 2 MB, into
 * a whole slab, because there may be hundreds of tables, most of them tiny. So rows are always
 * reached by handle; a pointer to a row is valid only until the next insert.
 *
 * A free slot has step 0 and links to the next free one through `last`.
 *
 * A look-up of many ids works in blocks: it hashes all ids and prefetches their index lines, probes
 * all and prefetches the rows found, then compares ids. So the cache misses of a block overlap; one
 * id after the other would wait for two misses each. Slabs are not faulted in beforehand: a huge
 * page costs one fault, whichever access causes it.
 */
#include "table.h"

#include <assert.h>
#include <string.h>
#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/checkpoint/part_meta.h"
#include "common/job/row_initial.h"
#include "index.h"
#include "optimizer.h"
#include "slab_memory.h"

#define FIND_BLOCK       32u
#define READ_AHEAD       8u
#define SLAB_BYTES_MIN   ((size_t)8 << 20)
#define SLAB_WASTE_PART  100u /* at most 1 / SLAB_WASTE_PART of a slab is lost to page ends */
#define FIRST_ROWS_BYTES ((size_t)4 << 10)
#define SLOTS_MAX        (HANDLE_NONE - 1)
#define LINE_BYTES       64u

struct table {
    struct table_config config;
    uint64_t salt, seed;
    uint32_t row_bytes;
    uint32_t state_floats;
    uint32_t slab_shift;  /* slab_rows = 1 << slab_shift */
    uint32_t slots;       /* slots used so far */
    uint32_t slots_ready; /* committed: slots below it cost no further memory */
    uint32_t first_rows;  /* rows of slab 0 */
    uint32_t free_head;   /* HANDLE_NONE: no free slot */
    uint64_t rows;
    uint64_t slab_bytes_used;
    uint8_t **slabs;
    uint32_t slab_count, slab_cap;
    struct index index;
};

_Static_assert(sizeof(struct row) == PART_RECORD_HEADER, "a row begins as its record does");

static uint32_t slab_rows(const struct table *t) {
    return 1u << t->slab_shift;
}

static size_t slab_bytes(const struct table *t) {
    return (size_t)slab_rows(t) * t->row_bytes;
}

/* The bytes left unused by rounding up to whole huge pages. They are 0 at 2^18 rows at the latest,
 * because row_bytes is a multiple of 8. */
static size_t slab_waste(const struct table *t) {
    return (SLAB_PAGE_BYTES - slab_bytes(t) % SLAB_PAGE_BYTES) % SLAB_PAGE_BYTES;
}

static inline uint8_t *slot_at(const struct table *t, uint32_t handle) {
    return t->slabs[handle >> t->slab_shift] + (size_t)(handle & (slab_rows(t) - 1)) * t->row_bytes;
}

struct row *table_row(const struct table *t, uint32_t handle) {
    assert(handle < t->slots);
    return (struct row *)(void *)slot_at(t, handle);
}

enum status table_create(struct table **out, const struct table_config *config, uint64_t salt,
                         uint64_t seed) {
    struct table *t = NULL;
    *out = NULL;
    TRY(mem_new(&t));
    t->config = *config;
    t->salt = salt;
    t->seed = seed;
    t->state_floats = optimizer_state_floats(config->opt.kind, config->dim);
    t->row_bytes = part_row_bytes(config->dim, t->state_floats);
    while (slab_bytes(t) < SLAB_BYTES_MIN || slab_waste(t) > slab_bytes(t) / SLAB_WASTE_PART) {
        t->slab_shift++;
    }
    t->free_head = HANDLE_NONE;
    *out = t;
    return OK;
}

void table_destroy(struct table **inout) {
    struct table *t = *inout;
    if (t == NULL) {
        return;
    }
    for (uint32_t i = 0; i < t->slab_count; i++) {
        const size_t rows = i == 0 ? t->first_rows : slab_rows(t);
        slab_memory_free(&t->slabs[i], rows * t->row_bytes);
    }
    mem_free(&t->slabs);
    index_fini(&t->index);
    mem_free(inout);
}

/* --- growing ---------------------------------------------------------------------------------- */

static uint32_t first_rows_next(const struct table *t) {
    if (t->first_rows != 0) {
        const size_t twice = (size_t)t->first_rows * 2 * t->row_bytes;
        return twice < SLAB_PAGE_BYTES ? t->first_rows * 2 : slab_rows(t);
    }
    uint32_t rows = 8;
    while ((size_t)rows * 2 * t->row_bytes <= FIRST_ROWS_BYTES) {
        rows *= 2;
    }
    return rows;
}

static bool first_slab_grows(const struct table *t) {
    return t->first_rows < slab_rows(t);
}

/* Pages of the first slab that hold its slots and the next one, once it is a whole slab. */
static size_t first_slab_pages(const struct table *t) {
    return ((size_t)(t->slots + 1) * t->row_bytes + SLAB_PAGE_BYTES - 1) / SLAB_PAGE_BYTES;
}

/* Bytes that the first slab will take after its next growth. */
static uint64_t first_slab_next_bytes(const struct table *t) {
    const uint32_t rows = first_rows_next(t);
    return rows == slab_rows(t) ? first_slab_pages(t) * SLAB_PAGE_BYTES
                                : (uint64_t)rows * t->row_bytes;
}

static enum status grow_first_slab(struct table *t) {
    uint8_t *grown = NULL;
    const uint32_t rows = first_rows_next(t);
    const uint64_t used_bytes = first_slab_next_bytes(t);
    const size_t old_bytes = (size_t)t->first_rows * t->row_bytes;
    const size_t new_bytes = (size_t)rows * t->row_bytes;
    if (t->slabs == NULL) {
        TRY(mem_array(&t->slabs, 8));
        t->slab_cap = 8;
    }
    TRY(slab_memory_alloc(&grown, new_bytes));
    if (old_bytes > 0) {
        memcpy(grown, t->slabs[0], old_bytes);
        slab_memory_free(&t->slabs[0], old_bytes);
    }
    t->slabs[0] = grown;
    t->slab_count = 1;
    t->first_rows = rows;
    t->slab_bytes_used = used_bytes;
    t->slots_ready =
        used_bytes / t->row_bytes < rows ? (uint32_t)(used_bytes / t->row_bytes) : rows;
    return OK;
}

static enum status add_slab(struct table *t) {
    if (t->slab_count == t->slab_cap) {
        TRY(mem_grow(&t->slabs, t->slab_cap, 2 * (size_t)t->slab_cap));
        t->slab_cap *= 2;
    }
    TRY(slab_memory_alloc(&t->slabs[t->slab_count], slab_bytes(t)));
    t->slab_count++;
    return OK;
}

/* Commits the next 2 MB of the last slab. A row that crosses the end of them waits for the next
 * step. */
static void commit_page(struct table *t) {
    const uint32_t base = (t->slab_count - 1) << t->slab_shift;
    const size_t in_use = (size_t)(t->slots_ready - base) * t->row_bytes;
    const size_t pages = (in_use + t->row_bytes) / SLAB_PAGE_BYTES + 1;
    const size_t rows = pages * SLAB_PAGE_BYTES / t->row_bytes;
    t->slots_ready = base + (rows < slab_rows(t) ? (uint32_t)rows : slab_rows(t));
    t->slab_bytes_used += SLAB_PAGE_BYTES;
}

static enum status reserve_slot(struct table *t) {
    if (t->free_head != HANDLE_NONE || t->slots < t->slots_ready) {
        return OK;
    }
    if (t->slots >= SLOTS_MAX - slab_rows(t)) {
        return fail(ERR_MEMORY, "a table is full at %u rows", t->slots);
    }
    if (first_slab_grows(t)) {
        return grow_first_slab(t);
    }
    if (t->slots == t->slab_count << t->slab_shift) {
        TRY(add_slab(t));
    }
    commit_page(t);
    return OK;
}

uint64_t table_grow_bytes(const struct table *t) {
    uint64_t bytes = index_grow_bytes(&t->index);
    if (t->free_head == HANDLE_NONE && t->slots == t->slots_ready) {
        bytes +=
            first_slab_grows(t) ? first_slab_next_bytes(t) - t->slab_bytes_used : SLAB_PAGE_BYTES;
    }
    return bytes;
}

/* --- inserting and removing ------------------------------------------------------------------- */

/* Takes a slot for an absent id and puts it into the index. */
static enum status take_slot(struct table *t, uint64_t id, uint32_t *handle) {
    TRY(index_reserve(&t->index));
    TRY(reserve_slot(t));
    if (t->free_head != HANDLE_NONE) {
        *handle = t->free_head;
        t->free_head = table_row(t, *handle)->last;
    } else {
        *handle = t->slots++;
    }
    index_put(&t->index, index_tag(hash_key(t->salt, id)), *handle);
    t->rows++;
    return OK;
}

enum status table_insert(struct table *t, uint64_t id, uint32_t *handle) {
    TRY(take_slot(t, id, handle));
    struct row *row = table_row(t, *handle);
    const uint32_t dim = t->config.dim;
    *row = (struct row){.id = id};
    if (dim > 0) {
        row_initial(t->seed, hash_key(t->salt, id), t->config.init_scale, dim, row->data);
        optimizer_state_init(&t->config.opt, dim, row->data, row->data + dim);
    }
    return OK;
}

enum status table_load(struct table *t, const void *record, size_t bytes, uint32_t *handle) {
    assert(bytes >= t->row_bytes);
    TRY(take_slot(t, load_u64(record), handle));
    memcpy(slot_at(t, *handle), record, t->row_bytes);
    return OK;
}

void table_remove(struct table *t, uint32_t handle) {
    struct row *row = table_row(t, handle);
    index_delete(&t->index, index_tag(hash_key(t->salt, row->id)), handle);
    row->step = 0;
    row->last = t->free_head;
    t->free_head = handle;
    t->rows--;
}

/* --- finding and reading ---------------------------------------------------------------------- */

void table_prefetch(const struct table *t, uint32_t handle) {
    const uint8_t *row = slot_at(t, handle);
    for (uint32_t at = 0; at < t->row_bytes; at += LINE_BYTES) {
        __builtin_prefetch(row + at, 1);
    }
}

/* Probes from `at`: true, with the handle, at an equal tag; false at an empty entry. */
static inline bool probe(const struct table *t, uint32_t tag, uint64_t *at, uint32_t *handle) {
    for (;; *at = (*at + 1) & t->index.mask) {
        const uint64_t e = t->index.entries[*at];
        if (e == 0) {
            return false;
        }
        if (entry_tag(e) == tag) {
            *handle = entry_handle(e);
            return true;
        }
    }
}

static void find_block(const struct table *t, const uint64_t *ids, size_t n, uint32_t *handles) {
    uint32_t tags[FIND_BLOCK];
    uint64_t at[FIND_BLOCK];
    for (size_t i = 0; i < n; i++) {
        tags[i] = index_tag(hash_key(t->salt, ids[i]));
        at[i] = tags[i] & t->index.mask;
        __builtin_prefetch(&t->index.entries[at[i]]);
    }
    for (size_t i = 0; i < n; i++) {
        if (probe(t, tags[i], &at[i], &handles[i])) {
            __builtin_prefetch(slot_at(t, handles[i]));
        } else {
            handles[i] = HANDLE_NONE;
        }
    }
    for (size_t i = 0; i < n; i++) {
        while (handles[i] != HANDLE_NONE && table_row(t, handles[i])->id != ids[i]) {
            at[i] = (at[i] + 1) & t->index.mask;
            if (!probe(t, tags[i], &at[i], &handles[i])) {
                handles[i] = HANDLE_NONE;
            }
        }
    }
}

void table_find(const struct table *t, const uint64_t *ids, size_t n, uint32_t *handles) {
    if (t->rows == 0) {
        for (size_t i = 0; i < n; i++) {
            handles[i] = HANDLE_NONE;
        }
        return;
    }
    for (size_t i = 0; i < n; i += FIND_BLOCK) {
        find_block(t, ids + i, n - i < FIND_BLOCK ? n - i : FIND_BLOCK, handles + i);
    }
}

static void prefetch_weights(const struct table *t, uint32_t handle, uint32_t bytes) {
    if (handle != HANDLE_NONE) {
        const uint8_t *row = slot_at(t, handle);
        for (uint32_t at = LINE_BYTES; at < bytes; at += LINE_BYTES) {
            __builtin_prefetch(row + at);
        }
        __builtin_prefetch(row + bytes - 1);
    }
}

void table_read(const struct table *t, const uint64_t *ids, const uint32_t *handles, size_t n,
                float *out) {
    const uint32_t dim = t->config.dim;
    const uint32_t bytes = (uint32_t)sizeof(struct row) + dim * (uint32_t)sizeof(float);
    for (size_t i = 0; i < n && i < READ_AHEAD; i++) {
        prefetch_weights(t, handles[i], bytes);
    }
    for (size_t i = 0; i < n; i++) {
        if (i + READ_AHEAD < n) {
            prefetch_weights(t, handles[i + READ_AHEAD], bytes);
        }
        if (handles[i] == HANDLE_NONE) {
            row_initial(t->seed, hash_key(t->salt, ids[i]), t->config.init_scale, dim, out);
        } else {
            memcpy(out, table_row(t, handles[i])->data, dim * sizeof(float));
        }
        out += dim;
    }
}

uint32_t table_row_bytes(const struct table *t) {
    return t->row_bytes;
}

uint64_t table_rows(const struct table *t) {
    return t->rows;
}

uint32_t table_slots(const struct table *t) {
    return t->slots;
}

uint64_t table_bytes(const struct table *t) {
    return sizeof *t + t->slab_cap * sizeof *t->slabs + t->slab_bytes_used + index_bytes(&t->index);
}
