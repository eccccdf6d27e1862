/* test_model_shared.c - batches that share bags: against the naive twin, which shares nothing, and
 * against central differences.
 *
 * Rows of other fields change between the batches of a range, as servers would change them. The
 * twin gets whole batches: in each of them the shared fields have the rows that the first batch
 * had. What its gradients add up to is what the last batch must push. */
#include "worker/model/model.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/job/plan.h"
#include "tests/naive/model_naive.h"
#include "tests/sample.h"
#include "worker/model/factor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define USERS      4u
#define ITEMS      3u
#define DICT       25u
#define DIM        5u
#define BATCHES    5u
#define VALUES_MAX (DICT * DIM)

struct range {
    struct sample sample;
    struct shard shard;
    struct layout layout;
    struct loss_spec loss;
    struct run *runs;
    uint32_t count;
    struct batch_cutter *cutter;
    struct batch_share share;
    struct batch batch, whole;
    float *dense;
    float table[USERS + ITEMS][VALUES_MAX]; /* rows by number in the dictionary, at the beginning */
    double want[USERS + ITEMS][VALUES_MAX]; /* summed gradients of the shared fields' rows */
};
static const bool shared_fields[FIELDS_MAX] = {false, true, false, true};

/* Runs of at most 2 of a group, in a random order. */
static void deal_runs(struct range *t) {
    t->runs = sample_array(t->shard.impressions, sizeof *t->runs);
    for (uint32_t g = 0; g < t->shard.groups; g++) {
        for (uint32_t i = t->shard.group_start[g]; i < t->shard.group_start[g + 1]; i += 2) {
            const uint32_t end = t->shard.group_start[g + 1];
            t->runs[t->count++] = (struct run){g, i, i + 2 < end ? i + 2 : end};
        }
    }
    uint32_t *order = sample_array(t->count, sizeof *order);
    struct run *runs = sample_array(t->count, sizeof *runs);
    rng_permutation(t->sample.seed, 5, 0, order, t->count);
    for (uint32_t r = 0; r < t->count; r++) {
        runs[r] = t->runs[order[r]];
    }
    mem_free(&order);
    mem_free(&t->runs);
    t->runs = runs;
}

/* few: values in a bag, and many groups, so that fields which are not shared are factored. */
static void begin(struct range *t, uint64_t seed, enum model_input input, enum model_name model,
                  bool few) {
    memset(t, 0, sizeof *t);
    t->sample = (struct sample){.seed = seed,
                                .groups = few ? 400 : 12,
                                .group_impressions_max = 9,
                                .user_fields = USERS,
                                .item_fields = ITEMS,
                                .values_max = few ? 1 : 4,
                                .dict = DICT,
                                .empty_field = -1,
                                .grid = true};
    struct schema schema;
    struct config config;
    sample_shard(&t->sample, &t->shard);
    sample_schema(&t->sample, &schema);
    config_default(&config);
    config.input = input;
    config.model = model;
    config.table.dim = DIM;
    assert_int_equal(config_set(&config, "model.tower=12,8"), OK);
    assert_int_equal(layout_init(&t->layout, &config, &schema, 0.1, 0.1), OK);
    t->loss = loss_spec_of(&config);
    t->dense = sample_array(t->layout.count, sizeof *t->dense);
    sample_dense(&t->sample, &t->layout, t->dense);
    layout_clear_foreign(&t->layout, t->dense);
    for (uint32_t f = 0; f < USERS + ITEMS; f++) {
        for (uint32_t i = 0; i < VALUES_MAX; i++) {
            t->table[f][i] = sample_float(&t->sample, 0.7f, 0.125f);
        }
    }
    deal_runs(t);
    assert_int_equal(batch_cutter_create(&t->cutter), OK);
    assert_int_equal(batch_cutter_runs(t->cutter, &t->shard, t->runs, t->count, USERS, -1), OK);
    assert_int_equal(
        batch_cutter_share(t->cutter, 0, t->shard.impressions, shared_fields, &t->share), OK);
}

