#include "common/base/entropy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void numbers_differ(void **state) {
    (void)state;
    const uint64_t first = entropy_u64();
    for (int i = 0; i < 1000; i++) {
        const uint64_t x = entropy_u64();
        assert_true(x != 0 && x != first);
    }
}

static uint64_t next;

static uint64_t count(void) {
    return next += 2;
}

static void a_source_can_be_given(void **state) {
    (void)state;
    next = UINT64_MAX - 3; /* 2^64 - 2, then 0: a number is never that */
    entropy_source_set(count);
    assert_true(entropy_u64() == UINT64_MAX);
    assert_true(entropy_u64() == 1);
    assert_true(entropy_u64() == 3);
    entropy_source_set(NULL);
    assert_true(entropy_u64() != 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_differ),
        cmocka_unit_test(a_source_can_be_given),
    };
    return cmocka_run_group_tests_name("entropy", tests, NULL, NULL);
}
