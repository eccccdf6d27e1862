/* User fields of every kind in one batch, through the first layer and back: with fields factored,
 * with none, and in plain loops in double. */
#include "worker/model/factor.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/sample.h"
#include "worker/model/pool.h"
#include "worker/model/tower.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GROUPS 601

/* Features and values of one field's bags: at_least..at_most a bag. */
struct kind {
    const char *what;
    uint32_t unique, at_least, at_most;
    bool weighted, shared, factored;
};
static const struct kind kinds[] = {
    {"two features", 2, 1, 1, false, false, true},
    {"all distinct", GROUPS, 1, 1, false, false, false},
    {"one feature, a value or none", 1, 0, 1, false, false, true},
    {"some with weights, several values", 9, 0, 3, true, false, true},
    {"few features, long bags", 9, 8, 12, false, false, false},
    {"few, but shared", 2, 1, 1, false, true, false},
    {"no values", 0, 0, 0, false, false, true},
    {"weights, one value", 30, 1, 1, true, false, true},
};
#define FIELDS (sizeof kinds / sizeof *kinds)

struct fixture {
    struct sample sample;
    struct layout layout;
    struct batch batch;
    float *dense, *dhu, *rows[FIELDS_MAX];
};

/* What a pass writes. */
struct result {
    float *hu, *ddense, *drows[FIELDS_MAX];
    struct side_columns columns;
};

/* Fields are shared in name only: of a batch that shares with none. */
static void make_field(struct fixture *t, uint32_t f) {
    struct batch_field *field = &t->batch.field[f];
    const struct kind *kind = &kinds[f];
    field->bags = GROUPS;
    field->unique = kind->unique;
    field->shared = kind->shared;
    field->start = sample_array(GROUPS + 1, sizeof *field->start);
    field->index = sample_array((size_t)GROUPS * kind->at_most, sizeof *field->index);
    for (uint32_t g = 0; g < GROUPS; g++) {
        const uint32_t span = kind->at_most - kind->at_least + 1;
        uint32_t count = kind->at_least + sample_below(&t->sample, span);
        for (uint32_t v = 0; v < count; v++) {
            const uint32_t at = field->values++;
            field->index[at] = at < kind->unique ? at : sample_below(&t->sample, kind->unique);
        }
        field->start[g + 1] = field->values;
    }
    if (kind->weighted) {
        field->weight_store = sample_array(field->values, sizeof *field->weight_store);
        for (uint32_t v = 0; v < field->values; v++) {
            field->weight_store[v] = sample_normal(&t->sample);
        }
        field->weight = field->weight_store;
    }
}

static void begin(struct fixture *t, uint64_t seed, enum model_input input, enum model_name model) {
    memset(t, 0, sizeof *t);
    t->sample = (struct sample){.seed = seed, .user_fields = FIELDS, .item_fields = 2};
    struct schema schema;
    struct config config;
    sample_schema(&t->sample, &schema);
    config_default(&config);
    config.input = input;
    config.model = model;
    config.table.dim = 18;
    assert_int_equal(config_set(&config, "model.tower=37,8"), OK);
    if (input == INPUT_CONCAT) {
        assert_int_equal(config_set(&config, "field.a03.dim=16"), OK);
    }
    assert_int_equal(layout_init(&t->layout, &config, &schema, 0.1, 0.1), OK);
    t->batch.groups = GROUPS;
    for (uint32_t f = 0; f < FIELDS; f++) {
        make_field(t, f);
        const size_t floats = (size_t)kinds[f].unique * t->layout.dim[f];
        t->rows[f] = sample_array(floats, sizeof(float));
        for (size_t i = 0; i < floats; i++) {
            t->rows[f][i] = sample_normal(&t->sample);
        }
    }
    t->dense = sample_array(t->layout.count, sizeof(float));
    sample_dense(&t->sample, &t->layout, t->dense);
    const size_t floats = (size_t)GROUPS * t->layout.first_width;
    t->dhu = sample_array(floats, sizeof(float));
    for (size_t i = 0; i < floats; i++) {
        t->dhu[i] = sample_normal(&t->sample);
    }
}

static void end(struct fixture *t) {
    for (uint32_t f = 0; f < FIELDS; f++) {
        mem_free(&t->rows[f]);
    }
    mem_free(&t->dense);
    mem_free(&t->dhu);
    batch_fini(&t->batch);
}

static void result_begin(struct result *r, const struct fixture *t) {
    memset(r, 0, sizeof *r);
    r->hu = sample_array((size_t)GROUPS * t->layout.first_width, sizeof(float));
    r->ddense = sample_array(t->layout.count, sizeof(float));
    for (uint32_t f = 0; f < FIELDS; f++) {
        r->drows[f] = sample_array((size_t)kinds[f].unique * t->layout.dim[f], sizeof(float));
    }
}

