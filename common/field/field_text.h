/* field_text.h - turns a text of a log into a feature id, by the schema of its field. `esmm prep`
 * does this with a cell, `esmm inspect --text` with its argument. */
#pragma once

#include "field_schema.h"
#include "common/base/hash.h"
#include "field_number.h"

/* How the texts of a field become ids. */
struct field_rule {
    enum field_kind kind;
    /* [bound_count] ascending; numeric only. A value is in bucket k if k bounds are <= it. */
    double *bounds;
    uint32_t bound_count;
};

/* field_text_id for all kinds except FIELD_HASH_TEXT. */
enum field_fault field_text_number(const struct field_rule *rule, struct span text, uint64_t *id);
/* The id of one value. The text must have no separators and no weight, must not be missing, and a
 * number must use a decimal point. For FIELD_ID, field_id_plain is applied to the text first.
 * Returns FIELD_FINE, or why there is no id (FIELD_NO_ID for an unknown kind). */
static inline enum field_fault field_text_id(const struct field_rule *rule, struct span text,
                                             uint64_t *id) {
    if (rule->kind != FIELD_HASH_TEXT) {
        return field_text_number(rule, text, id);
    }
    *id = hash_bytes(text.at, text.n);
    return FIELD_FINE;
}
/* Returns the value in a text. If there is a weight separator, the text after the last one is the
 * weight, written in that style. *fault changes only if the weight is not a number. */
struct span field_text_value(char weight_separator, const struct number_style *style,
                             struct span text, float *weight, enum field_fault *fault);
