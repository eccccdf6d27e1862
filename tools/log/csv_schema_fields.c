/* csv_schema_fields.c - what the manifest says of a schema (see common/field/field_schema.h). */
#include <stdio.h>
#include <string.h>

#include "csv_schema.h"

/* An empty cell is missing whatever the schema says, and not told. */
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
