/* What an impression counts, from the shard's column to the gradient: one of weight 2 is the same
 * twice, one of weight 0 is not there, for every model and every kind of record. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/shard_builder.h"
#include "common/data/shard_info.h"
#include "common/metric/score.h"
#include "common/base/rng.h"
#include "tests/sample.h"
#include "worker/model/model.h"
#include "common/data/sample.h"
#include "tests/naive/model_naive.h"

#include <cmocka.h>

#define GROUPS 9u
#define EACH   5u /* impressions of a group */
#define FIELDS 4u /* two a side */
#define IDS    12u

static char dir[64];

static const enum model_name models[] = {
    MODEL_ESMM,         MODEL_CTR,     MODEL_BASE,  MODEL_AMAN,      MODEL_UNBIAS,   MODEL_DIVISION,
    MODEL_OVERSAMPLING, MODEL_ESMM_NS, MODEL_SHARE, MODEL_ESCM2_IPS, MODEL_ESCM2_DR, MODEL_DCMT,
    MODEL_ESM2,         MODEL_CHAIN,   MODEL_MMOE,  MODEL_PLE,       MODEL_AITM};
#define MODELS (sizeof models / sizeof *models)

/* --- a log, as weights and as copies ---------------------------------------------------------- */

static uint32_t weight_of(uint64_t seed, uint64_t i) {
    return (uint32_t)rng_below(seed, i, 1, 4); /* 0 to 3 */
}

static uint8_t labels_of(uint64_t seed, uint64_t i) {
    static const uint8_t outcomes[] = {0, 0, LABEL_CLICK, LABEL_CLICK | LABEL_CONVERSION};
    const uint8_t outcome = outcomes[rng_below(seed, i, 2, 4)];
    return (uint8_t)(outcome | (outcome != 0 ? rng_below(seed, i, 3, 16) << 3 : 0));
}

/* A kind that goes with the labels, and labels that go with the kind. */
static struct moment moment_of(uint64_t seed, uint64_t i, uint8_t *labels) {
    const enum record_kind kinds[] = {KIND_BOTH, KIND_CLICK, KIND_CONVERSION, KIND_LATE,
                                      KIND_FINAL};
    const bool clicked = (*labels & LABEL_CLICK) != 0;
    struct moment m = {.time = 90000 + i, .click_time = 1000 + i, .conversion_time = 20000 + 7 * i};
    m.kind = clicked ? kinds[rng_below(seed, i, 4, 5)] : KIND_BOTH;
    if (m.kind == KIND_LATE) {
        *labels |= LABEL_OUTCOME;
    } else if (m.kind == KIND_CLICK) {
        *labels = (uint8_t)(*labels & ~(unsigned)LABEL_CONVERSION);
    }
    return m;
}

static void add(struct shard_builder *b, uint64_t seed, uint64_t i, bool records) {
    struct feature item[2];
    uint8_t labels = labels_of(seed, i);
    const struct moment when = moment_of(seed, i, &labels);
    for (uint32_t k = 0; k < 2; k++) {
        item[k] = (struct feature){2 + k, k == 0 ? 1.0f : 0.5f, rng_below(seed, i, 5 + k, IDS)};
    }
    if (!records) {
        labels = labels_of(seed, i);
    }
    assert_int_equal(shard_builder_timed(b, 1000 + i, labels, records ? &when : NULL, item, 2), OK);
}

static void fields(struct schema *s) {
    memset(s, 0, sizeof *s);
    assert_int_equal(schema_add(s, "a0", SIDE_USER), OK);
    assert_int_equal(schema_add(s, "a1", SIDE_USER), OK);
    assert_int_equal(schema_add(s, "b0", SIDE_ITEM), OK);
    assert_int_equal(schema_add(s, "b1", SIDE_ITEM), OK);
    schema_finish(s);
}

/* Each impression once with its weight; or as often as that, each counting 1. */
static void make_shard(struct shard *out, uint64_t seed, bool copies, bool records) {
    struct schema schema;
    struct shard_builder *b = NULL;
    struct shard_info info;
    fields(&schema);
    assert_int_equal(shard_builder_create(&b), OK);
    for (uint64_t i = 0; i < GROUPS * EACH; i++) {
        const uint64_t g = i / EACH;
        const uint32_t weight = weight_of(seed, i);
        const struct feature user[2] = {{0, 1, rng_below(seed, g, 7, IDS)},
                                        {1, 2, rng_below(seed, g, 8, IDS)}};
        if (i % EACH == 0) {
            assert_int_equal(shard_builder_group(b, g, user, 2), OK);
        }
        for (uint32_t k = 0; k < (copies ? weight : 1); k++) {
            add(b, seed, i, records);
            assert_int_equal(shard_builder_weigh(b, copies ? 1.0f : (float)weight), OK);
        }
    }
    assert_int_equal(shard_builder_write(b, &schema, dir, "shard-00000.bin", &info), OK);
    shard_builder_destroy(&b);
    assert_int_equal(shard_read(out, dir, info.name, &schema), OK);
    assert_true((out->weight == NULL) == copies);
}

