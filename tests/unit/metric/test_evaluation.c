/* The whole evaluation against slow definitions over pairs of rows; its bootstrap against
 * evaluations of literally resampled scores; what it prints. */
#include "common/metric/evaluation.h"
#include "common/metric/metric_auc.h"
#include "common/metric/metric_order.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/record.h"
#include "common/metric/score.h"
#include "tests/naive/auc_naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 31u
#define N    700

static const struct evaluation_spec plain = {.form = SCORE_CVR};

static void assert_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("got %.17g, expected %.17g within %g", got, want, tolerance);
    }
}

/* The mean, over the positives, of the precision among the rows that score at least as high. */
static double pr_naive(const double *score, const double *pos, size_t n) {
    double sum = 0, positives = 0;
    for (size_t i = 0; i < n; i++) {
        double found = 0, taken = 0;
        for (size_t j = 0; j < n; j++) {
            found += score[j] >= score[i] ? pos[j] : 0;
            taken += score[j] >= score[i];
        }
        sum += pos[i] * found / taken;
        positives += pos[i];
    }
    return sum / positives;
}

static bool unknown(const struct interval *i) {
    return isnan(i->low) && isnan(i->high);
}

static double entropy_of(double rate) {
    return -rate * log(rate) - (1 - rate) * log(1 - rate);
}

static void fill_scores(struct score *s, size_t n) {
    for (uint64_t i = 0; i < n; i++) {
        double a = -1 + rng_normal(SEED, i, 20), b = -1 + rng_normal(SEED, i, 21);
        int click = rng_unit(SEED, i, 22) < 0.3, conversion = rng_unit(SEED, i, 23) < 0.4;
        s[i] = (struct score){.weight = 1,
                              .impression_id = i,
                              .user = rng_below(SEED, i, 24, 20),
                              .a = (float)a,
                              .b = (float)b,
                              .labels = (uint8_t)(click | conversion << 1)};
    }
}

static double entropy(double p, int y) {
    return y ? -log(p) : -log1p(-p);
}

static void test_evaluation(void **state) {
    (void)state;
    static struct score s[N];
    static double a[N], b[N], c[N], click[N], not_click[N], both[N], not_both[N], z[N], not_z[N];
    fill_scores(s, N);
    double l[3] = {0}, predicted[3] = {0};
    size_t clicks = 0, conversions = 0;
    for (size_t i = 0; i < N; i++) {
        double p = 1 / (1 + exp(-(double)s[i].a)), q = 1 / (1 + exp(-(double)s[i].b));
        int y = s[i].labels & LABEL_CLICK, t = s[i].labels == 3;
        a[i] = (double)s[i].a;
        c[i] = p * q;
        not_click[i] = 1 - (click[i] = y);
        not_both[i] = 1 - (both[i] = t);
        l[0] += entropy(p, y) / N;
        l[2] += entropy(p * q, t) / N;
        predicted[0] += p;
        predicted[2] += p * q;
        if (y) {
            l[1] += entropy(q, t);
            predicted[1] += q;
            b[clicks] = (double)s[i].b;
            not_z[clicks] = 1 - (z[clicks] = t);
            clicks++;
        }
        conversions += (size_t)t;
    }
    struct evaluation e;
    assert_int_equal(evaluation_compute(&e, s, N, &plain), OK);
    assert_true(e.impressions == N && e.clicks == clicks && e.conversions == conversions);
    assert_near(e.ctr.auc, auc_naive(a, click, not_click, N), 1e-14);
    assert_near(e.cvr_clicked.auc, auc_naive(b, z, not_z, clicks), 1e-14);
    assert_near(e.ctcvr.auc, auc_naive(c, both, not_both, N), 1e-14);
    assert_near(e.ctr.auc_sd, metric_auc_sd(e.ctr.auc, (double)clicks, (double)(N - clicks)), 0);
    assert_near(e.ctr.logloss, l[0], 1e-12);
    assert_near(e.cvr_clicked.logloss, l[1] / (double)clicks, 1e-12);
    assert_near(e.ctcvr.logloss, l[2], 1e-12);
    assert_near(e.ctr.pr_auc, pr_naive(a, click, N), 1e-13);
    assert_near(e.cvr_clicked.pr_auc, pr_naive(b, z, clicks), 1e-13);
    assert_near(e.ctcvr.pr_auc, pr_naive(c, both, N), 1e-13);
    assert_near(e.ctr.ne, l[0] / entropy_of((double)clicks / N), 1e-12);
    assert_near(e.cvr_clicked.ne,
                l[1] / (double)clicks / entropy_of((double)conversions / (double)clicks), 1e-12);
    assert_near(e.ctcvr.ne, l[2] / entropy_of((double)conversions / N), 1e-12);
    assert_near(e.ctr.pcoc, predicted[0] / (double)clicks, 1e-12);
    assert_near(e.cvr_clicked.pcoc, predicted[1] / (double)conversions, 1e-12);
    assert_near(e.ctcvr.pcoc, predicted[2] / (double)conversions, 1e-12);
    assert_true(e.ctr.gauc > 0 && e.ctr.gauc < 1 && e.ctr.gauc_coverage == 1.0);
    assert_false(e.has_truth);
    assert_true(isnan(e.auc_cvr_entire));
}

