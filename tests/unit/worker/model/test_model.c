#include "worker/model/model.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/sample.h"
#include "worker/model/factor.h"
#include "worker/model/pool.h"
#include "tests/naive/model_naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A batch with parameters, and everything the fast model and the twin write. */
struct fixture {
    struct layout layout;
    struct batch batch;
    struct loss_spec loss;
    float *rows[FIELDS_MAX], *drows[FIELDS_MAX];
    double *drows_naive[FIELDS_MAX];
    float *dense, *ddense, *a, *b;
    double *ddense_naive, *logit_naive[TOWERS_MAX], loss_naive;
    double *a_naive, *b_naive; /* what loss_scores makes of the logits */
    struct loss_sums sums;
    enum precision precision; /* of the twin */
    struct dropout dropout;   /* none, unless a test sets it; of model and twin */
};

/* What may multiply; NULL among them is OpenBLAS. The model's tests run over all that are here. */
static const struct kernel *const *kernels(size_t *n) {
    static const struct kernel *list[4] = {NULL};
    const struct kernel_set here = kernel_here();
    const struct kernel *const own[] = {here.avx2, here.avx512, here.neon};
    *n = 1;
    for (int i = 0; i < 3; i++) {
        if (own[i] != NULL) {
            list[(*n)++] = own[i];
        }
    }
    return list;
}

static size_t floats_of(const struct fixture *t, uint32_t f) {
    return (size_t)t->batch.field[f].unique * t->layout.dim[f];
}

/* batch and layout are set: arrays for the rest, outputs full of NaN. */
static void allocate(struct fixture *t) {
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        t->rows[f] = sample_array(floats_of(t, f), sizeof(float));
        t->drows[f] = sample_array(floats_of(t, f), sizeof(float));
        t->drows_naive[f] = sample_array(floats_of(t, f), sizeof(double));
        memset(t->drows[f], 0xff, floats_of(t, f) * sizeof(float));
    }
    t->dense = sample_array(t->layout.count, sizeof(float));
    t->ddense = sample_array(t->layout.count, sizeof(float));
    t->ddense_naive = sample_array(t->layout.count, sizeof(double));
    memset(t->ddense, 0xff, t->layout.count * sizeof(float));
    t->a = sample_array(t->batch.impressions, sizeof(float));
    t->b = sample_array(t->batch.impressions, sizeof(float));
    for (uint32_t k = 0; k < t->layout.towers; k++) {
        t->logit_naive[k] = sample_array(t->batch.impressions, sizeof(double));
    }
    t->a_naive = sample_array(t->batch.impressions, sizeof(double));
    t->b_naive = sample_array(t->batch.impressions, sizeof(double));
}

static void release(struct fixture *t) {
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        mem_free(&t->rows[f]);
        mem_free(&t->drows[f]);
        mem_free(&t->drows_naive[f]);
    }
    mem_free(&t->dense);
    mem_free(&t->ddense);
    mem_free(&t->ddense_naive);
    mem_free(&t->a);
    mem_free(&t->b);
    for (uint32_t k = 0; k < t->layout.towers; k++) {
        mem_free(&t->logit_naive[k]);
    }
    mem_free(&t->a_naive);
    mem_free(&t->b_naive);
    batch_fini(&t->batch);
}

#define MANY 600 /* groups: then every second field has many features, too */
struct shape {
    uint64_t seed;
    uint32_t groups, per_group, user_fields, item_fields, dim;
    enum model_input input;
    const char *tower;
    int empty_field;
    float w;
    bool grid;
};

/* Makes records of the batch's clicked impressions, of all kinds. */
static void make_records(struct batch *b, uint64_t seed) {
    b->records = true;
    for (uint32_t i = 0; i < b->impressions; i++) {
        const uint8_t kinds[] = {KIND_BOTH, KIND_CLICK, KIND_CONVERSION, KIND_LATE, KIND_FINAL};
        const uint8_t kind = kinds[rng_below(seed, i, 90, sizeof kinds)];
        const bool clicked = (b->labels[i] & LABEL_CLICK) != 0;
        b->kind[i] = clicked ? kind : KIND_BOTH;
        if (clicked && kind == KIND_CLICK) {
            b->labels[i] = LABEL_CLICK;
        } else if (clicked && kind == KIND_LATE) {
            b->labels[i] = LABEL_CLICK | LABEL_CONVERSION | LABEL_LATE;
        }
        b->elapsed_days[i] = clicked ? (float)(i % 5) / 4 : 0;
    }
}

