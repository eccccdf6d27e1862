/* export_dump.c - the whole state of a checkpoint in one order: for comparing two of them with cmp
 * or diff -r, e.g. one saved by N servers with one that M servers saved after restoring it.
 *
 * Records are written as NumPy structured arrays, without the padding that rows have in memory.
 * applied.tsv gives, per range of buckets that agree, the clocks and the names applied. */
#include "export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/job/applied.h"
#include "common/base/mem.h"
#include "export_rows.h"
#include "tools/common/field_report.h"
#include "npy.h"

static enum status put_rows(void *npy, const void *data, size_t bytes) {
    return npy_write(npy, data, bytes);
}

static void record_type(const struct scan *scan, uint32_t slot, uint32_t kind, char *out,
                        size_t bytes) {
    const struct part_table *t = &scan->table[slot];
    char state[48] = "";
    if (kind == SCAN_SIGHTINGS) {
        snprintf(out, bytes, "[('id', '<u8'), ('sightings', '<u4'), ('last', '<u4')]");
        return;
    }
    if (t->state_floats > 0) {
        snprintf(state, sizeof state, ", ('state', '<f4', (%u,))", t->state_floats);
    }
    snprintf(out, bytes,
             "[('id', '<u8'), ('step', '<u4'), ('last', '<u4'), "
             "('w', '<f4', (%u,))%s]",
             t->dim, state);
}

static enum status write_records(const struct scan *scan, uint32_t slot, uint32_t kind,
                                 const char *path, size_t window_bytes) {
    const struct part_table *t = &scan->table[slot];
    const size_t floats = kind == SCAN_ROWS ? t->dim + t->state_floats : 0;
    const size_t bytes = PART_RECORD_HEADER + 4 * floats;
    char type[256];
    struct row_order order = {0};
    struct npy npy = {.file = FILE_CLOSED};
    enum status status = OK;
    record_type(scan, slot, kind, type, sizeof type);
    TRY_OUT(row_order_init(&order, scan, slot, kind));
    TRY_OUT(npy_create(&npy, path, type, bytes, (uint64_t[]){order.count}, 1));
    TRY_OUT(row_order_stream(&order, 0, bytes, window_bytes, put_rows, &npy));
    TRY_OUT(npy_close(&npy));
out:
    npy_abort(&npy);
    row_order_fini(&order);
    return status;
}

