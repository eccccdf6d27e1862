#include "field_text.h"

/* The number of bounds that are <= v. */
static uint32_t bucket_of(const struct field_rule *r, double v) {
    uint32_t low = 0, high = r->bound_count;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        if (r->bounds[mid] <= v) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

enum field_fault field_text_number(const struct field_rule *rule, struct span text, uint64_t *id) {
    double v = 0;
    enum field_fault fault;
    switch (rule->kind) {
    case FIELD_ID: text = field_id_plain('.', text); /* fall through */
    case FIELD_ALICCP: return field_number_u64(text, id) ? FIELD_FINE : FIELD_NO_ID;
    case FIELD_NUMERIC:
        fault = field_number_f64(text, &v);
        *id = bucket_of(rule, v);
        return fault;
    case FIELD_HASH_TEXT:
    case FIELD_UNKNOWN: break;
    }
    return FIELD_NO_ID;
}

struct span field_text_value(char weight_separator, const struct number_style *style,
                             struct span text, float *weight, enum field_fault *fault) {
    const char *colon = weight_separator == 0 ? NULL : memrchr(text.at, weight_separator, text.n);
    if (colon != NULL) {
        const char *end = text.at + text.n;
        char copy[FIELD_NUMBER_BYTES];
        struct span number = {colon + 1, (size_t)(end - colon - 1)};
        *fault = field_number_plain(style, number, copy, &number) ? field_number_f32(number, weight)
                                                                  : FIELD_NO_NUMBER;
        text.n = (size_t)(colon - text.at);
    }
    return text;
}
