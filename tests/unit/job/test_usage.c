/* Laps charge all time to something; sums and names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/job/usage.h"

#include <cmocka.h>

static void laps_sum_to_the_time_between(void **state) {
    struct laps l = {0};
    struct usage u = {0};
    (void)state;
    const uint64_t start_ns = clock_mono_ns();
    laps_start(&l);
    const uint64_t begin_ns = l.mark_ns;
    for (int i = 0; i < 1000; i++) {
        lap(&l, (enum stage)(i % STAGES));
    }
    const uint64_t end_ns = clock_mono_ns();
    uint64_t sum = 0;
    for (int s = 0; s < STAGES; s++) {
        sum += l.ns[s];
    }
    assert_int_equal(sum, l.mark_ns - begin_ns); /* nothing lost, nothing twice */
    assert_true(sum <= end_ns - start_ns);
    l.ns[STAGE_POOL] = 1500000000u;
    usage_add_laps(&u, &l);
    usage_add_laps(&u, &l);
    assert_true(u.stage_s[STAGE_POOL] == 3.0);
}

static void of_peaks_the_larger_counts(void **state) {
    struct usage a = {.cpu_s = 1, .peak_bytes = 10, .sent_bytes = 5, .received_bytes = 1};
    const struct usage b = {.cpu_s = 2, .peak_bytes = 7, .sent_bytes = 6, .received_bytes = 2};
    (void)state;
    usage_add(&a, &b);
    assert_true(a.cpu_s == 3.0 && a.peak_bytes == 10);
    assert_int_equal(a.sent_bytes, 11);
    assert_int_equal(a.received_bytes, 3);
}

static void a_process_has_used_something(void **state) {
    struct usage u = {.sent_bytes = 4};
    (void)state;
    volatile double x = 1;
    for (int i = 0; i < 20000000; i++) {
        x = x * 1.0000001;
    }
    usage_of_process(&u);
    assert_true(u.cpu_s > 0 && u.peak_bytes > 100000);
    assert_int_equal(u.sent_bytes, 0);
}

static void stages_have_their_own_names(void **state) {
    (void)state;
    for (int s = 0; s < STAGES; s++) {
        for (int t = 0; t < s; t++) {
            assert_string_not_equal(stage_name((enum stage)s), stage_name((enum stage)t));
        }
    }
    assert_string_equal(stage_name(STAGES), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laps_sum_to_the_time_between),
        cmocka_unit_test(of_peaks_the_larger_counts),
        cmocka_unit_test(a_process_has_used_something),
        cmocka_unit_test(stages_have_their_own_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