/* The conversion of an unclicked impression is no conversion. */
static void test_evaluation_ignores_orphans(void **state) {
    (void)state;
    static struct score s[N];
    struct evaluation with, without;
    fill_scores(s, N);
    assert_int_equal(evaluation_compute(&with, s, N, &plain), OK);
    for (size_t i = 0; i < N; i++) {
        s[i].labels = s[i].labels == LABEL_CONVERSION ? 0 : s[i].labels;
    }
    assert_int_equal(evaluation_compute(&without, s, N, &plain), OK);
    assert_true(with.conversions == without.conversions && with.ctcvr.auc == without.ctcvr.auc);
}

/* Scores so small that one float of their product could not tell them apart. */
static void test_evaluation_ranks_tiny_products(void **state) {
    (void)state;
    struct score s[4] = {{.a = -90, .b = -40.25f, .labels = 3},
                         {.a = -90, .b = -40.5f, .labels = 0},
                         {.a = 30, .b = 30.000004f, .labels = 3},
                         {.a = 30, .b = 30, .labels = 0}};
    struct evaluation e;
    assert_int_equal(evaluation_compute(&e, s, 4, &plain), OK);
    assert_near(e.ctcvr.auc, 0.75, 1e-15);
}

static void test_evaluation_truth(void **state) {
    (void)state;
    static struct score s[N];
    static float truth[N];
    static double pos[N], neg[N], b[N], t[N];
    fill_scores(s, N);
    double predicted[2] = {0}, expected[2] = {0};
    for (uint64_t i = 0; i < N; i++) {
        truth[i] = (float)(0.02 * rng_unit(SEED, i, 30) + (s[i].b > -1 ? 0.01 : 0));
        t[i] = pos[i] = (double)truth[i];
        neg[i] = 1 - pos[i];
        b[i] = (double)s[i].b;
        predicted[s[i].labels & LABEL_CLICK] += 1 / (1 + exp(-b[i]));
        expected[s[i].labels & LABEL_CLICK] += pos[i];
    }
    struct evaluation e;
    assert_int_equal(evaluation_compute(&e, s, N, &(struct evaluation_spec){.truth_cvr = truth}),
                     OK);
    assert_true(e.has_truth);
    assert_near(e.auc_cvr_entire, auc_naive(b, pos, neg, N), 1e-12);
    assert_near(e.auc_cvr_entire_best, auc_naive(t, pos, neg, N), 1e-12);
    assert_true(e.auc_cvr_entire_best > e.auc_cvr_entire);
    assert_near(e.ratio_cvr_entire, (predicted[0] + predicted[1]) / (expected[0] + expected[1]),
                1e-12);
    assert_near(e.ratio_cvr_unclicked, predicted[0] / expected[0], 1e-12);
    assert_near(e.ratio_cvr_clicked_truth, predicted[1] / expected[1], 1e-12);
}

/* Buckets: what they hold together is the population (test_metric_calibration.c has the oracle). */
static void check_reliability(const struct reliability *r, uint64_t n, uint64_t positives,
                              double pcoc, double ece, double ece_max) {
    double rows = 0, predicted = 0, observed = 0, gap = 0, largest = 0;
    assert_int_equal(r->buckets, RELIABILITY_BUCKETS);
    for (uint32_t k = 0; k < r->buckets; k++) {
        const double m = (double)r->bucket[k].n,
                     d = fabs(r->bucket[k].predicted - r->bucket[k].observed);
        rows += m;
        predicted += m * r->bucket[k].predicted;
        observed += m * r->bucket[k].observed;
        gap += m * d / (double)n;
        largest = d > largest ? d : largest;
    }
    assert_near(rows, (double)n, 0);
    assert_near(observed, (double)positives, 1e-9);
    assert_near(predicted / (double)positives, pcoc, 1e-12);
    assert_near(ece, gap, 1e-14);
    assert_near(ece_max, largest, 1e-15);
}

static void test_evaluation_reliability(void **state) {
    (void)state;
    static struct score s[N];
    struct evaluation e;
    fill_scores(s, N);
    assert_int_equal(evaluation_compute(&e, s, N, &plain), OK);
    check_reliability(&e.ctr.reliability, N, e.clicks, e.ctr.pcoc, e.ctr.ece, e.ctr.ece_max);
    check_reliability(&e.cvr_clicked.reliability, e.clicks, e.conversions, e.cvr_clicked.pcoc,
                      e.cvr_clicked.ece, e.cvr_clicked.ece_max);
    check_reliability(&e.ctcvr.reliability, N, e.conversions, e.ctcvr.pcoc, e.ctcvr.ece,
                      e.ctcvr.ece_max);
}