/* levels: of experts, where the model has some. */
static void begin_any(struct fixture *t, struct shape s, enum model_name model, uint32_t levels,
                      enum delay_method delay) {
    memset(t, 0, sizeof *t);
    struct sample sample = {.seed = s.seed,
                            .groups = s.groups,
                            .group_impressions_max = s.per_group,
                            .user_fields = s.user_fields,
                            .item_fields = s.item_fields,
                            .values_max = 3,
                            .dict = 25,
                            .odd = s.groups == MANY ? 3000 : 0,
                            .empty_field = s.empty_field,
                            .grid = s.grid,
                            .behaviours = model == MODEL_ESM2 || model == MODEL_CHAIN};
    struct shard shard;
    struct schema schema;
    struct config config;
    sample_shard(&sample, &shard);
    sample_schema(&sample, &schema);
    config_default(&config);
    config.input = s.input;
    config.model = model;
    config.delay = delay;
    config.ctcvr_weight = s.w;
    config.unbias_clip = 0.4f;
    config.experts = 1 + (uint32_t)(s.seed % 4);
    config.levels = levels;
    config.propensity_min = 0.2f;
    config.cvr_weight = 0.5f;
    config.counterfactual_weight = 0.25f;
    config.behaviours = (uint32_t)(s.seed % (BEHAVIOURS_MAX + 1));
    config.unbias = s.seed % 2 == 0 ? UNBIAS_REJECTION : UNBIAS_WEIGHT;
    config.table.dim = s.dim;
    char text[64];
    snprintf(text, sizeof text, "model.tower=%s", s.tower);
    assert_int_equal(config_set(&config, text), OK);
    assert_int_equal(layout_init(&t->layout, &config, &schema, 0.1, 0.1), OK);
    uint32_t *order = sample_order(&sample, &shard);
    struct run *runs = sample_runs(order, &shard);
    struct batch_cutter *cutter = NULL;
    assert_int_equal(batch_cutter_create(&cutter), OK);
    assert_int_equal(batch_cutter_runs(cutter, &shard, runs, shard.groups, s.user_fields, -1), OK);
    assert_int_equal(batch_cut(cutter, 0, shard.impressions, &t->batch), OK);
    batch_cutter_destroy(&cutter);
    mem_free(&order);
    mem_free(&runs);
    sample_shard_free(&shard);
    t->loss = loss_spec_of(&config);
    allocate(t);
    sample_dense(&sample, &t->layout, t->dense);
    layout_clear_foreign(&t->layout, t->dense);
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        for (size_t i = 0; i < floats_of(t, f); i++) {
            t->rows[f][i] = sample_float(&sample, 0.7f, 0.125f);
        }
    }
}

static void begin_delay(struct fixture *t, struct shape s, enum model_name model,
                        enum delay_method delay) {
    begin_any(t, s, model, 1, delay);
}

static void begin_levels(struct fixture *t, struct shape s, uint32_t levels) {
    begin_any(t, s, MODEL_PLE, levels, DELAY_NONE);
}

static void begin_model(struct fixture *t, struct shape s, enum model_name model) {
    begin_any(t, s, model, 1, DELAY_NONE);
}

static void begin(struct fixture *t, struct shape s) {
    begin_model(t, s, MODEL_ESMM);
}

static void run(struct fixture *t, struct model *m) {
    t->sums = (struct loss_sums){0};
    model_drop(m, t->dropout);
    assert_int_equal(model_train(m, &t->batch, (const float *const *)t->rows, t->dense, t->a, t->b,
                                 t->drows, t->ddense, &t->sums),
                     OK);
}

static void run_naive(struct fixture *t) {
    assert_int_equal(model_train_naive(&t->layout, t->precision, &t->loss, &t->dropout, &t->batch,
                                       (const float *const *)t->rows, t->dense, t->logit_naive,
                                       t->drows_naive, t->ddense_naive, &t->loss_naive),
                     OK);
    for (uint32_t i = 0; i < t->batch.impressions; i++) {
        float logit[TOWERS_MAX], a, b;
        const float *at[TOWERS_MAX];
        for (uint32_t k = 0; k < t->layout.towers; k++) {
            logit[k] = (float)t->logit_naive[k][i];
            at[k] = &logit[k];
        }
        loss_scores(&t->loss, at, 1, &a, &b);
        t->a_naive[i] = (double)a;
        t->b_naive[i] = (double)b;
    }
}

/* |got - want| <= relative * the array's largest value: the measure of a sum's rounding. The terms
 * of a gradient are of the order of 1/B each, and where they cancel they are what rounding is
 * relative to; hence the floor. */
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

static double mean_loss(const struct fixture *t) {
    return t->sums.total / t->batch.impressions;
}

static void check_gradients(const struct fixture *t, double relative) {
    for (uint32_t k = 0; k < t->layout.array_count; k++) {
        const struct layout_array *a = &t->layout.array[k];
        close_to(a->name, t->ddense + a->offset, t->ddense_naive + a->offset,
                 (size_t)a->rows * a->cols, relative);
    }
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        close_to("drows", t->drows[f], t->drows_naive[f], floats_of(t, f), relative);
    }
}

/* --- against the naive twin ------------------------------------------------------------------- */

/* Parameters on a grid: activations are exact in float up to rounding of the last layers, so no
 * activation can fall on the other side of a kink, and zeros of the relu are hit on purpose. */
static const struct shape shapes[] = {
    {1, 30, 20, 3, 4, 5, INPUT_CONCAT, "16,12,8", -1, 1.0f, true},
    {2, 30, 20, 3, 4, 5, INPUT_SIDES, "16,12,8", -1, 1.0f, true},
    {3, 1, 1, 3, 4, 5, INPUT_CONCAT, "9,7", -1, 1.0f, true},      /* one impression */
    {4, 300, 1, 2, 2, 3, INPUT_CONCAT, "10", -1, 0.5f, true},     /* nothing shared, two chunks */
    {5, 1, 700, 2, 2, 18, INPUT_CONCAT, "12,6", -1, 2.0f, true},  /* one group, several chunks */
    {6, 40, 30, 3, 3, 4, INPUT_CONCAT, "8,8,8,8", 4, 1.0f, true}, /* a field without values */
    {7, 40, 30, 3, 3, 4, INPUT_SIDES, "8", 1, 1.0f, true},
    {8, 20, 10, 0, 3, 6, INPUT_CONCAT, "8,4", -1, 1.0f, true}, /* no user side */
    {9, 20, 10, 3, 0, 6, INPUT_CONCAT, "8,4", -1, 1.0f, true}, /* no item side */
    {10, 20, 10, 0, 2, 6, INPUT_SIDES, "8,4", -1, 0.0f, true},
    {11, 20, 10, 2, 0, 6, INPUT_SIDES, "8,4", 0, 1.0f, true},  /* ... and one field empty */
    {12, 60, 17, 2, 3, 18, INPUT_CONCAT, "1", -1, 1.0f, true}, /* the narrowest tower */
    {13, 43, 12, 2, 3, 4, INPUT_CONCAT, "33,17", -1, 1.0f, true},
    {14, MANY, 2, 3, 2, 18, INPUT_CONCAT, "16,8", 2, 1.0f, true}, /* some are factored */
};