static void end(struct range *t) {
    batch_cutter_destroy(&t->cutter);
    batch_share_fini(&t->share);
    batch_fini(&t->batch);
    batch_fini(&t->whole);
    mem_free(&t->dense);
    mem_free(&t->runs);
    sample_shard_free(&t->shard);
}

/* Cuts batch k of the range, with shared bags and without. */
static void cut(struct range *t, uint32_t k) {
    const uint32_t n = t->shard.impressions;
    const uint32_t from = plan_begin(n, BATCHES, k), to = plan_begin(n, BATCHES, k + 1);
    assert_int_equal(batch_cut_shared(t->cutter, from, to, &t->share, &t->batch), OK);
    assert_int_equal(batch_cut(t->cutter, from, to, &t->whole), OK);
    t->batch.name = t->whole.name = (struct batch_name){2, 7, k};
}

static uint32_t code_of(const struct range *t, uint32_t f, uint64_t id) {
    uint32_t code = 0;
    while (t->shard.column[f].dict[code] != id) {
        code++;
    }
    return code;
}

/* The rows of a batch as they are before batch k of the range; those that are shared stay. */
static void fill_rows(const struct range *t, const struct batch *b, uint32_t k, float **rows) {
    for (uint32_t f = 0; f < b->fields; f++) {
        const uint32_t unique = b->field[f].unique;
        rows[f] = sample_array((size_t)unique * DIM, sizeof *rows[f]);
        for (uint32_t i = 0; i < unique * DIM; i++) {
            const float was = t->table[f][code_of(t, f, b->field[f].ids[i / DIM]) * DIM + i % DIM];
            rows[f][i] = shared_fields[f] ? was : was + 0.25f * (float)k;
        }
    }
}

struct results {
    float *rows[FIELDS_MAX], *drows[FIELDS_MAX], *ddense, *a, *b;
    struct loss_sums sums;
};
struct naive_results {
    float *rows[FIELDS_MAX];
    double *drows[FIELDS_MAX], *ddense, *logit[TOWERS_MAX], loss;
};

static void run_naive(const struct range *t, uint32_t k, struct naive_results *r) {
    fill_rows(t, &t->whole, k, r->rows);
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        r->drows[f] = sample_array((size_t)t->whole.field[f].unique * DIM, sizeof(double));
    }
    for (uint32_t w = 0; w < t->layout.towers; w++) {
        r->logit[w] = sample_array(t->whole.impressions, sizeof(double));
    }
    r->ddense = sample_array(t->layout.count, sizeof(double));
    assert_int_equal(model_train_naive(&t->layout, PRECISION_F32, &t->loss, NULL, &t->whole,
                                       (const float *const *)r->rows, t->dense, r->logit, r->drows,
                                       r->ddense, &r->loss),
                     OK);
}

static void free_naive(const struct range *t, struct naive_results *r) {
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        mem_free(&r->rows[f]);
        mem_free(&r->drows[f]);
    }
    for (uint32_t w = 0; w < t->layout.towers; w++) {
        mem_free(&r->logit[w]);
    }
    mem_free(&r->ddense);
}

static void run_fast(const struct range *t, uint32_t k, struct model *m, struct results *r) {
    fill_rows(t, &t->batch, k, r->rows);
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        const size_t floats = (size_t)t->batch.field[f].unique * DIM;
        const bool pushed = !t->batch.field[f].shared || t->batch.shared_last;
        r->drows[f] = pushed ? sample_array(floats, sizeof(float)) : NULL;
        if (shared_fields[f] && k > 0) { /* pulled again, newer: not to be read */
            memset(r->rows[f], 0xff, floats * sizeof(float));
        }
    }
    r->ddense = sample_array(t->layout.count, sizeof(float));
    r->a = sample_array(t->batch.impressions, sizeof(float));
    r->b = sample_array(t->batch.impressions, sizeof(float));
    r->sums = (struct loss_sums){0};
    assert_int_equal(model_train(m, &t->batch, (const float *const *)r->rows, t->dense, r->a, r->b,
                                 r->drows, r->ddense, &r->sums),
                     OK);
}

