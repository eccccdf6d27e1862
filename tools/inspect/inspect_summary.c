#include "inspect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/job/applied.h"
#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/job/optimizer_kind.h"
#include "tools/common/field_report.h"

struct table_sums {
    uint64_t rows, sightings, updates;
    double square; /* sum of squares of all weights */
    double norms;  /* sum of row norms */
    double norm_max;
};
struct cursor_sums {
    uint32_t epochs;        /* complete epochs */
    uint64_t batches;       /* batches applied after them */
    uint64_t epoch_batches; /* batches of one epoch */
};
struct summary {
    const struct scan *scan;
    struct table_sums table[FIELDS_MAX];
    struct cursor_sums cursor;
    float *dense;
};

static enum status add_chunk(void *arg, const struct part_chunk *chunk) {
    struct summary *s = arg;
    struct table_sums *t = &s->table[chunk->table];
    if (chunk->kind == PART_SIGHTINGS) {
        t->sightings += chunk->count;
        return OK;
    }
    for (size_t i = 0; i < chunk->count; i++) {
        const struct scan_row row = scan_row(chunk, i);
        const double square = scan_row_square(s->scan, chunk->table, &row);
        const double norm = sqrt(square);
        t->square += square;
        t->norms += norm;
        t->norm_max = norm > t->norm_max ? norm : t->norm_max;
        t->updates += row.step;
    }
    t->rows += chunk->count;
    return OK;
}

static enum status read_cursor(const struct manifest *m, struct cursor_sums *c) {
    struct applied *applied = NULL;
    *c = (struct cursor_sums){0};
    for (uint32_t s = 0; s < m->shards; s++) {
        c->epoch_batches += m->batches_per_shard[s];
    }
    if (m->applied_bytes == 0) {
        return OK;
    }
    TRY(applied_decode(&applied, m->applied, m->applied_bytes, m->batches_per_shard, m->shards));
    c->epochs = applied_base(applied);
    c->batches = applied_count(applied) - c->epochs * c->epoch_batches;
    applied_destroy(&applied);
    return OK;
}

static void saved_text(double saved_at, char *out, size_t bytes) {
    const time_t seconds = (time_t)saved_at;
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL || strftime(out, bytes, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        snprintf(out, bytes, "unknown");
    }
}

static double array_norm(const struct summary *s, const struct layout_array *a) {
    return sqrt(scan_square(s->dense + a->offset, (size_t)a->rows * a->cols));
}

static double mean_norm(const struct table_sums *t) {
    return t->rows == 0 ? 0 : t->norms / (double)t->rows;
}

/* --- text ------------------------------------------------------------------------------------- */

static enum status text_head(const struct summary *s, struct buf *out) {
    const struct scan *scan = s->scan;
    const struct manifest *m = &scan->manifest;
    const struct layout *l = &scan->layout;
    char saved[32];
    saved_text(m->saved_at, saved, sizeof saved);
    TRY(buf_printf(out, "checkpoint  %s\nsaved       %s\n", scan->dir, saved));
    TRY(buf_printf(out, "step        %llu batches, %llu impressions, seed %llu\n",
                   (unsigned long long)m->step, (unsigned long long)m->impressions,
                   (unsigned long long)scan->config.seed));
    TRY(buf_printf(out, "cursor      %u epochs complete, then %llu of %llu batches (%u ranges)\n",
                   s->cursor.epochs, (unsigned long long)s->cursor.batches,
                   (unsigned long long)s->cursor.epoch_batches, m->shards));
    if (m->sample_rate < 1) {
        TRY(buf_printf(out, "sample rate %g of the unclicked impressions: %s\n", m->sample_rate,
                       scan->config.sample_correction == CORRECT_WEIGHT
                           ? "they count more (train.sample_correction = weight)"
                           : "p_ctr is corrected (train.sample_correction = predict)"));
    }
    TRY(buf_printf(out, "parts       %u files, %llu bytes%s\n", m->part_count,
                   (unsigned long long)scan->bytes,
                   scan->chain.count == 0 ? "" : " with those of its bases"));
    for (uint32_t i = 0; i < scan->chain.count; i++) {
        TRY(buf_printf(out, "%s  %s\n", i == 0 ? "a delta to" : "          ",
                       scan->chain.base[i].dir));
    }
    TRY(buf_printf(out, "model       %s, %u user + %u item fields, input %u, towers",
                   l->input == INPUT_SIDES ? "sides" : "concat", l->user_fields,
                   l->fields - l->user_fields, l->input_width));
    for (uint32_t k = 0; k < l->layers; k++) {
        TRY(buf_printf(out, "%s%u", k == 0 ? " " : "-", l->hidden[k]));
    }
    return buf_printf(out, "\n");
}