#define FACTORED 13 /* the shape of which both sides have fields that are, and one that is not */

static bool factors_some(const struct fixture *t, struct side_columns all) {
    struct factor f;
    assert_int_equal(factor_init(&f, &t->layout, &all, NULL), OK);
    assert_int_equal(factor_choose(&f, &t->batch), OK);
    const bool some = f.any && f.columns.width > 0;
    factor_fini(&f);
    return some;
}

static bool factors(const struct fixture *t) {
    return factors_some(t, user_columns(&t->layout)) && factors_some(t, item_columns(&t->layout));
}

static void check_against_naive(struct fixture *t, const struct kernel *kernel) {
    struct model *m = NULL;
    assert_int_equal(model_create(&m, &t->layout, &t->loss, kernel), OK);
    run(t, m);
    const double relative = 1e-6 * fmax(1, t->layout.levels); /* each level rounds */
    close_to("logit a", t->a, t->a_naive, t->batch.impressions, relative);
    close_to("logit b", t->b, t->b_naive, t->batch.impressions, relative);
    assert_true(fabs(mean_loss(t) - t->loss_naive) <= 1e-6 * t->loss_naive);
    check_gradients(t, 1e-5);
    model_destroy(&m);
}

static void test_against_naive(void **state) {
    (void)state;
    size_t n;
    const struct kernel *const *kernel = kernels(&n);
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        struct fixture t;
        begin(&t, shapes[k]);
        run_naive(&t);
        for (size_t i = 0; i < n; i++) {
            check_against_naive(&t, kernel[i]);
        }
        release(&t);
    }
}

/* --- every model ------------------------------------------------------------------------------ */

static const enum model_name models[] = {
    MODEL_CTR,     MODEL_BASE,  MODEL_AMAN,      MODEL_UNBIAS,   MODEL_DIVISION, MODEL_OVERSAMPLING,
    MODEL_ESMM_NS, MODEL_SHARE, MODEL_ESCM2_IPS, MODEL_ESCM2_DR, MODEL_DCMT,     MODEL_ESM2,
    MODEL_CHAIN,   MODEL_MMOE,  MODEL_PLE,       MODEL_AITM};

/* Fast against naive; and what belongs to the other dictionary has neither weight nor gradient. */
static void test_models_against_naive(void **state) {
    (void)state;
    size_t n;
    const struct kernel *const *kernel = kernels(&n);
    for (size_t k = 0; k < sizeof models / sizeof *models; k++) {
        for (size_t s = 0; s < 5; s++) {
            struct fixture t;
            begin_model(&t, shapes[s == 3 ? 8 : s == 4 ? FACTORED : s], models[k]);
            assert_true(factors(&t) == (s == 4));
            assert_int_equal(t.layout.towers, loss_towers(&t.loss));
            run_naive(&t);
            for (size_t i = 0; i < n; i++) {
                check_against_naive(&t, kernel[i]);
            }
            float *cleared = sample_array(t.layout.count, sizeof *cleared);
            memcpy(cleared, t.ddense, t.layout.count * sizeof *cleared);
            layout_clear_foreign(&t.layout, cleared);
            assert_memory_equal(cleared, t.ddense, t.layout.count * sizeof *cleared);
            mem_free(&cleared);
            release(&t);
        }
    }
}

/* Stacked experts, on every shape. */
static void test_levels_against_naive(void **state) {
    (void)state;
    size_t n;
    const struct kernel *const *kernel = kernels(&n);
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        for (uint32_t levels = 2; levels <= LEVELS_MAX; levels++) {
            struct fixture t;
            begin_levels(&t, shapes[k], levels);
            assert_int_equal(t.layout.levels, levels);
            run_naive(&t);
            for (size_t i = 0; i < n; i++) {
                check_against_naive(&t, kernel[i]);
            }
            release(&t);
        }
    }
}

/* --- dropout ---------------------------------------------------------------------------------- */

/* Half and three quarters: the scale is a power of two, so that the activations stay on the grid.
 */
static void drop(struct fixture *t, size_t k) {
    t->dropout = (struct dropout){k % 2 == 0 ? 0.5f : 0.75f, 90 + k};
    t->batch.name = (struct batch_name){(uint32_t)k, 2, 3};
}

/* Chunks, towers and groups as without: the twin asks for the mask of each unit by its place in the
 * batch. */
static void test_dropout_against_naive(void **state) {
    (void)state;
    size_t n;
    const struct kernel *const *kernel = kernels(&n);
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes + sizeof models / sizeof *models; k++) {
        const bool all_shapes = k < sizeof shapes / sizeof *shapes;
        struct fixture t;
        begin_model(&t, shapes[all_shapes ? k : k % 2],
                    all_shapes ? MODEL_ESMM : models[k - sizeof shapes / sizeof *shapes]);
        drop(&t, k);
        run_naive(&t);
        for (size_t i = 0; i < n; i++) {
            check_against_naive(&t, kernel[i]);
        }
        release(&t);
    }
}

