/* table.c - slabs of rows and their index (see table.h).
 *
 * A look-up of many ids is a pipeline: an id is hashed and its index lines are prefetched; AHEAD
 * ids later its entry is found and its row prefetched; AHEAD ids later the ids are compared. So
 * dozens of cache misses are always under way; one id after the other would wait for two each.
 * Slabs are not faulted in beforehand: a huge page costs one fault, whichever access causes it.
 */
#include "table.h"

#include <assert.h>
#include <string.h>
#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/checkpoint/part_meta.h"
#include "common/job/row_initial.h"
#include "index.h"
#include "row_update.h"
#include "slabs.h"

#define AHEAD      32u /* keys from one stage of a look-up to the next */
#define LOOK_UPS   (2 * AHEAD)
#define DROP_AHEAD 8u
#define LINE_BYTES 64u
#define RUN_LINE   7u /* a run of entries often ends in the line after that of its home */

struct table {
    struct table_config config;
    uint64_t salt, seed;
    uint64_t stream; /* of the random bits that round cells */
    struct row_layout layout;
    bool plain; /* all cells are f32: updates are the rules' alone */
    struct row_updates updates;
    uint64_t rows;
    struct slabs slabs;
    struct index index;
};

_Static_assert(sizeof(struct row) == PART_RECORD_HEADER, "a row begins as its record does");

static inline uint8_t *slot_at(const struct table *t, uint32_t handle) {
    return slabs_at(&t->slabs, handle);
}

struct row *table_row(const struct table *t, uint32_t handle) {
    assert(handle < t->slabs.slots);
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
    t->stream = row_stream(seed, salt);
    t->layout = row_layout(config->dim, config->opt.kind, config->weights, config->state);
    t->plain = row_layout_plain(&t->layout);
    row_updates_init(&t->updates, &t->layout, &t->config.opt, cpu_level());
    slabs_init(&t->slabs, t->layout.row_bytes);
    *out = t;
    return OK;
}

void table_destroy(struct table **inout) {
    struct table *t = *inout;
    if (t == NULL) {
        return;
    }
    slabs_fini(&t->slabs);
    index_fini(&t->index);
    mem_free(inout);
}

uint64_t table_grow_bytes(const struct table *t) {
    return index_grow_bytes(&t->index) + slabs_grow_bytes(&t->slabs);
}

/* --- inserting and removing ------------------------------------------------------------------- */

/* Takes a slot for an absent id and puts it into the index. */
static enum status take_slot(struct table *t, uint64_t id, uint32_t *handle) {
    TRY(index_reserve(&t->index));
    TRY(slabs_reserve(&t->slabs));
    *handle = slabs_take(&t->slabs);
    index_put(&t->index, index_tag(hash_key(t->salt, id)), *handle);
    t->rows++;
    return OK;
}

enum status table_insert(struct table *t, uint64_t id, uint32_t *handle) {
    TRY(take_slot(t, id, handle));
    struct row *row = table_row(t, *handle);
    const uint32_t dim = t->config.dim;
    *row = (struct row){.id = id};
    if (dim > 0 && t->plain) {
        row_initial(t->seed, hash_key(t->salt, id), t->config.init_scale, dim, row->data);
        optimizer_state_init(&t->config.opt, dim, row->data, row->data + dim);
    } else if (dim > 0) {
        float w[DIM_MAX];
        row_initial(t->seed, hash_key(t->salt, id), t->config.init_scale, dim, w);
        row_fresh(&t->layout, &t->config.opt, row_key(t->stream, id, 0), w, row->data);
    }
    return OK;
}

enum status table_load(struct table *t, const struct row_layout *from, const void *record,
                       uint32_t *handle) {
    TRY(take_slot(t, load_u64(record), handle));
    table_reload(t, from, record, *handle);
    return OK;
}

void table_reload(struct table *t, const struct row_layout *from, const void *record,
                  uint32_t handle) {
    if (row_layout_equal(from, &t->layout)) {
        memcpy(slot_at(t, handle), record, t->layout.row_bytes);
    } else {
        row_convert(from, record, &t->layout, slot_at(t, handle), t->stream);
    }
}

void table_update(struct table *t, struct row *row, float lr, uint32_t rule_step, const float *g) {
    const uint32_t dim = t->config.dim;
    if (t->plain) {
        t->updates.rules->apply(&t->config.opt, dim, lr, rule_step, row->data, row->data + dim, g);
        return;
    }
    row_updates_pace(&t->updates, lr, rule_step);
    row_update(&t->updates, row_key(t->stream, row->id, row->step), row->data, g);
}

void table_remove(struct table *t, uint32_t handle) {
    const uint64_t id = table_row(t, handle)->id;
    index_delete(&t->index, index_tag(hash_key(t->salt, id)), handle);
    slabs_give(&t->slabs, handle);
    t->rows--;
}

/* --- shrinking -------------------------------------------------------------------------------- */

bool table_shrinks(struct table *t) {
    return slabs_shrinks(&t->slabs);
}

uint32_t table_next_free(struct table *t) {
    return slabs_next_free(&t->slabs);
}

void table_prefetch_gone(const struct table *t, uint32_t handle) {
    if (handle < t->slabs.slots) {
        const uint32_t tag = index_tag(hash_key(t->salt, table_row(t, handle)->id));
        const struct index_side *side = index_side(&t->index, tag);
        __builtin_prefetch(&side->entries[side_home(side, tag)], 1);
    }
}