/* Division: b is the logit of p_ctcvr, p_cvr the quotient; ranked unclipped, clipped for losses. */
static void test_evaluation_division(void **state) {
    (void)state;
    static struct score s[N];
    static float truth[N], reference[N];
    static double q[N], z[N], not_z[N], c[N], both[N], not_both[N], whole[N], pos[N], neg[N],
        ref[N];
    size_t clicks = 0, above = 0;
    double loss = 0, predicted = 0, predicted_all = 0, expected = 0, conversions = 0;
    fill_scores(s, N);
    for (uint64_t i = 0; i < N; i++) {
        const double ctr = 1 / (1 + exp(-(double)s[i].a)), ctcvr = 1 / (1 + exp(-(double)s[i].b));
        const int t = s[i].labels == 3;
        reference[i] = (float)rng_normal(SEED, i, 41);
        truth[i] = (float)(0.1 * rng_unit(SEED, i, 42));
        pos[i] = (double)truth[i];
        neg[i] = 1 - pos[i];
        whole[i] = ctcvr / ctr;
        c[i] = ctcvr;
        ref[i] = whole[i] / (1 + exp(-(double)reference[i]));
        not_both[i] = 1 - (both[i] = t);
        predicted_all += fmin(whole[i], 1);
        expected += pos[i];
        above += whole[i] > 1;
        if (s[i].labels & LABEL_CLICK) {
            const double p = fmin(whole[i], 1 - 0x1p-24);
            loss += t ? -log(p) : -log(1 - p);
            predicted += fmin(whole[i], 1);
            q[clicks] = whole[i];
            not_z[clicks] = 1 - (z[clicks] = t);
            clicks++;
            conversions += t;
        }
    }
    assert_true(above > N / 10); /* it matters */
    const struct evaluation_spec spec = {
        .form = SCORE_CTCVR, .truth_cvr = truth, .reference_ctr = reference};
    struct evaluation e;
    assert_int_equal(evaluation_compute(&e, s, N, &spec), OK);
    assert_near(e.cvr_clicked.auc, auc_naive(q, z, not_z, clicks), 1e-14);
    assert_near(e.cvr_clicked.pr_auc, pr_naive(q, z, clicks), 1e-13);
    assert_near(e.ctcvr.auc, auc_naive(c, both, not_both, N), 1e-14);
    assert_near(e.auc_cvr_entire, auc_naive(whole, pos, neg, N), 1e-12);
    assert_near(e.auc_ctcvr_reference, auc_naive(ref, both, not_both, N), 1e-14);
    assert_near(e.cvr_clicked.logloss, loss / (double)clicks, 1e-9);
    assert_near(e.cvr_clicked.pcoc, predicted / conversions, 1e-12);
    assert_near(e.ratio_cvr_entire, predicted_all / expected, 1e-9);
    assert_true(e.cvr_clicked.ece > 0 && e.cvr_clicked.ece < 1);
    const struct evaluation_spec other = {.form = SCORE_CVR};
    struct evaluation f;
    assert_int_equal(evaluation_compute(&f, s, N, &other), OK);
    assert_true(f.ctcvr.auc != e.ctcvr.auc && f.cvr_clicked.auc != e.cvr_clicked.auc);
    assert_true(f.ctr.auc == e.ctr.auc && f.ctr.logloss == e.ctr.logloss);
}

/* The paper's CTCVR: one p_ctr for every method. With the model's own it is the model's own figure.
 */
static void test_evaluation_reference(void **state) {
    (void)state;
    static struct score s[N];
    static float own[N], reference[N];
    static double c[N], both[N], not_both[N];
    fill_scores(s, N);
    for (uint64_t i = 0; i < N; i++) {
        own[i] = s[i].a;
        reference[i] = (float)rng_normal(SEED, i, 40);
        c[i] = 1 / (1 + exp(-(double)reference[i])) / (1 + exp(-(double)s[i].b));
        not_both[i] = 1 - (both[i] = s[i].labels == 3);
    }
    struct evaluation e;
    struct evaluation_spec spec = {.reference_ctr = reference};
    assert_int_equal(evaluation_compute(&e, s, N, &spec), OK);
    assert_true(e.has_reference);
    assert_near(e.auc_ctcvr_reference, auc_naive(c, both, not_both, N), 1e-14);
    assert_true(e.auc_ctcvr_reference != e.ctcvr.auc);
    spec.reference_ctr = own;
    assert_int_equal(evaluation_compute(&e, s, N, &spec), OK);
    assert_near(e.auc_ctcvr_reference, e.ctcvr.auc, 0);
    spec.form = SCORE_CTCVR; /* the product of quotient and divisor is p_ctcvr, up to rounding */
    assert_int_equal(evaluation_compute(&e, s, N, &spec), OK);
    assert_near(e.auc_ctcvr_reference, e.ctcvr.auc, 1e-3);
}