static enum status summary_table(const struct summary *s, uint32_t slot, struct buf *out) {
    const struct part_table *p = &s->scan->table[slot];
    const struct table_sums *t = &s->table[slot];
    const bool user = slot < s->scan->layout.user_fields;
    char cells[48] = "";
    if (!row_layout_plain(&s->scan->row[slot])) {
        snprintf(cells, sizeof cells, "  weights %s, state %s, %u bytes a row",
                 cell_kind_name(p->weights), cell_kind_name(p->state), p->row_bytes);
    }
    return buf_printf(
        out, "%-20s %-4s %4u  %-16s %12llu %14llu %12llu %12.5g %12.5g %12.5g %12llu%s\n", p->name,
        user ? "user" : "item", p->dim, optimizer_name(p->optimizer), (unsigned long long)t->rows,
        (unsigned long long)(t->rows * p->row_bytes), (unsigned long long)t->updates,
        sqrt(t->square), mean_norm(t), t->norm_max, (unsigned long long)t->sightings, cells);
}

/* Reports how texts became ids, as far as that is known. */
static enum status summary_fields(const struct field_schemas *fields, struct buf *out) {
    if (!field_report_known(fields)) {
        return OK;
    }
    TRY(buf_printf(out, "\n%-20s %s\n", "field", "ids"));
    for (uint32_t f = 0; f < fields->count; f++) {
        TRY(buf_printf(out, "%-20s ", fields->list[f].name));
        TRY(field_schema_describe(&fields->list[f], out));
        TRY(buf_printf(out, "\n"));
    }
    return OK;
}

