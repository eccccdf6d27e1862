/* inspect_top.c - the rows with the largest norm or count. */
#include "inspect.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/json.h"
#include "common/base/mem.h"

struct top_row {
    double value; /* rows are sorted by it */
    double norm;
    uint64_t id;
    uint32_t slot, step, last;
};
/* The n best rows so far, as a heap whose root is the worst of them. */
struct top {
    const struct scan *scan;
    struct top_row *rows;
    size_t count, cap;
    bool by_count;
};

/* Equal values are ordered by slot and id, so that the result does not depend on the order of the
 * parts. */
static bool worse(const struct top_row *a, const struct top_row *b) {
    if (a->value != b->value) {
        return a->value < b->value;
    }
    return a->slot != b->slot ? a->slot > b->slot : a->id > b->id;
}

static void swap_rows(struct top_row *a, struct top_row *b) {
    const struct top_row t = *a;
    *a = *b;
    *b = t;
}

static void sift_down(struct top *t, size_t at) {
    for (;;) {
        size_t worst = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < t->count; child++) {
            worst = worse(&t->rows[child], &t->rows[worst]) ? child : worst;
        }
        if (worst == at) {
            return;
        }
        swap_rows(&t->rows[at], &t->rows[worst]);
        at = worst;
    }
}

static void top_offer(struct top *t, const struct top_row *row) {
    if (t->count == t->cap) {
        if (worse(&t->rows[0], row)) {
            t->rows[0] = *row;
            sift_down(t, 0);
        }
        return;
    }
    size_t at = t->count++;
    t->rows[at] = *row;
    while (at > 0 && worse(&t->rows[at], &t->rows[(at - 1) / 2])) {
        swap_rows(&t->rows[at], &t->rows[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static enum status top_chunk(void *arg, const struct part_chunk *chunk) {
    struct top *t = arg;
    for (size_t i = 0; i < chunk->count; i++) {
        const struct scan_row row = scan_row(chunk, i);
        struct top_row r = {.id = row.id, .slot = chunk->table, .step = row.step, .last = row.last};
        r.norm = sqrt(scan_row_square(t->scan, chunk->table, &row));
        r.value = t->by_count ? row.step : r.norm;
        top_offer(t, &r);
    }
    return OK;
}

static int best_first(const void *a, const void *b) {
    return worse(a, b) ? 1 : worse(b, a) ? -1 : 0;
}

static enum status text_top(const struct top *t, struct buf *out) {
    TRY(buf_printf(out, "%-20s %20s %14s %12s %12s\n", "field", "id", "norm", "updates", "last"));
    for (size_t i = 0; i < t->count; i++) {
        const struct top_row *r = &t->rows[i];
        TRY(buf_printf(out, "%-20s %20llu %14.9g %12u %12u\n", t->scan->table[r->slot].name,
                       (unsigned long long)r->id, r->norm, r->step, r->last));
    }
    return OK;
}

static enum status json_top(const struct top *t, struct buf *out) {
    struct json j;
    json_begin(&j, out, false);
    json_str(&j, "by", t->by_count ? "count" : "norm");
    json_open(&j, "rows", '[');
    for (size_t i = 0; i < t->count; i++) {
        const struct top_row *r = &t->rows[i];
        json_open(&j, NULL, '{');
        json_str(&j, "field", t->scan->table[r->slot].name);
        json_u64(&j, "id", r->id);
        json_f64(&j, "norm", r->norm);
        json_u64(&j, "step", r->step);
        json_u64(&j, "last", r->last);
        json_close(&j);
    }
    json_close(&j);
    return json_end(&j);
}

enum status inspect_top(const struct scan *scan, uint32_t n, bool by_count, int slot, bool json,
                        struct buf *out) {
    const struct scan_filter filter = scan_table(SCAN_ROWS, slot);
    struct top t = {.scan = scan, .cap = n, .by_count = by_count};
    enum status status = OK;
    TRY_OUT(mem_array(&t.rows, n));
    TRY_OUT(scan_each(scan, &filter, top_chunk, &t));
    qsort(t.rows, t.count, sizeof *t.rows, best_first);
    TRY_OUT(json ? json_top(&t, out) : text_top(&t, out));
out:
    mem_free(&t.rows);
    return status;
}
