#include "field_buckets.h"

#include <math.h>

#include "common/base/mem.h"
#include "tools/log/aliccp_line.h"

static enum status add_bound(struct csv_column *c, double bound) {
    if (c->bound_count == CSV_BOUNDS_MAX) {
        return fail(ERR_CONFIG, "more than %d bounds", CSV_BOUNDS_MAX);
    }
    if (c->bounds == NULL) {
        TRY(mem_array(&c->bounds, CSV_BOUNDS_MAX));
    }
    if (!isfinite(bound) || (c->bound_count > 0 && bound <= c->bounds[c->bound_count - 1])) {
        return fail(ERR_CONFIG, "bound %g: expected finite numbers that ascend", bound);
    }
    c->bounds[c->bound_count++] = bound;
    return OK;
}

enum status field_buckets_number(const char *text, double *out) {
    return field_number_f64((struct span){text, strlen(text)}, out) == REJECT_NONE
               ? OK
               : fail(ERR_CONFIG, "'%.40s' is not a number", text);
}

enum status field_buckets_bounds(struct csv_column *c, const char *list) {
    char text[LIST_TEXT_MAX];
    double bound = 0;
    bool more = true;
    for (;;) {
        TRY(text_list_next(&list, text, &more));
        if (!more) {
            return OK;
        }
        TRY(field_buckets_number(text, &bound));
        TRY(add_bound(c, bound));
    }
}

/* "from, to, steps": steps buckets of one width between them, or of one ratio. */
enum status field_buckets_steps(struct csv_column *c, const char *list, bool logarithmic) {
    char text[LIST_TEXT_MAX];
    double v[3] = {0}, extra = 0;
    size_t n = 0;
    for (bool more = true; more; n += more) {
        TRY(text_list_next(&list, text, &more));
        TRY(more ? field_buckets_number(text, n < 3 ? &v[n] : &extra) : OK);
    }
    if (n != 3 || c->bound_count > 0 || v[0] >= v[1] || v[2] < 1 || v[2] >= CSV_BOUNDS_MAX ||
        v[2] != floor(v[2]) || (logarithmic && v[0] <= 0)) {
        return fail(ERR_CONFIG, "expected from, to, steps once, with %sfrom < to and 1 to %d steps",
                    logarithmic ? "0 < " : "", CSV_BOUNDS_MAX - 1);
    }
    for (double k = 0; k <= v[2]; k++) {
        const double t = k / v[2];
        TRY(add_bound(c, k == v[2]     ? v[1]
                         : logarithmic ? v[0] * pow(v[1] / v[0], t)
                                       : v[0] + (v[1] - v[0]) * t));
    }
    return OK;
}
