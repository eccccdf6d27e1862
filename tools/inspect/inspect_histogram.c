/* inspect_histogram.c - the distribution of row norms and of counts of updates. */
#include "inspect.h"

#include <math.h>

#include "common/base/json.h"
#include "common/base/mem.h"

/* Bin k >= 1 holds [2^(k - 1 + LOW), 2^(k + LOW)); bin 0 holds what is below, and the last bin what
 * is above. */
#define NORM_BINS 48
#define NORM_LOW  (-32)
#define STEP_BINS 33
#define BAR       40

struct histogram {
    uint64_t norm[NORM_BINS];
    uint64_t step[STEP_BINS];
};
struct histograms {
    const struct scan *scan;
    struct histogram *table;
};

static uint32_t bin_of(double value, int low, uint32_t bins) {
    if (!(value >= ldexp(1, low))) {
        return 0;
    }
    const int bin = isfinite(value) ? ilogb(value) - low + 1 : (int)bins;
    return bin < (int)bins ? (uint32_t)bin : bins - 1;
}

static enum status histogram_chunk(void *arg, const struct part_chunk *chunk) {
    struct histograms *h = arg;
    struct histogram *t = &h->table[chunk->table];
    for (size_t i = 0; i < chunk->count; i++) {
        const struct scan_row row = scan_row(chunk, i);
        t->norm[bin_of(sqrt(scan_row_square(h->scan, chunk->table, &row)), NORM_LOW, NORM_BINS)]++;
        t->step[bin_of(row.step, 0, STEP_BINS)]++;
    }
    return OK;
}

static double edge(uint32_t bin, int low) {
    return bin == 0 ? 0 : ldexp(1, (int)bin - 1 + low);
}

static enum status text_bins(const char *what, const uint64_t *bins, uint32_t n, int low,
                             struct buf *out) {
    uint64_t most = 1;
    for (uint32_t k = 0; k < n; k++) {
        most = bins[k] > most ? bins[k] : most;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (bins[k] > 0) {
            const int length = (int)((bins[k] * BAR + most - 1) / most);
            TRY(buf_printf(out, "  %s from %-12.6g %12llu  %.*s\n", what, edge(k, low),
                           (unsigned long long)bins[k], length,
                           "########################################"));
        }
    }
    return OK;
}

static void json_bins(struct json *j, const char *what, const uint64_t *bins, uint32_t n, int low) {
    json_open(j, what, '[');
    for (uint32_t k = 0; k < n; k++) {
        if (bins[k] > 0) {
            json_open(j, NULL, '{');
            json_f64(j, "from", edge(k, low));
            json_f64(j, "below", k + 1 < n ? edge(k + 1, low) : INFINITY);
            json_u64(j, "rows", bins[k]);
            json_close(j);
        }
    }
    json_close(j);
}

static enum status text_histogram(const char *name, const struct histogram *h, struct buf *out) {
    TRY(buf_printf(out, "%s\n", name));
    TRY(text_bins("norm   ", h->norm, NORM_BINS, NORM_LOW, out));
    return text_bins("updates", h->step, STEP_BINS, 0, out);
}

static void json_histogram(const char *name, const struct histogram *h, struct json *j) {
    json_open(j, NULL, '{');
    json_str(j, "field", name);
    json_bins(j, "norm", h->norm, NORM_BINS, NORM_LOW);
    json_bins(j, "step", h->step, STEP_BINS, 0);
    json_close(j);
}

enum status inspect_histogram(const struct scan *scan, int slot, bool json, struct buf *out) {
    const struct scan_filter filter = scan_table(SCAN_ROWS, slot);
    const uint32_t end = slot < 0 ? scan->tables : (uint32_t)slot + 1;
    struct histograms h = {.scan = scan};
    struct json j;
    enum status status = OK;
    TRY_OUT(mem_array(&h.table, scan->tables));
    TRY_OUT(scan_each(scan, &filter, histogram_chunk, &h));
    if (json) {
        json_begin(&j, out, false);
        json_open(&j, "tables", '[');
    }
    for (uint32_t t = slot < 0 ? 0 : (uint32_t)slot; t < end; t++) {
        if (json) {
            json_histogram(scan->table[t].name, &h.table[t], &j);
        } else {
            TRY_OUT(text_histogram(scan->table[t].name, &h.table[t], out));
        }
    }
    if (json) {
        json_close(&j);
        status = json_end(&j);
    }
out:
    mem_free(&h.table);
    return status;
}
