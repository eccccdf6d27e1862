/* scan.c - opens a checkpoint for reading, and reads single things of it (see scan.h). scan_pass.c
 * passes over all of it. */
#include "scan.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/data/dataset.h"

/* --- opening ---------------------------------------------------------------------------------- */

static enum status check_table(const struct scan *s, uint32_t t, const struct part_table *table,
                               const char *dir, const char *part) {
    if (strcmp(table->name, s->manifest.schema.fields[t].name) != 0) {
        return fail(ERR_CORRUPT, "%s/%s: table %u is '%s', the manifest has '%s'", dir, part, t,
                    table->name, s->manifest.schema.fields[t].name);
    }
    if (table->dim != s->layout.dim[t]) {
        return fail(ERR_CORRUPT, "%s/%s: table '%s' has dim %u; the configuration has dim %u", dir,
                    part, table->name, table->dim, s->layout.dim[t]);
    }
    if (t < s->tables &&
        (s->table[t].optimizer != table->optimizer || s->table[t].weights != table->weights ||
         s->table[t].state != table->state)) {
        return fail(ERR_CORRUPT,
                    "%s/%s: optimizer or kinds of cells of table '%s' differ from the first part's",
                    dir, part, table->name);
    }
    return OK;
}

/* Every part must describe the same tables, in the manifest's order. */
enum status scan_check_meta(const struct scan *s, const struct part_meta *meta, const char *dir,
                            const char *part) {
    if (meta->table_count != s->manifest.schema.count) {
        return fail(ERR_CORRUPT, "%s/%s: %u tables, the manifest has %u fields", dir, part,
                    meta->table_count, s->manifest.schema.count);
    }
    for (uint32_t t = 0; t < meta->table_count; t++) {
        TRY(check_table(s, t, &meta->tables[t], dir, part));
    }
    if (s->tables > 0 && meta->dense_state != s->dense_state) {
        return fail(ERR_CORRUPT, "%s/%s: %u dense state vectors, the first part has %u", dir, part,
                    meta->dense_state, s->dense_state);
    }
    return OK;
}

static enum status take_shapes(struct scan *s) {
    const struct manifest_part *part = &s->manifest.parts[0];
    struct part_reader reader = {0};
    enum status status = part_open(&reader, s->dir, part, s->manifest.cut);
    if (status == OK) {
        status = scan_check_meta(s, &reader.meta, s->dir, part->name);
    }
    if (status == OK) {
        memcpy(s->table, reader.meta.tables, reader.meta.table_count * sizeof s->table[0]);
        s->tables = reader.meta.table_count;
        for (uint32_t t = 0; t < s->tables; t++) {
            s->row[t] = part_row_layout(&s->table[t]);
        }
        s->dense_state = reader.meta.dense_state;
    }
    part_close(&reader);
    return status;
}

enum status scan_manifest(const char *path, char *dir, struct manifest *m) {
    struct dataset shards = {0};
    struct cause cause = {0};
    memset(m, 0, sizeof *m);
    TRY(manifest_find(path, dir));
    const enum status status = manifest_read(m, dir);
    if (status == OK) {
        return OK;
    }
    cause_keep(&cause, status);
    const bool is_shards = dataset_read(&shards, dir) == OK;
    dataset_free(&shards);
    if (is_shards) {
        return fail(ERR_NOT_FOUND, "%s holds impression shards, not a checkpoint", dir);
    }
    return cause_again(&cause);
}

static enum status open_in(struct scan *s, const char *path) {
    TRY(scan_manifest(path, s->dir, &s->manifest));
    config_default(&s->config);
    TRY(config_parse(&s->config, "the checkpoint's configuration", s->manifest.config_text));
    TRY(layout_init(&s->layout, &s->config, &s->manifest.schema, s->manifest.rate_ctr,
                    s->manifest.rate_cvr));
    s->bytes = manifest_bytes(&s->manifest);
    TRY(chain_open(&s->chain, s->dir, &s->manifest));
    for (uint32_t i = 0; i < s->chain.count; i++) {
        s->bytes += manifest_bytes(&s->chain.base[i].manifest);
    }
    return take_shapes(s);
}

enum status scan_create(struct scan **out, const char *path) {
    struct scan *s = NULL;
    *out = NULL;
    TRY(mem_new(&s));
    const enum status status = open_in(s, path);
    if (status != OK) {
        scan_destroy(&s);
    }
    *out = s;
    return status;
}

void scan_destroy(struct scan **inout) {
    if (*inout != NULL) {
        chain_close(&(*inout)->chain);
        manifest_free(&(*inout)->manifest);
        mem_free(inout);
    }
}

/* --- what chunks hold ------------------------------------------------------------------------- */

double scan_square(const void *floats, size_t n) {
    const uint8_t *at = floats;
    double square = 0;
    for (size_t i = 0; i < n; i++) {
        float x;
        memcpy(&x, at + 4 * i, 4);
        square += (double)x * (double)x;
    }
    return square;
}

double scan_row_square(const struct scan *s, uint32_t table, const struct scan_row *row) {
    float w[DIM_MAX];
    row_weights_get(&s->row[table], row->cells, w);
    return scan_square(w, s->row[table].dim);
}

uint32_t scan_bucket(const struct scan *s, uint32_t slot, uint64_t id) {
    return hash_bucket(hash_key(s->manifest.schema.fields[slot].salt, id));
}

struct dense_collector {
    const struct scan *scan;
    float *out;
    uint64_t floats; /* floats of w so far */
};

static enum status collect_dense(void *arg, const struct part_chunk *chunk) {
    struct dense_collector *c = arg;
    const uint64_t count = c->scan->layout.count;
    if (chunk->dense_begin > count || chunk->count > count - chunk->dense_begin) {
        return fail(ERR_CORRUPT, "%s: dense floats [%llu, %llu) lie outside the model's %llu",
                    c->scan->dir, (unsigned long long)chunk->dense_begin,
                    (unsigned long long)(chunk->dense_begin + chunk->count),
                    (unsigned long long)count);
    }
    for (uint32_t k = 0; k < 1 + c->scan->dense_state; k++) {
        memcpy(c->out + k * count + chunk->dense_begin, chunk->data + 4 * k * chunk->count,
               4 * chunk->count);
    }
    c->floats += chunk->count;
    return OK;
}

enum status scan_dense(const struct scan *s, float **out) {
    struct dense_collector c = {.scan = s};
    const struct scan_filter filter = scan_all(SCAN_DENSE);
    *out = NULL;
    TRY(mem_array(&c.out, (1 + s->dense_state) * s->layout.count));
    enum status status = scan_each(s, &filter, collect_dense, &c);
    if (status == OK && c.floats != s->layout.count) {
        status = fail(ERR_CORRUPT, "%s: the parts hold %llu dense floats, the model has %llu",
                      s->dir, (unsigned long long)c.floats, (unsigned long long)s->layout.count);
    }
    if (status != OK) {
        mem_free(&c.out);
        return status;
    }
    *out = c.out;
    return OK;
}
