/* factor.c - rows through the first layer, then pooling.
 *
 * A row of h (or dh) stays in the nearest cache while the rows of T of all its values are
 * added to it, four at a time, so that hu is loaded and stored once for four. The order of the
 * additions is that of fields and values, as if one came after the other.
 *
 * Costs are counted in multiply-adds of a float32 product, per output: a bag costs dim in each of
 * the three passes (forward, dW, drows). A factored row costs ROW_COST as much, since its products
 * are small and T goes through memory; FIXED_ROWS bags is what packing the weights of one more
 * field and starting its products do; ADD_COST are a value's additions, forward and backward. They
 * were measured (bench/bench_factor.c) and need not be exact: near the border both ways cost the
 * same.
 */
#include "factor.h"

#include <string.h>

#include "common/base/mem.h"
#include "passes.h"

#define PASSES     3
#define ROW_COST   2
#define ADD_COST   10
#define FIXED_ROWS 50

static uint32_t widest_field(const struct layout *l, const struct side_columns *all) {
    uint32_t widest = 0;
    for (uint32_t i = all->first; i < all->last; i++) {
        widest = l->dim[i] > widest ? l->dim[i] : widest;
    }
    return widest;
}

enum status factor_init(struct factor *f, const struct layout *layout,
                        const struct side_columns *all, const struct kernel *kernel) {
    *f = (struct factor){.layout = layout, .all = *all};
    TRY(linear_init(&f->w, kernel, layout->first_width, widest_field(layout, all)));
    return factor_choose(f, NULL);
}

void factor_fini(struct factor *f) {
    linear_fini(&f->w);
    mem_free(&f->t);
    mem_free(&f->dt);
    mem_free(&f->left);
    mem_free(&f->dleft);
}

/* --- the choice ------------------------------------------------------------------------------- */

static bool pays(const struct factor *f, const struct batch_field *field, uint32_t dim) {
    const uint32_t faster = f->w.kernel == NULL ? 1 : f->w.kernel->cell_depth; /* than float32 */
    const uint64_t bag = PASSES * (uint64_t)dim;
    const uint64_t rows = ROW_COST * (uint64_t)field->unique + FIXED_ROWS;
    return faster * (rows * bag + ADD_COST * (uint64_t)field->values) < field->bags * bag;
}

/* Gives the columns [from, from + width) of W1 the next ones of those that are left. */
static void keep_columns(struct factor *f, uint32_t from, uint32_t width) {
    struct factor_run *last = f->runs > 0 ? &f->run[f->runs - 1] : NULL;
    if (last != NULL && last->from + last->width == from) {
        last->width += width;
    } else {
        f->run[f->runs++] = (struct factor_run){from, f->columns.width, width};
    }
    f->columns.width += width;
}

static uint32_t side_begin(const struct factor *f) {
    return f->all.first == 0 ? 0 : f->layout->user_width;
}

static void keep_all(struct factor *f) {
    f->columns = f->all;
    f->run[0] = (struct factor_run){side_begin(f), 0, f->all.width};
    f->runs = 1;
    f->rows = 0;
    f->any = false;
}

static void choose_fields(struct factor *f, const struct batch *b) {
    const struct layout *l = f->layout;
    f->runs = 0;
    f->columns.width = 0;
    for (uint32_t i = f->all.first; i < f->all.last; i++) {
        const struct batch_field *field = &b->field[i];
        if (!field->shared && pays(f, field, l->dim[i])) {
            f->any = f->columns.left_out[i] = true;
            f->at[i] = f->rows;
            f->rows += field->unique;
        } else {
            f->columns.column[i] = f->columns.width;
            keep_columns(f, l->column[i], l->dim[i]);
        }
    }
}

static enum status make_room(struct factor *f) {
    const size_t h = f->layout->first_width;
    TRY(mem_room(&f->t, &f->t_cap, f->rows * h));
    TRY(mem_room(&f->dt, &f->dt_cap, f->rows * h));
    TRY(mem_room(&f->left, &f->left_cap, h * f->columns.width));
    return mem_room(&f->dleft, &f->dleft_cap, h * f->columns.width);
}

enum status factor_choose(struct factor *f, const struct batch *b) {
    keep_all(f);
    if (b == NULL || f->layout->input != INPUT_CONCAT) {
        return OK;
    }
    choose_fields(f, b);
    const enum status status = f->any ? make_room(f) : OK;
    if (status != OK || !f->any) {
        keep_all(f);
    }
    return status;
}

/* --- the columns that are left ---------------------------------------------------------------- */

struct matrix factor_left(const struct factor *f, const float *w1) {
    const struct layout *l = f->layout;
    if (!f->any) {
        return (struct matrix){w1 + side_begin(f), l->input_width};
    }
    float *to = f->left;
    for (uint32_t j = 0; j < l->first_width; j++, to += f->columns.width, w1 += l->input_width) {
        for (uint32_t k = 0; k < f->runs; k++) {
            const struct factor_run r = f->run[k];
            memcpy(to + r.to, w1 + r.from, r.width * sizeof *to);
        }
    }
    return (struct matrix){f->left, f->columns.width};
}

float *factor_dleft(const struct factor *f, float *dw1, size_t *stride) {
    *stride = f->any ? f->columns.width : f->layout->input_width;
    return f->any ? f->dleft : dw1 + side_begin(f);
}

