/* The bootstrap against the literal thing: draw groups, copy their rows, measure the copy. And that
 * its intervals hold what they promise, where intervals by rows do not. */
#include "common/metric/metric_bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/metric_of.h"
#include "tests/naive/auc_naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 73u
#define N    400
#define G    30
#define R    120

static void assert_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("got %.17g, expected %.17g within %g", got, want, tolerance);
    }
}

struct rows {
    double score[N];
    uint8_t label[N];
    float soft[N];
    uint64_t group[N]; /* name: number * 77 + 5, so ascending like the number */
};

static void fill(struct rows *r, uint64_t seed, uint32_t levels) {
    for (uint64_t i = 0; i < N; i++) {
        const uint64_t g = i < G ? i : rng_below(seed, i, 0, G);
        r->group[i] = g * 77 + 5;
        r->score[i] = (double)rng_below(seed, i, 1, levels) / levels + 0.02 * (double)g;
        r->score[i] = floor(r->score[i] * levels) / levels; /* ties between groups */
        r->label[i] = rng_unit(seed, i, 2) < 0.1 + 0.2 * r->score[i];
        r->soft[i] = (float)(0.03 * rng_unit(seed, i, 3) + 0.02 * r->score[i]);
    }
}

static int by_value(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return a < b ? -1 : a > b;
}

/* The AUCs of the copies, sorted; soft: with soft labels. */
static void literal(const struct rows *r, uint64_t seed, bool soft, double *auc) {
    double *score = calloc((size_t)N * G, sizeof *score), *pos = calloc((size_t)N * G, sizeof *pos);
    double *neg = calloc((size_t)N * G, sizeof *neg);
    for (uint64_t k = 0; k < R; k++) {
        size_t n = 0;
        for (uint64_t d = 0; d < G; d++) {
            const uint64_t name = rng_below(seed, k, d, G) * 77 + 5;
            for (size_t i = 0; i < N; i++) {
                if (r->group[i] == name) {
                    score[n] = r->score[i];
                    pos[n] = soft ? (double)r->soft[i] : r->label[i];
                    neg[n] = 1 - pos[n];
                    n++;
                }
            }
        }
        auc[k] = auc_naive(score, pos, neg, n);
    }
    qsort(auc, R, sizeof *auc, by_value);
    free(score);
    free(pos);
    free(neg);
}

static double percentile(const double *sorted, double q) {
    const double at = q * (R - 1);
    const double low = sorted[(size_t)floor(at)], high = sorted[(size_t)ceil(at)];
    return low + (at - floor(at)) * (high - low);
}

static struct interval interval_of(const struct rows *r, uint64_t seed, bool soft) {
    struct bootstrap b;
    struct metric_order o;
    struct interval i;
    assert_int_equal(bootstrap_init(&b, r->group, N, R, seed), OK);
    assert_int_equal(b.groups, G);
    assert_int_equal(metric_order_f64(&o, r->score, N), OK);
    assert_int_equal(
        bootstrap_add(&b, &o, NULL, soft ? NULL : r->label, soft ? r->soft : NULL, NULL, &i), OK);
    metric_order_fini(&o); /* not needed any more */
    bootstrap_run(&b);
    bootstrap_fini(&b);
    return i;
}

static void test_against_literal(void **state) {
    (void)state;
    static struct rows r;
    static const uint32_t levels[] = {2, 20, 1000000};
    for (uint64_t k = 0; k < 3; k++) {
        double auc[R];
        fill(&r, SEED + k, levels[k]);
        for (int soft = 0; soft < 2; soft++) {
            literal(&r, SEED + 10 * k, soft, auc);
            const struct interval i = interval_of(&r, SEED + 10 * k, soft);
            assert_near(i.low, percentile(auc, 0.025), 1e-12);
            assert_near(i.high, percentile(auc, 0.975), 1e-12);
            assert_true(i.low < i.high);
        }
    }
}