/* Training leaves units out by the batch's name, forward never; without a rate all is as it was. */
static void test_dropout_is_of_training(void **state) {
    (void)state;
    struct fixture t;
    struct model *m = NULL;
    begin(&t, shapes[0]);
    const size_t n = t.batch.impressions;
    float *a = sample_array(n, sizeof *a), *b = sample_array(n, sizeof *b);
    float *whole = sample_array(n, sizeof *whole);
    assert_int_equal(model_create(&m, &t.layout, &t.loss, NULL), OK);
    run(&t, m);
    memcpy(whole, t.a, n * sizeof *whole);
    drop(&t, 0);
    run(&t, m);
    assert_memory_not_equal(t.a, whole, n * sizeof *whole);
    memcpy(a, t.a, n * sizeof *a);
    run(&t, m);
    assert_memory_equal(t.a, a, n * sizeof *a);
    t.batch.name.batch++;
    run(&t, m);
    assert_memory_not_equal(t.a, a, n * sizeof *a);
    assert_int_equal(model_forward(m, &t.batch, (const float *const *)t.rows, t.dense, a, b), OK);
    assert_memory_equal(a, whole, n * sizeof *whole);
    model_destroy(&m);
    mem_free(&a);
    mem_free(&b);
    mem_free(&whole);
    release(&t);
}

/* --- records and delays ----------------------------------------------------------------------- */

/* Fast against naive, with all kinds of records and all heads. */
static void test_delay_against_naive(void **state) {
    (void)state;
    size_t n;
    const struct kernel *const *kernel = kernels(&n);
    for (uint32_t m = 0; m < DELAY_METHODS; m++) {
        for (size_t s = 0; s < 8; s++) {
            struct fixture t;
            begin_delay(&t, shapes[s], MODEL_ESMM, (enum delay_method)m);
            make_records(&t.batch, s);
            run_naive(&t);
            for (size_t i = 0; i < n; i++) {
                check_against_naive(&t, kernel[i]);
            }
            release(&t);
        }
    }
}

/* --- bf16 ------------------------------------------------------------------------------------- */

/* Two steps of bf16 at the array's largest value. The twin rounds what it computed in double, per
 * impression; the model rounds its float32 values, and the user side's gradient once for its
 * group's sum. Where the two fall on different sides of a tie an operand differs by a step, 2^-7 of
 * its power of two and so up to 2^-7 of itself; what does so is a few terms of each sum. */
#define BF16_TOLERANCE 0x1p-7

static void check_bf16(struct fixture *t, const struct kernel *kernel) {
    struct model *m = NULL;
    t->precision = PRECISION_BF16;
    run_naive(t);
    assert_int_equal(model_create(&m, &t->layout, &t->loss, kernel), OK);
    run(t, m);
    close_to("logit a", t->a, t->a_naive, t->batch.impressions, BF16_TOLERANCE);
    close_to("logit b", t->b, t->b_naive, t->batch.impressions, BF16_TOLERANCE);
    assert_true(fabs(mean_loss(t) - t->loss_naive) <= BF16_TOLERANCE * t->loss_naive);
    check_gradients(t, BF16_TOLERANCE);
    model_destroy(&m);
}

/* Without dropout and with. */
static void check_bf16_model(size_t k, enum model_name model, uint32_t levels) {
    struct fixture t;
    begin_any(&t, shapes[k], model, levels, DELAY_NONE);
    check_bf16(&t, kernel_bf16());
    drop(&t, k);
    check_bf16(&t, kernel_bf16());
    release(&t);
}

static void test_bf16_against_naive(void **state) {
    (void)state;
    if (kernel_bf16() == NULL) {
        print_message("skipped: no AVX512_BF16 here\n");
        skip();
    }
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        check_bf16_model(k, MODEL_ESMM, 1);
        check_bf16_model(k, MODEL_AITM, 1);
        check_bf16_model(k, MODEL_MMOE, 1);
        for (uint32_t levels = 1; levels <= LEVELS_MAX; levels++) {
            check_bf16_model(k, MODEL_PLE, levels);
        }
    }
}

static void check_bf16_rounds(enum model_name model, uint32_t levels) {
    struct fixture t;
    struct model *m = NULL;
    begin_any(&t, (struct shape){60, 40, 10, 3, 4, 7, INPUT_CONCAT, "33,17", -1, 1.0f, false},
              model, levels, DELAY_NONE);
    assert_int_equal(model_create(&m, &t.layout, &t.loss, kernel_bf16()), OK);
    run(&t, m);
    double error[2] = {0};
    for (int p = 0; p < 2; p++) {
        t.precision = p == 0 ? PRECISION_F32 : PRECISION_BF16;
        run_naive(&t);
        for (uint32_t i = 0; i < t.batch.impressions; i++) {
            error[p] += fabs((double)t.a[i] - t.a_naive[i]) + fabs((double)t.b[i] - t.b_naive[i]);
        }
    }
    assert_true(error[0] > 1e-4 * t.batch.impressions);
    assert_true(error[1] < 0.1 * error[0]);
    model_destroy(&m);
    release(&t);
}

/* With weights off the grid the model is the rounded twin, not the exact one. */
static void test_bf16_rounds(void **state) {
    (void)state;
    if (kernel_bf16() == NULL) {
        skip();
    }
    check_bf16_rounds(MODEL_ESMM, 1);
    check_bf16_rounds(MODEL_AITM, 1);
    check_bf16_rounds(MODEL_PLE, 1);
    check_bf16_rounds(MODEL_PLE, 3);
}

/* --- one model, many batches ------------------------------------------------------------------ */

/* Forward alone gives the logits of training; one model serves batches of any size in any order,
 * and twice the same input gives the same bits. */