static void result_end(struct result *r) {
    mem_free(&r->hu);
    mem_free(&r->ddense);
    for (uint32_t f = 0; f < FIELDS; f++) {
        mem_free(&r->drows[f]);
    }
}

/* The user side of a step, as model.c does it, without what is shared. */
static void pass(const struct fixture *t, const struct kernel *kernel, bool factored,
                 struct result *r) {
    const struct layout *l = &t->layout;
    const struct batch *b = &t->batch;
    const float *const *rows = (const float *const *)t->rows;
    const size_t w1 = layout_weight(l, 0, 0)->offset;
    struct tower tower;
    float *xu = sample_array((size_t)GROUPS * l->user_width, sizeof *xu);
    float *dxu = sample_array((size_t)GROUPS * l->user_width, sizeof *dxu);
    assert_int_equal(tower_init(&tower, l, kernel), OK);
    assert_int_equal(factor_choose(&tower.users, factored ? b : NULL), OK);
    r->columns = tower.users.columns;
    tower_load(&tower, t->dense, true);
    pool_users(l, &r->columns, b, rows, xu);
    tower_users(&tower, xu, GROUPS, r->hu);
    factor_begin(&tower.users, &tower.work, b, t->dense + w1, rows);
    factor_add(&tower.users, b, 0, 100, r->hu);
    factor_add(&tower.users, b, 100, GROUPS, r->hu + 100 * (size_t)l->first_width);
    tower_users_backward(&tower, xu, t->dhu, GROUPS, r->ddense, dxu);
    factor_spread(&tower.users, b, 0, 100, t->dhu);
    factor_spread(&tower.users, b, 100, GROUPS, t->dhu + 100 * (size_t)l->first_width);
    factor_end(&tower.users, &tower.work, b, t->dense + w1, rows, r->ddense + w1, r->drows);
    pool_users_backward(l, &r->columns, b, dxu, r->drows);
    tower_fini(&tower);
    mem_free(&xu);
    mem_free(&dxu);
}

/* The same of one field, in double: adds to hu and dw, writes drows. */
static void field_naive(const struct fixture *t, uint32_t f, double *hu, double *dw,
                        double *drows) {
    const struct layout *l = &t->layout;
    const struct batch_field *field = &t->batch.field[f];
    const uint32_t dim = l->dim[f];
    const float *w1 = t->dense + layout_weight(l, 0, 0)->offset + l->column[f];
    for (uint32_t g = 0; g < GROUPS; g++) {
        double x[64] = {0}, dx[64] = {0};
        for (uint32_t v = field->start[g]; v < field->start[g + 1]; v++) {
            const double weight = field->weight == NULL ? 1.0 : (double)field->weight[v];
            for (uint32_t d = 0; d < dim; d++) {
                x[d] += weight * (double)t->rows[f][field->index[v] * dim + d];
            }
        }
        for (uint32_t j = 0; j < l->first_width; j++) {
            const double dh = (double)t->dhu[(size_t)g * l->first_width + j];
            for (uint32_t d = 0; d < dim; d++) {
                const double w = (double)w1[(size_t)j * l->input_width + d];
                hu[(size_t)g * l->first_width + j] += w * x[d];
                dw[(size_t)j * l->input_width + l->column[f] + d] += dh * x[d];
                dx[d] += dh * w;
            }
        }
        for (uint32_t v = field->start[g]; v < field->start[g + 1]; v++) {
            const double weight = field->weight == NULL ? 1.0 : (double)field->weight[v];
            for (uint32_t d = 0; d < dim; d++) {
                drows[field->index[v] * dim + d] += weight * dx[d];
            }
        }
    }
}

static void close_to(const char *what, const float *got, const double *want, size_t n,
                     double relative) {
    double largest = 1e-3;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(want[i]));
    }
    for (size_t i = 0; i < n; i++) {
        if (!(fabs((double)got[i] - want[i]) <= relative * largest)) {
            fail_msg("%s[%zu]: %.9g, expected %.9g (largest %.3g)", what, i, (double)got[i],
                     want[i], largest);
        }
    }
}

static void check_pass(const struct fixture *t, const struct kernel *kernel, bool factored,
                       double relative) {
    const struct layout *l = &t->layout;
    const size_t hu_floats = (size_t)GROUPS * l->first_width;
    const size_t dw_floats = (size_t)l->first_width * l->input_width;
    const float *b1 = t->dense + layout_bias(l, 0, 0)->offset;
    double *hu = sample_array(hu_floats, sizeof *hu), *dw = sample_array(dw_floats, sizeof *dw);
    struct result r;
    result_begin(&r, t);
    pass(t, kernel, factored, &r);
    for (size_t i = 0; i < hu_floats; i++) {
        hu[i] = (double)b1[i % l->first_width];
    }
    for (uint32_t f = 0; f < FIELDS; f++) {
        const size_t floats = (size_t)kinds[f].unique * l->dim[f];
        double *drows = sample_array(floats, sizeof *drows);
        if (!kinds[f].shared) { /* model.c adds these to xu */
            field_naive(t, f, hu, dw, drows);
        }
        close_to(kinds[f].what, r.drows[f], drows, floats, relative);
        mem_free(&drows);
        assert_int_equal(r.columns.left_out[f], factored && kinds[f].factored);
    }
    close_to("hu", r.hu, hu, hu_floats, relative);
    close_to("dw", r.ddense + layout_weight(l, 0, 0)->offset, dw, dw_floats, relative);
    mem_free(&hu);
    mem_free(&dw);
    result_end(&r);
}

