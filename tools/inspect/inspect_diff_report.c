#include "inspect_diff.h"

#include "common/base/json.h"

static bool figures_equal(const struct figures *f) {
    return f->only_a == 0 && f->only_b == 0 && f->changed == 0 && f->touched == 0 &&
           !f->state_differs;
}

static bool all_equal(const struct diff *d) {
    for (uint32_t t = 0; t < d->tables; t++) {
        if (!figures_equal(&d->figures[t])) {
            return false;
        }
    }
    for (uint32_t k = 0; k < d->arrays; k++) {
        if (!figures_equal(&d->dense[k])) {
            return false;
        }
    }
    return true;
}

static double mean_abs(const struct figures *f) {
    return f->values == 0 ? 0 : f->sum_abs / (double)f->values;
}

static enum status diff_table(const struct figures *f, const char *name, struct buf *out) {
    return buf_printf(out, "%-20s %12llu %12llu %12llu %12llu %12llu %12.5g %12.5g%s%s\n", name,
                      (unsigned long long)f->only_a, (unsigned long long)f->only_b,
                      (unsigned long long)f->both, (unsigned long long)f->changed,
                      (unsigned long long)f->touched, f->max_abs, mean_abs(f),
                      f->shapes_differ ? "  dims differ" : "",
                      f->state_differs ? "  state of other cells, not compared" : "");
}

static const char *array_state(const struct figures *f) {
    return f->only_a > 0      ? "only in a"
           : f->only_b > 0    ? "only in b"
           : f->shapes_differ ? "shapes differ"
           : f->changed > 0   ? "changed"
           : f->touched > 0   ? "state only"
                              : "same";
}

enum status diff_text(const struct diff *d, struct buf *out) {
    TRY(buf_printf(out, "a  %s, step %llu\nb  %s, step %llu\n\n", d->a->dir,
                   (unsigned long long)d->a->manifest.step, d->b->dir,
                   (unsigned long long)d->b->manifest.step));
    TRY(buf_printf(out, "%-20s %12s %12s %12s %12s %12s %12s %12s\n", "table", "only in a",
                   "only in b", "in both", "changed", "touched", "max |d|", "mean |d|"));
    for (uint32_t t = 0; t < d->tables; t++) {
        TRY(diff_table(&d->figures[t], d->name[t], out));
    }
    TRY(buf_printf(out, "\n%-20s %-13s %12s %12s\n", "dense", "", "max |d|", "mean |d|"));
    for (uint32_t k = 0; k < d->arrays; k++) {
        const struct figures *f = &d->dense[k];
        TRY(buf_printf(out, "%-20s %-13s %12.5g %12.5g\n", d->dense_name[k], array_state(f),
                       f->max_abs, mean_abs(f)));
    }
    return buf_printf(out, "\n%s (%u pass%s)\n", all_equal(d) ? "equal" : "different", d->ranges,
                      d->ranges == 1 ? "" : "es");
}

enum status diff_json(const struct diff *d, struct buf *out) {
    struct json j;
    json_begin(&j, out, false);
    json_str(&j, "a", d->a->dir);
    json_str(&j, "b", d->b->dir);
    json_bool(&j, "equal", all_equal(d));
    json_u64(&j, "passes", d->ranges);
    json_open(&j, "tables", '[');
    for (uint32_t t = 0; t < d->tables; t++) {
        const struct figures *f = &d->figures[t];
        json_open(&j, NULL, '{');
        json_str(&j, "field", d->name[t]);
        json_u64(&j, "only_a", f->only_a);
        json_u64(&j, "only_b", f->only_b);
        json_u64(&j, "both", f->both);
        json_u64(&j, "changed", f->changed);
        json_u64(&j, "touched", f->touched);
        json_bool(&j, "dims_differ", f->shapes_differ);
        json_bool(&j, "state_differs", f->state_differs);
        json_f64(&j, "max_abs", f->max_abs);
        json_f64(&j, "mean_abs", mean_abs(f));
        json_close(&j);
    }
    json_close(&j);
    json_open(&j, "dense", '[');
    for (uint32_t k = 0; k < d->arrays; k++) {
        json_open(&j, NULL, '{');
        json_str(&j, "name", d->dense_name[k]);
        json_str(&j, "state", array_state(&d->dense[k]));
        json_f64(&j, "max_abs", d->dense[k].max_abs);
        json_f64(&j, "mean_abs", mean_abs(&d->dense[k]));
        json_close(&j);
    }
    json_close(&j);
    return json_end(&j);
}