/* --- a step ----------------------------------------------------------------------------------- */

struct step {
    struct layout layout;
    struct loss_spec loss;
    struct batch batch;
    float *rows[FIELDS], *drows[FIELDS], *dense, *ddense, *a, *b;
    double *drows_naive[FIELDS], *ddense_naive, *logit[TOWERS_MAX], loss_naive;
    struct loss_sums sums;
};

static void cut(struct step *t, const struct shard *s) {
    uint32_t order[GROUPS];
    struct run runs[GROUPS];
    struct batch_cutter *cutter = NULL;
    for (uint32_t g = 0; g < s->groups; g++) {
        order[g] = s->groups - 1 - g; /* weights must go with their impressions */
    }
    runs_of_groups(s, order, runs);
    assert_int_equal(batch_cutter_create(&cutter), OK);
    assert_int_equal(batch_cutter_runs(cutter, s, runs, s->groups, 2, -1), OK);
    assert_int_equal(batch_cut(cutter, 0, s->impressions, &t->batch), OK);
    batch_cutter_destroy(&cutter);
}

static size_t floats(const struct step *t, uint32_t f) {
    return (size_t)t->batch.field[f].unique * t->layout.dim[f];
}

static void allocate(struct step *t, uint64_t seed) {
    struct sample sample = {.seed = seed};
    for (uint32_t f = 0; f < FIELDS; f++) {
        const uint32_t dim = t->layout.dim[f];
        t->rows[f] = sample_array(floats(t, f), sizeof(float));
        t->drows[f] = sample_array(floats(t, f), sizeof(float));
        t->drows_naive[f] = sample_array(floats(t, f), sizeof(double));
        for (size_t i = 0; i < floats(t, f); i++) { /* of the feature, whatever the batch */
            t->rows[f][i] = (float)rng_normal(seed + f, t->batch.field[f].ids[i / dim], i % dim);
        }
    }
    t->dense = sample_array(t->layout.count, sizeof(float));
    t->ddense = sample_array(t->layout.count, sizeof(float));
    t->ddense_naive = sample_array(t->layout.count, sizeof(double));
    t->a = sample_array(t->batch.impressions, sizeof(float));
    t->b = sample_array(t->batch.impressions, sizeof(float));
    for (uint32_t k = 0; k < t->layout.towers; k++) {
        t->logit[k] = sample_array(t->batch.impressions, sizeof(double));
    }
    sample_dense(&sample, &t->layout, t->dense);
    layout_clear_foreign(&t->layout, t->dense);
}

static void run_naive(struct step *t) {
    assert_int_equal(model_train_naive(&t->layout, PRECISION_F32, &t->loss, NULL, &t->batch,
                                       (const float *const *)t->rows, t->dense, t->logit,
                                       t->drows_naive, t->ddense_naive, &t->loss_naive),
                     OK);
}

static void step_begin(struct step *t, const struct shard *s, enum model_name model,
                       enum delay_method delay, uint64_t seed) {
    struct config config;
    struct schema schema;
    memset(t, 0, sizeof *t);
    fields(&schema);
    config_default(&config);
    config.model = model;
    config.delay = delay;
    config.unbias_clip = 0.4f;
    config.propensity_min = 0.2f;
    config.cvr_weight = 0.5f;
    config.counterfactual_weight = 0.25f;
    config.ctcvr_weight = 1.5f;
    config.behaviours = 2;
    config.table.dim = 3;
    assert_int_equal(config_set(&config, "model.tower=7,5"), OK);
    assert_int_equal(layout_init(&t->layout, &config, &schema, 0.1, 0.1), OK);
    t->loss = loss_spec_of(&config);
    cut(t, s);
    allocate(t, seed);
}

static void step_run(struct step *t) {
    struct model *m = NULL;
    assert_int_equal(model_create(&m, &t->layout, &t->loss, NULL), OK);
    assert_int_equal(model_train(m, &t->batch, (const float *const *)t->rows, t->dense, t->a, t->b,
                                 t->drows, t->ddense, &t->sums),
                     OK);
    model_destroy(&m);
    run_naive(t);
}

static void step_end(struct step *t) {
    for (uint32_t f = 0; f < FIELDS; f++) {
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
        mem_free(&t->logit[k]);
    }
    batch_fini(&t->batch);
}

/* --- weights are copies ----------------------------------------------------------------------- */

