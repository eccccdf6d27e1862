/* inspect_diff.c - compares two checkpoints row by row, in bounded memory.
 *
 * While one checkpoint streams by, the rows of the other must be found, and neither needs to fit
 * into memory. Both hash keys into buckets in the same way, so the key space is cut into ranges of
 * buckets. For each range the rows of `a` are held (id, weights, and a hash of the rest of the
 * record), then the rows of `b` are looked up. A first pass counts the rows of `a` per table and
 * bucket, so that ranges are as wide as the budget allows and every array has its final size from
 * the start.
 *
 * A range reads only the parts that overlap it, but it reads these completely. With R ranges, a
 * checkpoint of one part is read R times. Sorting both sides on disk would read less when R is
 * large. It is not done because at the default budget of 1 GiB a range holds 10 M rows of 18
 * floats, and inspection is rare.
 *
 * A row that both have is in one of three classes: `changed` (a weight differs), `touched` (the
 * weights are equal, but a counter or the optimizer's state differs), or the same. Weights are
 * compared as numbers, whatever cells hold them; state only where both have the same kind of cells.
 */
#include "inspect_diff.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "inspect.h"

static void compare_floats(struct figures *f, const uint8_t *x, const uint8_t *y, size_t n,
                           bool *changed) {
    *changed = memcmp(x, y, 4 * n) != 0;
    for (size_t i = 0; *changed && i < n; i++) {
        float p, q;
        memcpy(&p, x + 4 * i, 4);
        memcpy(&q, y + 4 * i, 4);
        const double d = fabs((double)p - (double)q);
        f->sum_abs += d;
        f->max_abs = d > f->max_abs || isnan(d) ? d : f->max_abs;
    }
    f->values += n;
}

/* Returns a hash of everything in a record except id and weights; without the state where the other
 * checkpoint has it as cells of another kind. */
static uint64_t rest_of(const struct scan_row *row, const struct row_layout *l,
                        const struct figures *f) {
    const uint64_t counters = (uint64_t)row->step << 32 | row->last;
    const size_t bytes = f->state_differs ? 0 : l->cell_bytes - l->weight_bytes;
    const uint64_t state = bytes == 0 ? 0 : hash_bytes(row->cells + l->weight_bytes, bytes);
    return rng_mix(counters ^ rng_mix(state));
}

/* --- holding ---------------------------------------------------------------------------------- */

static enum status count_bucket_rows(void *arg, const struct part_chunk *chunk) {
    struct diff *d = arg;
    uint32_t *counts = d->bucket_rows + (size_t)chunk->table * BUCKETS;
    for (size_t i = 0; i < chunk->count; i++) {
        counts[scan_bucket(d->a, chunk->table, scan_row(chunk, i).id)]++;
    }
    return OK;
}

static size_t held_stride(const struct scan *s, uint32_t table) {
    return 16 + 4 * (size_t)s->table[table].dim;
}

/* Returns the bytes to hold one row: record, seen, and index. The index is at most three quarters
 * full before its size is rounded up to a power of two (so up to 10.7 bytes). */
static size_t held_bytes(const struct scan *s, uint32_t table) {
    return held_stride(s, table) + 1 + 11;
}

/* Chooses the widest range from d->begin on that stays within the budget, but at least one bucket.
 */
static void choose_range(struct diff *d, uint64_t memory_bytes) {
    uint64_t bytes = 0;
    for (d->end = d->begin; d->end < BUCKETS; d->end++) {
        for (uint32_t t = 0; t < d->a->tables; t++) {
            bytes += (uint64_t)d->bucket_rows[(size_t)t * BUCKETS + d->end] * held_bytes(d->a, t);
        }
        if (bytes > memory_bytes && d->end > d->begin) {
            return;
        }
    }
}

static void held_fini(struct held *h) {
    mem_free(&h->records);
    mem_free(&h->seen);
    mem_free(&h->index);
    *h = (struct held){0};
}

static enum status held_init(struct diff *d, uint32_t table) {
    struct held *h = &d->held[table];
    uint64_t slots = 4;
    held_fini(h);
    for (uint32_t b = d->begin; b < d->end; b++) {
        h->cap += d->bucket_rows[(size_t)table * BUCKETS + b];
    }
    if (h->cap >= UINT32_MAX / 2) {
        return fail(ERR_LIMIT, "table '%s': %llu rows in one pass; use a smaller --memory",
                    d->name[table], (unsigned long long)h->cap);
    }
    while (slots * 3 < h->cap * 4) {
        slots *= 2;
    }
    h->stride = held_stride(d->a, table);
    h->mask = slots - 1;
    TRY(mem_array_of((void **)&h->records, h->cap, h->stride));
    TRY(mem_array(&h->seen, h->cap));
    return mem_array(&h->index, slots);
}