static void test_seed_decides(void **state) {
    (void)state;
    static struct rows r;
    fill(&r, SEED, 1000000);
    const struct interval a = interval_of(&r, 1, false), b = interval_of(&r, 1, false);
    const struct interval c = interval_of(&r, 2, false);
    assert_true(a.low == b.low && a.high == b.high);
    assert_true(a.low != c.low && a.high != c.high);
}

/* A figure over some of the rows is that of all the others' labels not being there. */
static void test_part_of_the_rows(void **state) {
    (void)state;
    static struct rows r;
    double part[N], whole_auc[2];
    uint8_t label[N];
    uint32_t row[N];
    size_t n = 0;
    fill(&r, SEED, 50);
    for (size_t i = 0; i < N; i++) {
        if (rng_unit(SEED, i, 9) < 0.4) {
            part[n] = r.score[i];
            label[n] = r.label[i];
            row[n++] = (uint32_t)i;
        }
    }
    struct bootstrap b;
    struct metric_order o;
    struct interval got;
    assert_int_equal(bootstrap_init(&b, r.group, N, 2, SEED), OK);
    assert_int_equal(metric_order_f64(&o, part, n), OK);
    assert_int_equal(bootstrap_add(&b, &o, row, label, NULL, NULL, &got), OK);
    bootstrap_run(&b);
    for (uint64_t k = 0; k < 2; k++) { /* two resamples: their AUCs are read off the interval */
        double pos[N], neg[N], weight[G] = {0};
        for (uint64_t d = 0; d < G; d++) {
            weight[rng_below(SEED, k, d, G)]++;
        }
        for (size_t i = 0; i < n; i++) {
            const double w = weight[(r.group[row[i]] - 5) / 77];
            pos[i] = w * label[i];
            neg[i] = w * (1 - label[i]);
        }
        whole_auc[k] = auc_naive(part, pos, neg, n);
    }
    qsort(whole_auc, 2, sizeof *whole_auc, by_value);
    const double width = whole_auc[1] - whole_auc[0];
    assert_near(got.low, whole_auc[0] + 0.025 * width, 1e-14);
    assert_near(got.high, whole_auc[0] + 0.975 * width, 1e-14);
    metric_order_fini(&o);
    bootstrap_fini(&b);
}

static void test_undefined(void **state) {
    (void)state;
    static struct rows r;
    fill(&r, SEED, 1000);
    for (size_t i = 0; i < N; i++) {
        r.label[i] = r.group[i] == 5; /* one group of thirty: 36 % of the resamples lack it */
    }
    struct interval i = interval_of(&r, SEED, false);
    assert_true(isnan(i.low) && isnan(i.high));
    memset(r.label, 0, sizeof r.label);
    i = interval_of(&r, SEED, false);
    assert_true(isnan(i.low) && isnan(i.high));
    fill(&r, SEED, 1000);
    r.score[3] = NAN;
    i = interval_of(&r, SEED, false);
    assert_true(isnan(i.low) && isnan(i.high));
}

/* Nothing to resample: no row, or one group. */
static void test_no_groups(void **state) {
    (void)state;
    const double score[2] = {1, 2};
    const uint8_t label[2] = {0, 1};
    const uint64_t name[2] = {9, 9};
    for (size_t n = 0; n <= 2; n++) {
        struct bootstrap b;
        struct metric_order o;
        struct interval i = {0, 0};
        assert_int_equal(bootstrap_init(&b, name, n, R, SEED), OK);
        assert_int_equal(b.groups, n > 0);
        assert_int_equal(metric_order_f64(&o, score, n), OK);
        assert_int_equal(bootstrap_add(&b, &o, NULL, label, NULL, NULL, &i), OK);
        bootstrap_run(&b);
        assert_true(isnan(i.low) && isnan(i.high));
        metric_order_fini(&o);
        bootstrap_fini(&b);
    }
}

static void test_quantile(void **state) {
    (void)state;
    const double v[5] = {1, 2, 4, 8, 16};
    assert_near(metric_quantile(v, 5, 0), 1, 0);
    assert_near(metric_quantile(v, 5, 1), 16, 0);
    assert_near(metric_quantile(v, 5, 0.5), 4, 0);
    assert_near(metric_quantile(v, 5, 0.625), 6, 1e-15);
    assert_near(metric_quantile(v, 1, 0.975), 1, 0);
}

