#include "common/base/logit.h"
#include "common/metric/metric_auc.h"
#include "common/metric/metric_bins.h"
#include "common/metric/score.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rank.h"
#include "common/base/rng.h"
#include "tests/metric_of.h"
#include "tests/naive/auc_naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 31u
#define N    700

static void assert_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("got %.17g, expected %.17g within %g", got, want, tolerance);
    }
}

/* --- the sort --------------------------------------------------------------------------------- */

static int by_key_then_tag(const void *x, const void *y) {
    const struct ranked *a = x, *b = y;
    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    return a->tag < b->tag ? -1 : a->tag > b->tag;
}

static void check_sort(size_t n, uint64_t mask) {
    struct ranked *rows = calloc(n + 1, sizeof *rows), *want = calloc(n + 1, sizeof *want);
    for (size_t i = 0; i < n; i++) {
        rows[i] = want[i] = (struct ranked){rng_u64(SEED, i, mask) & mask, i};
    }
    qsort(want, n, sizeof *want, by_key_then_tag);
    assert_int_equal(rank_sort(rows, n), OK);
    assert_memory_equal(rows, want, (n + 1) * sizeof *rows);
    free(rows);
    free(want);
}

static void test_sort(void **state) {
    (void)state;
    static const uint64_t masks[] = {
        0, 1, 7, 0x7ff, 0xfff000, 0xffffffff, 0xf000000000000000u, UINT64_MAX};
    for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
        for (size_t n = 0; n < 6; n++) {
            check_sort(n, masks[m]);
        }
        check_sort(5000, masks[m]);
    }
}

static void test_keys_keep_order(void **state) {
    (void)state;
    static const float f[] = {-INFINITY, -3e38f, -1, -1e-45f, 0,
                              1e-45f,    1e-20f, 1,  3e38f,   INFINITY};
    for (size_t i = 1; i < sizeof f / sizeof *f; i++) {
        assert_true(rank_key_f32(f[i - 1]) < rank_key_f32(f[i]));
        assert_true(rank_key_f64((double)f[i - 1]) < rank_key_f64((double)f[i]));
    }
    assert_true(rank_key_f32(-0.0f) == rank_key_f32(0.0f));
    assert_true(rank_key_f64(-0.0) == rank_key_f64(0.0));
}

/* --- AUC -------------------------------------------------------------------------------------- */

struct rows {
    float f32[N];
    double f64[N], pos[N], neg[N];
    uint8_t label[N];
    uint64_t group[N];
};

/* `levels` distinct scores: few mean heavy ties. */
static void fill(struct rows *r, uint64_t seed, uint32_t levels, double rate) {
    for (uint64_t i = 0; i < N; i++) {
        double level = (double)rng_below(seed, i, 0, levels) - levels / 2;
        r->f32[i] = (float)level * 0.37f;
        r->f64[i] = (double)r->f32[i];
        r->label[i] = rng_unit(seed, i, 1) < rate;
        r->pos[i] = r->label[i];
        r->neg[i] = 1 - r->pos[i];
        r->group[i] = rng_below(seed, i, 2, 60) * 0x100000001u;
    }
}

static void test_auc_against_naive(void **state) {
    (void)state;
    static struct rows r;
    static const uint32_t levels[] = {1, 2, 3, 10, 100, 1000000};
    for (uint64_t k = 0; k < sizeof levels / sizeof *levels; k++) {
        fill(&r, SEED + k, levels[k], k % 2 ? 0.02 : 0.4);
        double auc, auc64, want = auc_naive(r.f64, r.pos, r.neg, N);
        uint64_t p, n, p64, n64, count = 0;
        for (size_t i = 0; i < N; i++) {
            count += r.label[i];
        }
        assert_int_equal(metric_auc_labels(r.f32, r.label, N, &auc, &p, &n), OK);
        assert_int_equal(metric_auc_labels_f64(r.f64, r.label, N, &auc64, &p64, &n64), OK);
        assert_int_equal(p, count);
        assert_int_equal(n, N - count);
        assert_near(auc, want, 1e-15);
        assert_true(auc == auc64 && p == p64 && n == n64);
        assert_int_equal(metric_auc(r.f32, r.pos, r.neg, N, &auc), OK);
        assert_near(auc, want, 1e-15);
    }
}

