/* Unit tests of worker/pace.h: who may begin a batch, which questions go out, and that threads that
 * wait are woken. */
#include "worker/pace.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/data/shard.h"
#include "common/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct pace pace; /* its bins are large */

static void finish(uint32_t trainer) {
    const float a[2] = {-1, 1}, b[2] = {0, 2};
    const uint8_t labels[2] = {0, LABEL_CLICK | LABEL_CONVERSION};
    pace_report(&pace, trainer,
                &(struct pace_report){.impressions = 2,
                                      .loss = 3,
                                      .loss_ctr = 2,
                                      .loss_ctcvr = 1,
                                      .staleness = trainer,
                                      .dense_staleness = 1 + trainer,
                                      .logit_a = a,
                                      .logit_b = b,
                                      .labels = labels});
}

static void expect_question(uint32_t want_trainer, uint64_t want_clock) {
    uint32_t trainer;
    uint64_t clock;
    assert_true(pace_wants(&pace, &trainer, &clock));
    assert_int_equal(trainer, want_trainer);
    assert_int_equal(clock, want_clock);
}

static void expect_none(void) {
    uint32_t trainer;
    uint64_t clock;
    assert_false(pace_wants(&pace, &trainer, &clock));
}

/* A trainer wants to begin, asks, and is answered. */
static void join(uint32_t trainer, uint64_t clock) {
    assert_int_equal(pace_enter(&pace, trainer, 1), ERR_TIMEOUT);
    expect_question(trainer, clock);
    pace_learn(&pace, trainer, clock);
    assert_int_equal(pace_enter(&pace, trainer, 1), OK);
}

/* What another trains and counts is not counted here: but the trainer is a batch further. */
static void a_fenced_batch_is_not_trained(void **state) {
    (void)state;
    struct wire_progress w;
    pace_init(&pace, 1, 64);
    join(0, 0);
    finish(0);
    pace_scored(&pace);
    pace_report(&pace, 0,
                &(struct pace_report){.fenced = true, .impressions = 2, .loss = 3, .resent = 1});
    pace_progress(&pace, &w);
    assert_int_equal(w.batches, 1);
    assert_int_equal(w.impressions, 2);
    assert_true(w.loss_sum == 3);
    assert_int_equal(w.fenced, 1);
    assert_int_equal(w.finished, 2);
    assert_int_equal(w.resent, 1);
    assert_int_equal(pace.trainer[0].clock, 2);
    pace_fini(&pace);
}

static void the_first_batch_waits_for_an_answer(void **state) {
    (void)state;
    pace_init(&pace, 1, 64);
    assert_int_equal(pace_enter(&pace, 0, 1), ERR_TIMEOUT);
    expect_question(0, 0);
    expect_none(); /* it is out */
    assert_int_equal(pace_enter(&pace, 0, 1), ERR_TIMEOUT);
    pace_learn(&pace, 0, 0);
    assert_int_equal(pace_enter(&pace, 0, 1), OK);
    expect_none(); /* asked at this clock already */
    pace_fini(&pace);
}

static void the_bound_holds(void **state) {
    (void)state;
    pace_init(&pace, 1, 4);
    join(0, 0);
    for (uint64_t clock = 0; clock <= 4; clock++) {
        assert_int_equal(pace_enter(&pace, 0, 1), OK);
        if (clock == 3) { /* more than half-way: in advance */
            expect_question(0, 3);
            pace_learn(&pace, 0, 0);
        } else if (clock < 3) {
            expect_none();
        }
        finish(0);
    }
    assert_int_equal(pace_enter(&pace, 0, 1), ERR_TIMEOUT); /* five ahead of 0 */
    expect_question(0, 5);
    pace_learn(&pace, 0, 1);
    assert_int_equal(pace_enter(&pace, 0, 1), OK);
    pace_learn(&pace, 0, 0); /* older news */
    assert_int_equal(pace_enter(&pace, 0, 1), OK);
    pace_fini(&pace);
}

/* An idle trainer says so once, and joins anew: what it knew before does not hold any more. */
static void who_is_idle_leaves_and_joins_again(void **state) {
    (void)state;
    pace_init(&pace, 2, 4);
    pace_idle(&pace, 0);
    expect_none(); /* never joined: nobody counts it */
    join(0, 0);
    finish(0);
    pace_idle(&pace, 0);
    expect_question(0, CLOCK_IDLE);
    pace_idle(&pace, 0);
    expect_none();              /* said already */
    pace_learn(&pace, 0, 1000); /* the answer to that, of no meaning */
    pace_idle(&pace, 0);
    expect_none();
    assert_int_equal(pace_enter(&pace, 0, 1), ERR_TIMEOUT);
    expect_question(0, 1);
    pace_learn(&pace, 0, 1);
    assert_int_equal(pace_enter(&pace, 0, 1), OK);
    pace_fini(&pace);
}

/* A batch came before it could be said: then it is not said. */
static void who_is_busy_again_says_nothing(void **state) {
    (void)state;
    pace_init(&pace, 1, 4);
    join(0, 0);
    pace_idle(&pace, 0);
    assert_int_equal(pace_enter(&pace, 0, 1), OK);
    expect_none();
    pace_fini(&pace);
}

