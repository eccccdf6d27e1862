#include "worker/model/pool.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/sample.h"
#include "tests/naive/pool_naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct sample sample;
    struct shard shard;
    struct schema schema;
    struct layout layout;
    struct batch batch;
    float *rows[FIELDS_MAX], *drows[FIELDS_MAX];
    float *xu, *xi;
};

static size_t floats_of(const struct fixture *t, uint32_t f) {
    return (size_t)t->batch.field[f].unique * t->layout.dim[f];
}

/* dims: each field's; columns by layout_init. */
static void begin(struct fixture *t, uint64_t seed, enum model_input input, const uint32_t *dims) {
    memset(t, 0, sizeof *t);
    t->sample = (struct sample){.seed = seed,
                                .groups = 12,
                                .group_impressions_max = 9,
                                .user_fields = 4,
                                .item_fields = 4,
                                .values_max = 5,
                                .dict = 30,
                                .empty_field = 6,
                                .grid = true};
    sample_shard(&t->sample, &t->shard);
    sample_schema(&t->sample, &t->schema);
    struct config config;
    config_default(&config);
    config.input = input;
    config.table.dim = dims[0];
    for (uint32_t f = 1; f < t->schema.count; f++) {
        char text[FIELD_NAME_MAX + 32];
        snprintf(text, sizeof text, "field.%s.dim=%u", t->schema.fields[f].name, dims[f]);
        assert_int_equal(config_set(&config, text), OK);
    }
    assert_int_equal(layout_init(&t->layout, &config, &t->schema, 0.1, 0.1), OK);
    uint32_t *order = sample_order(&t->sample, &t->shard);
    struct run *runs = sample_runs(order, &t->shard);
    struct batch_cutter *cutter = NULL;
    assert_int_equal(batch_cutter_create(&cutter), OK);
    assert_int_equal(batch_cutter_runs(cutter, &t->shard, runs, t->shard.groups, 4, -1), OK);
    assert_int_equal(batch_cut(cutter, 2, t->shard.impressions, &t->batch), OK);
    batch_cutter_destroy(&cutter);
    mem_free(&order);
    mem_free(&runs);
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        t->rows[f] = sample_array(floats_of(t, f), sizeof(float));
        t->drows[f] = sample_array(floats_of(t, f), sizeof(float));
        for (size_t i = 0; i < floats_of(t, f); i++) {
            t->rows[f][i] = sample_float(&t->sample, 1, 0.25f);
            t->drows[f][i] = NAN; /* must be overwritten */
        }
    }
    t->xu = sample_array((size_t)t->batch.groups * t->layout.user_width, sizeof(float));
    t->xi = sample_array((size_t)t->batch.impressions * t->layout.item_width, sizeof(float));
}

static void end(struct fixture *t) {
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        mem_free(&t->rows[f]);
        mem_free(&t->drows[f]);
    }
    mem_free(&t->xu);
    mem_free(&t->xi);
    batch_fini(&t->batch);
    sample_shard_free(&t->shard);
}

/* On the grid every sum is exact, so the fast kernels must equal the naive ones bit by bit. */
static void check_forward(struct fixture *t) {
    const struct layout *l = &t->layout;
    size_t width = l->input_width;
    double *x = sample_array(t->batch.impressions * width, sizeof *x);
    pool_forward_naive(l, &t->batch, (const float *const *)t->rows, x);
    memset(t->xu, 0xff, (size_t)t->batch.groups * l->user_width * sizeof(float));
    memset(t->xi, 0xff, (size_t)t->batch.impressions * l->item_width * sizeof(float));
    pool_forward(l, &t->batch, (const float *const *)t->rows, t->xu, t->xi);
    for (uint32_t i = 0; i < t->batch.impressions; i++) {
        const float *xu = t->xu + (size_t)t->batch.group_of[i] * l->user_width;
        const float *xi = t->xi + (size_t)i * l->item_width;
        for (uint32_t c = 0; c < width; c++) {
            double got = (double)(c < l->user_width ? xu[c] : xi[c - l->user_width]);
            assert_true(got == x[i * width + c]);
        }
    }
    mem_free(&x);
}

