#include "field_report.h"

static void json_separator(struct json *j, const char *key, char separator) {
    if (separator != 0) {
        json_u64(j, key, (unsigned char)separator);
    }
}

void field_report_json(const struct field_schema *f, struct json *j) {
    const struct field_schema nothing = {.kind = FIELD_UNKNOWN};
    f = f == NULL ? &nothing : f;
    json_str(j, "kind", field_kind_name(f->kind));
    if (f->hash[0] != '\0') {
        json_str(j, "hash", f->hash);
    }
    if (f->bound_count > 0) {
        json_open(j, "bounds", '[');
        for (uint32_t k = 0; k < f->bound_count; k++) {
            json_f64(j, NULL, f->bounds[k]);
        }
        json_close(j);
    }
    json_separator(j, "multi", f->multi);
    json_separator(j, "weight", f->weight);
    if (f->missing_count > 0) {
        json_open(j, "missing", '[');
        for (uint32_t k = 0; k < f->missing_count; k++) {
            json_str(j, NULL, f->missing[k]);
        }
        json_close(j);
    }
}

bool field_report_known(const struct field_schemas *s) {
    bool known = false;
    for (uint32_t k = 0; k < s->count; k++) {
        known = known || s->list[k].kind != FIELD_UNKNOWN;
    }
    return known;
}
