/* index.c - see index.h for the design. */
#include "index.h"

#include <assert.h>
#include "slab_memory.h"

#define INDEX_ENTRIES_MIN 64u
#define INDEX_ENTRIES_MAX ((uint64_t)1 << 32)

static uint64_t entries_of(const struct index *x) {
    return x->entries == NULL ? 0 : x->mask + 1;
}

static bool index_full(const struct index *x) {
    return x->used + 1 > entries_of(x) / 4 * 3;
}

void index_fini(struct index *x) {
    slab_memory_free(&x->entries, index_bytes(x));
    *x = (struct index){0};
}

size_t index_bytes(const struct index *x) {
    return (size_t)entries_of(x) * sizeof(uint64_t);
}

size_t index_grow_bytes(const struct index *x) {
    if (!index_full(x)) {
        return 0;
    }
    return x->entries == NULL ? INDEX_ENTRIES_MIN * sizeof(uint64_t) : index_bytes(x);
}

/* Entries are visited in order, so the entries that go to one half of the new array also arrive
 * there nearly in order: the move streams through memory. */
static void move_entries(const struct index *from, struct index *to) {
    for (uint64_t i = 0; i < entries_of(from); i++) {
        const uint64_t e = from->entries[i];
        if (e != 0) {
            index_put(to, entry_tag(e), entry_handle(e));
        }
    }
}

enum status index_reserve(struct index *x) {
    if (!index_full(x)) {
        return OK;
    }
    const uint64_t entries = x->entries == NULL ? INDEX_ENTRIES_MIN : entries_of(x) * 2;
    if (entries > INDEX_ENTRIES_MAX) {
        return fail(ERR_MEMORY, "a table's index is full at %llu entries",
                    (unsigned long long)INDEX_ENTRIES_MAX);
    }
    struct index grown = {.mask = entries - 1};
    TRY(slab_memory_alloc(&grown.entries, (size_t)entries * sizeof(uint64_t)));
    move_entries(x, &grown);
    assert(grown.used == x->used);
    index_fini(x);
    *x = grown;
    return OK;
}

void index_put(struct index *x, uint32_t tag, uint32_t handle) {
    uint64_t i = tag & x->mask;
    while (x->entries[i] != 0) {
        i = (i + 1) & x->mask;
    }
    x->entries[i] = (uint64_t)tag << 32 | (handle + 1);
    x->used++;
}

/* Closes the hole: the next entry of the run whose home is not after the hole moves into it. This
 * opens a new hole at the place of the entry; the same is repeated until the run ends. */
static void close_hole(struct index *x, uint64_t hole) {
    for (uint64_t i = (hole + 1) & x->mask; x->entries[i] != 0; i = (i + 1) & x->mask) {
        const uint64_t home = entry_tag(x->entries[i]) & x->mask;
        if (((i - home) & x->mask) >= ((i - hole) & x->mask)) {
            x->entries[hole] = x->entries[i];
            hole = i;
        }
    }
    x->entries[hole] = 0;
}

void index_delete(struct index *x, uint32_t tag, uint32_t handle) {
    const uint64_t entry = (uint64_t)tag << 32 | (handle + 1);
    uint64_t i = tag & x->mask;
    while (x->entries[i] != entry) {
        assert(x->entries[i] != 0);
        i = (i + 1) & x->mask;
    }
    close_hole(x, i);
    x->used--;
}