static void free_fast(const struct range *t, struct results *r) {
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        mem_free(&r->rows[f]);
        mem_free(&r->drows[f]);
    }
    mem_free(&r->ddense);
    mem_free(&r->a);
    mem_free(&r->b);
}

static void near(double got, double want) {
    if (!(fabs(got - want) <= 2e-5 * fmax(0.05, fabs(want)))) {
        fail_msg("%.9g, expected %.9g", got, want);
    }
}

/* Gradients by feature: a shared batch has groups' bags once, a whole one once per run. */
static void compare(struct range *t, const struct results *got, const struct naive_results *want) {
    near(got->sums.total / t->batch.impressions, want->loss);
    for (size_t i = 0; i < t->layout.count; i++) {
        near((double)got->ddense[i], want->ddense[i]);
    }
    for (uint32_t f = 0; f < t->layout.fields; f++) {
        const struct batch_field *field = &t->whole.field[f];
        for (uint32_t i = 0; i < field->unique * DIM; i++) {
            if (shared_fields[f]) {
                t->want[f][code_of(t, f, field->ids[i / DIM]) * DIM + i % DIM] += want->drows[f][i];
            } else {
                assert_int_equal(t->batch.field[f].ids[i / DIM], field->ids[i / DIM]);
                near((double)got->drows[f][i], want->drows[f][i]);
            }
        }
    }
}

static void check_pushed(const struct range *t, const struct results *last) {
    for (uint32_t f = 0; f < USERS; f++) {
        const struct batch_field *field = &t->batch.field[f];
        for (uint32_t i = 0; shared_fields[f] && i < field->unique * DIM; i++) {
            near((double)last->drows[f][i],
                 t->want[f][code_of(t, f, field->ids[i / DIM]) * DIM + i % DIM]);
        }
    }
}

static bool factors(const struct range *t) {
    struct factor f;
    const struct side_columns users = user_columns(&t->layout);
    assert_int_equal(factor_init(&f, &t->layout, &users, NULL), OK);
    assert_int_equal(factor_choose(&f, &t->batch), OK);
    const bool any = f.any;
    assert_false(f.columns.left_out[1] || f.columns.left_out[3]); /* shared */
    factor_fini(&f);
    return any;
}

/* A range, twice by one model: what the first range left is not in the second. */
static void check_range(uint64_t seed, enum model_input input, enum model_name model, bool few) {
    struct range t;
    struct model *m = NULL;
    begin(&t, seed, input, model, few);
    assert_int_equal(model_create(&m, &t.layout, &t.loss, NULL), OK);
    for (uint32_t k = 0; k < 2 * BATCHES; k++) {
        struct results got;
        struct naive_results want;
        if (k == BATCHES) {
            memset(t.want, 0, sizeof t.want);
        }
        cut(&t, k % BATCHES);
        assert_true(factors(&t) == few);
        run_fast(&t, k % BATCHES, m, &got);
        run_naive(&t, k % BATCHES, &want);
        compare(&t, &got, &want);
        if (t.batch.shared_last) {
            check_pushed(&t, &got);
        }
        free_fast(&t, &got);
        free_naive(&t, &want);
    }
    model_destroy(&m);
    end(&t);
}

static void test_against_naive(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        check_range(seed, INPUT_CONCAT, MODEL_ESMM, false);
        check_range(seed, INPUT_CONCAT, MODEL_ESMM, true);
        check_range(seed, INPUT_CONCAT, MODEL_MMOE, true);
        check_range(seed, INPUT_SIDES, MODEL_ESMM, false);
        check_range(seed, INPUT_CONCAT, MODEL_SHARE, false);
        check_range(seed, INPUT_CONCAT, MODEL_DCMT, false); /* goes forward twice */
        check_range(seed, INPUT_SIDES, MODEL_PLE, false);
    }
}