/* A model without p_ctr or p_cvr says 0 there: no figure comes of it. */
static void test_evaluation_alone(void **state) {
    (void)state;
    static struct score s[N];
    static float truth[N], reference[N];
    struct evaluation both, e;
    fill_scores(s, N);
    for (uint64_t i = 0; i < N; i++) {
        truth[i] = (float)(0.1 * rng_unit(SEED, i, 43));
        reference[i] = (float)rng_normal(SEED, i, 44);
    }
    struct evaluation_spec spec = {.truth_cvr = truth, .reference_ctr = reference, .resamples = 40};
    assert_int_equal(evaluation_compute(&both, s, N, &spec), OK);
    for (size_t i = 0; i < N; i++) {
        s[i].a = 0;
    }
    spec.form = SCORE_CVR_ALONE;
    assert_int_equal(evaluation_compute(&e, s, N, &spec), OK);
    assert_true(isnan(e.ctr.auc) && isnan(e.ctr.logloss) && isnan(e.ctr.pcoc) && isnan(e.ctr.ece));
    assert_true(isnan(e.ctcvr.auc) && isnan(e.ctcvr.gauc) && isnan(e.ctcvr.ne) &&
                isnan(e.ctcvr.pr_auc));
    assert_true(unknown(&e.ctr.auc_95) && unknown(&e.ctcvr.auc_95) &&
                e.ctr.reliability.buckets == 0);
    assert_true(e.cvr_clicked.auc == both.cvr_clicked.auc &&
                e.cvr_clicked.ece == both.cvr_clicked.ece);
    assert_true(e.auc_ctcvr_reference == both.auc_ctcvr_reference);
    assert_true(e.auc_cvr_entire_95.low == both.auc_cvr_entire_95.low);
    assert_true(e.clicks == both.clicks && e.conversions == both.conversions);
    fill_scores(s, N);
    for (size_t i = 0; i < N; i++) {
        s[i].b = 0;
    }
    spec.form = SCORE_CTR_ALONE;
    assert_int_equal(evaluation_compute(&e, s, N, &spec), OK);
    assert_true(e.ctr.auc == both.ctr.auc && e.ctr.ece == both.ctr.ece);
    assert_true(e.ctr.auc_95.low == both.ctr.auc_95.low && e.conversions == both.conversions);
    assert_true(isnan(e.cvr_clicked.auc) && isnan(e.cvr_clicked.logloss) && isnan(e.ctcvr.auc));
    assert_true(isnan(e.auc_cvr_entire) && isnan(e.ratio_cvr_entire) &&
                isnan(e.auc_ctcvr_reference));
    assert_true(unknown(&e.cvr_clicked.auc_95) && unknown(&e.auc_ctcvr_reference_95));
    assert_true(isfinite(e.auc_cvr_entire_best));
}

/* --- intervals -------------------------------------------------------------------------------- */

enum { USERS = 20, RESAMPLES = 60, FIGURES = 5 };

static int by_value(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return a < b ? -1 : a > b;
}

static void check_interval(double *auc, const struct interval *got) {
    qsort(auc, RESAMPLES, sizeof *auc, by_value);
    const double low = 0.025 * (RESAMPLES - 1), high = 0.975 * (RESAMPLES - 1);
    const size_t l = (size_t)low, h = (size_t)high;
    assert_near(got->low, auc[l] + (low - (double)l) * (auc[l + 1] - auc[l]), 1e-12);
    assert_near(got->high, auc[h] + (high - (double)h) * (auc[h + 1] - auc[h]), 1e-12);
    assert_true(got->low < got->high);
}

