#include "export_rows.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

/* --- sorting ---------------------------------------------------------------------------------- */

#define SMALL 32

static void insertion_sort(uint64_t *ids, size_t n) {
    for (size_t i = 1; i < n; i++) {
        const uint64_t id = ids[i];
        size_t at = i;
        while (at > 0 && ids[at - 1] > id) {
            ids[at] = ids[at - 1];
            at--;
        }
        ids[at] = id;
    }
}

/* American flag sort (McIlroy, Bostic, McIlroy 1993), most significant byte first: count the bytes,
 * then move each id straight to its pile by cycles. In place, because the C library's qsort may
 * take as much memory again as the array. Depth is at most 8. */
static void flag_sort(uint64_t *ids, size_t n, unsigned shift) {
    size_t end[256] = {0}, at[256];
    if (n <= SMALL) {
        insertion_sort(ids, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        end[ids[i] >> shift & 255]++;
    }
    for (size_t b = 0, sum = 0; b < 256; b++) {
        at[b] = sum;
        sum += end[b];
        end[b] = sum;
    }
    for (size_t b = 0; b < 256; b++) {
        while (at[b] < end[b]) {
            const size_t home = ids[at[b]] >> shift & 255;
            const uint64_t displaced = ids[at[home]];
            ids[at[home]++] = ids[at[b]];
            if (home != b) {
                ids[at[b]] = displaced;
            }
        }
    }
    for (size_t b = 0, begin = 0; shift > 0 && b < 256; b++) {
        flag_sort(ids + begin, end[b] - begin, shift - 8);
        begin = end[b];
    }
}

void sort_ids(uint64_t *ids, size_t n) {
    flag_sort(ids, n, 56);
}

/* --- the order -------------------------------------------------------------------------------- */

static enum status collect_ids(void *arg, const struct part_chunk *chunk) {
    struct row_order *o = arg;
    const uint64_t need = o->count + chunk->count;
    if (need > o->cap) {
        const uint64_t cap = need > 2 * o->cap ? need : 2 * o->cap;
        TRY(mem_grow(&o->ids, o->cap, cap));
        o->cap = cap;
    }
    for (size_t i = 0; i < chunk->count; i++) {
        o->ids[o->count++] = scan_row(chunk, i).id;
    }
    return OK;
}

enum status row_order_init(struct row_order *o, const struct scan *scan, uint32_t slot,
                           uint32_t kind) {
    const struct scan_filter filter = {
        .kinds = kind, .slot = (int)slot, .bucket_begin = 0, .bucket_end = BUCKETS};
    *o = (struct row_order){.scan = scan, .slot = slot, .kind = kind};
    enum status status = scan_rows_bound(scan, &filter, &o->cap);
    if (status == OK) {
        status = mem_array(&o->ids, o->cap);
    }
    if (status == OK) {
        status = scan_each(scan, &filter, collect_ids, o);
    }
    if (status != OK) {
        row_order_fini(o);
        return status;
    }
    sort_ids(o->ids, o->count);
    for (uint64_t i = 1; i < o->count; i++) {
        if (o->ids[i] == o->ids[i - 1]) {
            const unsigned long long id = o->ids[i];
            row_order_fini(o);
            return fail(ERR_CORRUPT, "%s: table '%s' holds id %llu twice", scan->dir,
                        scan->table[slot].name, id);
        }
    }
    return OK;
}

void row_order_fini(struct row_order *o) {
    mem_free(&o->ids);
    o->count = o->cap = 0;
}

static uint64_t rank_of(const struct row_order *o, uint64_t id) {
    uint64_t low = 0, high = o->count;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (o->ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* --- streaming -------------------------------------------------------------------------------- */

struct window {
    const struct row_order *order;
    size_t from, bytes;  /* of each record */
    uint64_t begin, end; /* ranks */
    uint64_t filled;
    uint8_t *data;
};

static enum status fill_window(void *arg, const struct part_chunk *chunk) {
    struct window *w = arg;
    assert(w->from + w->bytes <= chunk->row_bytes);
    for (size_t i = 0; i < chunk->count; i++) {
        const uint8_t *record = chunk->data + i * chunk->row_bytes;
        const uint64_t rank = rank_of(w->order, load_u64(record));
        if (rank >= w->begin && rank < w->end) {
            memcpy(w->data + (rank - w->begin) * w->bytes, record + w->from, w->bytes);
            w->filled++;
        }
    }
    return OK;
}

enum status row_order_stream(const struct row_order *o, size_t from, size_t bytes,
                             size_t window_bytes,
                             enum status (*sink)(void *arg, const void *data, size_t bytes),
                             void *arg) {
    const struct scan_filter filter = {
        .kinds = o->kind, .slot = (int)o->slot, .bucket_begin = 0, .bucket_end = BUCKETS};
    struct window w = {.order = o, .from = from, .bytes = bytes};
    uint64_t rows = window_bytes / bytes;
    rows = rows == 0 ? 1 : rows > o->count ? o->count : rows;
    TRY(mem_array_of((void **)&w.data, rows, bytes));
    enum status status = OK;
    while (w.end < o->count) {
        w.begin = w.end;
        w.end = w.begin + rows < o->count ? w.begin + rows : o->count;
        w.filled = 0;
        TRY_OUT(scan_each(o->scan, &filter, fill_window, &w));
        if (w.filled != w.end - w.begin) {
            TRY_OUT(fail(ERR_CORRUPT, "%s: table '%s' changed while it was read", o->scan->dir,
                         o->scan->table[o->slot].name));
        }
        TRY_OUT(sink(arg, w.data, (size_t)(w.end - w.begin) * bytes));
    }
out:
    mem_free(&w.data);
    return status;
}