void table_drop_last(struct table *t) {
    const uint32_t last = t->slabs.slots - 1;
    const struct row *row = table_row(t, last);
    table_prefetch(t, last - 2 * DROP_AHEAD); /* below slot 0: a stale handle */
    table_prefetch_gone(t, last - DROP_AHEAD);
    if (row->step != 0) {
        const uint32_t to = slabs_take(&t->slabs);
        index_replace(&t->index, index_tag(hash_key(t->salt, row->id)), last, to);
        memcpy(slot_at(t, to), row, t->layout.row_bytes);
        slabs_give(&t->slabs, last);
    }
    slabs_drop(&t->slabs);
}

bool table_tidy_index(struct table *t, uint64_t homes) {
    return index_tidy(&t->index, homes);
}

/* --- finding and reading ---------------------------------------------------------------------- */

void table_prefetch(const struct table *t, uint32_t handle) {
    if (handle >= t->slabs.slots) {
        return;
    }
    const uint8_t *row = slot_at(t, handle);
    for (uint32_t at = 0; at < t->layout.row_bytes; at += LINE_BYTES) {
        __builtin_prefetch(row + at, 1);
    }
    if (t->layout.row_bytes % LINE_BYTES != 0) {
        __builtin_prefetch(row + t->layout.row_bytes - 1, 1); /* rows begin anywhere in a line */
    }
}

/* Probes from `at`: true, with the handle, at an equal tag; false at an empty entry. */
static inline bool probe(const struct index_side *side, uint32_t tag, uint64_t *at,
                         uint32_t *handle) {
    for (;; *at = side_next(side, *at)) {
        const uint64_t e = side->entries[*at];
        if (e == 0) {
            return false;
        }
        if (entry_tag(e) == tag) {
            *handle = entry_handle(e);
            return true;
        }
    }
}

/* The look-ups that are under way, each at i % LOOK_UPS. */
struct look_ups {
    const struct table *t;
    const uint64_t *ids;
    uint32_t *handles;
    const struct index_side *side[LOOK_UPS];
    uint32_t tag[LOOK_UPS];
    uint64_t at[LOOK_UPS];
};

static inline void look_up_begin(struct look_ups *l, size_t i) {
    const size_t k = i % LOOK_UPS;
    l->tag[k] = index_tag(hash_key(l->t->salt, l->ids[i]));
    l->side[k] = index_side(&l->t->index, l->tag[k]);
    l->at[k] = side_home(l->side[k], l->tag[k]);
    __builtin_prefetch(&l->side[k]->entries[l->at[k]]);
    __builtin_prefetch(&l->side[k]->entries[l->at[k] + RUN_LINE]);
}

/* Finds the first entry with the tag, and prefetches its row as far as a pull reads it. */
static inline void look_up_probe(struct look_ups *l, size_t i) {
    const size_t k = i % LOOK_UPS;
    if (!probe(l->side[k], l->tag[k], &l->at[k], &l->handles[i])) {
        l->handles[i] = HANDLE_NONE;
        return;
    }
    const uint8_t *row = slot_at(l->t, l->handles[i]);
    const uint32_t bytes = (uint32_t)sizeof(struct row) + l->t->layout.weight_bytes;
    for (uint32_t at = 0; at < bytes; at += LINE_BYTES) {
        __builtin_prefetch(row + at);
    }
    __builtin_prefetch(row + bytes - 1);
}

/* Compares ids, and goes on to further entries where they differ. */
static inline void look_up_end(struct look_ups *l, size_t i) {
    const size_t k = i % LOOK_UPS;
    while (l->handles[i] != HANDLE_NONE && table_row(l->t, l->handles[i])->id != l->ids[i]) {
        l->at[k] = side_next(l->side[k], l->at[k]);
        if (!probe(l->side[k], l->tag[k], &l->at[k], &l->handles[i])) {
            l->handles[i] = HANDLE_NONE;
        }
    }
}

void table_find(const struct table *t, const uint64_t *ids, size_t n, uint32_t *handles) {
    struct look_ups l;
    l.t = t;
    l.ids = ids;
    l.handles = handles;
    if (t->rows == 0) {
        for (size_t i = 0; i < n; i++) {
            handles[i] = HANDLE_NONE;
        }
        return;
    }
    for (size_t i = 0; i < n && i < 2 * AHEAD; i++) {
        look_up_begin(&l, i);
    }
    for (size_t i = 0; i < n && i < AHEAD; i++) {
        look_up_probe(&l, i);
    }
    for (size_t i = 0; i < n; i++) {
        look_up_end(&l, i);
        if (i + 2 * AHEAD < n) {
            look_up_begin(&l, i + 2 * AHEAD);
        }
        if (i + AHEAD < n) {
            look_up_probe(&l, i + AHEAD);
        }
    }
}

void table_read(const struct table *t, const uint64_t *ids, const uint32_t *handles, size_t n,
                float *out) {
    const uint32_t dim = t->config.dim;
    for (size_t i = 0; i < n; i++) {
        if (handles[i] == HANDLE_NONE) {
            row_initial(t->seed, hash_key(t->salt, ids[i]), t->config.init_scale, dim, out);
        } else {
            row_weights_get(&t->layout, table_row(t, handles[i])->data, out);
        }
        out += dim;
    }
}

uint32_t table_row_bytes(const struct table *t) {
    return t->layout.row_bytes;
}

const struct row_layout *table_layout(const struct table *t) {
    return &t->layout;
}

uint64_t table_rows(const struct table *t) {
    return t->rows;
}

uint32_t table_slots(const struct table *t) {
    return t->slabs.slots;
}

uint64_t table_bytes(const struct table *t) {
    return sizeof *t + slabs_bytes(&t->slabs) + index_bytes(&t->index);
}