/* Resamples by copying the scores of the drawn users, and evaluates each copy. */
static void check_intervals(enum score_form form) {
    static struct score s[N], copy[N * USERS];
    static float truth[N], reference[N], truth_copy[N * USERS], reference_copy[N * USERS];
    static double auc[FIGURES][RESAMPLES];
    fill_scores(s, N); /* users 0..19, each of them there */
    for (uint64_t i = 0; i < N; i++) {
        s[i].user = s[i].user * 1000003 + 17;
        s[i].a = roundf(s[i].a * 8) / 8; /* ties */
        truth[i] = (float)(0.1 * rng_unit(SEED, i, 43));
        reference[i] = (float)rng_normal(SEED, i, 44);
    }
    const uint64_t seed = 5;
    for (uint64_t r = 0; r < RESAMPLES; r++) {
        size_t n = 0;
        for (uint64_t d = 0; d < USERS; d++) {
            const uint64_t user = rng_below(seed, r, d, USERS) * 1000003 + 17;
            for (size_t i = 0; i < N; i++) {
                if (s[i].user == user) {
                    copy[n] = s[i];
                    truth_copy[n] = truth[i];
                    reference_copy[n++] = reference[i];
                }
            }
        }
        struct evaluation e;
        const struct evaluation_spec spec = {
            .form = form, .truth_cvr = truth_copy, .reference_ctr = reference_copy};
        assert_int_equal(evaluation_compute(&e, copy, n, &spec), OK);
        auc[0][r] = e.ctr.auc;
        auc[1][r] = e.cvr_clicked.auc;
        auc[2][r] = e.ctcvr.auc;
        auc[3][r] = e.auc_cvr_entire;
        auc[4][r] = e.auc_ctcvr_reference;
    }
    struct evaluation e;
    const struct evaluation_spec spec = {.form = form,
                                         .truth_cvr = truth,
                                         .reference_ctr = reference,
                                         .resamples = RESAMPLES,
                                         .seed = seed};
    assert_int_equal(evaluation_compute(&e, s, N, &spec), OK);
    assert_int_equal(e.bootstrap_resamples, RESAMPLES);
    assert_int_equal(e.bootstrap_groups, USERS);
    check_interval(auc[0], &e.ctr.auc_95);
    check_interval(auc[1], &e.cvr_clicked.auc_95);
    check_interval(auc[2], &e.ctcvr.auc_95);
    check_interval(auc[3], &e.auc_cvr_entire_95);
    check_interval(auc[4], &e.auc_ctcvr_reference_95);
    assert_true(e.ctr.auc_95.low < e.ctr.auc && e.ctr.auc < e.ctr.auc_95.high);
}

static void test_intervals_against_literal(void **state) {
    (void)state;
    check_intervals(SCORE_CVR);
    check_intervals(SCORE_CTCVR);
}

/* --- hostile input ---------------------------------------------------------------------------- */

static void test_evaluation_empty(void **state) {
    (void)state;
    struct evaluation e;
    const struct evaluation_spec spec = {
        .resamples = 50, .truth_cvr = (float[1]){0}, .reference_ctr = (float[1]){0}};
    assert_int_equal(evaluation_compute(&e, NULL, 0, &plain), OK);
    assert_true(isnan(e.ctr.auc) && isnan(e.ctr.logloss) && isnan(e.ctcvr.pcoc));
    assert_int_equal(evaluation_compute(&e, NULL, 0, &spec), OK);
    assert_true(isnan(e.ctr.auc) && isnan(e.ctr.pr_auc) && isnan(e.ctr.ne) && isnan(e.ctr.ece));
    assert_true(isnan(e.auc_cvr_entire) && isnan(e.auc_ctcvr_reference) &&
                isnan(e.ratio_cvr_unclicked));
    assert_true(unknown(&e.ctr.auc_95) && unknown(&e.auc_cvr_entire_95) &&
                e.ctr.reliability.buckets == 0);
}

/* Every mix of classes that can lack one: nothing is 0.5 that is not known. */
static void test_one_class(void **state) {
    (void)state;
    struct score s[4] = {{.user = 1, .a = 1, .b = 0},
                         {.user = 2, .a = 2, .b = 1},
                         {.user = 3, .a = 3, .b = 2},
                         {.user = 4, .a = 4, .b = 3}};
    const struct evaluation_spec spec = {.resamples = 40};
    struct evaluation e;
    assert_int_equal(evaluation_compute(&e, s, 4, &spec), OK); /* no click */
    assert_true(isnan(e.ctr.auc) && isnan(e.ctr.pr_auc) && isnan(e.ctr.ne) && isnan(e.ctr.pcoc));
    assert_true(isnan(e.cvr_clicked.auc) && isnan(e.cvr_clicked.logloss) &&
                isnan(e.cvr_clicked.ece));
    assert_true(unknown(&e.ctr.auc_95) && unknown(&e.cvr_clicked.auc_95));
    assert_true(isfinite(e.ctr.logloss) && e.ctr.ece > 0.5); /* a mean error needs no classes */
    for (size_t i = 0; i < 4; i++) {
        s[i].labels = LABEL_CLICK; /* all clicked, none converted */
    }
    assert_int_equal(evaluation_compute(&e, s, 4, &spec), OK);
    assert_true(isnan(e.ctr.auc) && isnan(e.ctr.pr_auc) && isnan(e.ctr.ne) && isfinite(e.ctr.pcoc));
    assert_true(isnan(e.ctcvr.auc) && isnan(e.cvr_clicked.pr_auc) && isnan(e.ctcvr.pcoc));
    for (size_t i = 0; i < 4; i++) {
        s[i].labels = LABEL_CLICK | LABEL_CONVERSION;
    }
    assert_int_equal(evaluation_compute(&e, s, 4, &spec), OK);
    assert_true(isnan(e.ctcvr.auc) && isnan(e.cvr_clicked.ne) && e.ctcvr.pcoc > 0 &&
                e.ctcvr.pcoc < 1);
}

