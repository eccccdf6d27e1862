/* Losses, normalised entropy and reliability against slow definitions in long double. */
#include "common/metric/metric_calibration.h"
#include "common/metric/metric_order.h"

#include <float.h>
#include <math.h>

#include "common/base/rng.h"
#include "common/metric/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 72u
#define N    500

static void assert_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("got %.17g, expected %.17g within %g", got, want, tolerance);
    }
}

static void test_probability(void **state) {
    (void)state;
    assert_true(metric_probability(0, SCALE_LOGIT) == 0.5);
    assert_true(metric_probability(800, SCALE_LOGIT) == 1);
    assert_true(metric_probability(-800, SCALE_LOGIT) == 0);
    assert_near(metric_probability(-40, SCALE_LOGIT) / 4.248354255291589e-18, 1, 1e-14);
    assert_near(metric_probability(2, SCALE_LOGIT) + metric_probability(-2, SCALE_LOGIT), 1, 1e-15);
    assert_near(metric_probability(log(0.25), SCALE_LOG), 0.25, 1e-16);
    assert_true(metric_probability(0, SCALE_LOG) == 1);
    assert_true(metric_probability(3, SCALE_LOG) == 1); /* clipped */
    assert_true(metric_probability(-2000, SCALE_LOG) == 0);
    assert_true(isnan(metric_probability(NAN, SCALE_LOGIT)));
    assert_true(isnan(metric_probability(NAN, SCALE_LOG)));
}

static void test_loss(void **state) {
    (void)state;
    for (double x = -30; x <= 30; x += 0.37) {
        const long double p = 1 / (1 + expl(-(long double)x));
        const long double q = 1 / (1 + expl((long double)x));
        assert_near(metric_loss(x, SCALE_LOGIT, true), (double)-logl(p), 1e-14 * (1 + fabs(x)));
        assert_near(metric_loss(x, SCALE_LOGIT, false), (double)-logl(q), 1e-14 * (1 + fabs(x)));
    }
    for (double x = -30; x < -1e-6; x += 0.0371) {
        const long double e =
            expl((long double)x); /* a difference from 1 keeps digits one way only */
        const double want = (double)-(x < -1 ? log1pl(-e) : logl(-expm1l((long double)x)));
        assert_near(metric_loss(x, SCALE_LOG, true), -x, 0);
        assert_near(metric_loss(x, SCALE_LOG, false) / want, 1, 1e-13);
    }
    /* A quotient above 1 counts as the float below 1: finite for either label. */
    const double most = 1 - 0x1p-24;
    for (double x = 0; x < 800; x += 133) {
        assert_near(metric_loss(x, SCALE_LOG, true), -log(most), 1e-15);
        assert_near(metric_loss(x, SCALE_LOG, false), 24 * log(2), 1e-7);
    }
    assert_true(isfinite(metric_loss(-1e30, SCALE_LOG, true)));
    assert_true(isfinite(metric_loss(1e30, SCALE_LOGIT, false)));
}

static void test_normalised_entropy(void **state) {
    (void)state;
    const double rate = 0.04, h = -rate * log(rate) - (1 - rate) * log(1 - rate);
    assert_near(metric_normalised_entropy(h, 40, 1000), 1, 1e-15);
    assert_near(metric_normalised_entropy(0.3, 1, 4), 0.3 / (0.25 * log(4) + 0.75 * log(4.0 / 3)),
                1e-15);
    assert_true(isnan(metric_normalised_entropy(0.1, 0, 10)));
    assert_true(isnan(metric_normalised_entropy(0.1, 10, 10)));
    assert_true(isnan(metric_normalised_entropy(NAN, 0, 0)));
}

/* --- reliability ------------------------------------------------------------------------------ */

struct rows {
    double score[N];
    uint8_t label[N];
};

static void fill(struct rows *r, uint64_t seed, uint32_t levels, size_t n) {
    for (uint64_t i = 0; i < n; i++) {
        r->score[i] = 6.0 * (double)rng_below(seed, i, 0, levels) / levels - 5;
        r->label[i] = rng_unit(seed, i, 1) < 0.2 + 0.02 * r->score[i];
    }
}

static void reliability(const struct rows *r, size_t n, enum metric_scale scale,
                        struct reliability *out, double *ece, double *ece_max) {
    struct metric_order o;
    assert_int_equal(metric_order_f64(&o, r->score, n), OK);
    metric_reliability(&o, r->score, scale, r->label, NULL, out, ece, ece_max);
    metric_order_fini(&o);
}

/* By the definition: each row counts the rows below it. */
static void check_naive(const struct rows *r, size_t n, enum metric_scale scale) {
    double predicted[RELIABILITY_BUCKETS] = {0}, observed[RELIABILITY_BUCKETS] = {0};
    double count[RELIABILITY_BUCKETS] = {0}, want = 0, want_max = 0, ece, ece_max;
    struct reliability got;
    for (size_t i = 0; i < n; i++) {
        size_t below = 0;
        for (size_t j = 0; j < n; j++) {
            below += r->score[j] < r->score[i];
        }
        const size_t k = (size_t)floor((double)below * RELIABILITY_BUCKETS / (double)n);
        predicted[k] +=
            scale == SCALE_LOGIT ? 1 / (1 + exp(-r->score[i])) : fmin(exp(r->score[i]), 1);
        observed[k] += r->label[i];
        count[k]++;
    }
    reliability(r, n, scale, &got, &ece, &ece_max);
    uint32_t used = 0;
    for (size_t k = 0; k < RELIABILITY_BUCKETS; k++) {
        if (count[k] == 0) {
            continue;
        }
        const double gap = fabs(predicted[k] - observed[k]) / count[k];
        want += gap * count[k] / (double)n;
        want_max = gap > want_max ? gap : want_max;
        assert_true(used < got.buckets);
        assert_int_equal(got.bucket[used].n, (uint64_t)count[k]);
        assert_near(got.bucket[used].predicted, predicted[k] / count[k], 1e-14);
        assert_near(got.bucket[used].observed, observed[k] / count[k], 1e-15);
        used++;
    }
    assert_int_equal(used, got.buckets);
    assert_near(ece, want, 1e-14);
    assert_near(ece_max, want_max, 1e-14);
    assert_true(ece_max >= ece && ece > 0);
}

