#include "field_buckets.h"

#include <math.h>

#include "common/base/mem.h"
#include "field_number.h"
#include "field_schema.h"
#include "text_list.h"

static enum status add_bound(struct field_rule *rule, double bound) {
    if (rule->bound_count == FIELD_BOUNDS_MAX) {
        return fail(ERR_CONFIG, "more than %u bounds", FIELD_BOUNDS_MAX);
    }
    if (rule->bounds == NULL) {
        TRY(mem_array(&rule->bounds, FIELD_BOUNDS_MAX));
    }
    if (!isfinite(bound) ||
        (rule->bound_count > 0 && bound <= rule->bounds[rule->bound_count - 1])) {
        return fail(ERR_CONFIG, "bound %g: expected finite numbers that ascend", bound);
    }
    rule->bounds[rule->bound_count++] = bound;
    return OK;
}

enum status field_buckets_number(const char *text, double *out) {
    return field_number_f64(span_of(text), out) == FIELD_FINE
               ? OK
               : fail(ERR_CONFIG, "'%.40s' is not a number", text);
}

enum status field_buckets_bounds(struct field_rule *rule, const char *list) {
    char text[LIST_TEXT_MAX];
    double bound = 0;
    bool more = true;
    for (;;) {
        TRY(text_list_next(&list, text, &more));
        if (!more) {
            return OK;
        }
        TRY(field_buckets_number(text, &bound));
        TRY(add_bound(rule, bound));
    }
}

/* Reads "from, to, steps": `steps` buckets of equal width between from and to, or of equal ratio.
 */
enum status field_buckets_steps(struct field_rule *rule, const char *list, bool logarithmic) {
    char text[LIST_TEXT_MAX];
    double v[3] = {0}, extra = 0;
    size_t n = 0;
    for (bool more = true; more; n += more) {
        TRY(text_list_next(&list, text, &more));
        TRY(more ? field_buckets_number(text, n < 3 ? &v[n] : &extra) : OK);
    }
    if (n != 3 || rule->bound_count > 0 || v[0] >= v[1] || v[2] < 1 || v[2] >= FIELD_BOUNDS_MAX ||
        v[2] != floor(v[2]) || (logarithmic && v[0] <= 0)) {
        return fail(ERR_CONFIG, "expected from, to, steps once, with %sfrom < to and 1 to %u steps",
                    logarithmic ? "0 < " : "", FIELD_BOUNDS_MAX - 1);
    }
    for (double k = 0; k <= v[2]; k++) {
        const double t = k / v[2];
        TRY(add_bound(rule, k == v[2]     ? v[1]
                            : logarithmic ? v[0] * pow(v[1] / v[0], t)
                                          : v[0] + (v[1] - v[0]) * t));
    }
    return OK;
}