/* A score that is no number makes what ranks it undefined, and nothing else. */
static void test_not_a_number(void **state) {
    (void)state;
    static struct score s[N];
    struct evaluation e;
    fill_scores(s, N);
    s[5].b = NAN;
    s[5].labels = LABEL_CLICK;
    const struct evaluation_spec spec = {.resamples = 40};
    assert_int_equal(evaluation_compute(&e, s, N, &spec), OK);
    assert_true(isnan(e.cvr_clicked.auc) && isnan(e.ctcvr.auc) && isnan(e.ctcvr.pr_auc));
    assert_true(isnan(e.ctcvr.ece) && unknown(&e.ctcvr.auc_95) && isnan(e.ctcvr.gauc));
    assert_true(e.ctr.auc > 0 && e.ctr.ece > 0 && e.ctr.auc_95.low > 0);
}

/* --- output ----------------------------------------------------------------------------------- */

static const char *ended(struct buf *out) {
    assert_int_equal(buf_put_u8(out, 0), OK);
    return (const char *)out->data;
}

static const char *json_of(const struct evaluation *e, struct buf *out) {
    struct json j;
    buf_clear(out);
    json_init(&j, out, false);
    json_open(&j, NULL, '{');
    evaluation_json(e, &j);
    json_close(&j);
    assert_int_equal(j.status, OK);
    return ended(out);
}

static double figure_of(const char *text, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(text, quoted);
    if (at == NULL) {
        fail_msg("no %s", quoted);
        return 0;
    }
    return strncmp(at + strlen(quoted), "null", 4) == 0 ? NAN : strtod(at + strlen(quoted), NULL);
}

static void test_text_undefined(void **state) {
    (void)state;
    struct score s[2] = {{.a = 1, .labels = 0}, {.a = 2, .labels = LABEL_CLICK}};
    struct evaluation e;
    struct buf out = BUF_EMPTY;
    assert_int_equal(evaluation_compute(&e, s, 2, &plain), OK);
    const char *text = json_of(&e, &out);
    assert_non_null(strstr(text, "\"auc_ctr\":1"));
    assert_non_null(strstr(text, "\"auc_ctcvr\":null"));
    assert_non_null(strstr(text, "\"auc_cvr_clicked\":null"));
    assert_non_null(strstr(text, "\"auc_ctr_95_low\":null"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "entire"));
    assert_null(strstr(text, "reference"));
    buf_clear(&out);
    assert_int_equal(evaluation_table(&e, &out), OK);
    text = ended(&out);
    assert_non_null(strstr(text, "population"));
    assert_non_null(strstr(text, "undefined"));
    assert_non_null(strstr(text, "click and conversion"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "95 %"));
    assert_null(strstr(text, "entire"));
    buf_clear(&out); /* data of which no conversion is known: none is counted */
    const struct evaluation_spec clicks = {.form = SCORE_CTR_UNLABELLED};
    assert_int_equal(evaluation_compute(&e, s, 2, &clicks), OK);
    assert_non_null(strstr(json_of(&e, &out), "\"conversions\":null"));
    buf_clear(&out);
    assert_int_equal(evaluation_table(&e, &out), OK);
    text = ended(&out);
    assert_non_null(strstr(text, "auc ctr              all                 2          1  click"));
    assert_non_null(
        strstr(text, "auc cvr              clicked             1    unknown  conversion"));
    buf_fini(&out);
}

static void full(struct evaluation *e) {
    static struct score s[N];
    static float truth[N], reference[N];
    fill_scores(s, N);
    for (uint64_t i = 0; i < N; i++) {
        truth[i] = (float)(0.1 * rng_unit(SEED, i, 43));
        reference[i] = (float)rng_normal(SEED, i, 44);
    }
    const struct evaluation_spec spec = {
        .truth_cvr = truth, .reference_ctr = reference, .resamples = 50};
    assert_int_equal(evaluation_compute(e, s, N, &spec), OK);
}

