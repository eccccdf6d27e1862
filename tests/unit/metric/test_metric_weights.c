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

static void same_figures(const struct evaluation *got, const struct evaluation *want,
                         double tolerance) {
    SAME(auc_ctr), SAME(auc_cvr_clicked), SAME(auc_ctcvr), SAME(auc_ctcvr_reference);
    SAME(auc_cvr_entire), SAME(auc_cvr_entire_best);
    SAME(gauc_ctr), SAME(gauc_ctcvr), SAME(gauc_ctr_coverage), SAME(gauc_ctcvr_coverage);
    SAME(pr_auc_ctr), SAME(pr_auc_cvr_clicked), SAME(pr_auc_ctcvr);
    SAME(logloss_ctr), SAME(logloss_cvr_clicked), SAME(logloss_ctcvr);
    SAME(ne_ctr), SAME(ne_cvr_clicked), SAME(ne_ctcvr);
    SAME(pcoc_ctr), SAME(pcoc_cvr_clicked), SAME(pcoc_ctcvr);
    SAME(ece_ctr), SAME(ece_cvr_clicked), SAME(ece_ctcvr);
    SAME(ece_max_ctr), SAME(ece_max_cvr_clicked), SAME(ece_max_ctcvr);
    SAME(ratio_cvr_entire), SAME(ratio_cvr_clicked_truth), SAME(ratio_cvr_unclicked);
    SAME_95(auc_ctr), SAME_95(auc_cvr_clicked), SAME_95(auc_ctcvr);
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
        same_reliability(&got.reliability_ctr, &want.reliability_ctr, 1);
        same_reliability(&got.reliability_cvr_clicked, &want.reliability_cvr_clicked, 1);
        same_reliability(&got.reliability_ctcvr, &want.reliability_ctcvr, 1);
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
    same_reliability(&got.reliability_ctcvr, &plain.reliability_ctcvr, (double)0.3f);
    near("sd", got.auc_ctr_sd, plain.auc_ctr_sd, 1e-6);
    near("sd", got.auc_cvr_clicked_sd, plain.auc_cvr_clicked_sd, 1e-6);
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
    assert_true(got.auc_ctr_sd > 2 * plain.auc_ctr_sd);
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
    assert_true(isnan(e.auc_ctr) && isnan(e.pr_auc_ctr) && isnan(e.ne_ctr) && isnan(e.pcoc_ctr));
    assert_true(isnan(e.auc_ctr_sd) && isnan(e.gauc_ctr) && isnan(e.auc_ctr_95.low));
    assert_true(isnan(e.logloss_cvr_clicked) && isnan(e.ece_cvr_clicked));
    assert_int_equal(e.reliability_cvr_clicked.buckets, 0);
    assert_true(isfinite(e.logloss_ctr) && isfinite(e.ece_ctr));
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
