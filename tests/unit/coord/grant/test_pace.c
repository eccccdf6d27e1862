/* Unit tests of coord/grant/pace.h: who is named as slow, and who is not. */
#include "coord/grant/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define WORKERS 5u

static uint64_t finished[WORKERS];

/* A window in which the workers finish so many batches each; returns a bit for each that became
 * slow. */
static uint32_t window(struct pace *p, const uint64_t batches[WORKERS]) {
    static uint64_t now_ms = 1000;
    uint32_t slow = 0;
    now_ms += PACE_MS;
    assert_true(pace_due(p, now_ms));
    for (uint32_t w = 0; w < WORKERS; w++) {
        finished[w] += batches[w];
        pace_worker(p, w, w + 1, finished[w]);
    }
    pace_judge(p, now_ms);
    assert_false(pace_due(p, now_ms + PACE_MS - 1));
    for (uint32_t w = 0; w < WORKERS; w++) {
        slow |= (uint32_t)pace_became_slow(p, w) << w;
    }
    return slow;
}

static void begin(struct pace *p) {
    const uint64_t even[WORKERS] = {7, 7, 7, 7, 7};
    assert_int_equal(pace_init(p, WORKERS), OK);
    assert_int_equal(window(p, even), 0); /* nothing is known before the first one */
}

static void one_is_slow_and_told_once(void **state) {
    (void)state;
    const uint64_t one[WORKERS] = {300, 310, 30, 290, 305},
                   even[WORKERS] = {300, 310, 31, 290, 305};
    struct pace p;
    begin(&p);
    assert_int_equal(window(&p, one), 1 << 2);
    assert_int_equal(p.median, 300);
    assert_int_equal(window(&p, one), 0);
    assert_int_equal(window(&p, even), 0); /* not slow: a ninth */
    assert_int_equal(window(&p, one), 1 << 2);
    pace_fini(&p);
}

static void who_had_no_work_is_not_slow(void **state) {
    (void)state;
    const uint64_t one[WORKERS] = {300, 310, 0, 290, 305};
    struct pace p;
    begin(&p);
    pace_idle(&p, 2);
    assert_int_equal(window(&p, one), 0);
    assert_int_equal(window(&p, one), 1 << 2);
    finished[2] = 0; /* started again */
    p.worker[2].incarnation = 99;
    assert_int_equal(window(&p, one), 0);
    pace_fini(&p);
}

static void few_batches_say_nothing(void **state) {
    (void)state;
    const uint64_t few[WORKERS] = {19, 19, 0, 19, 19}, enough[WORKERS] = {20, 20, 0, 20, 20};
    struct pace p;
    begin(&p);
    assert_int_equal(window(&p, few), 0);
    assert_int_equal(window(&p, enough), 1 << 2);
    pace_fini(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_slow_and_told_once),
        cmocka_unit_test(who_had_no_work_is_not_slow),
        cmocka_unit_test(few_batches_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