/* drow[u][d] = sum over occurrences of weight * dx. */
static void check_backward(struct fixture *t) {
    const struct layout *l = &t->layout;
    for (size_t i = 0; i < (size_t)t->batch.groups * l->user_width; i++) {
        t->xu[i] = sample_float(&t->sample, 1, 0.25f);
    }
    for (size_t i = 0; i < (size_t)t->batch.impressions * l->item_width; i++) {
        t->xi[i] = sample_float(&t->sample, 1, 0.25f);
    }
    pool_backward(l, &t->batch, t->xu, t->xi, t->drows);
    for (uint32_t f = 0; f < l->fields; f++) {
        const struct batch_field *field = &t->batch.field[f];
        bool user = f < l->user_fields;
        const float *dx = user ? t->xu : t->xi;
        uint32_t width = user ? l->user_width : l->item_width;
        uint32_t column = l->column[f] - (user ? 0 : l->user_width);
        double *want = sample_array(floats_of(t, f), sizeof *want);
        for (uint32_t bag = 0; bag < field->bags; bag++) {
            for (uint32_t v = field->start[bag]; v < field->start[bag + 1]; v++) {
                for (uint32_t d = 0; d < l->dim[f]; d++) {
                    want[(size_t)field->index[v] * l->dim[f] + d] +=
                        (field->plain ? 1.0 : (double)field->weight[v]) *
                        (double)dx[(size_t)bag * width + column + d];
                }
            }
        }
        for (size_t i = 0; i < floats_of(t, f); i++) {
            assert_true((double)t->drows[f][i] == want[i]);
        }
        mem_free(&want);
    }
}

static void test_concat(void **state) {
    (void)state;
    static const uint32_t dims[][8] = {{4, 8, 12, 16, 18, 24, 32, 64},
                                       {1, 2, 3, 5, 7, 17, 33, 256},
                                       {18, 18, 18, 18, 18, 18, 18, 18}};
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        struct fixture t;
        begin(&t, k + 1, INPUT_CONCAT, dims[k]);
        check_forward(&t);
        check_backward(&t);
        end(&t);
    }
}

static void test_sides(void **state) {
    (void)state;
    static const uint32_t dims[] = {18, 1, 16, 40};
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        struct fixture t;
        uint32_t same[8];
        for (int f = 0; f < 8; f++) {
            same[f] = dims[k];
        }
        begin(&t, k + 10, INPUT_SIDES, same);
        assert_int_equal(t.layout.input_width, 2 * dims[k]);
        check_forward(&t);
        check_backward(&t);
        end(&t);
    }
}

/* Any cutting into ranges gives the same bits, also off the grid. */
static void test_ranges(void **state) {
    (void)state;
    static const uint32_t dims[8] = {18, 18, 18, 18, 18, 7, 18, 18};
    struct fixture t;
    begin(&t, 20, INPUT_CONCAT, dims);
    const struct layout *l = &t.layout;
    const struct side_columns users = user_columns(l), items = item_columns(l);
    size_t width = l->item_width;
    t.sample.grid = false;
    for (uint32_t f = 0; f < l->fields; f++) {
        for (size_t i = 0; i < floats_of(&t, f); i++) {
            t.rows[f][i] = sample_float(&t.sample, 1, 1);
        }
    }
    pool_forward(l, &t.batch, (const float *const *)t.rows, t.xu, t.xi);
    float *part = sample_array(t.batch.impressions * width, sizeof *part);
    for (uint32_t at = 0; at < t.batch.impressions; at += 7) {
        uint32_t to = at + 7 < t.batch.impressions ? at + 7 : t.batch.impressions;
        pool_items(l, &items, &t.batch, (const float *const *)t.rows, at, to, part + at * width);
    }
    assert_memory_equal(part, t.xi, t.batch.impressions * width * sizeof *part);
    pool_backward(l, &t.batch, t.xu, t.xi, t.drows);
    float *again[FIELDS_MAX];
    for (uint32_t f = 0; f < l->fields; f++) {
        again[f] = sample_array(floats_of(&t, f), sizeof(float));
    }
    pool_clear(l, &t.batch, again);
    for (uint32_t at = 0; at < t.batch.impressions; at += 11) {
        uint32_t to = at + 11 < t.batch.impressions ? at + 11 : t.batch.impressions;
        pool_items_backward(l, &items, &t.batch, at, to, t.xi + at * width, again);
    }
    pool_users_backward(l, &users, &t.batch, t.xu, again);
    for (uint32_t f = 0; f < l->fields; f++) {
        assert_memory_equal(again[f], t.drows[f], floats_of(&t, f) * sizeof(float));
        mem_free(&again[f]);
    }
    mem_free(&part);
    end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concat),
        cmocka_unit_test(test_sides),
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