static void test_reliability_against_naive(void **state) {
    (void)state;
    static struct rows r;
    static const uint32_t levels[] = {1, 2, 7, 30, 1000000};
    static const size_t sizes[] = {1, 3, 19, 20, 21, 333, N};
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            fill(&r, SEED + l, levels[l], sizes[s]);
            check_naive(&r, sizes[s], SCALE_LOGIT);
            check_naive(&r, sizes[s], SCALE_LOG);
        }
    }
}

/* Without ties the buckets are equal; with one score there is one; the order of rows is nothing. */
static void test_reliability_shapes(void **state) {
    (void)state;
    static struct rows r, back;
    struct reliability a, b;
    double ece, ece_max, ece_back, ece_max_back;
    fill(&r, SEED, 1000000000, N);
    reliability(&r, N, SCALE_LOGIT, &a, &ece, &ece_max);
    assert_int_equal(a.buckets, RELIABILITY_BUCKETS);
    for (uint32_t k = 0; k < a.buckets; k++) {
        assert_int_equal(a.bucket[k].n, N / RELIABILITY_BUCKETS);
        assert_true(k == 0 || a.bucket[k].predicted > a.bucket[k - 1].predicted);
    }
    fill(&r, SEED, 3, N);
    for (size_t i = 0; i < N; i++) {
        back.score[i] = r.score[N - 1 - i];
        back.label[i] = r.label[N - 1 - i];
    }
    reliability(&r, N, SCALE_LOGIT, &a, &ece, &ece_max);
    reliability(&back, N, SCALE_LOGIT, &b, &ece_back, &ece_max_back);
    assert_int_equal(a.buckets, 3);
    assert_int_equal(b.buckets, 3);
    assert_near(ece, ece_back, 1e-15);
    fill(&r, SEED, 1, N);
    reliability(&r, N, SCALE_LOGIT, &a, &ece, &ece_max);
    assert_int_equal(a.buckets, 1);
    assert_near(ece, ece_max, 1e-15);
    assert_int_equal(a.bucket[0].n, N);
}

static void test_reliability_undefined(void **state) {
    (void)state;
    static struct rows r;
    struct reliability a;
    double ece = 0, ece_max = 0;
    reliability(&r, 0, SCALE_LOGIT, &a, &ece, &ece_max);
    assert_true(a.buckets == 0 && isnan(ece) && isnan(ece_max));
    fill(&r, SEED, 10, N);
    r.score[77] = NAN;
    ece = ece_max = 0;
    reliability(&r, N, SCALE_LOGIT, &a, &ece, &ece_max);
    assert_true(a.buckets == 0 && isnan(ece) && isnan(ece_max));
}

/* --- rates ------------------------------------------------------------------------------------ */

static void test_rates(void **state) {
    (void)state;
    for (float a = -12; a <= 12; a += 0.7f) {
        for (float b = -12; b <= 12; b += 0.9f) {
            const struct score s = {.a = a, .b = b};
            const double p = 1 / (1 + exp(-(double)a)), second = 1 / (1 + exp(-(double)b));
            const struct score_rates x = score_rates(&s, SCORE_CVR);
            assert_near(x.ctr, p, 1e-15);
            assert_near(x.cvr, second, 1e-15);
            assert_near(x.ctcvr, p * second, 1e-15);
            const struct score_rates y = score_rates(&s, SCORE_CTCVR);
            assert_near(y.ctr, p, 1e-15);
            assert_near(y.ctcvr, second, 1e-15);
            assert_near(y.cvr / (second / p), 1, 1e-12);
        }
    }
    struct score_rates r = score_rates(&(struct score){.a = -1, .b = -2}, SCORE_CTR_ALONE);
    assert_true(r.ctr > 0 && isnan(r.cvr) && isnan(r.ctcvr));
    r = score_rates(&(struct score){.a = -1, .b = -2}, SCORE_CVR_ALONE);
    assert_true(isnan(r.ctr) && r.cvr > 0 && isnan(r.ctcvr));
    const struct score_rates above = score_rates(&(struct score){.a = -3, .b = 1}, SCORE_CTCVR);
    assert_true(above.cvr > 10); /* not clipped */
    const struct score_rates huge = score_rates(&(struct score){.a = -900, .b = 1}, SCORE_CTCVR);
    assert_true(isfinite(huge.cvr) && huge.cvr == DBL_MAX && huge.ctr == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probability),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_normalised_entropy),
        cmocka_unit_test(test_reliability_against_naive),
        cmocka_unit_test(test_reliability_shapes),
        cmocka_unit_test(test_reliability_undefined),
        cmocka_unit_test(test_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