static void test_factored_is_the_product(void **state) {
    (void)state;
    const struct kernel *const kernel[] = {NULL, kernel_f32(), kernel_bf16()};
    const enum model_name models[] = {MODEL_ESMM, MODEL_MMOE, MODEL_SHARE, MODEL_BASE};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        struct fixture t;
        begin(&t, 11 + m, INPUT_CONCAT, models[m]);
        for (size_t k = 0; k < 3; k++) {
            if (k == 0 || kernel[k] != NULL) {
                const double relative = k == 2 ? 0x1p-7 : 1e-5;
                check_pass(&t, kernel[k], true, relative);
                check_pass(&t, kernel[k], false, relative);
            }
        }
        end(&t);
    }
}

static enum status init_users(struct factor *f, const struct fixture *t) {
    const struct side_columns users = user_columns(&t->layout);
    return factor_init(f, &t->layout, &users, NULL);
}

/* --- the choice ------------------------------------------------------------------------------- */

static void test_choice_is_of_the_batch_alone(void **state) {
    (void)state;
    struct fixture t, other;
    struct factor fresh, used;
    begin(&t, 21, INPUT_CONCAT, MODEL_ESMM);
    begin(&other, 22, INPUT_CONCAT, MODEL_ESMM);
    for (uint32_t f = 0; f < FIELDS; f++) {
        other.batch.field[f].unique = f % 2 == 0 ? GROUPS : 1;
    }
    assert_int_equal(init_users(&fresh, &t), OK);
    assert_int_equal(init_users(&used, &t), OK);
    assert_int_equal(factor_choose(&used, &other.batch), OK);
    assert_int_equal(factor_choose(&used, &t.batch), OK);
    assert_int_equal(factor_choose(&fresh, &t.batch), OK);
    assert_memory_equal(&fresh.columns, &used.columns, sizeof fresh.columns);
    assert_int_equal(fresh.runs, used.runs);
    assert_memory_equal(fresh.run, used.run, fresh.runs * sizeof *fresh.run);
    assert_memory_equal(fresh.at, used.at, FIELDS * sizeof *fresh.at);
    assert_int_equal(fresh.columns.width, 3 * 18);
    factor_fini(&fresh);
    factor_fini(&used);
    end(&t);
    end(&other);
}

static void test_nothing_to_factor(void **state) {
    (void)state;
    struct fixture t;
    struct factor f;
    begin(&t, 31, INPUT_SIDES, MODEL_ESMM);
    assert_int_equal(init_users(&f, &t), OK);
    assert_int_equal(factor_choose(&f, &t.batch), OK);
    assert_false(f.any); /* the fields of a side share their columns */
    factor_fini(&f);
    end(&t);
    begin(&t, 32, INPUT_CONCAT, MODEL_ESMM);
    for (uint32_t i = 0; i < FIELDS; i++) {
        t.batch.field[i].bags = 3; /* too few to pay for the products of a field */
    }
    assert_int_equal(init_users(&f, &t), OK);
    assert_int_equal(factor_choose(&f, &t.batch), OK);
    assert_false(f.any);
    const struct side_columns all = user_columns(&t.layout);
    assert_memory_equal(&f.columns, &all, sizeof all);
    factor_fini(&f);
    end(&t);
}

static void test_no_memory(void **state) {
    (void)state;
    struct fixture t;
    struct factor f;
    begin(&t, 41, INPUT_CONCAT, MODEL_ESMM);
    assert_int_equal(init_users(&f, &t), OK);
    for (size_t n = 1; n <= 4; n++) {
        mem_fail_after(n);
        assert_int_equal(factor_choose(&f, &t.batch), ERR_MEMORY);
        mem_fail_after(0);
        assert_false(f.any);
        factor_fini(&f);
        assert_int_equal(init_users(&f, &t), OK);
    }
    assert_int_equal(factor_choose(&f, &t.batch), OK);
    assert_true(f.any);
    factor_fini(&f);
    end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_factored_is_the_product),
        cmocka_unit_test(test_choice_is_of_the_batch_alone),
        cmocka_unit_test(test_nothing_to_factor),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