/* got, a mean over n, and want, one over m, are the same sum. */
static void same(const char *what, double got, double n, double want, double m, double tolerance) {
    if (!(fabs(got * n - want * m) <= tolerance * (1 + fabs(want * m)))) {
        fail_msg("%s: %.12g of %g, expected %.12g of %g", what, got, n, want, m);
    }
}

/* Gradients of one feature; one that only impressions of weight 0 have has none. */
static void same_rows(const struct step *weighed, const struct step *copied, uint32_t f) {
    const struct batch_field *w = &weighed->batch.field[f], *c = &copied->batch.field[f];
    const double n = weighed->batch.impressions, m = copied->batch.impressions;
    const uint32_t dim = weighed->layout.dim[f];
    for (uint32_t u = 0, v = 0; u < w->unique; u++) {
        const bool there = v < c->unique && c->ids[v] == w->ids[u];
        for (uint32_t d = 0; d < dim; d++) {
            const size_t at = (size_t)u * dim + d, other = (size_t)v * dim + d;
            same("naive row", weighed->drows_naive[f][at], n,
                 there ? copied->drows_naive[f][other] : 0, m, 1e-12);
            same("row", (double)weighed->drows[f][at], n,
                 there ? (double)copied->drows[f][other] : 0, m, 3e-5);
        }
        v += there;
    }
}

static void check_copies(uint64_t seed, enum model_name model, enum delay_method delay,
                         bool records) {
    struct shard weights, copies;
    struct step w, c;
    make_shard(&weights, seed, false, records);
    make_shard(&copies, seed, true, records);
    step_begin(&w, &weights, model, delay, seed);
    step_begin(&c, &copies, model, delay, seed);
    step_run(&w);
    step_run(&c);
    const double n = w.batch.impressions, m = c.batch.impressions;
    assert_true(n == GROUPS * EACH && m != n);
    same("sum of losses", w.sums.total, 1, c.sums.total, 1, 1e-6);
    same("of ctr's", w.sums.ctr, 1, c.sums.ctr, 1, 1e-6);
    same("of ctcvr's", w.sums.ctcvr, 1, c.sums.ctcvr, 1, 1e-6);
    same("loss", w.loss_naive, n, c.loss_naive, m, 1e-12);
    same("loss", w.sums.total, 1, w.loss_naive, n, 1e-5);
    for (size_t i = 0; i < w.layout.count; i++) {
        same("naive dense", w.ddense_naive[i], n, c.ddense_naive[i], m, 1e-12);
        same("dense", (double)w.ddense[i], n, (double)c.ddense[i], m, 3e-5);
    }
    for (uint32_t f = 0; f < FIELDS; f++) {
        same_rows(&w, &c, f);
    }
    step_end(&w);
    step_end(&c);
    shard_free(&weights);
    shard_free(&copies);
}

static void test_weight_is_copies(void **state) {
    (void)state;
    for (uint64_t k = 0; k < MODELS; k++) {
        check_copies(10 + k, models[k], DELAY_NONE, false);
        check_copies(40 + k, models[k], DELAY_NONE, true);
    }
}

static void test_weight_is_copies_delayed(void **state) {
    (void)state;
    for (uint32_t delay = 0; delay < DELAY_METHODS; delay++) {
        check_copies(70 + delay, MODEL_ESMM, (enum delay_method)delay, true);
        check_copies(90 + delay, MODEL_ESMM, (enum delay_method)delay, false);
    }
}

/* --- weights of any size are slopes of the weighted mean -------------------------------------- */

static void check_slopes(uint64_t seed, enum model_name model, enum delay_method delay) {
    struct shard s;
    struct step t;
    make_shard(&s, seed, false, delay != DELAY_NONE);
    for (uint32_t i = 0; i < s.impressions; i++) {
        s.weight[i] = (float)(5 * rng_unit(seed, i, 9));
    }
    step_begin(&t, &s, model, delay, seed);
    run_naive(&t);
    double *want = sample_array(t.layout.count, sizeof *want);
    memcpy(want, t.ddense_naive, t.layout.count * sizeof *want);
    for (uint64_t i = 0; i < t.layout.count; i += 3) {
        const float middle = t.dense[i], low = middle - 0x1p-13f, high = middle + 0x1p-13f;
        double loss[2];
        if (middle == 0.0f) {
            continue; /* of another dictionary */
        }
        t.dense[i] = low;
        run_naive(&t);
        loss[0] = t.loss_naive;
        t.dense[i] = high;
        run_naive(&t);
        loss[1] = t.loss_naive;
        t.dense[i] = middle;
        same("slope", (loss[1] - loss[0]) / ((double)high - (double)low), 1, want[i], 1, 1e-5);
    }
    mem_free(&want);
    step_end(&t);
    shard_free(&s);
}