static void check_many_batches(const struct kernel *kernel, enum model_name model,
                               uint32_t levels) {
    static const uint32_t groups[] = {7, 60, 1, 30};
    struct model *m = NULL;
    for (size_t k = 0; k < 4; k++) {
        struct fixture t;
        const uint64_t seed = 23 + 4 * k; /* 4 experts always */
        begin_any(
            &t,
            (struct shape){seed, groups[k], 15, 3, 4, 5, INPUT_CONCAT, "16,12", -1, 1.0f, false},
            model, levels, DELAY_NONE);
        size_t n = t.batch.impressions;
        if (m == NULL) {
            assert_int_equal(model_create(&m, &t.layout, &t.loss, kernel), OK);
        }
        run(&t, m);
        float *a = sample_array(n, sizeof *a), *b = sample_array(n, sizeof *b);
        float *ddense = sample_array(t.layout.count, sizeof *ddense);
        float *drow = sample_array(floats_of(&t, 1), sizeof *drow);
        memcpy(ddense, t.ddense, t.layout.count * sizeof *ddense);
        memcpy(drow, t.drows[1], floats_of(&t, 1) * sizeof *drow);
        struct loss_sums sums = t.sums;
        assert_int_equal(model_forward(m, &t.batch, (const float *const *)t.rows, t.dense, a, b),
                         OK);
        assert_memory_equal(a, t.a, n * sizeof *a);
        assert_memory_equal(b, t.b, n * sizeof *b);
        run(&t, m);
        assert_memory_equal(ddense, t.ddense, t.layout.count * sizeof *ddense);
        assert_memory_equal(drow, t.drows[1], floats_of(&t, 1) * sizeof *drow);
        assert_memory_equal(&sums, &t.sums, sizeof sums);
        mem_free(&a);
        mem_free(&b);
        mem_free(&ddense);
        mem_free(&drow);
        release(&t);
    }
    model_destroy(&m);
}

static void test_one_model_many_batches(void **state) {
    (void)state;
    const struct kernel *const kernel[] = {NULL, kernel_f32(), kernel_bf16()};
    for (size_t k = 0; k < 3; k++) {
        check_many_batches(kernel[k], MODEL_ESMM, 1);
        check_many_batches(kernel[k], MODEL_PLE, 3);
    }
}

/* --- several threads -------------------------------------------------------------------------- */

struct trainee {
    struct fixture t;
    const struct kernel *kernel;
    pthread_t thread;
    enum status status;
};

static void *train(void *arg) {
    struct trainee *trainee = arg;
    struct fixture *t = &trainee->t;
    struct model *m = NULL;
    trainee->status = model_create(&m, &t->layout, &t->loss, trainee->kernel);
    for (int i = 0; i < 5 && trainee->status == OK; i++) {
        t->sums = (struct loss_sums){0};
        trainee->status = model_train(m, &t->batch, (const float *const *)t->rows, t->dense, t->a,
                                      t->b, t->drows, t->ddense, &t->sums);
    }
    model_destroy(&m);
    return NULL;
}

