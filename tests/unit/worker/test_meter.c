/* Unit tests of worker/meter.h: what is counted of a batch, and the bins of the running AUCs. */
#include "common/base/logit.h"
#include "worker/meter.h"

#include "common/data/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct meter meter; /* its bins are large */
static struct usage used;

static void finish(uint32_t staleness) {
    const float a[2] = {-1, 1}, b[2] = {0, 2};
    const uint8_t labels[2] = {0, LABEL_CLICK | LABEL_CONVERSION};
    meter_report(&meter, &(struct meter_report){.impressions = 2,
                                                .loss = 3,
                                                .loss_ctr = 2,
                                                .loss_ctcvr = 1,
                                                .staleness = staleness,
                                                .dense_staleness = 1 + staleness,
                                                .logit_a = a,
                                                .logit_b = b,
                                                .labels = labels});
}

/* What another trains and counts is not counted here. */
static void a_fenced_batch_is_not_trained(void **state) {
    (void)state;
    struct wire_progress w;
    meter_init(&meter);
    finish(0);
    meter_scored(&meter);
    meter_report(&meter,
                 &(struct meter_report){.fenced = true, .impressions = 2, .loss = 3, .resent = 1});
    meter_read(&meter, &w, &used);
    assert_int_equal(w.batches, 1);
    assert_int_equal(w.impressions, 2);
    assert_true(w.loss_sum == 3);
    assert_int_equal(w.fenced, 1);
    assert_int_equal(w.finished, 2);
    assert_int_equal(w.resent, 1);
    meter_fini(&meter);
}

static void counters_and_bins(void **state) {
    (void)state;
    struct wire_progress p;
    static struct metric_bins ctr, ctcvr;
    meter_init(&meter);
    finish(0);
    finish(1);
    finish(1);
    meter_read(&meter, &p, &used);
    assert_int_equal(p.impressions, 6);
    assert_int_equal(p.batches, 3);
    assert_true(p.loss_sum == 9 && p.loss_ctr_sum == 6 && p.loss_ctcvr_sum == 3);
    assert_int_equal(p.staleness_sum, 2);
    assert_int_equal(p.staleness_max, 1);
    assert_int_equal(p.dense_staleness_sum, 5);
    assert_int_equal(p.dense_staleness_max, 2);
    meter_take_bins(&meter, &ctr, &ctcvr);
    meter_take_bins(&meter, &ctr, &ctcvr); /* nothing new */
    uint64_t positive = 0, negative = 0;
    for (uint32_t k = 0; k < METRIC_BINS; k++) {
        positive += ctr.positive[k];
        negative += ctcvr.negative[k];
    }
    assert_int_equal(positive, 3);
    assert_int_equal(negative, 3);
    meter_fini(&meter);
}

/* A click that converts late, and one that converts in time and is told twice, as records: each
 * click counts once for CTR, each piece of news of the conversion once for CTCVR. */
static void records_in_bins(void **state) {
    (void)state;
    enum { N = 7, Y = LABEL_CLICK, Z = LABEL_CLICK | LABEL_CONVERSION };
    const float a[N] = {0}, b[N] = {0};
    const uint8_t labels[N] = {0, Y, Y, Z | LABEL_LATE, Y, Z, Z};
    const uint8_t kind[N] = {KIND_BOTH,  KIND_CLICK,      KIND_CONVERSION, KIND_LATE,
                             KIND_CLICK, KIND_CONVERSION, KIND_FINAL};
    static struct metric_bins ctr, ctcvr;
    uint64_t sums[4] = {0};
    meter_init(&meter);
    meter_report(&meter,
                 &(struct meter_report){
                     .impressions = N, .logit_a = a, .logit_b = b, .labels = labels, .kind = kind});
    meter_take_bins(&meter, &ctr, &ctcvr);
    for (uint32_t k = 0; k < METRIC_BINS; k++) {
        sums[0] += ctr.positive[k];
        sums[1] += ctr.negative[k];
        sums[2] += ctcvr.positive[k];
        sums[3] += ctcvr.negative[k];
    }
    assert_int_equal(sums[0], 2);
    assert_int_equal(sums[1], 1);
    assert_int_equal(sums[2], 2); /* the late one, and the other once */
    assert_int_equal(sums[3], 2); /* the unclicked one, and the late one before it came */
    meter_fini(&meter);
}

/* The bins rank as the evaluation does: by the model's form; a conversion without a click is none.
 */
static void bins_by_form(void **state) {
    (void)state;
    static const enum score_form forms[] = {SCORE_CVR, SCORE_CTCVR, SCORE_CVR_ALONE};
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        static struct metric_bins ctr, ctcvr, want_ctr, want_ctcvr;
        const float a[2] = {-1, 1}, b[2] = {0, 2};
        const uint8_t labels[2] = {LABEL_CONVERSION, LABEL_CLICK | LABEL_CONVERSION};
        const struct meter_report r = {
            .impressions = 2, .form = forms[k], .logit_a = a, .logit_b = b, .labels = labels};
        ctr = ctcvr = want_ctr = want_ctcvr = (struct metric_bins){0};
        meter_init(&meter);
        meter_report(&meter, &r);
        meter_take_bins(&meter, &ctr, &ctcvr);
        meter_fini(&meter);
        for (int i = 0; i < 2 && forms[k] != SCORE_CVR_ALONE; i++) {
            const double c = ctcvr_logit((double)a[i], (double)b[i]);
            metric_bins_add(&want_ctr, a[i], i);
            metric_bins_add(&want_ctcvr, forms[k] == SCORE_CVR ? (float)c : b[i], i);
        }
        assert_memory_equal(&ctr, &want_ctr, sizeof ctr);
        assert_memory_equal(&ctcvr, &want_ctcvr, sizeof ctcvr);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fenced_batch_is_not_trained),
        cmocka_unit_test(counters_and_bins),
        cmocka_unit_test(records_in_bins),
        cmocka_unit_test(bins_by_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