/* Returns the position + 1 of an id, or 0; *at = its place in the index. */
static uint32_t held_find(const struct held *h, uint64_t id, uint64_t *at) {
    *at = rng_mix(id) & h->mask;
    while (h->index[*at] != 0) {
        const uint32_t position = h->index[*at];
        if (load_u64(h->records + (position - 1) * h->stride) == id) {
            return position;
        }
        *at = (*at + 1) & h->mask;
    }
    return 0;
}

static enum status hold_chunk(void *arg, const struct part_chunk *chunk) {
    struct diff *d = arg;
    const struct row_layout *l = &d->a->row[chunk->table];
    struct held *h = &d->held[chunk->table];
    for (size_t i = 0; i < chunk->count; i++) {
        const struct scan_row row = scan_row(chunk, i);
        const uint32_t bucket = scan_bucket(d->a, chunk->table, row.id);
        uint64_t at;
        if (bucket < d->begin || bucket >= d->end) {
            continue;
        }
        if (held_find(h, row.id, &at) != 0 || h->count == h->cap) {
            return fail(ERR_CORRUPT, "%s: table '%s' holds id %llu twice", d->a->dir,
                        d->a->table[chunk->table].name, (unsigned long long)row.id);
        }
        uint8_t *record = h->records + h->count * h->stride;
        store_u64(record, row.id);
        store_u64(record + 8, rest_of(&row, l, &d->figures[chunk->table]));
        float w[DIM_MAX];
        row_weights_get(l, row.cells, w);
        memcpy(record + 16, w, 4 * (size_t)l->dim);
        h->index[at] = (uint32_t)++h->count;
    }
    return OK;
}

/* --- comparing -------------------------------------------------------------------------------- */

static void compare_row(struct diff *d, uint32_t table, const struct row_layout *l,
                        const struct scan_row *row) {
    struct figures *f = &d->figures[table];
    struct held *h = &d->held[table];
    uint64_t at;
    const uint32_t position = table < d->a->tables ? held_find(h, row->id, &at) : 0;
    if (position == 0) {
        f->only_b++;
        return;
    }
    const uint8_t *record = h->records + (position - 1) * h->stride;
    bool changed = true;
    h->seen[position - 1] = 1;
    f->both++;
    if (!f->shapes_differ) {
        float w[DIM_MAX];
        row_weights_get(l, row->cells, w);
        compare_floats(f, record + 16, (const uint8_t *)w, l->dim, &changed);
    }
    f->changed += changed;
    f->touched += !changed && load_u64(record + 8) != rest_of(row, l, f);
}

static enum status compare_chunk(void *arg, const struct part_chunk *chunk) {
    struct diff *d = arg;
    const uint32_t table = d->slot_of_b[chunk->table];
    for (size_t i = 0; i < chunk->count; i++) {
        const struct scan_row row = scan_row(chunk, i);
        const uint32_t bucket = scan_bucket(d->b, chunk->table, row.id);
        if (bucket >= d->begin && bucket < d->end) {
            compare_row(d, table, &d->b->row[chunk->table], &row);
        }
    }
    return OK;
}

static enum status compare_range(struct diff *d) {
    const struct scan_filter filter = {
        .kinds = SCAN_ROWS, .slot = -1, .bucket_begin = d->begin, .bucket_end = d->end};
    for (uint32_t t = 0; t < d->a->tables; t++) {
        TRY(held_init(d, t));
    }
    TRY(scan_each(d->a, &filter, hold_chunk, d));
    TRY(scan_each(d->b, &filter, compare_chunk, d));
    for (uint32_t t = 0; t < d->a->tables; t++) {
        for (uint64_t i = 0; i < d->held[t].count; i++) {
            d->figures[t].only_a += d->held[t].seen[i] == 0;
        }
    }
    return OK;
}

