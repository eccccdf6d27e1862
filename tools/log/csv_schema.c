#include "csv_schema.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "common/base/nearest.h"
#include "common/base/text.h"

void csv_schema_free(struct csv_schema *s) {
    for (uint32_t k = 0; k < s->count; k++) {
        mem_free(&s->columns[k].rule.bounds);
    }
    mem_free(&s->columns);
    mem_free(&s->names);
    s->count = s->name_count = 0;
}

/* --- places ----------------------------------------------------------------------------------- */

static enum status take_header(struct csv_schema *s, const char *path, const struct span *cells,
                               size_t n) {
    if (n > CSV_NAMES_MAX) {
        return fail(ERR_CONFIG, "%s: %zu columns, expected at most %d", path, n, CSV_NAMES_MAX);
    }
    for (size_t k = 0; k < n; k++) { /* a name that is too long for any column is cut */
        const size_t length = cells[k].n < CSV_NAME_MAX ? cells[k].n : CSV_NAME_MAX - 1;
        memcpy(s->names[k], cells[k].at, length);
        s->names[k][length] = '\0';
    }
    s->name_count = (uint32_t)n;
    return OK;
}

#define WRITTEN_BYTES 324u

/* Gives a name as the schema must write it, safe to print. */
static const char *written(const char *name, char out[WRITTEN_BYTES]) {
    char shown[WRITTEN_BYTES / 2 - 2];
    const size_t n = text_show(shown, sizeof shown, name, strlen(name), false);
    char *at = out;
    if (n > 0 && strpbrk(shown, ",\"") == NULL && shown[0] != ' ' && shown[n - 1] != ' ') {
        snprintf(out, WRITTEN_BYTES, "'%s'", shown);
        return out;
    }
    *at++ = '"';
    for (size_t i = 0; i < n; i++) {
        if (shown[i] == '"') {
            *at++ = '"';
        }
        *at++ = shown[i];
    }
    memcpy(at, "\"", 2);
    return out;
}

static enum status find_place(const struct csv_schema *s, const char *path, const char *name,
                              uint32_t *place) {
    struct nearest nearest = nearest_of(name);
    char asked[WRITTEN_BYTES], near[WRITTEN_BYTES];
    uint32_t found = 0;
    for (uint32_t k = 0; k < s->name_count; k++) {
        nearest_try(&nearest, s->names[k]);
        if (strcmp(s->names[k], name) == 0) {
            found++;
            *place = k;
        }
    }
    if (found > 1) {
        return fail(ERR_CONFIG, "%s: column '%s' is there %u times", path, name, found);
    }
    return found == 1 ? OK
                      : fail(ERR_CONFIG, "%s: no column %s; the nearest is %s", path,
                             written(name, asked), written(nearest.name, near));
}

enum status csv_schema_bind(struct csv_schema *s, const char *path, const struct span *cells,
                            size_t n) {
    struct csv_role *roles[] = {&s->impression,      &s->group, &s->click.role,
                                &s->conversion.role, &s->time,  &s->click_time,
                                &s->conversion_time, &s->weight};
    TRY(n > 0 ? take_header(s, path, cells, n) : OK);
    for (size_t k = 0; k < sizeof roles / sizeof *roles; k++) {
        if (roles[k]->name[0] != '\0') {
            TRY(find_place(s, path, roles[k]->name, &roles[k]->place));
        }
    }
    for (uint32_t k = 0; k < s->behaviours; k++) {
        TRY(find_place(s, path, s->behaviour[k].role.name, &s->behaviour[k].role.place));
    }
    for (uint32_t k = 0; k < s->count; k++) {
        TRY(find_place(s, path, s->columns[k].name, &s->columns[k].place));
    }
    return OK;
}

/* --- for the manifest ------------------------------------------------------------------------- */

/* An empty cell is always missing, so it is not listed. */
static enum status add_missing(struct field_schema *f, const struct text_list *l) {
    for (uint32_t k = 0; k < l->count; k++) {
        TRY(l->bytes[k] == 0 ? OK : field_schema_missing(f, l->text[k], l->bytes[k]));
    }
    return OK;
}

static enum status add_column(struct field_schemas *out, const struct csv_schema *s,
                              const struct csv_column *c) {
    struct field_schema *f = NULL;
    TRY(field_schemas_add(out, c->field, &f));
    f->kind = c->rule.kind;
    f->multi = c->multi;
    f->weight = c->weight;
    if (c->rule.kind == FIELD_HASH_TEXT) {
        memcpy(f->hash, FIELD_HASH, sizeof FIELD_HASH);
    }
    TRY(field_schema_bounds(f, c->rule.bounds, c->rule.bound_count));
    TRY(add_missing(f, &s->missing));
    return add_missing(f, &c->missing);
}

/* "" for a log without times. */
static enum status describe_times(const struct csv_schema *s, struct field_schemas *out) {
    struct buf text = BUF_EMPTY;
    const enum status status =
        s->time.name[0] == '\0' ? OK : field_clock_describe(&s->clock, &text);
    if (status == OK && text.len > 0) {
        snprintf(out->times, sizeof out->times, "%s", (const char *)text.data);
    }
    buf_fini(&text);
    return status;
}

enum status csv_schema_fields(const struct csv_schema *s, struct field_schemas *out) {
    for (uint32_t k = 0; k < s->count; k++) {
        TRY(add_column(out, s, &s->columns[k]));
    }
    return describe_times(s, out);
}