/* Models share nothing: those of many threads, at once, give the bits of one alone. */
static void test_many_threads(void **state) {
    (void)state;
    enum { THREADS = 6 };
    static struct trainee trainee[THREADS];
    const struct kernel *const kernel[] = {NULL, kernel_f32(), kernel_bf16()};
    for (int i = 0; i < THREADS; i++) {
        begin(&trainee[i].t,
              (struct shape){70, 30, 15, 3, 4, 9, INPUT_CONCAT, "40,24", -1, 1.0f, false});
        trainee[i].kernel = kernel[i % 3];
        assert_int_equal(pthread_create(&trainee[i].thread, NULL, train, &trainee[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(trainee[i].thread, NULL), 0);
        assert_int_equal(trainee[i].status, OK);
    }
    for (int i = 0; i < 3; i++) {
        struct fixture alone = trainee[i].t, *other = &trainee[i + 3].t;
        assert_memory_equal(alone.ddense, other->ddense, alone.layout.count * sizeof(float));
        float *threaded = sample_array(alone.layout.count, sizeof *threaded);
        memcpy(threaded, alone.ddense, alone.layout.count * sizeof *threaded);
        train(&trainee[i]);
        assert_memory_equal(threaded, alone.ddense, alone.layout.count * sizeof *threaded);
        mem_free(&threaded);
    }
    for (int i = 0; i < THREADS; i++) {
        release(&trainee[i].t);
    }
}

/* --- the twin against slopes ------------------------------------------------------------------ */

static double slope(struct fixture *t, float *at) {
    const float h = 0x1p-13f, middle = *at;
    float low = middle - h, high = middle + h;
    double loss[2];
    *at = low;
    run_naive(t);
    loss[0] = t->loss_naive;
    *at = high;
    run_naive(t);
    loss[1] = t->loss_naive;
    *at = middle;
    return (loss[1] - loss[0]) / ((double)high - (double)low);
}

static void check_slope(struct fixture *t, float *at, double want) {
    double got = slope(t, at);
    if (!(fabs(got - want) <= 1e-6 * (1 + fabs(want)))) {
        fail_msg("slope %.12g, gradient %.12g", got, want);
    }
}

/* A weight that is zero for good has a slope and no gradient. */
static bool fixed_at_zero(const struct layout *l, uint64_t i) {
    const uint64_t w1 = (uint64_t)l->hidden[0] * l->input_width;
    return i < l->towers * w1 &&
           layout_foreign(l, (uint32_t)(i / w1), (uint32_t)(i % l->input_width));
}

static void check_slopes(uint64_t seed, enum model_name model, uint32_t levels, float dropout) {
    struct fixture t;
    begin_any(&t,
              (struct shape){seed, 5, 3, 2, 2, 3, seed % 2 ? INPUT_SIDES : INPUT_CONCAT, "6,5", -1,
                             1.5f, false},
              model, levels, DELAY_NONE);
    t.dropout = (struct dropout){dropout, seed};
    run_naive(&t);
    double *ddense = sample_array(t.layout.count, sizeof *ddense);
    memcpy(ddense, t.ddense_naive, t.layout.count * sizeof *ddense);
    for (uint64_t i = 0; i < t.layout.count; i++) {
        if (!fixed_at_zero(&t.layout, i)) {
            check_slope(&t, &t.dense[i], ddense[i]);
        }
    }
    for (uint32_t f = 0; f < t.layout.fields; f++) {
        run_naive(&t);
        double *drows = sample_array(floats_of(&t, f), sizeof *drows);
        memcpy(drows, t.drows_naive[f], floats_of(&t, f) * sizeof *drows);
        for (size_t i = 0; i < floats_of(&t, f); i++) {
            check_slope(&t, &t.rows[f][i], drows[i]);
        }
        mem_free(&drows);
    }
    mem_free(&ddense);
    release(&t);
}

/* No gradient goes through the weights of some; test_loss has their slopes. */
static bool weights_clicks(enum model_name model) {
    return model == MODEL_UNBIAS || model == MODEL_ESCM2_IPS || model == MODEL_ESCM2_DR ||
           model == MODEL_DCMT;
}

static void test_central_differences(void **state) {
    (void)state;
    static const uint64_t seeds[] = {60, 61,
                                     63}; /* 1, 2, 4 experts; no kink within a step of any */
    for (uint64_t seed = 40; seed < 44; seed++) {
        check_slopes(seed, MODEL_ESMM, 1, 0.0f);
        check_slopes(seed, MODEL_ESMM, 1,
                     0.3f); /* the mask is that of the batch, so the loss has slopes */
    }
    for (size_t k = 0; k < sizeof models / sizeof *models; k++) {
        if (!weights_clicks(models[k])) {
            check_slopes(44 + k, models[k], 1, 0.0f);
            check_slopes(44 + k, models[k], 1, 0.3f);
        }
    }
    for (uint32_t levels = 2; levels <= LEVELS_MAX; levels++) {
        for (size_t k = 0; k < sizeof seeds / sizeof *seeds; k++) {
            check_slopes(seeds[k], MODEL_PLE, levels, 0.0f);
            check_slopes(seeds[k], MODEL_PLE, levels, 0.3f);
        }
    }
}

/* --- against PyTorch -------------------------------------------------------------------------- */

struct tensor {
    char name[32];
    size_t count;
    double *v;
};
struct golden {
    struct tensor tensor[200];
    size_t count;
};

static void golden_read(struct golden *g, const char *name) {
    char path[512];
    snprintf(path, sizeof path, TESTS_DIR "/golden/golden_%s.txt", name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    g->count = 0;
    struct tensor *t = &g->tensor[0];
    while (fscanf(f, "%31s %zu", t->name, &t->count) == 2) {
        t->v = sample_array(t->count, sizeof *t->v);
        for (size_t i = 0; i < t->count; i++) {
            assert_int_equal(fscanf(f, "%lf", &t->v[i]), 1);
        }
        assert_true(++g->count < sizeof g->tensor / sizeof *g->tensor);
        t = &g->tensor[g->count];
    }
    assert_true(feof(f));
    fclose(f);
}

static void golden_free(struct golden *g) {
    for (size_t i = 0; i < g->count; i++) {
        mem_free(&g->tensor[i].v);
    }
}

static const struct tensor *find(const struct golden *g, const char *name) {
    for (size_t i = 0; i < g->count; i++) {
        if (strcmp(g->tensor[i].name, name) == 0) {
            return &g->tensor[i];
        }
    }
    return NULL;
}

static const struct tensor *need(const struct golden *g, const char *name, size_t count) {
    const struct tensor *t = find(g, name);
    if (t == NULL || t->count != count) {
        fail_msg("golden tensor %s: missing or not %zu values", name, count);
    }
    return t;
}

static const struct tensor *field_tensor(const struct golden *g, uint32_t f, const char *what) {
    char name[32];
    snprintf(name, sizeof name, "field%u.%s", f, what);
    return find(g, name);
}

static uint32_t *whole(const struct tensor *t) {
    uint32_t *out = sample_array(t->count, sizeof *out);
    for (size_t i = 0; i < t->count; i++) {
        out[i] = (uint32_t)t->v[i];
    }
    return out;
}

static float *floats(const struct tensor *t) {
    float *out = sample_array(t->count, sizeof *out);
    for (size_t i = 0; i < t->count; i++) {
        out[i] = (float)t->v[i];
    }
    return out;
}

/* The keys of [model] that the file gives by name. */
static void golden_keys(const struct golden *g, struct config *config) {
    for (size_t i = 0; i < g->count; i++) {
        const struct tensor *t = &g->tensor[i];
        if (strncmp(t->name, "model.", 6) == 0) {
            char text[64];
            snprintf(text, sizeof text, "%s=%.9g", t->name, t->v[0]);
            assert_int_equal(config_set(config, text), OK);
        }
    }
}

/* model: NULL for esmm. */
static void golden_layout(const struct golden *g, const char *model, enum model_input input,
                          struct fixture *t) {
    const struct tensor *dims = find(g, "dims"), *hidden = find(g, "hidden");
    struct sample sample = {.user_fields = (uint32_t)need(g, "user_fields", 1)->v[0]};
    sample.item_fields = (uint32_t)dims->count - sample.user_fields;
    struct schema schema;
    struct config config;
    char text[FIELD_NAME_MAX + 32];
    sample_schema(&sample, &schema);
    config_default(&config);
    config.input = input;
    config.unbias = UNBIAS_WEIGHT;
    config.ctcvr_weight = (float)need(g, "ctcvr_weight", 1)->v[0];
    snprintf(text, sizeof text, "model.name=%s", model == NULL ? "esmm" : model);
    assert_int_equal(config_set(&config, text), OK);
    golden_keys(g, &config);
    for (uint32_t f = 0; f < dims->count; f++) {
        snprintf(text, sizeof text, "field.%s.dim=%u", schema.fields[f].name, (uint32_t)dims->v[f]);
        assert_int_equal(config_set(&config, text), OK);
    }
    config.tower_layers = (uint32_t)hidden->count;
    for (uint32_t k = 0; k < hidden->count; k++) {
        config.tower[k] = (uint32_t)hidden->v[k];
    }
    assert_int_equal(layout_init(&t->layout, &config, &schema, 0.1, 0.1), OK);
    t->loss = loss_spec_of(&config);
}

static void golden_batch(const struct golden *g, const struct layout *l, struct batch *b) {
    b->impressions = (uint32_t)need(g, "impressions", 1)->v[0];
    b->groups = (uint32_t)need(g, "groups", 1)->v[0];
    b->fields = l->fields;
    b->user_fields = l->user_fields;
    b->group_of = whole(need(g, "group_of", b->impressions));
    b->labels = sample_array(b->impressions, 1);
    b->impression_id = sample_array(b->impressions, sizeof *b->impression_id);
    for (uint32_t i = 0; i < b->impressions; i++) {
        b->labels[i] = (uint8_t)find(g, "labels")->v[i];
    }
    for (uint32_t f = 0; f < l->fields; f++) {
        struct batch_field *field = &b->field[f];
        const struct tensor *weight = field_tensor(g, f, "weight");
        field->bags = f < l->user_fields ? b->groups : b->impressions;
        field->unique = (uint32_t)field_tensor(g, f, "unique")->v[0];
        field->start = whole(field_tensor(g, f, "start"));
        field->index = whole(field_tensor(g, f, "index"));
        field->values = field->start[field->bags];
        field->plain = weight == NULL;
        if (weight != NULL) {
            field->weight = field->weight_store = floats(weight);
        }
    }
}

static void fill(float *out, const struct tensor *t) {
    for (size_t i = 0; i < t->count; i++) {
        out[i] = (float)t->v[i];
    }
}

static void golden_parameters(const struct golden *g, struct fixture *t) {
    for (uint32_t k = 0; k < t->layout.array_count; k++) {
        const struct layout_array *a = &t->layout.array[k];
        fill(t->dense + a->offset, need(g, a->name, (size_t)a->rows * a->cols));
    }
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        const struct tensor *rows = field_tensor(g, f, "rows");
        assert_int_equal(rows->count, floats_of(t, f));
        fill(t->rows[f], rows);
    }
}

static void check_pooled_input(const struct golden *g, const struct fixture *t) {
    const struct layout *l = &t->layout;
    uint32_t n = t->batch.impressions;
    const struct tensor *x = need(g, "x", (size_t)n * l->input_width);
    float *xu = sample_array((size_t)t->batch.groups * l->user_width, sizeof *xu);
    float *xi = sample_array((size_t)n * l->item_width, sizeof *xi);
    float *row = sample_array(l->input_width, sizeof *row);
    pool_forward(l, &t->batch, (const float *const *)t->rows, xu, xi);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(row, xu + (size_t)t->batch.group_of[i] * l->user_width, l->user_width * sizeof *row);
        memcpy(row + l->user_width, xi + (size_t)i * l->item_width, l->item_width * sizeof *row);
        close_to("x", row, x->v + (size_t)i * l->input_width, l->input_width, 1e-6);
    }
    mem_free(&xu);
    mem_free(&xi);
    mem_free(&row);
}

static void check_golden(const struct golden *g, const struct fixture *t) {
    size_t n = t->batch.impressions;
    close_to("logit a", t->a, need(g, "logit_a", n)->v, n, 2e-6);
    close_to("logit b", t->b, need(g, "logit_b", n)->v, n, 2e-6);
    assert_true(fabs(t->sums.ctr / (double)n - find(g, "loss_ctr")->v[0]) < 1e-6);
    assert_true(fabs(t->sums.ctcvr / (double)n - find(g, "loss_ctcvr")->v[0]) < 1e-6);
    if (find(g, "loss") != NULL) {
        assert_true(fabs(mean_loss(t) - find(g, "loss")->v[0]) < 1e-6);
    }
    for (uint32_t k = 0; k < t->layout.array_count; k++) {
        const struct layout_array *a = &t->layout.array[k];
        char name[32];
        snprintf(name, sizeof name, "d.%s", a->name);
        size_t count = (size_t)a->rows * a->cols;
        close_to(name, t->ddense + a->offset, need(g, name, count)->v, count, 1e-5);
    }
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        close_to("drows", t->drows[f], field_tensor(g, f, "drows")->v, floats_of(t, f), 1e-5);
    }
}

