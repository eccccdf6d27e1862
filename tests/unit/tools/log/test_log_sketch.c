/* How many distinct ids a sketch takes them for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "tools/log/log_sketch.h"

#include <cmocka.h>

static struct log_sketch sketch, left, right;

/* 1 to n, each `times`; as numbers or as hashes of them. */
static double count(uint64_t n, unsigned times, bool hashed) {
    memset(&sketch, 0, sizeof sketch);
    for (unsigned k = 0; k < times; k++) {
        for (uint64_t i = 1; i <= n; i++) {
            log_sketch_add(&sketch, hashed ? hash_bytes(&i, sizeof i) : i);
        }
    }
    return log_sketch_count(&sketch);
}

static void test_counts(void **state) {
    static const uint64_t sizes[] = {1, 10, 300, 1000, 2500, 3000, 5000, 20000, 1000000};
    (void)state;
    for (unsigned k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (int hashed = 0; hashed < 2; hashed++) {
            const double ratio = count(sizes[k], 1 + k % 3, hashed != 0) / (double)sizes[k];
            if (ratio < 0.91 || ratio > 1.09) {
                fail_msg("%llu ids are taken for %.3f as many", (unsigned long long)sizes[k],
                         ratio);
            }
        }
    }
    memset(&sketch, 0, sizeof sketch);
    assert_true(log_sketch_count(&sketch) == 0);
}

/* Two that are joined are one that saw everything. */
static void test_join(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 10000; i++) {
        log_sketch_add(i % 3 == 0 ? &left : &right, i);
        log_sketch_add(&right, i % 100);
    }
    count(9999, 1, false);
    log_sketch_add(&sketch, 0);
    log_sketch_join(&left, &right);
    assert_memory_equal(&left, &sketch, sizeof sketch);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts), cmocka_unit_test(test_join)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