/* Every figure is in the JSON under the name of its field. */
static void test_json_keys(void **state) {
    (void)state;
    struct evaluation e;
    struct buf out = BUF_EMPTY;
    full(&e);
    const char *text = json_of(&e, &out);
#define SAME(key)      assert_true(figure_of(text, #key) == (double)e.key)
#define AS(key, field) assert_true(figure_of(text, key) == e.field)
#define BOTH_AS(key, field)                                                                        \
    assert_true(figure_of(text, key "_low") == e.field.low && isfinite(e.field.low));              \
    assert_true(figure_of(text, key "_high") == e.field.high && isfinite(e.field.high))
#define BOTH(key) BOTH_AS(#key, key)
    SAME(impressions);
    SAME(clicks);
    SAME(conversions);
    AS("auc_ctr", ctr.auc);
    AS("auc_cvr_clicked", cvr_clicked.auc);
    AS("auc_ctcvr", ctcvr.auc);
    AS("auc_ctr_sd", ctr.auc_sd);
    AS("auc_cvr_clicked_sd", cvr_clicked.auc_sd);
    AS("auc_ctcvr_sd", ctcvr.auc_sd);
    AS("gauc_ctr", ctr.gauc);
    AS("gauc_ctcvr", ctcvr.gauc);
    AS("gauc_ctr_coverage", ctr.gauc_coverage);
    AS("gauc_ctcvr_coverage", ctcvr.gauc_coverage);
    AS("pr_auc_ctr", ctr.pr_auc);
    AS("pr_auc_cvr_clicked", cvr_clicked.pr_auc);
    AS("pr_auc_ctcvr", ctcvr.pr_auc);
    AS("logloss_ctr", ctr.logloss);
    AS("logloss_cvr_clicked", cvr_clicked.logloss);
    AS("logloss_ctcvr", ctcvr.logloss);
    AS("ne_ctr", ctr.ne);
    AS("ne_cvr_clicked", cvr_clicked.ne);
    AS("ne_ctcvr", ctcvr.ne);
    AS("pcoc_ctr", ctr.pcoc);
    AS("pcoc_cvr_clicked", cvr_clicked.pcoc);
    AS("pcoc_ctcvr", ctcvr.pcoc);
    AS("ece_ctr", ctr.ece);
    AS("ece_cvr_clicked", cvr_clicked.ece);
    AS("ece_ctcvr", ctcvr.ece);
    AS("ece_max_ctr", ctr.ece_max);
    AS("ece_max_cvr_clicked", cvr_clicked.ece_max);
    AS("ece_max_ctcvr", ctcvr.ece_max);
    SAME(auc_ctcvr_reference);
    SAME(auc_cvr_entire);
    SAME(auc_cvr_entire_best);
    SAME(ratio_cvr_entire);
    SAME(ratio_cvr_clicked_truth);
    SAME(ratio_cvr_unclicked);
    BOTH_AS("auc_ctr_95", ctr.auc_95);
    BOTH_AS("auc_cvr_clicked_95", cvr_clicked.auc_95);
    BOTH_AS("auc_ctcvr_95", ctcvr.auc_95);
    BOTH(auc_cvr_entire_95);
    BOTH(auc_ctcvr_reference_95);
    SAME(bootstrap_resamples);
    SAME(bootstrap_groups);
    assert_non_null(strstr(text, "\"reliability_ctr\":[{"));
    assert_non_null(strstr(text, "\"reliability_cvr_clicked\":[{"));
    assert_non_null(strstr(text, "\"reliability_ctcvr\":[{"));
    size_t buckets = 0;
    for (const char *at = strstr(text, "\"predicted\":"); at != NULL;
         at = strstr(at + 1, "\"predicted\":")) {
        buckets++;
    }
    assert_int_equal(buckets, 3 * RELIABILITY_BUCKETS);
    assert_true(figure_of(strstr(text, "\"reliability_ctcvr\""), "observed") ==
                e.ctcvr.reliability.bucket[0].observed);
    buf_fini(&out);
}

static size_t count(const char *text, const char *word) {
    size_t n = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        n++;
    }
    return n;
}

static void test_tables(void **state) {
    (void)state;
    struct evaluation e;
    struct buf out = BUF_EMPTY;
    char want[64];
    full(&e);
    assert_int_equal(evaluation_table(&e, &out), OK);
    const char *text = ended(&out);
    snprintf(want, sizeof want, "95 %% %.5f - %.5f", e.ctr.auc_95.low, e.ctr.auc_95.high);
    assert_non_null(strstr(text, want));
    assert_int_equal(count(text, "95 %"), 6); /* five intervals and what they are */
    assert_non_null(strstr(text, "50 bootstrap resamples of 20 groups"));
    assert_non_null(strstr(text, "auc ctcvr, ref. ctr"));
    snprintf(want, sizeof want, "unclicked %.3f", e.ratio_cvr_unclicked);
    assert_non_null(strstr(text, want));
    for (const char *at = text; at != NULL;
         at = strchr(at, '\n')) { /* no wider than a terminal of 120 */
        at += *at == '\n';
        assert_true(strcspn(at, "\n") <= 120);
    }
    buf_clear(&out);
    assert_int_equal(evaluation_calibration(&e, &out), OK);
    text = ended(&out);
    assert_int_equal(count(text, "reliability "), 3);
    assert_int_equal(count(text, "\n"), 3 * (RELIABILITY_BUCKETS + 3));
    snprintf(want, sizeof want, "%13.4e %13.4e", e.ctr.reliability.bucket[7].predicted,
             e.ctr.reliability.bucket[7].observed);
    assert_non_null(strstr(text, want));
    buf_fini(&out);
}