static enum status write_table(const struct scan *scan, uint32_t slot, const char *dir,
                               size_t window_bytes) {
    char name[EXPORT_NAME_BYTES], folder[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    export_name(scan->manifest.schema.fields[slot].name, name);
    TRY(path_join(folder, dir, name));
    TRY(file_mkdirs(folder));
    TRY(path_join(path, folder, "rows.npy"));
    TRY(write_records(scan, slot, SCAN_ROWS, path, window_bytes));
    TRY(path_join(path, folder, "sightings.npy"));
    return write_records(scan, slot, SCAN_SIGHTINGS, path, window_bytes);
}

/* Every array as [1 + state vectors][its floats]: w first. */
static enum status write_dense(const struct scan *scan, const char *dir) {
    char folder[PATH_BYTES_MAX], path[PATH_BYTES_MAX], name[32];
    const uint64_t vectors = 1 + scan->dense_state;
    float *dense = NULL;
    struct npy npy = {.file = FILE_CLOSED};
    enum status status = OK;
    TRY(path_join(folder, dir, "dense"));
    TRY(file_mkdirs(folder));
    TRY_OUT(scan_dense(scan, &dense));
    for (uint32_t k = 0; k < scan->layout.array_count; k++) {
        const struct layout_array *a = &scan->layout.array[k];
        const uint64_t floats = (uint64_t)a->rows * a->cols;
        snprintf(name, sizeof name, "%s.npy", a->name);
        TRY_OUT(path_join(path, folder, name));
        TRY_OUT(npy_create(&npy, path, "'<f4'", 4, (uint64_t[]){vectors, floats}, 2));
        for (uint64_t v = 0; v < vectors; v++) {
            TRY_OUT(npy_write(&npy, dense + v * scan->layout.count + a->offset, floats * 4));
        }
        TRY_OUT(npy_close(&npy));
    }
out:
    npy_abort(&npy);
    mem_free(&dense);
    return status;
}

/* --- clocks and names ------------------------------------------------------------------------- */

struct stretch { /* buckets that agree */
    uint32_t begin, end;
    uint64_t dense_step, names, hash;
};

static int by_begin(const void *a, const void *b) {
    const struct stretch *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static bool agree(const struct stretch *a, const struct stretch *b) {
    return a->end == b->begin && a->dense_step == b->dense_step && a->names == b->names &&
           a->hash == b->hash;
}

static enum status read_stretch(const struct scan *scan, const struct part_domain *domain,
                                struct stretch *s) {
    struct applied *applied = NULL;
    const struct manifest *m = &scan->manifest;
    TRY(applied_decode(&applied, domain->applied.data, domain->applied.len, m->batches_per_shard,
                       m->shards));
    *s = (struct stretch){.begin = domain->bucket_begin,
                          .end = domain->bucket_end,
                          .dense_step = domain->dense_step,
                          .names = applied_count(applied),
                          .hash = hash_bytes(domain->applied.data, domain->applied.len)};
    applied_destroy(&applied);
    return OK;
}

static enum status add_part(const struct scan *scan, const struct manifest_part *part,
                            struct stretch **list, size_t *count) {
    struct part_reader reader = {0};
    enum status status = OK;
    TRY_OUT(part_open(&reader, scan->dir, part, scan->manifest.cut));
    const uint32_t domains = reader.meta.domain_count;
    TRY_OUT(mem_grow(list, *count, *count + domains));
    for (uint32_t d = 0; d < domains; d++) {
        TRY_OUT(read_stretch(scan, &reader.meta.domains[d], &(*list)[*count]));
        (*count)++;
    }
out:
    part_close(&reader);
    return status;
}

/* Neighbours that agree become one line, however the buckets were dealt out. */
static enum status put_stretches(struct stretch *list, size_t count, struct buf *out) {
    TRY(buf_printf(out, "bucket_begin\tbucket_end\tdense_step\tnames\thash\n"));
    for (size_t i = 0; i < count;) {
        struct stretch joined = list[i++];
        while (i < count && agree(&joined, &list[i])) {
            joined.end = list[i++].end;
        }
        TRY(buf_printf(out, "%u\t%u\t%llu\t%llu\t%016llx\n", joined.begin, joined.end,
                       (unsigned long long)joined.dense_step, (unsigned long long)joined.names,
                       (unsigned long long)joined.hash));
    }
    return OK;
}

static enum status write_applied(const struct scan *scan, const char *dir) {
    char path[PATH_BYTES_MAX];
    struct buf text = BUF_EMPTY;
    struct stretch *list = NULL;
    size_t count = 0;
    enum status status = OK;
    for (uint32_t p = 0; p < scan->manifest.part_count; p++) {
        TRY_OUT(add_part(scan, &scan->manifest.parts[p], &list, &count));
    }
    if (count > 0) {
        qsort(list, count, sizeof *list, by_begin);
    }
    TRY_OUT(put_stretches(list, count, &text));
    TRY_OUT(path_join(path, dir, "applied.tsv"));
    TRY_OUT(file_write_atomic(path, text.data, text.len));
out:
    mem_free(&list);
    buf_fini(&text);
    return status;
}

/* How texts became ids. */
static enum status write_fields(const struct scan *scan, const char *dir) {
    char path[PATH_BYTES_MAX];
    struct buf text = BUF_EMPTY;
    struct json j;
    enum status status = OK;
    json_init(&j, &text, true);
    json_open(&j, NULL, '{');
    for (uint32_t slot = 0; slot < scan->tables; slot++) {
        const char *name = scan->manifest.schema.fields[slot].name;
        json_open(&j, name, '{');
        field_report_json(field_schemas_find(&scan->manifest.fields, name), &j);
        json_close(&j);
    }
    json_close(&j);
    TRY_OUT(j.status);
    TRY_OUT(buf_put(&text, "\n", 1));
    TRY_OUT(path_join(path, dir, "fields.json"));
    TRY_OUT(file_write_atomic(path, text.data, text.len));
out:
    buf_fini(&text);
    return status;
}

enum status export_dump(const struct scan *scan, const char *out, size_t window_bytes) {
    char path[PATH_BYTES_MAX];
    for (uint32_t slot = 0; slot < scan->tables; slot++) {
        TRY(write_table(scan, slot, out, window_bytes));
    }
    TRY(write_dense(scan, out));
    TRY(write_applied(scan, out));
    TRY(write_fields(scan, out));
    TRY(path_join(path, out, "config.ini"));
    return file_write_atomic(path, scan->manifest.config_text, strlen(scan->manifest.config_text));
}