static void test_central_differences(void **state) {
    (void)state;
    /* Seeds with no kink of a relu within a step. */
    check_slopes(1, MODEL_ESMM, DELAY_NONE);
    check_slopes(1, MODEL_DIVISION, DELAY_NONE);
    check_slopes(1, MODEL_SHARE, DELAY_NONE);
    check_slopes(2, MODEL_CHAIN, DELAY_NONE);
    check_slopes(2, MODEL_ESM2, DELAY_NONE);
    check_slopes(3, MODEL_PLE, DELAY_NONE);
    check_slopes(2, MODEL_AITM, DELAY_NONE);
    check_slopes(1, MODEL_ESMM, DELAY_PU); /* constant weights; the others stop the gradient */
}

/* --- a log that kept a share of its unclicked impressions, taken as it is --------------------- */

static void correct(double got, double want, const char *what) {
    if (!(fabs(got - want) <= 2e-6 * want)) {
        fail_msg("%s: %.12g, expected %.12g", what, got, want);
    }
}

/* p = p' / (p' + (1 - p') / s), p_cvr as it was, p_ctcvr their product (docs/train.md). */
static void test_correction(void **state) {
    (void)state;
    const double rates[] = {0.5, 0.1, 1e-3};
    struct config config;
    for (uint64_t i = 0; i < 400 * MODELS; i++) {
        const double s = rates[i % 3];
        float logit[TOWERS_MAX], a[2], b[2];
        const float *at[TOWERS_MAX];
        config_default(&config);
        config.model = models[i % MODELS];
        config.behaviours = 2;
        config.sample_correction = CORRECT_PREDICT;
        struct loss_spec spec = loss_spec_of(&config);
        for (uint32_t k = 0; k < TOWERS_MAX; k++) {
            logit[k] = (float)(2 * rng_normal(i, k, 1) - 1);
            at[k] = &logit[k];
        }
        loss_scores(&spec, at, 1, &a[0], &b[0]);
        spec.ctr_shift = loss_shift_of(&config, s);
        loss_scores(&spec, at, 1, &a[1], &b[1]);
        const enum score_form form = score_form_of(&config);
        const struct score raw = {.a = a[0], .b = b[0]}, said = {.a = a[1], .b = b[1]};
        const struct score_rates was = score_rates(&raw, form), is = score_rates(&said, form);
        if (form == SCORE_CVR_ALONE) { /* trained on clicks */
            assert_true(isnan(is.ctr) && is.cvr == was.cvr);
            continue;
        }
        const double p = was.ctr / (was.ctr + (1 - was.ctr) / s);
        correct(is.ctr, p, "p_ctr");
        if (form != SCORE_CTR_ALONE) {
            correct(is.cvr, was.cvr, "p_cvr");
            correct(is.ctcvr, p * was.cvr, "p_ctcvr");
        }
    }
    config.sample_correction = CORRECT_WEIGHT;
    assert_true(loss_shift_of(&config, 0.1) == 0.0f);
}

/* Finite and in order for any logits. */
static void test_correction_is_finite(void **state) {
    (void)state;
    static const float extremes[] = {-1e30f, -700, -104, -17, -1e-20f, 0,
                                     1,      17,   88,   104, 700,     1e30f};
    const size_t n = sizeof extremes / sizeof *extremes;
    struct loss_spec spec = {.model = MODEL_DIVISION, .ctr_shift = -2.3f};
    for (size_t i = 0; i < n * n; i++) {
        const float *at[2] = {&extremes[i / n], &extremes[i % n]};
        float a, b;
        loss_scores(&spec, at, 1, &a, &b);
        assert_true(isfinite(a) && isfinite(b) && a <= *at[0] && b <= *at[1] + 1e-3f);
    }
}

/* --- samples ---------------------------------------------------------------------------------- */

/* base and its kin: impressions that stay, and copies, keep their weights. */
static void test_sampled(void **state) {
    (void)state;
    struct config config;
    struct shard s;
    for (size_t k = 0; k < MODELS; k++) {
        config_default(&config);
        config.model = models[k];
        config.aman_rate = 0.5f;
        const struct sampling sampling = sampling_of(&config);
        make_shard(&s, 5, false, false);
        assert_int_equal(shard_sample(&s, 2, &sampling, 7, 0), OK);
        for (uint32_t i = 0; i < s.impressions; i++) {
            assert_true(s.weight[i] == (float)weight_of(5, s.impression_id[i] - 1000));
        }
        shard_free(&s);
    }
}

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-weights-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    return file_remove_tree(dir) == OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_is_copies),
        cmocka_unit_test(test_weight_is_copies_delayed),
        cmocka_unit_test(test_central_differences),
        cmocka_unit_test(test_correction),
        cmocka_unit_test(test_correction_is_finite),
        cmocka_unit_test(test_sampled),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