static void check_picture(const struct evaluation *e, size_t points) {
    struct buf out = BUF_EMPTY;
    assert_int_equal(evaluation_picture(e, "a<b & \"c\">\001d", &out), OK);
    const char *text = ended(&out);
    assert_int_equal(strncmp(text, "<svg ", 5), 0);
    assert_int_equal(strcmp(text + strlen(text) - 7, "</svg>\n"), 0);
    assert_non_null(strstr(text, "a&lt;b &amp; \"c\"&gt;?d"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_int_equal(count(text, "<g "), 3);
    assert_int_equal(count(text, "</g>"), 3);
    assert_int_equal(count(text, "<text"), count(text, "</text>"));
    assert_int_equal(count(text, "<circle"), points);
    assert_int_equal(count(text, "</circle>"), points);
    for (const char *at = strstr(text, "cx=\""); at != NULL; at = strstr(at + 1, "cx=\"")) {
        double x, y;
        assert_int_equal(sscanf(at, "cx=\"%lf\" cy=\"%lf\"", &x, &y), 2);
        assert_true(x >= 0 && x <= 220 && y >= 0 && y <= 220);
    }
    buf_fini(&out);
}

static void test_picture(void **state) {
    (void)state;
    struct evaluation e;
    full(&e);
    check_picture(&e, 3 * RELIABILITY_BUCKETS);
    assert_int_equal(evaluation_compute(&e, NULL, 0, &plain), OK);
    check_picture(&e, 0);
    /* Certain, hopeless, tiny and equal predictions. */
    struct score s[4] = {{.a = 900, .b = -900},
                         {.a = -900, .b = 900, .labels = LABEL_CLICK},
                         {.a = -30, .b = -30},
                         {.a = -30, .b = -30, .labels = LABEL_CLICK | LABEL_CONVERSION}};
    assert_int_equal(evaluation_compute(&e, s, 4, &plain), OK);
    check_picture(&e, (size_t)e.ctr.reliability.buckets + e.cvr_clicked.reliability.buckets +
                          e.ctcvr.reliability.buckets);
    assert_int_equal(e.ctr.reliability.buckets, 3);
}

/* A point lies where its bucket is: on the diagonal if the two agree. */
static void test_picture_places(void **state) {
    (void)state;
    struct evaluation e;
    struct buf out = BUF_EMPTY;
    double x, y;
    assert_int_equal(evaluation_compute(&e, NULL, 0, &plain), OK);
    e.ctr.reliability = (struct reliability){
        .buckets = 3, .bucket = {{0.001, 0.001, 1000}, {0.01, 0.1, 1000}, {0.1, 0, 1000}}};
    assert_int_equal(evaluation_picture(&e, "", &out), OK);
    const char *at = strstr(ended(&out), "cx="); /* decades 1e-3 to 1e-1 */
    assert_int_equal(sscanf(at, "cx=\"%lf\" cy=\"%lf\"", &x, &y), 2);
    assert_true(x == 0 && y == 220);
    at = strstr(at + 1, "cx=");
    assert_int_equal(sscanf(at, "cx=\"%lf\" cy=\"%lf\"", &x, &y), 2);
    assert_true(x == 110 && y == 0);
    at = strstr(at + 1, "cx="); /* no positive: on the floor, hollow */
    assert_int_equal(sscanf(at, "cx=\"%lf\" cy=\"%lf\"", &x, &y), 2);
    assert_true(x == 220 && y == 220);
    assert_int_equal(strncmp(strstr(at, "fill="), "fill=\"white\"", 12), 0);
    buf_fini(&out);
}

static void test_failing_memory(void **state) {
    (void)state;
    static struct score s[N];
    static float truth[N], reference[N];
    fill_scores(s, N);
    const struct evaluation_spec spec = {
        .truth_cvr = truth, .reference_ctr = reference, .resamples = 2};
    size_t failures = 0;
    for (size_t k = 1;; k++) {
        struct evaluation e;
        mem_fail_after(k);
        enum status status = evaluation_compute(&e, s, N, &spec);
        mem_fail_after(0);
        if (status == OK) {
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
        failures++;
    }
    assert_true(failures > 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_evaluation_ignores_orphans),
        cmocka_unit_test(test_evaluation_ranks_tiny_products),
        cmocka_unit_test(test_evaluation_truth),
        cmocka_unit_test(test_evaluation_reliability),
        cmocka_unit_test(test_evaluation_division),
        cmocka_unit_test(test_evaluation_reference),
        cmocka_unit_test(test_evaluation_alone),
        cmocka_unit_test(test_intervals_against_literal),
        cmocka_unit_test(test_evaluation_empty),
        cmocka_unit_test(test_one_class),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_text_undefined),
        cmocka_unit_test(test_json_keys),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_picture),
        cmocka_unit_test(test_picture_places),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
