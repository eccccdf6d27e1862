/* field_text.h - a text of a log as a feature id, by its field's schema: what `esmm prep` does with
 * a cell, and `esmm inspect --text` with its argument. */
#pragma once

#include "field_schema.h"
#include "common/base/hash.h"
#include "field_number.h"

/* How texts of a field become ids. */
struct field_rule {
    enum field_kind kind;
    /* [bound_count] ascending; numeric only. Bucket k: k bounds are at most the value. */
    double *bounds;
    uint32_t bound_count;
};

/* Of all kinds but FIELD_HASH_TEXT; see below. */
enum field_fault field_text_number(const struct field_rule *rule, struct span text, uint64_t *id);
/* The id of one value: no separators, no weight, not missing, a number with a point for decimals.
 * Of FIELD_ID the text is what field_id_plain leaves of it. FIELD_FINE, or why it has none (of a
 * kind that is unknown: FIELD_NO_ID). */
static inline enum field_fault field_text_id(const struct field_rule *rule, struct span text,
                                             uint64_t *id) {
    if (rule->kind != FIELD_HASH_TEXT) {
        return field_text_number(rule, text, id);
    }
    *id = hash_bytes(text.at, text.n);
    return FIELD_FINE;
}
/* The value in a text: behind the last weight separator, if there is one, is its weight, in that
 * style. *fault stays as it is, or says that the weight is no number. */
struct span field_text_value(char weight_separator, const struct number_style *style,
                             struct span text, float *weight, enum field_fault *fault);
