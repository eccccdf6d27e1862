#include "export_rows.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"
#include "npy.h"

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

/* American flag sort (McIlroy, Bostic, McIlroy 1993), most significant byte first: it counts the
 * bytes, then moves each id straight to its pile, in cycles. It sorts in place, because the C
 * library's qsort may take the array's memory a second time. The depth is at most 8. */
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
    TRY(mem_room(&o->ids, &o->cap, o->count + chunk->count));
    for (size_t i = 0; i < chunk->count; i++) {
        o->ids[o->count++] = scan_row(chunk, i).id;
    }
    return OK;
}

enum status row_order_init(struct row_order *o, const struct scan *scan, uint32_t slot,
                           uint32_t kind) {
    const struct scan_filter filter = scan_table(kind, (int)slot);
    uint64_t rows = 0;
    enum status status = OK;
    *o = (struct row_order){.scan = scan, .slot = slot, .kind = kind};
    TRY_OUT(scan_rows_bound(scan, &filter, &rows));
    TRY_OUT(mem_array(&o->ids, rows));
    o->cap = rows;
    TRY_OUT(scan_each(scan, &filter, collect_ids, o));
    sort_ids(o->ids, o->count);
    for (uint64_t i = 1; i < o->count; i++) {
        if (o->ids[i] == o->ids[i - 1]) {
            TRY_OUT(fail(ERR_CORRUPT, "%s: table '%s' holds id %llu twice", scan->dir,
                         scan->table[slot].name, (unsigned long long)o->ids[i]));
        }
    }
    return OK;
out:
    row_order_fini(o);
    return status;
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

/* --- writing -------------------------------------------------------------------------------- */

struct window {
    const struct row_order *order;
    size_t bytes;        /* of each row */
    bool weights;        /* decoded weights; else the record */
    uint64_t begin, end; /* range of ranks */
    uint64_t filled;
    uint8_t *data;
};

static enum status fill_window(void *arg, const struct part_chunk *chunk) {
    struct window *w = arg;
    const struct row_layout *l = &w->order->scan->row[w->order->slot];
    assert(w->weights || w->bytes <= chunk->row_bytes);
    for (size_t i = 0; i < chunk->count; i++) {
        const uint8_t *record = chunk->data + i * chunk->row_bytes;
        const uint64_t rank = rank_of(w->order, load_u64(record));
        if (rank >= w->begin && rank < w->end) {
            uint8_t *at = w->data + (rank - w->begin) * w->bytes;
            if (w->weights) {
                row_weights_get(l, record + ROW_HEADER, (float *)(void *)at);
            } else {
                memcpy(at, record, w->bytes);
            }
            w->filled++;
        }
    }
    return OK;
}

static enum status write_windows(const struct row_order *o, const char *path, const char *type,
                                 uint32_t columns, size_t bytes, size_t window_bytes) {
    const struct scan_filter filter = scan_table(o->kind, (int)o->slot);
    const uint64_t shape[] = {o->count, columns};
    struct window w = {.order = o, .bytes = bytes, .weights = columns > 0};
    struct npy npy = {.file = FILE_CLOSED};
    uint64_t rows = window_bytes / bytes;
    enum status status = OK;
    rows = rows == 0 ? 1 : rows > o->count ? o->count : rows;
    TRY_OUT(npy_create(&npy, path, type, columns > 0 ? bytes / columns : bytes, shape,
                       columns > 0 ? 2 : 1));
    TRY_OUT(mem_array_of((void **)&w.data, rows, bytes));
    while (w.end < o->count) {
        w.begin = w.end;
        w.end = w.begin + rows < o->count ? w.begin + rows : o->count;
        w.filled = 0;
        TRY_OUT(scan_each(o->scan, &filter, fill_window, &w));
        if (w.filled != w.end - w.begin) {
            TRY_OUT(fail(ERR_CORRUPT, "%s: table '%s' changed while it was read", o->scan->dir,
                         o->scan->table[o->slot].name));
        }
        TRY_OUT(npy_write(&npy, w.data, (size_t)(w.end - w.begin) * bytes));
    }
    TRY_OUT(npy_close(&npy));
out:
    npy_abort(&npy);
    mem_free(&w.data);
    return status;
}

enum status row_order_write(const struct row_order *o, const char *path, const char *type,
                            size_t bytes, size_t window_bytes) {
    return write_windows(o, path, type, 0, bytes, window_bytes);
}

enum status row_order_write_weights(const struct row_order *o, const char *path,
                                    size_t window_bytes) {
    const uint32_t dim = o->scan->table[o->slot].dim;
    return write_windows(o, path, "'<f4'", dim, dim * sizeof(float), window_bytes);
}
