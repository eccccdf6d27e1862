/* export_dump.c - writes the whole state of a checkpoint in a fixed order, so that two checkpoints
 * can be compared with cmp or diff -r, e.g. one saved by N servers with one that M servers saved
 * after restoring it.
 *
 * Records are written as NumPy structured arrays, without the padding that rows have in memory.
 * applied.tsv gives the clocks and the applied names, with one line for each range of buckets that
 * have the same ones.
 */
#include "export.h"

#include <stdio.h>
#include <string.h>

#include "common/job/applied.h"
#include "export_files.h"
#include "export_rows.h"
#include "tools/common/field_report.h"

/* The fields of a row's state, as its cells are: codes and their scale are a field each. */
static void state_type(const struct row_layout *l, uint32_t floats, char *out, size_t bytes) {
    if (floats > 0 && l->state != CELLS_U8) {
        snprintf(out, bytes, ", ('state', '%s', (%u,))", l->state == CELLS_F32 ? "<f4" : "<u2",
                 floats);
        return;
    }
    for (uint32_t k = 0, at = 0; k < l->vectors; k++) {
        at += (uint32_t)snprintf(out + at, bytes - at,
                                 ", ('scale%u', 'u1'), ('code%u', 'u1', (%u,))", k, k, l->dim);
    }
}

static void record_type(const struct scan *scan, uint32_t slot, uint32_t kind, char *out,
                        size_t bytes) {
    const struct row_layout *l = &scan->row[slot];
    char state[128] = "";
    if (kind == SCAN_SIGHTINGS) {
        snprintf(out, bytes, "[('id', '<u8'), ('sightings', '<u4'), ('last', '<u4')]");
        return;
    }
    state_type(l, scan->table[slot].state_floats, state, sizeof state);
    snprintf(out, bytes,
             "[('id', '<u8'), ('step', '<u4'), ('last', '<u4'), "
             "('w', '%s', (%u,))%s]",
             l->weights == CELLS_F32 ? "<f4" : "<u2", l->dim, state);
}

static enum status dump_records(const struct scan *scan, uint32_t slot, uint32_t kind,
                                const char *folder, const char *name, size_t window_bytes) {
    const size_t cells = kind == SCAN_ROWS ? scan->row[slot].cell_bytes : 0;
    char type[256], path[PATH_BYTES_MAX];
    struct row_order order = {0};
    record_type(scan, slot, kind, type, sizeof type);
    TRY(path_join(path, folder, name));
    TRY(row_order_init(&order, scan, slot, kind));
    const enum status status =
        row_order_write(&order, path, type, PART_RECORD_HEADER + cells, window_bytes);
    row_order_fini(&order);
    return status;
}

static enum status dump_table(const struct scan *scan, uint32_t slot, const char *dir,
                              size_t window_bytes) {
    char folder[PATH_BYTES_MAX];
    TRY(export_folder(scan, slot, dir, folder));
    TRY(dump_records(scan, slot, SCAN_ROWS, folder, "rows.npy", window_bytes));
    return dump_records(scan, slot, SCAN_SIGHTINGS, folder, "sightings.npy", window_bytes);
}

/* --- clocks and names ------------------------------------------------------------------------- */

struct stretch { /* buckets with the same clocks and names */
    uint32_t begin, end;
    uint64_t dense_step, names, hash;
};

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

static enum status put_stretch(const struct stretch *s, struct buf *out) {
    return s->end == 0 ? OK
                       : buf_printf(out, "%u\t%u\t%llu\t%llu\t%016llx\n", s->begin, s->end,
                                    (unsigned long long)s->dense_step, (unsigned long long)s->names,
                                    (unsigned long long)s->hash);
}

/* Writes the lines of a part. Buckets ascend within a part and from part to part. Neighbours with
 * the same clocks and names share one line, whichever servers had the buckets. `open` is the line
 * that may still grow. */
static enum status put_part(const struct scan *scan, const struct manifest_part *part,
                            struct stretch *open, struct buf *out) {
    struct part_reader reader = {0};
    enum status status = OK;
    TRY_OUT(part_open(&reader, scan->dir, part, scan->manifest.cut));
    for (uint32_t d = 0; d < reader.meta.domain_count; d++) {
        struct stretch next;
        TRY_OUT(read_stretch(scan, &reader.meta.domains[d], &next));
        if (agree(open, &next)) {
            open->end = next.end;
            continue;
        }
        TRY_OUT(put_stretch(open, out));
        *open = next;
    }
out:
    part_close(&reader);
    return status;
}

static enum status dump_applied(const struct scan *scan, const char *dir) {
    struct buf text = BUF_EMPTY;
    struct stretch open = {0};
    enum status status = OK;
    TRY_OUT(buf_printf(&text, "bucket_begin\tbucket_end\tdense_step\tnames\thash\n"));
    for (uint32_t p = 0; p < scan->manifest.part_count; p++) {
        TRY_OUT(put_part(scan, &scan->manifest.parts[p], &open, &text));
    }
    TRY_OUT(put_stretch(&open, &text));
    TRY_OUT(export_text(dir, "applied.tsv", text.data, text.len));
out:
    buf_fini(&text);
    return status;
}

/* Writes how texts became ids. */
static enum status dump_fields(const struct scan *scan, const char *dir) {
    struct buf text = BUF_EMPTY;
    struct json j;
    enum status status = OK;
    json_begin(&j, &text, true);
    for (uint32_t slot = 0; slot < scan->tables; slot++) {
        const char *name = scan->manifest.schema.fields[slot].name;
        json_open(&j, name, '{');
        field_report_json(field_schemas_find(&scan->manifest.fields, name), &j);
        json_close(&j);
    }
    TRY_OUT(json_end(&j));
    TRY_OUT(buf_put(&text, "\n", 1));
    TRY_OUT(export_text(dir, "fields.json", text.data, text.len));
out:
    buf_fini(&text);
    return status;
}

enum status export_dump(const struct scan *scan, const char *out, size_t window_bytes) {
    const char *config = scan->manifest.config_text;
    for (uint32_t slot = 0; slot < scan->tables; slot++) {
        TRY(dump_table(scan, slot, out, window_bytes));
    }
    TRY(export_dense(scan, out, true));
    TRY(dump_applied(scan, out));
    TRY(dump_fields(scan, out));
    return export_text(out, "config.ini", config, strlen(config));
}