static void join_tables(struct diff *d) {
    d->tables = d->a->tables;
    for (uint32_t t = 0; t < d->a->tables; t++) {
        d->name[t] = d->a->table[t].name;
    }
    for (uint32_t t = 0; t < d->b->tables; t++) {
        const int slot = schema_find(&d->a->manifest.schema, d->b->table[t].name);
        d->slot_of_b[t] = slot >= 0 ? (uint32_t)slot : d->tables++;
        d->name[d->slot_of_b[t]] = d->b->table[t].name;
        if (slot >= 0) {
            d->figures[slot].shapes_differ = d->a->table[slot].dim != d->b->table[t].dim;
            d->figures[slot].state_differs = d->a->table[slot].state != d->b->table[t].state;
        }
    }
}

static enum status compare_rows(struct diff *d, uint64_t memory_bytes) {
    const struct scan_filter filter = scan_all(SCAN_ROWS);
    TRY(mem_array(&d->bucket_rows, (size_t)d->a->tables * BUCKETS));
    TRY(scan_each(d->a, &filter, count_bucket_rows, d));
    for (d->begin = 0; d->begin < BUCKETS; d->begin = d->end) {
        choose_range(d, memory_bytes);
        TRY(compare_range(d));
        d->ranges++;
    }
    return OK;
}

/* --- dense ------------------------------------------------------------------------------------ */

static const struct layout_array *find_array(const struct layout *l, const char *name) {
    for (uint32_t k = 0; k < l->array_count; k++) {
        if (strcmp(l->array[k].name, name) == 0) {
            return &l->array[k];
        }
    }
    return NULL;
}

static bool state_differs(const struct diff *d, const float *a, const struct layout_array *x,
                          const float *b, const struct layout_array *y) {
    const size_t bytes = 4 * (size_t)x->rows * x->cols;
    if (d->a->dense_state != d->b->dense_state) {
        return true;
    }
    for (uint32_t v = 1; v <= d->a->dense_state; v++) {
        if (memcmp(a + v * d->a->layout.count + x->offset, b + v * d->b->layout.count + y->offset,
                   bytes) != 0) {
            return true;
        }
    }
    return false;
}

static void compare_array(struct diff *d, const float *a, const struct layout_array *x,
                          const float *b, const struct layout_array *y) {
    struct figures *f = &d->dense[d->arrays];
    d->dense_name[d->arrays++] = x != NULL ? x->name : y->name;
    if (x == NULL || y == NULL) {
        f->only_a = x != NULL;
        f->only_b = y != NULL;
        return;
    }
    f->both = 1;
    f->shapes_differ = x->rows != y->rows || x->cols != y->cols;
    if (f->shapes_differ) {
        f->changed = 1;
        return;
    }
    bool changed = false;
    compare_floats(f, (const uint8_t *)(a + x->offset), (const uint8_t *)(b + y->offset),
                   (size_t)x->rows * x->cols, &changed);
    f->changed = changed;
    f->touched = !changed && state_differs(d, a, x, b, y);
}

static enum status compare_dense(struct diff *d) {
    const struct layout *l = &d->a->layout, *m = &d->b->layout;
    float *a = NULL, *b = NULL;
    enum status status = OK;
    TRY_OUT(scan_dense(d->a, &a));
    TRY_OUT(scan_dense(d->b, &b));
    for (uint32_t k = 0; k < l->array_count; k++) {
        compare_array(d, a, &l->array[k], b, find_array(m, l->array[k].name));
    }
    for (uint32_t k = 0; k < m->array_count; k++) {
        if (find_array(l, m->array[k].name) == NULL) {
            compare_array(d, a, NULL, b, &m->array[k]);
        }
    }
out:
    mem_free(&a);
    mem_free(&b);
    return status;
}

/* --- the whole -------------------------------------------------------------------------------- */

enum status inspect_diff(const struct scan *a, const struct scan *b, uint64_t memory_bytes,
                         bool json, struct buf *out) {
    struct diff *d = NULL;
    enum status status = OK;
    TRY(mem_new(&d));
    d->a = a;
    d->b = b;
    join_tables(d);
    TRY_OUT(compare_rows(d, memory_bytes));
    TRY_OUT(compare_dense(d));
    TRY_OUT(json ? diff_json(d, out) : diff_text(d, out));
out:
    for (uint32_t t = 0; t < a->tables; t++) {
        held_fini(&d->held[t]);
    }
    mem_free(&d->bucket_rows);
    mem_free(&d);
    return status;
}
