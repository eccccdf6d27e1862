/* Unit tests of common/job/usage.h: buckets are where they are said to be, quantiles are never
 * too low. */
#include <stdlib.h>

#include "common/base/rng.h"
#include "common/job/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void buckets(void **state) {
    (void)state;
    for (uint32_t b = 0; b < LATENCY_BUCKETS; b++) {
        assert_int_equal(latency_bucket(latency_from_us(b)), b);
        assert_int_equal(latency_bucket(latency_from_us(b + 1) - 1), b);
        assert_true(b < 4 || latency_from_us(b + 1) <= latency_from_us(b) * 5 / 4);
    }
    assert_true(latency_from_us(LATENCY_BUCKETS) > 16000000);
    assert_int_equal(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}

static int by_size(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void quantiles(void **state) {
    (void)state;
    enum { N = 5000 };
    static uint64_t us[N];
    struct latency a = {0}, b = {0};
    assert_int_equal(latency_quantile_us(&a, 0.5), 0);
    for (uint32_t i = 0; i < N; i++) {
        us[i] = rng_below(7, i, 0, 1u << rng_below(7, i, 1, 24));
        latency_note(i % 2 == 0 ? &a : &b, us[i]);
    }
    latency_add(&a, &b);
    qsort(us, N, sizeof *us, by_size);
    assert_int_equal(latency_total(&a), N);
    assert_int_equal(a.max_us, us[N - 1]);
    assert_int_equal(latency_quantile_us(&a, 1), us[N - 1]);
    for (int percent = 1; percent < 100; percent++) {
        const uint64_t exact = us[N * percent / 100 - 1];
        const uint64_t said = latency_quantile_us(&a, percent / 100.0);
        assert_in_range(said, exact, exact * 5 / 4 + 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(buckets), cmocka_unit_test(quantiles)};
    return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