static void check_file(const char *file, const char *model, enum model_input input) {
    size_t n;
    const struct kernel *const *kernel = kernels(&n);
    static struct golden g;
    struct fixture t;
    struct model *m = NULL;
    memset(&t, 0, sizeof t);
    golden_read(&g, file);
    golden_layout(&g, model, input, &t);
    golden_batch(&g, &t.layout, &t.batch);
    allocate(&t);
    golden_parameters(&g, &t);
    check_pooled_input(&g, &t);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(model_create(&m, &t.layout, &t.loss, kernel[i]), OK);
        run(&t, m);
        check_golden(&g, &t);
        model_destroy(&m);
    }
    release(&t);
    golden_free(&g);
}

static void test_golden(void **state) {
    (void)state;
    check_file("concat", NULL, INPUT_CONCAT);
    check_file("sides", NULL, INPUT_SIDES);
}

static void test_golden_models(void **state) {
    (void)state;
    static const char *const names[] = {"ctr",   "base",      "unbias",   "division", "esmm-ns",
                                        "share", "escm2-ips", "escm2-dr", "dcmt",     "esm2",
                                        "chain", "mmoe",      "ple",      "aitm"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        print_message("%s\n", names[k]);
        check_file(names[k], names[k], INPUT_CONCAT);
    }
    check_file("ple2", "ple", INPUT_CONCAT);
    check_file("ple3", "ple", INPUT_CONCAT);
}