static void test_auc_soft_labels(void **state) {
    (void)state;
    static struct rows r;
    fill(&r, SEED, 40, 0.5);
    for (uint64_t i = 0; i < N; i++) {
        r.pos[i] = 0.01 * rng_unit(SEED, i, 9);
        r.neg[i] = 1 - r.pos[i];
    }
    double auc;
    assert_int_equal(metric_auc(r.f32, r.pos, r.neg, N, &auc), OK);
    assert_near(auc, auc_naive(r.f64, r.pos, r.neg, N), 1e-13);
}

static void test_auc_undefined(void **state) {
    (void)state;
    float score[3] = {1, 2, 3};
    uint8_t none[3] = {0}, all[3] = {1, 1, 1}, some[3] = {0, 1, 0};
    double auc = 0;
    uint64_t p, n;
    assert_int_equal(metric_auc_labels(score, none, 3, &auc, &p, &n), OK);
    assert_true(isnan(auc) && p == 0 && n == 3);
    assert_int_equal(metric_auc_labels(score, all, 3, &auc, &p, &n), OK);
    assert_true(isnan(auc));
    auc = 0;
    assert_int_equal(metric_auc_labels(score, none, 0, &auc, &p, &n), OK);
    assert_true(isnan(auc) && p == 0 && n == 0);
    assert_true(isnan(metric_auc_sd(0.7, 0, 3)) && isnan(metric_auc_sd(NAN, 3, 3)));
    score[0] = NAN;
    assert_int_equal(metric_auc_labels(score, some, 3, &auc, &p, &n), OK);
    assert_true(isnan(auc));
}

/* Hanley and McNeil's formula by hand: A = 0.7, 20 positives, 80 negatives. */
static void test_auc_sd(void **state) {
    (void)state;
    assert_near(metric_auc_sd(0.5, 1, 1), 0.5, 1e-15);
    double q1 = 0.7 / 1.3, q2 = 2 * 0.49 / 1.7;
    assert_near(metric_auc_sd(0.7, 20, 80),
                sqrt((0.21 + 19 * (q1 - 0.49) + 79 * (q2 - 0.49)) / 1600), 1e-15);
    assert_near(metric_auc_sd(0.66, 9032, 1644256 - 9032), 0.0031, 0.0001); /* Ali-CCP's size */
}

static void test_gauc_against_naive(void **state) {
    (void)state;
    static struct rows r;
    static const uint32_t levels[] = {3, 1000000};
    for (uint64_t k = 0; k < 2; k++) {
        fill(&r, SEED + k, levels[k], 0.1);
        double sum = 0, weight = 0;
        for (uint64_t g = 0; g < 60; g++) {
            double score[N], pos[N], neg[N];
            size_t n = 0;
            for (size_t i = 0; i < N; i++) {
                if (r.group[i] == g * 0x100000001u) {
                    score[n] = r.f64[i];
                    pos[n] = r.pos[i];
                    neg[n++] = r.neg[i];
                }
            }
            double auc = auc_naive(score, pos, neg, n);
            sum += isnan(auc) ? 0 : auc * (double)n;
            weight += isnan(auc) ? 0 : (double)n;
        }
        double gauc, coverage, gauc64, coverage64;
        assert_int_equal(metric_gauc(r.f32, r.label, r.group, N, &gauc, &coverage), OK);
        assert_near(gauc, sum / weight, 1e-14);
        assert_near(coverage, weight / N, 1e-15);
        assert_true(coverage > 0.2 && coverage < 1.0);
        assert_int_equal(metric_gauc_f64(r.f64, r.label, r.group, N, &gauc64, &coverage64), OK);
        assert_true(gauc == gauc64 && coverage == coverage64);
    }
}

