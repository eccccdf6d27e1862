/* inspect_key.c - finds one row by its key. It reads only the parts and blocks that may hold the
 * row. */
#include "inspect.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/job/optimizer_kind.h"
#include "common/job/row_initial.h"

#define ROW_FLOATS_MAX (3 * DIM_MAX) /* w and at most two vectors of state */

struct key_view {
    const struct scan *scan;
    uint32_t slot, bucket;
    uint64_t id;
    bool found;
    uint32_t step, last, sightings;
    float floats[ROW_FLOATS_MAX]; /* w and state; the initial w if the row was not found */
};

enum status inspect_field(const struct scan *scan, const char *option, const char *argument,
                          bool longest, uint32_t *slot, const char **rest) {
    char field[FIELD_NAME_MAX] = "";
    int found = -1;
    for (const char *colon = strchr(argument, ':'); colon != NULL && (longest || found < 0);
         colon = strchr(colon + 1, ':')) {
        const size_t n = (size_t)(colon - argument);
        if (n >= sizeof field) {
            break;
        }
        snprintf(field, sizeof field, "%.*s", (int)n, argument);
        const int at = schema_find(&scan->manifest.schema, field);
        if (at >= 0) {
            found = at;
            *rest = colon + 1;
        }
    }
    *slot = (uint32_t)found;
    return found >= 0 ? OK
           : strchr(argument, ':') == NULL
               ? fail(ERR_USAGE, "%s is '%.80s', expected FIELD:VALUE", option, argument)
               : fail(ERR_NOT_FOUND, "%s: %s is '%.80s', which begins with none of its fields",
                      scan->dir, option, argument);
}

static enum status seek_key(void *arg, const struct part_chunk *chunk) {
    struct key_view *v = arg;
    for (size_t i = 0; i < chunk->count; i++) {
        const struct scan_row row = scan_row(chunk, i);
        if (row.id != v->id) {
            continue;
        }
        if (chunk->kind == PART_SIGHTINGS) {
            v->sightings = row.step;
            continue;
        }
        const struct part_table *t = &v->scan->table[v->slot];
        v->found = true;
        v->step = row.step;
        v->last = row.last;
        row_weights_get(&v->scan->row[v->slot], row.cells, v->floats);
        row_state_get(&v->scan->row[v->slot], row.cells, v->floats + t->dim);
    }
    return OK;
}

static void json_floats(struct json *j, const char *key, const float *x, size_t n) {
    json_open(j, key, '[');
    for (size_t i = 0; i < n; i++) {
        json_f64(j, NULL, (double)x[i]);
    }
    json_close(j);
}

static enum status json_key(const struct key_view *v, struct buf *out) {
    const struct part_table *t = &v->scan->table[v->slot];
    struct json j;
    json_begin(&j, out, false);
    json_str(&j, "field", t->name);
    json_u64(&j, "id", v->id);
    json_u64(&j, "bucket", v->bucket);
    json_bool(&j, "found", v->found);
    json_u64(&j, "sightings", v->sightings);
    json_u64(&j, "step", v->step);
    json_u64(&j, "last", v->last);
    json_f64(&j, "norm", sqrt(scan_square(v->floats, t->dim)));
    json_str(&j, "weights", cell_kind_name(t->weights));
    json_str(&j, "state_cells", cell_kind_name(t->state));
    json_floats(&j, "w", v->floats, t->dim);
    json_floats(&j, "state", v->floats + t->dim, v->found ? t->state_floats : 0);
    return json_end(&j);
}

static enum status text_floats(struct buf *out, const char *label, const float *x, size_t n) {
    TRY(buf_printf(out, "%-10s", label));
    for (size_t i = 0; i < n; i++) {
        TRY(buf_printf(out, " %.9g", (double)x[i]));
    }
    return buf_printf(out, "\n");
}

static enum status text_key(const struct key_view *v, struct buf *out) {
    const struct part_table *t = &v->scan->table[v->slot];
    TRY(buf_printf(out, "key        %s:%llu, bucket %u\n", t->name, (unsigned long long)v->id,
                   v->bucket));
    if (v->found) {
        TRY(buf_printf(out, "updates    %u, the last at batch %u\n", v->step, v->last));
    } else {
        TRY(buf_printf(out, "no row     seen in %u batches; it reads as its initial value\n",
                       v->sightings));
    }
    TRY(buf_printf(out, "norm       %.9g\n", sqrt(scan_square(v->floats, t->dim))));
    TRY(text_floats(out, "w", v->floats, t->dim));
    if (v->found && t->state_floats > 0) {
        TRY(text_floats(out, optimizer_name(t->optimizer), v->floats + t->dim, t->state_floats));
    }
    return OK;
}

enum status inspect_row(const struct scan *scan, uint32_t slot, uint64_t id, bool json,
                        struct buf *out) {
    struct key_view v = {
        .scan = scan, .slot = slot, .id = id, .bucket = scan_bucket(scan, slot, id)};
    const struct part_table *t = &scan->table[v.slot];
    const struct scan_filter filter = {.kinds = SCAN_ROWS | SCAN_SIGHTINGS,
                                       .slot = (int)v.slot,
                                       .bucket_begin = v.bucket,
                                       .bucket_end = v.bucket + 1};
    TRY(scan_each(scan, &filter, seek_key, &v));
    if (!v.found) {
        const uint64_t hash = hash_key(scan->manifest.schema.fields[v.slot].salt, v.id);
        row_initial(scan->config.seed, hash, config_table(&scan->config, t->name).init_scale,
                    t->dim, v.floats);
    }
    TRY(json ? json_key(&v, out) : text_key(&v, out));
    return v.found ? OK
                   : fail(ERR_NOT_FOUND, "%s has no row %s:%llu", scan->dir, t->name,
                          (unsigned long long)id);
}

/* Takes the longest field name that the key begins with, because an id holds no colon. */
enum status inspect_key(const struct scan *scan, const char *key, bool json, struct buf *out) {
    uint32_t slot = 0;
    const char *text = "";
    TRY(inspect_field(scan, "--key", key, true, &slot, &text));
    char *end = NULL;
    errno = 0;
    const uint64_t id = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != '\0') {
        return fail(ERR_USAGE, "--key is '%s': the id is not a number of 64 bits", key);
    }
    return inspect_row(scan, slot, id, json, out);
}