/* --- damage ----------------------------------------------------------------------------------- */

/* A NaN among the parameters shows in the loss; it is not swallowed by a relu. */
static void test_nan_shows(void **state) {
    (void)state;
    const struct kernel *const kernel[] = {NULL, kernel_f32(), kernel_bf16()};
    struct fixture t;
    struct model *m = NULL;
    begin(&t, (struct shape){50, 6, 4, 2, 2, 3, INPUT_CONCAT, "6,5", -1, 1.0f, false});
    for (uint32_t i = 0; i < t.layout.array_count * 3; i++) {
        float *at = &t.dense[t.layout.array[i / 3].offset], old = *at;
        assert_int_equal(model_create(&m, &t.layout, &t.loss, kernel[i % 3]), OK);
        *at = NAN;
        run(&t, m);
        assert_true(isnan(t.sums.ctcvr)); /* every array has a part in p_ctcvr */
        *at = old;
        run(&t, m);
        assert_true(isfinite(t.sums.ctcvr));
        model_destroy(&m);
    }
    release(&t);
}

/* --- count ------------------------------------------------------------------------------------ */

/* How often each feature of field f occurs, each value by its weight and once per impression. */
static void occurrences(const struct batch *b, uint32_t f, float *out) {
    const struct batch_field *field = &b->field[f];
    memset(out, 0, field->unique * sizeof *out);
    for (uint32_t i = 0; i < b->impressions; i++) {
        const uint32_t bag = f < b->user_fields ? b->group_of[i] : i;
        for (uint32_t v = field->start[bag]; v < field->start[bag + 1]; v++) {
            out[field->index[v]] += field->weight == NULL ? 1.0f : field->weight[v];
        }
    }
}

static void test_count(void **state) {
    (void)state;
    static const struct shape two[] = {{51, 40, 6, 2, 2, 3, INPUT_CONCAT, "6,5", -1, 1.0f, true},
                                       {52, 40, 6, 2, 2, 3, INPUT_SIDES, "6", 1, 1.0f, true},
                                       {53, 40, 6, 0, 2, 1, INPUT_CONCAT, "1", -1, 1.0f, true}};
    for (size_t k = 0; k < sizeof two / sizeof *two; k++) {
        struct fixture t;
        struct model *m = NULL;
        begin_model(&t, two[k], MODEL_COUNT);
        assert_int_equal(model_create(&m, &t.layout, &t.loss, NULL), OK);
        run(&t, m);
        run(&t, m); /* nothing is left of the batch before */
        for (uint32_t f = 0; f < t.layout.fields; f++) {
            float *want = calloc(t.batch.field[f].unique + 1, sizeof *want);
            assert_non_null(want);
            occurrences(&t.batch, f, want);
            for (size_t i = 0; i < floats_of(&t, f); i++) {
                assert_true(fabsf(t.drows[f][i] + want[i / t.layout.dim[f]]) < 1e-3f);
            }
            free(want);
        }
        for (uint64_t i = 0; i < t.layout.count; i++) {
            float initial = 1;
            layout_initial(&t.layout, 7, i, i + 1, &initial);
            assert_true(initial == 0 && t.ddense[i] == -(float)t.batch.impressions);
        }
        model_destroy(&m);
        release(&t);
    }
}

static void check_failing_memory(enum model_name model, uint32_t levels) {
    struct fixture t;
    struct model *m = NULL;
    begin_any(&t, (struct shape){51, 6, 4, 2, 2, 3, INPUT_CONCAT, "6,5", -1, 1.0f, false}, model,
              levels, DELAY_NONE);
    size_t failures = 0;
    for (size_t k = 1;; k++) {
        mem_fail_after(k);
        enum status status = model_create(&m, &t.layout, &t.loss, kernel_f32());
        if (status == OK) {
            status = model_train(m, &t.batch, (const float *const *)t.rows, t.dense, t.a, t.b,
                                 t.drows, t.ddense, &t.sums);
        } else {
            assert_null(m);
        }
        mem_fail_after(0);
        if (m != NULL) {
            run(&t, m); /* what failed before works now */
        }
        model_destroy(&m);
        if (status == OK) {
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
        failures++;
    }
    assert_true(failures >= 10);
    double loss;
    mem_fail_after(1);
    assert_int_equal(model_train_naive(&t.layout, PRECISION_F32, &t.loss, NULL, &t.batch,
                                       (const float *const *)t.rows, t.dense, t.logit_naive,
                                       t.drows_naive, t.ddense_naive, &loss),
                     ERR_MEMORY);
    mem_fail_after(0);
    release(&t);
}

static void test_failing_memory(void **state) {
    (void)state;
    check_failing_memory(MODEL_AITM, 1); /* towers and the attention */
    check_failing_memory(MODEL_PLE, 2);  /* experts and their levels */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_models_against_naive),
        cmocka_unit_test(test_levels_against_naive),
        cmocka_unit_test(test_dropout_against_naive),
        cmocka_unit_test(test_dropout_is_of_training),
        cmocka_unit_test(test_delay_against_naive),
        cmocka_unit_test(test_bf16_against_naive),
        cmocka_unit_test(test_bf16_rounds),
        cmocka_unit_test(test_one_model_many_batches),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_central_differences),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_golden_models),
        cmocka_unit_test(test_nan_shows),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