static void test_gauc_undefined(void **state) {
    (void)state;
    float score[4] = {1, 2, 3, 4};
    uint8_t label[4] = {1, 1, 0, 0};
    uint64_t group[4] = {5, 5, 6, 6};
    double gauc, coverage;
    assert_int_equal(metric_gauc(score, label, group, 4, &gauc, &coverage), OK);
    assert_true(isnan(gauc) && coverage == 0);
    assert_int_equal(metric_gauc(score, label, group, 0, &gauc, &coverage), OK);
    assert_true(isnan(gauc) && isnan(coverage));
}

/* --- bins ------------------------------------------------------------------------------------- */

static void test_bins(void **state) {
    (void)state;
    enum { ROWS = 20000 };
    static struct metric_bins whole, left, right;
    static float score[ROWS];
    static uint8_t label[ROWS];
    for (uint64_t i = 0; i < ROWS; i++) {
        score[i] = (float)(-8 + 2 * rng_normal(SEED, i, 5)); /* p about 3e-4 */
        label[i] = rng_unit(SEED, i, 6) < 0.05 + 0.02 * (double)(score[i] > -8);
        metric_bins_add(&whole, score[i], label[i]);
        metric_bins_add(i % 3 ? &left : &right, score[i], label[i]);
    }
    double auc, bound, merged;
    uint64_t p, n;
    assert_int_equal(metric_auc_labels(score, label, ROWS, &auc, &p, &n), OK);
    double binned = metric_bins_auc(&whole, &bound);
    assert_true(bound > 0 && bound < 2e-3);
    assert_true(fabs(binned - auc) <= bound);
    metric_bins_merge(&left, &right);
    merged = metric_bins_auc(&left, NULL);
    assert_true(merged == binned);
}

static void test_bins_edges(void **state) {
    (void)state;
    static struct metric_bins b;
    double bound = 0;
    assert_true(isnan(metric_bins_auc(&b, &bound)) && isnan(bound));
    metric_bins_add(&b, NAN, 1);
    metric_bins_add(&b, INFINITY, 1);
    metric_bins_add(&b, 1e30f, 1);
    metric_bins_add(&b, -INFINITY, 0);
    metric_bins_add(&b, -16.0f, 0);
    metric_bins_add(&b, -17.0f, 0);
    assert_int_equal(b.positive[METRIC_BINS - 1], 2);
    assert_int_equal(b.negative[0], 3);
    assert_true(metric_bins_auc(&b, &bound) == 1.0 && bound == 0.0);
}

/* What ranks, form by form; what a model does not predict is no number. */
static void test_ranks(void **state) {
    (void)state;
    struct score_ranks r = score_ranks(-2, -3, SCORE_CVR);
    assert_true(r.ctr == -2 && r.cvr == -3 && r.ctcvr == ctcvr_logit(-2, -3));
    r = score_ranks(-2, -3, SCORE_CTCVR);
    assert_true(r.ctr == -2 && r.cvr == division_log(-2, -3) && r.ctcvr == -3);
    r = score_ranks(-2, -3, SCORE_CTR_UNLABELLED);
    assert_true(r.ctr == -2 && isnan(r.cvr) && isnan(r.ctcvr));
    r = score_ranks(-2, 0, SCORE_CTR_ALONE);
    assert_true(r.ctr == -2 && isnan(r.cvr) && isnan(r.ctcvr));
    r = score_ranks(0, -3, SCORE_CVR_ALONE);
    assert_true(isnan(r.ctr) && r.cvr == -3 && isnan(r.ctcvr));
    for (float b = -5; b <= 5; b += 2.5f) { /* whichever of the two is the greater */
        r = score_ranks(0, b, SCORE_CVR_ALONE);
        assert_true(isnan(r.ctcvr));
        r = score_ranks(b, 0, SCORE_CTR_ALONE);
        assert_true(isnan(r.ctcvr));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_keys_keep_order),
        cmocka_unit_test(test_auc_against_naive),
        cmocka_unit_test(test_auc_soft_labels),
        cmocka_unit_test(test_auc_undefined),
        cmocka_unit_test(test_auc_sd),
        cmocka_unit_test(test_gauc_against_naive),
        cmocka_unit_test(test_gauc_undefined),
        cmocka_unit_test(test_bins),
        cmocka_unit_test(test_bins_edges),
        cmocka_unit_test(test_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
