/* index.c - see index.h for the design.
 *
 * Moving. The old array is left as it is: what is moved is copied, and its old entries stay behind
 * to keep the runs of the others together. Nobody looks for them, since their tags are below
 * `moved`. The cursor only stops at an empty position: then no entry of a home below it lies above
 * it. Entries that were wrapped around from the end of the array to its start are told by a home
 * above their position; they move last, with the homes at the end.
 *
 * Speed. Every MOVE_PUTS-th put moves the entries of MOVE_HOMES homes and the rest of the last run.
 * Growing by half, at three quarters full, ends after size / 16 puts; room is there for six times
 * as many. In the meantime the old array becomes at most 13/16 full. Shrinking from two fifths to
 * three fifths full has room for size / 10 puts.
 */
#include "index.h"

#include <assert.h>
#include "slab_memory.h"

#define ENTRIES_MIN  64u
#define ENTRIES_MAX  ((uint64_t)1 << 32)
#define MOVE_PUTS    4u
#define MOVE_HOMES   64u /* 16 a put */
#define PAGE_ENTRIES (SLAB_PAGE_BYTES / sizeof(uint64_t))

static size_t side_bytes(const struct index_side *s) {
    return (size_t)s->size * sizeof(uint64_t);
}

static bool index_moves(const struct index *x) {
    return x->side[1].entries != NULL;
}

/* The size of the array that new entries must fit into. */
static uint64_t final_size(const struct index *x) {
    return x->side[index_moves(x)].size;
}

static bool index_full(const struct index *x) {
    return x->used + 1 > final_size(x) / 4 * 3;
}

/* Half as much again, in whole pages or in steps of the least size. */
static uint64_t next_size(uint64_t size) {
    const uint64_t want = size + size / 2 + (size == 0);
    const uint64_t unit = want < PAGE_ENTRIES ? ENTRIES_MIN : PAGE_ENTRIES;
    const uint64_t next = (want + unit - 1) / unit * unit;
    return next > ENTRIES_MAX && size < ENTRIES_MAX ? ENTRIES_MAX : next;
}

static void side_free(struct index_side *s) {
    slab_memory_free(&s->entries, side_bytes(s));
    *s = (struct index_side){0};
}

void index_fini(struct index *x) {
    side_free(&x->side[0]);
    side_free(&x->side[1]);
    *x = (struct index){0};
}

size_t index_bytes(const struct index *x) {
    const size_t a = side_bytes(&x->side[0]), b = side_bytes(&x->side[1]);
    return a > b ? a : b;
}

size_t index_grow_bytes(const struct index *x) {
    if (!index_full(x)) {
        return 0;
    }
    const size_t next = (size_t)next_size(final_size(x)) * sizeof(uint64_t);
    return next > index_bytes(x) ? next - index_bytes(x) : 0;
}

/* --- one array -------------------------------------------------------------------------------- */

static void side_put(const struct index_side *s, uint64_t entry) {
    uint64_t i = side_home(s, entry_tag(entry));
    while (s->entries[i] != 0) {
        i = side_next(s, i);
    }
    s->entries[i] = entry;
}

static uint64_t entry_of(uint32_t tag, uint32_t handle) {
    return (uint64_t)tag << 32 | (handle + 1);
}

/* The position of an entry that is present. */
static uint64_t side_find(const struct index_side *s, uint64_t entry) {
    uint64_t i = side_home(s, entry_tag(entry));
    while (s->entries[i] != entry) {
        assert(s->entries[i] != 0);
        i = side_next(s, i);
    }
    return i;
}

static uint64_t distance(const struct index_side *s, uint64_t from, uint64_t to) {
    return to >= from ? to - from : to + s->size - from;
}

/* Closes the hole: the next entry of the run whose home is not after the hole moves into it. This
 * opens a new hole at the place of the entry; the same is repeated until the run ends. */
static void close_hole(const struct index_side *s, uint64_t hole) {
    for (uint64_t i = side_next(s, hole); s->entries[i] != 0; i = side_next(s, i)) {
        const uint64_t home = side_home(s, entry_tag(s->entries[i]));
        if (distance(s, home, i) >= distance(s, hole, i)) {
            s->entries[hole] = s->entries[i];
            hole = i;
        }
    }
    s->entries[hole] = 0;
}

