/* inspect_text.c - `esmm inspect --text FIELD:TEXT`: shows the row of a value as written in the
 * log. The checkpoint says how the field's texts became ids. */
#include "inspect.h"

#include <string.h>

#include "common/field/field_text.h"

#define TEXT_BYTES_MAX 4096

static enum status must_be_known(const struct scan *scan, const struct field_schema *f,
                                 const char *field) {
    if (f == NULL || f->kind == FIELD_UNKNOWN) {
        return fail(ERR_CONFIG,
                    "field '%s': %s does not say how texts became ids (an older version or "
                    "another program wrote it, or the shards that it was trained on): give "
                    "the id, --key %s:ID",
                    field, scan->dir, field);
    }
    return f->kind != FIELD_HASH_TEXT || strcmp(f->hash, FIELD_HASH) == 0
               ? OK
               : fail(ERR_CONFIG,
                      "field '%s': ids are hashes of texts by %s, which this program does not "
                      "have: give the id, --key %s:ID",
                      field, f->hash, field);
}

/* Makes the id as prep does for a cell that holds one value. */
static enum status id_of_text(const struct field_schema *f, const char *text, uint64_t *id) {
    const struct field_rule rule = {f->kind, f->bounds, f->bound_count};
    char padded[TEXT_BYTES_MAX + 16] = "";
    struct span value = {padded, strlen(text)};
    enum field_fault fault = FIELD_FINE;
    const struct number_style plain = {0};
    float weight = 1;
    if (value.n > TEXT_BYTES_MAX) {
        return fail(ERR_LIMIT, "--text: a text of %zu bytes, expected at most %d", value.n,
                    TEXT_BYTES_MAX);
    }
    memcpy(padded, text, value.n);
    if (f->multi != 0 && memchr(padded, f->multi, value.n) != NULL) {
        return fail(ERR_USAGE,
                    "--text: '%.80s' has the separator of field '%s' in it: one value at a "
                    "time",
                    text, f->name);
    }
    value = field_text_value(f->weight, &plain, value, &weight, &fault);
    if (field_schema_is_missing(f, padded, strlen(text)) ||
        field_schema_is_missing(f, value.at, value.n)) {
        return fail(ERR_NOT_FOUND,
                    "--text: '%.80s' is no value of field '%s', but a missing one: it "
                    "has no id",
                    text, f->name);
    }
    fault = fault == FIELD_FINE ? field_text_id(&rule, value, id) : fault;
    return fault == FIELD_FINE
               ? OK
               : fail(ERR_FORMAT, "--text: '%.80s', field '%s' (kind = %s): %s", text, f->name,
                      field_kind_name(f->kind), field_fault_text(fault));
}

enum status inspect_text(const struct scan *scan, const char *argument, bool json,
                         struct buf *out) {
    uint32_t slot = 0;
    const char *text = "";
    uint64_t id = 0;
    TRY(inspect_field(scan, "--text", argument, false, &slot, &text));
    const char *field = scan->manifest.schema.fields[slot].name;
    const struct field_schema *f = field_schemas_find(&scan->manifest.fields, field);
    TRY(must_be_known(scan, f, field));
    TRY(id_of_text(f, text, &id));
    return inspect_row(scan, slot, id, json, out);
}
