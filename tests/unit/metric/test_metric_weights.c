/* Figures by weight: an impression of weight 2 is the same twice, one of weight 0 is not there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/json.h"
#include "common/metric/evaluation.h"
#include "common/metric/metric_calibration.h"
#include "common/metric/score.h"
#include "common/base/rng.h"
#include "common/data/record.h"

#include <cmocka.h>

#define N     3000u
#define USERS 40u
#define MOST  3u /* weight of an impression */

static struct score weighed[N], copied[N * MOST];
static float truth[2][N * MOST], reference[2][N * MOST];

/* Scores with many ties; fills both lists, returns how many copies there are. */
static size_t fill(uint64_t seed) {
    size_t copies = 0;
    for (uint64_t i = 0; i < N; i++) {
        static const uint8_t labels[] = {0, 0, LABEL_CLICK, LABEL_CLICK | LABEL_CONVERSION};
        const uint32_t weight = i < USERS ? 1 : (uint32_t)rng_below(seed, i, 0, MOST + 1);
        weighed[i] = (struct score){.impression_id = i,
                                    .user = i < USERS ? i : rng_below(seed, i, 1, USERS),
                                    .a = 0.25f * (float)rng_below(seed, i, 2, 30) - 4,
                                    .b = 0.25f * (float)rng_below(seed, i, 3, 30) - 6,
                                    .labels = labels[rng_below(seed, i, 4, 4)],
                                    .weight = (float)weight};
        truth[0][i] = (float)rng_unit(seed, i, 5);
        reference[0][i] = 0.5f * (float)rng_below(seed, i, 6, 20) - 5;
        for (uint32_t k = 0; k < weight; k++, copies++) {
            copied[copies] = weighed[i];
            copied[copies].weight = 1;
            truth[1][copies] = truth[0][i];
            reference[1][copies] = reference[0][i];
        }
    }
    return copies;
}

static void evaluate(struct evaluation *e, const struct score *s, size_t n, bool weights, int list,
                     enum score_form form) {
    const struct evaluation_spec spec = {.form = form,
                                         .truth_cvr = truth[list],
                                         .reference_ctr = reference[list],
                                         .resamples = 50,
                                         .seed = 3,
                                         .weighted = weights};
    assert_int_equal(evaluation_compute(e, s, n, &spec), OK);
}

static void near(const char *what, double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want))) && !(isnan(got) && isnan(want))) {
        fail_msg("%s: %.15g, expected %.15g", what, got, want);
    }
}

static void same_reliability(const struct reliability *got, const struct reliability *want,
                             double scale) {
    assert_int_equal(got->buckets, want->buckets);
    for (uint32_t k = 0; k < got->buckets; k++) {
        near("bucket's weight", got->bucket[k].weight, scale * want->bucket[k].weight, 1e-6);
        near("predicted", got->bucket[k].predicted, want->bucket[k].predicted, 1e-6);
        near("observed", got->bucket[k].observed, want->bucket[k].observed, 1e-6);
    }
}

#define SAME(field)    near(#field, got->field, want->field, tolerance)
#define SAME_95(field) (SAME(field##_95.low), SAME(field##_95.high))
#define THREE(figure)  (SAME(ctr.figure), SAME(cvr_clicked.figure), SAME(ctcvr.figure))

static void same_figures(const struct evaluation *got, const struct evaluation *want,
                         double tolerance) {
    THREE(auc), THREE(pr_auc), THREE(logloss), THREE(ne), THREE(pcoc), THREE(ece), THREE(ece_max);
    THREE(auc_95.low), THREE(auc_95.high);
    SAME(auc_ctcvr_reference), SAME(auc_cvr_entire), SAME(auc_cvr_entire_best);
    SAME(ctr.gauc), SAME(ctcvr.gauc), SAME(ctr.gauc_coverage), SAME(ctcvr.gauc_coverage);
    SAME(ratio_cvr_entire), SAME(ratio_cvr_clicked_truth), SAME(ratio_cvr_unclicked);
    SAME_95(auc_cvr_entire), SAME_95(auc_ctcvr_reference);
}

static void test_weights_are_copies(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        const enum score_form form = seed % 2 == 0 ? SCORE_CTCVR : SCORE_CVR;
        struct evaluation got, want;
        const size_t copies = fill(seed);
        evaluate(&got, weighed, N, true, 0, form);
        evaluate(&want, copied, copies, false, 1, form);
        same_figures(&got, &want, 1e-10);
        same_reliability(&got.ctr.reliability, &want.ctr.reliability, 1);
        same_reliability(&got.cvr_clicked.reliability, &want.cvr_clicked.reliability, 1);
        same_reliability(&got.ctcvr.reliability, &want.ctcvr.reliability, 1);
        assert_int_equal(got.impressions, N); /* counts stay counts */
        assert_true(got.weighted && !want.weighted);
        assert_true(got.weight == (double)copies && want.weight == (double)copies);
        assert_true(got.weight_clicks == (double)want.clicks &&
                    got.weight_clicks == want.weight_clicks);
        assert_true(got.weight_conversions == (double)want.conversions);
    }
}

