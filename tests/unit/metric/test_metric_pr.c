/* Average precision against its definition, pair by pair. */
#include "common/metric/metric_order.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/metric/metric_pr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 71u
#define N    600

static void assert_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("got %.17g, expected %.17g within %g", got, want, tolerance);
    }
}

/* The mean, over the positives, of the precision among the rows that score at least as high. */
static double naive(const double *score, const uint8_t *label, size_t n) {
    double sum = 0, positives = 0;
    for (size_t i = 0; i < n; i++) {
        double found = 0, taken = 0;
        for (size_t j = 0; j < n && label[i]; j++) {
            found += score[j] >= score[i] && label[j];
            taken += score[j] >= score[i];
        }
        sum += label[i] ? found / taken : 0;
        positives += label[i];
    }
    return positives > 0 && positives < (double)n ? sum / positives : NAN;
}

static double pr_auc(const double *score, const uint8_t *label, size_t n) {
    struct metric_order o;
    assert_int_equal(metric_order_f64(&o, score, n), OK);
    const double value = metric_order_pr_auc(&o, label, NULL);
    metric_order_fini(&o);
    return value;
}

static void test_against_naive(void **state) {
    (void)state;
    static double score[N];
    static uint8_t label[N];
    static const uint32_t levels[] = {1, 2, 3, 10, 100, 1000000};
    for (uint64_t k = 0; k < 2 * sizeof levels / sizeof *levels; k++) {
        for (uint64_t i = 0; i < N; i++) {
            score[i] = (double)rng_below(SEED + k, i, 0, levels[k / 2]) - 1;
            label[i] = rng_unit(SEED + k, i, 1) < (k % 2 ? 0.02 : 0.3) + 0.1 * (score[i] > 5);
        }
        assert_near(pr_auc(score, label, N), naive(score, label, N), 1e-14);
    }
}

/* What can be said without an oracle. */
static void test_known(void **state) {
    (void)state;
    const double up[4] = {1, 2, 3, 4}, same[4] = {7, 7, 7, 7};
    const uint8_t top[4] = {0, 0, 1, 1}, bottom[4] = {1, 0, 0, 0}, split[4] = {0, 1, 0, 1};
    assert_near(pr_auc(up, top, 4), 1, 0);
    assert_near(pr_auc(up, bottom, 4), 0.25, 0);
    assert_near(pr_auc(up, split, 4), (1.0 + 2.0 / 3.0) / 2, 1e-15);
    assert_near(pr_auc(same, bottom, 4), 0.25, 0); /* one step: the base rate, no trapezoid */
    const double zeros[4] = {-0.0, 0.0, -0.0, 0.0};
    assert_near(pr_auc(zeros, top, 4), 0.5, 0);
    const double ends[4] = {-INFINITY, -1e300, 1e300, INFINITY};
    assert_near(pr_auc(ends, top, 4), 1, 0);
}

static void test_undefined(void **state) {
    (void)state;
    double score[3] = {1, 2, 3};
    const uint8_t none[3] = {0}, all[3] = {1, 1, 1}, some[3] = {0, 1, 0};
    assert_true(isnan(pr_auc(score, none, 3)));
    assert_true(isnan(pr_auc(score, all, 3)));
    assert_true(isnan(pr_auc(NULL, none, 0)));
    assert_true(pr_auc(score, some, 3) == 0.5);
    score[2] = NAN;
    assert_true(isnan(pr_auc(score, some, 3)));
}

static void test_failing_memory(void **state) {
    (void)state;
    const double score[3] = {1, 2, 3};
    for (size_t k = 1; k <= 3; k++) {
        struct metric_order o;
        mem_fail_after(k);
        const enum status status = metric_order_f64(&o, score, 3);
        mem_fail_after(0);
        assert_int_equal(status, ERR_MEMORY);
        metric_order_fini(&o);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_undefined),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
