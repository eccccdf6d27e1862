#include "common/base/logit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("got %.17g, expected %.17g within %g", got, want, tolerance);
    }
}

static void far_logits_lose_nothing(void **state) {
    (void)state;
    for (double a = -12; a <= 12; a += 0.7) {
        for (double b = -12; b <= 12; b += 0.9) {
            double r = 1 / (1 + exp(-a)) / (1 + exp(-b));
            assert_near(ctcvr_logit(a, b), log(r) - log1p(-r), 1e-9);
            assert_true(ctcvr_logit(a, b) == ctcvr_logit(b, a));
        }
    }
    assert_near(ctcvr_logit(800, 800), 800 - log(2), 1e-12);
    assert_near(ctcvr_logit(-800, -700), -1500, 1e-12);
    assert_near(ctcvr_logit(800, -3), -3, 1e-14);
    assert_near(softplus(-40), exp(-40), 1e-30);
    assert_near(softplus(1000), 1000, 0);
    for (double a = -12; a <= 12; a += 0.7) {
        for (double b = -12; b <= 12; b += 0.9) {
            assert_near(division_log(a, b), log((1 + exp(-a)) / (1 + exp(-b))), 1e-12);
        }
    }
    assert_near(division_log(-700, -800), -100, 1e-12);
    assert_near(division_log(-800, 0), 800 - log(2), 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(far_logits_lose_nothing),
    };
    return cmocka_run_group_tests_name("logit", tests, NULL, NULL);
}