/* --- moving ----------------------------------------------------------------------------------- */

/* Gives back the pages of the old array whose homes are moved. Entries that were wrapped around lie
 * at its start, hence in page 0 if that has an empty position. */
static void release_pages(struct index *x) {
    const struct index_side *from = &x->side[0];
    if (side_bytes(from) < SLAB_PAGE_BYTES || (x->released + 1) * PAGE_ENTRIES > x->cursor) {
        return;
    }
    for (uint64_t i = 0; from->entries[i] != 0; i++) {
        if (i == PAGE_ENTRIES - 1) {
            return;
        }
    }
    for (; (x->released + 1) * PAGE_ENTRIES <= x->cursor; x->released++) {
        if (x->released > 0) {
            slab_memory_release(from->entries + x->released * PAGE_ENTRIES, SLAB_PAGE_BYTES);
        }
    }
}

static void end_moving(struct index *x) {
    const struct index_side *from = &x->side[0];
    for (uint64_t i = 0; from->entries[i] != 0; i++) {
        if (side_home(from, entry_tag(from->entries[i])) > i) {
            side_put(&x->side[1], from->entries[i]);
        }
    }
    side_free(&x->side[0]);
    *x = (struct index){.side = {x->side[1]}, .used = x->used};
}

/* Moves the entries of `homes` homes, and the rest of the last run. */
static void move_homes(struct index *x, uint64_t homes) {
    const struct index_side *from = &x->side[0];
    uint64_t i = x->cursor;
    const uint64_t end = homes < from->size - i ? i + homes : from->size;
    for (; i < from->size && (i < end || from->entries[i] != 0); i++) {
        const uint64_t e = from->entries[i];
        if (e != 0 && side_home(from, entry_tag(e)) <= i) {
            side_put(&x->side[1], e);
        }
    }
    if (i == from->size) {
        end_moving(x);
        return;
    }
    x->cursor = i;
    x->moved = ((i << 32) + from->size - 1) / from->size; /* the least tag of home i */
    release_pages(x);
}

static enum status begin_moving(struct index *x, uint64_t size) {
    if (size > ENTRIES_MAX) {
        return fail(ERR_MEMORY, "a table's index is full at %llu entries",
                    (unsigned long long)ENTRIES_MAX);
    }
    struct index_side *to = &x->side[x->side[0].entries != NULL];
    TRY(slab_memory_alloc(&to->entries, (size_t)size * sizeof(uint64_t)));
    to->size = size;
    return OK;
}

enum status index_reserve(struct index *x) {
    if (x->used % MOVE_PUTS == 0 && index_moves(x)) {
        move_homes(x, MOVE_HOMES);
    }
    if (!index_full(x)) {
        return OK;
    }
    if (index_moves(x)) {
        move_homes(x, x->side[0].size);
    }
    return begin_moving(x, next_size(x->side[0].size));
}

void index_put(struct index *x, uint32_t tag, uint32_t handle) {
    side_put(index_side(x, tag), entry_of(tag, handle));
    x->used++;
}

void index_delete(struct index *x, uint32_t tag, uint32_t handle) {
    const struct index_side *s = index_side(x, tag);
    close_hole(s, side_find(s, entry_of(tag, handle)));
    x->used--;
}

void index_replace(struct index *x, uint32_t tag, uint32_t handle, uint32_t by) {
    const struct index_side *s = index_side(x, tag);
    s->entries[side_find(s, entry_of(tag, handle))] = entry_of(tag, by);
}

/* The size at which the index would be three fifths full. */
static uint64_t less_size(const struct index *x) {
    const uint64_t want = x->used * 5 / 3 + 1;
    return (want + PAGE_ENTRIES - 1) / PAGE_ENTRIES * PAGE_ENTRIES;
}

bool index_tidy(struct index *x, uint64_t homes) {
    if (index_moves(x)) {
        move_homes(x, homes);
        return true;
    }
    const uint64_t size = x->side[0].size, less = less_size(x);
    return size > PAGE_ENTRIES && x->used < size / 5 * 2 && less < size &&
           begin_moving(x, less) == OK;
}
