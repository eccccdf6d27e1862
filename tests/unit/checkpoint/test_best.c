/* Unit tests of common/checkpoint/best.h. */
#include "common/checkpoint/best.h"

#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void better_and_patience(void **state) {
    (void)state;
    struct best b;
    best_init(&b, BEST_CTCVR);
    assert_true(isnan(b.figure));
    assert_false(best_take(&b, NAN, 1, 10)); /* undefined, as without a conversion */
    assert_int_equal(b.since, 1);
    assert_true(best_take(&b, 0.5, 2, 20));
    assert_int_equal(b.since, 0);
    assert_true(best_take(&b, 0.6, 3, 30));
    assert_false(best_take(&b, 0.6, 4, 40)); /* no better */
    assert_false(best_exhausted(&b, 2));
    assert_false(best_take(&b, 0.1, 5, 50));
    assert_true(best_exhausted(&b, 2));
    assert_false(best_exhausted(&b, 3));
    assert_false(best_exhausted(&b, 0));
    assert_int_equal(b.step, 3);
    assert_int_equal(b.impressions, 30);
    assert_true(best_take(&b, 0.7, 6, 60));
    assert_false(best_exhausted(&b, 1));
    assert_string_equal(best_metric_name(BEST_CVR), "cvr");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(better_and_patience)};
    return cmocka_run_group_tests_name("best", tests, NULL, NULL);
}