/* Only proportions matter, to the standard deviation too; and unweighted figures see no weights. */
static void test_only_proportions(void **state) {
    (void)state;
    struct evaluation plain, got;
    fill(9);
    evaluate(&plain, weighed, N, false, 0, SCORE_CVR);
    for (uint64_t i = 0; i < N; i++) {
        weighed[i].weight = 0.3f;
    }
    evaluate(&got, weighed, N, true, 0, SCORE_CVR);
    same_figures(&got, &plain, 1e-6);
    same_reliability(&got.ctcvr.reliability, &plain.ctcvr.reliability, (double)0.3f);
    near("sd", got.ctr.auc_sd, plain.ctr.auc_sd, 1e-6);
    near("sd", got.cvr_clicked.auc_sd, plain.cvr_clicked.auc_sd, 1e-6);
    assert_int_equal(got.clicks, plain.clicks);
}

/* Unequal weights say less: the sd is that of fewer rows. */
static void test_sd_grows(void **state) {
    (void)state;
    struct evaluation plain, got;
    fill(11);
    evaluate(&plain, weighed, N, false, 0, SCORE_CVR);
    for (uint64_t i = 0; i < N; i++) {
        weighed[i].weight = i % 10 == 0 ? 10 : 0.1f;
    }
    evaluate(&got, weighed, N, true, 0, SCORE_CVR);
    assert_true(got.ctr.auc_sd > 2 * plain.ctr.auc_sd);
}

/* A population that counts nothing has no figure. */
static void test_nothing_counts(void **state) {
    (void)state;
    struct evaluation e;
    fill(13);
    for (uint64_t i = 0; i < N; i++) {
        weighed[i].weight = (weighed[i].labels & LABEL_CLICK) != 0 ? 0 : 1;
    }
    evaluate(&e, weighed, N, true, 0, SCORE_CVR);
    assert_true(isnan(e.ctr.auc) && isnan(e.ctr.pr_auc) && isnan(e.ctr.ne) && isnan(e.ctr.pcoc));
    assert_true(isnan(e.ctr.auc_sd) && isnan(e.ctr.gauc) && isnan(e.ctr.auc_95.low));
    assert_true(isnan(e.cvr_clicked.logloss) && isnan(e.cvr_clicked.ece));
    assert_int_equal(e.cvr_clicked.reliability.buckets, 0);
    assert_true(isfinite(e.ctr.logloss) && isfinite(e.ctr.ece));
}

/* Both where one counts other than 1; JSON and table say which is which. */
static void test_both(void **state) {
    (void)state;
    struct evaluation e[2];
    struct buf out = BUF_EMPTY;
    struct json j;
    uint32_t count = 0;
    const struct evaluation_spec spec = {.form = SCORE_CVR};
    const size_t copies = fill(15);
    assert_int_equal(evaluations_compute(e, &count, copied, copies, &spec), OK);
    assert_int_equal(count, 1);
    assert_int_equal(evaluations_compute(e, &count, weighed, N, &spec), OK);
    assert_int_equal(count, 2);
    assert_true(!e[0].weighted && e[1].weighted && e[0].weight == N);
    json_init(&j, &out, false);
    json_open(&j, NULL, '{');
    evaluations_json(e, count, &j);
    json_close(&j);
    assert_int_equal(j.status, OK);
    assert_int_equal(buf_put_u8(&out, 0), OK);
    const char *second = strstr((const char *)out.data, "\"with_weights\":");
    assert_non_null(second);
    assert_non_null(strstr((const char *)out.data, "\"weighted\":false"));
    assert_non_null(strstr(second, "\"weighted\":true"));
    assert_non_null(strstr(second, "\"weight_conversions\":"));
    assert_non_null(strstr(second, "\"weight\":")); /* of a bucket too */
    buf_clear(&out);
    assert_int_equal(evaluation_table(&e[1], &out), OK);
    assert_int_equal(buf_put_u8(&out, 0), OK);
    assert_non_null(strstr((const char *)out.data, "by weight: 3000 impressions count"));
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_are_copies),
        cmocka_unit_test(test_only_proportions),
        cmocka_unit_test(test_sd_grows),
        cmocka_unit_test(test_nothing_counts),
        cmocka_unit_test(test_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