/* --- coverage --------------------------------------------------------------------------------- */

/* Users differ in how they convert, and the score knows a part of it: rows of a user are alike. */
static void sample(uint64_t seed, size_t users, size_t each, double *score, uint8_t *label,
                   uint64_t *user) {
    for (uint64_t u = 0; u < users; u++) {
        const double known = rng_normal(seed, u, 0), hidden = rng_normal(seed, u, 1);
        for (uint64_t k = 0; k < each; k++) {
            const uint64_t i = u * each + k;
            const double x = known + 0.3 * rng_normal(seed, i, 2);
            const double chance = 1 / (1 + exp(1.5 - x - hidden));
            score[i] = x;
            label[i] = rng_unit(seed, i, 3) < chance;
            user[i] = u;
        }
    }
}

enum { USERS = 60, EACH = 20, ROWS = USERS * EACH, TRUE_USERS = 40000, SETS = 200 };

static bool covers(const double *score, const uint8_t *label, const uint64_t *name, uint64_t seed,
                   double truth) {
    struct bootstrap b;
    struct metric_order o;
    struct interval i;
    assert_int_equal(bootstrap_init(&b, name, ROWS, 200, seed), OK);
    assert_int_equal(metric_order_f64(&o, score, ROWS), OK);
    assert_int_equal(bootstrap_add(&b, &o, NULL, label, NULL, NULL, &i), OK);
    bootstrap_run(&b);
    metric_order_fini(&o);
    bootstrap_fini(&b);
    return i.low <= truth && truth <= i.high;
}

/* Of 200 data sets from one population, the share whose interval holds the population's AUC: near
 * 95 % by groups (60 groups: a little less), far from it by rows. */
static void test_coverage(void **state) {
    (void)state;
    const size_t most = (size_t)TRUE_USERS * EACH;
    double *score = calloc(most, sizeof *score), truth;
    uint8_t *label = calloc(most, 1);
    uint64_t *user = calloc(most, sizeof *user), row[ROWS], p, n;
    int by_group = 0, by_row = 0;
    sample(SEED, TRUE_USERS, EACH, score, label, user);
    assert_int_equal(metric_auc_labels_f64(score, label, most, &truth, &p, &n), OK);
    for (uint64_t i = 0; i < ROWS; i++) {
        row[i] = i;
    }
    for (uint64_t s = 0; s < SETS; s++) {
        sample(SEED + 1 + s, USERS, EACH, score, label, user);
        by_group += covers(score, label, user, s, truth);
        by_row += covers(score, label, row, s, truth);
    }
    print_message("coverage of 95 %% intervals: by groups %d of %d, by rows %d\n", by_group, SETS,
                  by_row);
    assert_in_range(by_group, SETS * 88 / 100, SETS * 99 / 100);
    assert_in_range(by_row, 0, SETS * 80 / 100);
    free(score);
    free(label);
    free(user);
}

static void test_failing_memory(void **state) {
    (void)state;
    static struct rows r;
    size_t failures = 0;
    fill(&r, SEED, 100);
    for (size_t k = 1;; k++) {
        struct bootstrap b;
        struct metric_order o;
        struct interval i;
        assert_int_equal(metric_order_f64(&o, r.score, N), OK);
        mem_fail_after(k);
        enum status status = bootstrap_init(&b, r.group, N, R, SEED);
        if (status == OK) {
            status = bootstrap_add(&b, &o, NULL, NULL, r.soft, NULL, &i);
        }
        mem_fail_after(0);
        bootstrap_fini(&b);
        metric_order_fini(&o);
        if (status == OK) {
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
        failures++;
    }
    assert_true(failures >= 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_literal),  cmocka_unit_test(test_seed_decides),
        cmocka_unit_test(test_part_of_the_rows), cmocka_unit_test(test_undefined),
        cmocka_unit_test(test_no_groups),        cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_coverage),         cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