/* The summed mean losses of the range's batches. */
static double range_loss(struct range *t) {
    double loss = 0;
    for (uint32_t k = 0; k < BATCHES; k++) {
        struct naive_results r;
        cut(t, k);
        run_naive(t, k, &r);
        loss += r.loss;
        free_naive(t, &r);
    }
    return loss;
}

static void check_slope(struct range *t, float *weight, double slope) {
    const float was = *weight, h = 1.0f / 1024;
    *weight = was + h;
    const double above = range_loss(t);
    *weight = was - h;
    const double below = range_loss(t);
    *weight = was;
    assert_true(fabs((above - below) / (2 * (double)h) - slope) <= 1e-4 * fmax(1, fabs(slope)));
}

/* What the last batch pushes is the slope of the range's losses. */
static void test_central_differences(void **state) {
    (void)state;
    struct range t;
    struct model *m = NULL;
    begin(&t, 11, INPUT_CONCAT, MODEL_ESMM, false);
    t.sample.grid = false;
    sample_dense(&t.sample, &t.layout, t.dense); /* off the grid: no relu is at its kink */
    assert_int_equal(model_create(&m, &t.layout, &t.loss, NULL), OK);
    struct results got;
    for (uint32_t k = 0; k < BATCHES; k++) {
        cut(&t, k);
        run_fast(&t, k, m, &got);
        if (k + 1 < BATCHES) {
            free_fast(&t, &got);
        }
    }
    double slope[DICT];
    uint32_t code[DICT];
    const uint32_t unique = t.batch.field[1].unique;
    for (uint32_t i = 0; i < unique; i++) {
        code[i] = code_of(&t, 1, t.batch.field[1].ids[i]) * DIM + i % DIM;
        slope[i] = (double)got.drows[1][i * DIM + i % DIM];
    }
    free_fast(&t, &got);
    assert_true(unique > 10);
    for (uint32_t i = 0; i < unique; i++) {
        check_slope(&t, &t.table[1][code[i]], slope[i]);
    }
    model_destroy(&m);
    end(&t);
}

static bool same_bits(const float *a, const float *b, size_t n) {
    return n == 0 || memcmp(a, b, n * sizeof *a) == 0;
}

/* A range of one batch is that batch, bit by bit where sums have one order. */
static void test_one_batch(void **state) {
    (void)state;
    struct range t;
    struct model *m = NULL;
    begin(&t, 21, INPUT_CONCAT, MODEL_ESMM, false);
    assert_int_equal(model_create(&m, &t.layout, &t.loss, NULL), OK);
    const uint32_t n = t.shard.impressions;
    struct results got[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct batch *b = &t.batch;
        struct results *r = &got[i];
        assert_int_equal(i == 0 ? batch_cut(t.cutter, 0, n, b)
                                : batch_cut_shared(t.cutter, 0, n, &t.share, b),
                         OK);
        assert_true(i == 0 || (b->shared_first && b->shared_last));
        run_fast(&t, 0, m, r);
    }
    assert_true(same_bits(got[0].a, got[1].a, n) && same_bits(got[0].b, got[1].b, n));
    assert_true(same_bits(got[0].ddense, got[1].ddense, t.layout.count));
    for (uint32_t f = 0; f < t.layout.fields; f++) {
        for (uint32_t i = 0; i < t.batch.field[f].unique * DIM; i++) {
            near((double)got[1].drows[f][i], (double)got[0].drows[f][i]);
        }
    }
    free_fast(&t, &got[0]);
    free_fast(&t, &got[1]);
    model_destroy(&m);
    end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_central_differences),
        cmocka_unit_test(test_one_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