static enum status summary_text(const struct summary *s, struct buf *out) {
    const struct scan *scan = s->scan;
    uint64_t rows = 0, bytes = 0;
    TRY(text_head(s, out));
    TRY(buf_printf(out, "\n%-20s %-4s %4s  %-16s %12s %14s %12s %12s %12s %12s %12s\n", "table",
                   "side", "dim", "optimizer", "rows", "bytes", "updates", "norm", "mean row",
                   "largest", "unadmitted"));
    for (uint32_t t = 0; t < scan->tables; t++) {
        TRY(summary_table(s, t, out));
        rows += s->table[t].rows;
        bytes += s->table[t].rows * scan->table[t].row_bytes;
    }
    TRY(buf_printf(out, "%-48s %12llu %14llu\n", "all", (unsigned long long)rows,
                   (unsigned long long)bytes));
    TRY(summary_fields(&scan->manifest.fields, out));
    TRY(buf_printf(out, "\n%-20s %12s %12s   (%s)\n", "dense", "shape", "norm",
                   optimizer_name(scan->config.dense.kind)));
    for (uint32_t k = 0; k < scan->layout.array_count; k++) {
        const struct layout_array *a = &scan->layout.array[k];
        char shape[32];
        snprintf(shape, sizeof shape, "%ux%u", a->rows, a->cols);
        TRY(buf_printf(out, "%-20s %12s %12.5g\n", a->name, shape, array_norm(s, a)));
    }
    return OK;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_head(const struct summary *s, struct json *j) {
    const struct manifest *m = &s->scan->manifest;
    json_str(j, "kind", "checkpoint");
    json_str(j, "checkpoint", s->scan->dir);
    json_f64(j, "saved_at", m->saved_at);
    json_u64(j, "step", m->step);
    json_u64(j, "impressions", m->impressions);
    json_u64(j, "seed", s->scan->config.seed);
    json_f64(j, "sample_rate", m->sample_rate);
    json_open(j, "cursor", '{');
    json_u64(j, "epochs_complete", s->cursor.epochs);
    json_u64(j, "batches_beyond", s->cursor.batches);
    json_u64(j, "batches_per_epoch", s->cursor.epoch_batches);
    json_u64(j, "ranges", m->shards);
    json_close(j);
    json_u64(j, "parts", m->part_count);
    json_open(j, "bases", '[');
    for (uint32_t i = 0; i < s->scan->chain.count; i++) {
        json_str(j, NULL, s->scan->chain.base[i].dir);
    }
    json_close(j);
    json_u64(j, "bytes", s->scan->bytes);
    json_str(j, "config", m->config_text);
}

static void json_table(const struct summary *s, uint32_t slot, struct json *j) {
    const struct part_table *p = &s->scan->table[slot];
    const struct table_sums *t = &s->table[slot];
    json_open(j, NULL, '{');
    json_str(j, "field", p->name);
    json_str(j, "side", slot < s->scan->layout.user_fields ? "user" : "item");
    json_u64(j, "dim", p->dim);
    json_str(j, "optimizer", optimizer_name(p->optimizer));
    json_u64(j, "rows", t->rows);
    json_u64(j, "row_bytes", p->row_bytes);
    json_str(j, "weights", cell_kind_name(p->weights));
    json_str(j, "state", cell_kind_name(p->state));
    json_u64(j, "bytes", t->rows * p->row_bytes);
    json_u64(j, "updates", t->updates);
    json_f64(j, "norm", sqrt(t->square));
    json_f64(j, "row_norm_mean", mean_norm(t));
    json_f64(j, "row_norm_max", t->norm_max);
    json_u64(j, "unadmitted", t->sightings);
    json_open(j, "ids", '{');
    field_report_json(field_schemas_find(&s->scan->manifest.fields, p->name), j);
    json_close(j);
    json_close(j);
}

static enum status summary_json(const struct summary *s, struct buf *out) {
    struct json j;
    json_begin(&j, out, false);
    json_head(s, &j);
    json_open(&j, "tables", '[');
    for (uint32_t t = 0; t < s->scan->tables; t++) {
        json_table(s, t, &j);
    }
    json_close(&j);
    json_open(&j, "dense", '[');
    for (uint32_t k = 0; k < s->scan->layout.array_count; k++) {
        const struct layout_array *a = &s->scan->layout.array[k];
        json_open(&j, NULL, '{');
        json_str(&j, "name", a->name);
        json_u64(&j, "rows", a->rows);
        json_u64(&j, "cols", a->cols);
        json_f64(&j, "norm", array_norm(s, a));
        json_close(&j);
    }
    json_close(&j);
    return json_end(&j);
}

enum status inspect_summary(const struct scan *scan, bool json, struct buf *out) {
    const struct scan_filter filter = scan_all(SCAN_ROWS | SCAN_SIGHTINGS);
    struct summary *s = NULL;
    enum status status = OK;
    TRY(mem_new(&s));
    s->scan = scan;
    TRY_OUT(read_cursor(&scan->manifest, &s->cursor));
    TRY_OUT(scan_each(scan, &filter, add_chunk, s));
    TRY_OUT(scan_dense(scan, &s->dense));
    TRY_OUT(json ? summary_json(s, out) : summary_text(s, out));
out:
    mem_free(&s->dense);
    mem_free(&s);
    return status;
}