/* Clocks are on each trainer's own scale: one's answer says nothing to another. */
static void answers_are_not_shared(void **state) {
    (void)state;
    pace_init(&pace, 2, 1);
    join(0, 0);
    join(1, 0);
    finish(0);
    finish(0);
    assert_int_equal(pace_enter(&pace, 0, 1), ERR_TIMEOUT);
    pace_learn(&pace, 1, 500);
    assert_int_equal(pace_enter(&pace, 0, 1), ERR_TIMEOUT);
    pace_fini(&pace);
}

static void counters_and_bins(void **state) {
    (void)state;
    struct wire_progress p;
    static struct metric_bins ctr, ctcvr;
    pace_init(&pace, 2, 4);
    finish(0);
    finish(1);
    finish(1);
    pace_progress(&pace, &p);
    assert_int_equal(p.impressions, 6);
    assert_int_equal(p.batches, 3);
    assert_true(p.loss_sum == 9 && p.loss_ctr_sum == 6 && p.loss_ctcvr_sum == 3);
    assert_int_equal(p.staleness_sum, 2);
    assert_int_equal(p.staleness_max, 1);
    assert_int_equal(p.dense_staleness_sum, 5);
    assert_int_equal(p.dense_staleness_max, 2);
    pace_take_bins(&pace, &ctr, &ctcvr);
    pace_take_bins(&pace, &ctr, &ctcvr); /* nothing new */
    uint64_t positive = 0, negative = 0;
    for (uint32_t k = 0; k < METRIC_BINS; k++) {
        positive += ctr.positive[k];
        negative += ctcvr.negative[k];
    }
    assert_int_equal(positive, 3);
    assert_int_equal(negative, 3);
    pace_fini(&pace);
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
    pace_init(&pace, 1, 4);
    pace_report(&pace, 0,
                &(struct pace_report){
                    .impressions = N, .logit_a = a, .logit_b = b, .labels = labels, .kind = kind});
    pace_take_bins(&pace, &ctr, &ctcvr);
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
    pace_fini(&pace);
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
        const struct pace_report r = {
            .impressions = 2, .form = forms[k], .logit_a = a, .logit_b = b, .labels = labels};
        ctr = ctcvr = want_ctr = want_ctcvr = (struct metric_bins){0};
        pace_init(&pace, 1, 4);
        pace_report(&pace, 0, &r);
        pace_take_bins(&pace, &ctr, &ctcvr);
        pace_fini(&pace);
        for (int i = 0; i < 2 && forms[k] != SCORE_CVR_ALONE; i++) {
            const double c = ctcvr_logit((double)a[i], (double)b[i]);
            metric_bins_add(&want_ctr, a[i], i);
            metric_bins_add(&want_ctcvr, forms[k] == SCORE_CVR ? (float)c : b[i], i);
        }
        assert_memory_equal(&ctr, &want_ctr, sizeof ctr);
        assert_memory_equal(&ctcvr, &want_ctcvr, sizeof ctcvr);
    }
}

static enum status enter_long(void *arg) {
    return pace_enter(&pace, *(uint32_t *)arg, 20000);
}

/* The other trainer's question may come first; it stays without an answer. */
static void await_question(uint32_t want_trainer, uint64_t want_clock) {
    uint32_t trainer = UINT32_MAX;
    uint64_t clock = 0;
    while (trainer != want_trainer) {
        if (!pace_wants(&pace, &trainer, &clock)) {
            clock_sleep_ms(1);
        }
    }
    assert_int_equal(clock, want_clock);
}

static void who_waits_is_woken(void **state) {
    (void)state;
    struct thread learns = {0}, closes = {0};
    uint32_t first = 0, second = 1;
    pace_init(&pace, 2, 0);
    uint64_t start_ms = clock_mono_ms();
    assert_int_equal(thread_start(&learns, "first", enter_long, &first), OK);
    assert_int_equal(thread_start(&closes, "second", enter_long, &second), OK);
    await_question(0, 0);
    pace_learn(&pace, 0, 0);
    assert_int_equal(thread_join(&learns), OK);
    clock_sleep_ms(5);
    pace_close(&pace);
    assert_int_equal(thread_join(&closes), ERR_CLOSED);
    assert_true(clock_mono_ms() - start_ms < 10000);
    assert_int_equal(pace_enter(&pace, 0, 1), ERR_CLOSED);
    pace_fini(&pace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_batch_waits_for_an_answer),
        cmocka_unit_test(a_fenced_batch_is_not_trained),
        cmocka_unit_test(the_bound_holds),
        cmocka_unit_test(who_is_idle_leaves_and_joins_again),
        cmocka_unit_test(who_is_busy_again_says_nothing),
        cmocka_unit_test(answers_are_not_shared),
        cmocka_unit_test(counters_and_bins),
        cmocka_unit_test(records_in_bins),
        cmocka_unit_test(bins_by_form),
        cmocka_unit_test(who_waits_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