static void add_left(const struct factor *f, float *dw1) {
    const struct layout *l = f->layout;
    const struct passes *pass = passes_at(cpu_level());
    const float *from = f->dleft;
    for (uint32_t j = 0; j < l->first_width; j++, from += f->columns.width, dw1 += l->input_width) {
        for (uint32_t k = 0; k < f->runs; k++) {
            const struct factor_run r = f->run[k];
            pass->add(dw1 + r.from, from + r.to, r.width);
        }
    }
}

/* --- the factored fields ---------------------------------------------------------------------- */

/* W_f of a field, for which f->w is made to fit. */
static struct matrix field_weights(struct factor *f, uint32_t i, const float *w1) {
    linear_narrow(&f->w, f->layout->dim[i]);
    return (struct matrix){w1 + f->layout->column[i], f->layout->input_width};
}

/* Where the row of a feature is in T and in dT. */
static size_t row_at(const struct factor *f, uint32_t i, uint32_t index) {
    return (f->at[i] + index) * f->layout->first_width;
}

static float weight_of(const struct batch_field *field, uint32_t v) {
    return field->weight == NULL ? 1.0f : field->weight[v];
}

/* All values of bag i of every field, to its row of h. */
static void add_bags(const struct factor *f, const struct passes *pass, const struct batch *b,
                     uint32_t i, float *h) {
    const size_t width = f->layout->first_width;
    const float *row[PASS_TERMS];
    float weight[PASS_TERMS];
    uint32_t terms = 0;
    for (uint32_t k = f->all.first; k < f->all.last; k++) {
        const struct batch_field *field = &b->field[k];
        if (!f->columns.left_out[k]) {
            continue;
        }
        for (uint32_t v = field->start[i]; v < field->start[i + 1]; v++) {
            row[terms] = f->t + row_at(f, k, field->index[v]);
            weight[terms++] = weight_of(field, v);
            if (terms == PASS_TERMS) {
                pass->add_weighted_terms(h, row, weight, width);
                terms = 0;
            }
        }
    }
    for (uint32_t k = 0; k < terms; k++) {
        pass->add_weighted(h, row[k], weight[k], width);
    }
}

/* dh of bag i, to the rows of all its values. */
static void spread_bags(struct factor *f, const struct passes *pass, const struct batch *b,
                        uint32_t i, const float *dh) {
    for (uint32_t k = f->all.first; k < f->all.last; k++) {
        const struct batch_field *field = &b->field[k];
        if (!f->columns.left_out[k]) {
            continue;
        }
        for (uint32_t v = field->start[i]; v < field->start[i + 1]; v++) {
            pass->add_weighted(f->dt + row_at(f, k, field->index[v]), dh, weight_of(field, v),
                               f->layout->first_width);
        }
    }
}

void factor_add(const struct factor *f, const struct batch *b, uint32_t begin, uint32_t end,
                float *h) {
    const struct passes *pass = passes_at(cpu_level());
    for (uint32_t i = begin; i < end && f->any; i++) {
        add_bags(f, pass, b, i, h + (size_t)(i - begin) * f->layout->first_width);
    }
}

void factor_spread(struct factor *f, const struct batch *b, uint32_t begin, uint32_t end,
                   const float *dh) {
    const struct passes *pass = passes_at(cpu_level());
    for (uint32_t i = begin; i < end && f->any; i++) {
        spread_bags(f, pass, b, i, dh + (size_t)(i - begin) * f->layout->first_width);
    }
}

static void clear(float *x, size_t floats) {
    if (floats > 0) {
        memset(x, 0, floats * sizeof *x);
    }
}

void factor_begin(struct factor *f, const struct linear_work *work, const struct batch *b,
                  const float *w1, const float *const *rows) {
    const struct layout *l = f->layout;
    if (!f->any) {
        return;
    }
    for (uint32_t i = f->all.first; i < f->all.last; i++) {
        if (f->columns.left_out[i]) {
            linear_load(&f->w, field_weights(f, i, w1), false);
            linear_forward(&f->w, work, (struct matrix){rows[i], l->dim[i]}, b->field[i].unique,
                           false, f->t + row_at(f, i, 0), l->first_width);
        }
    }
    const size_t left = (size_t)l->first_width * f->columns.width;
    clear(f->dt, f->rows * l->first_width);
    clear(f->dleft, left);
}

void factor_end(struct factor *f, const struct linear_work *work, const struct batch *b,
                const float *w1, const float *const *rows, float *dw1, float *const *drows) {
    const struct layout *l = f->layout;
    if (!f->any) {
        return;
    }
    add_left(f, dw1);
    for (uint32_t i = f->all.first; i < f->all.last; i++) {
        if (f->columns.left_out[i]) {
            const struct matrix dt = {f->dt + row_at(f, i, 0), l->first_width};
            linear_load_back(&f->w, field_weights(f, i, w1));
            linear_weight(&f->w, work, dt, (struct matrix){rows[i], l->dim[i]}, b->field[i].unique,
                          dw1 + l->column[i], l->input_width);
            linear_input(&f->w, work, dt, b->field[i].unique, false, drows[i], l->dim[i]);
        }
    }
}
