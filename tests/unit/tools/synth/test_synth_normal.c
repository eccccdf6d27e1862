#include "tools/synth/synth_normal.h"

#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static const double rhos[] = {-0.95, -0.9, -0.6, -0.3, -0.01, 0, 0.01, 0.3, 0.4, 0.7, 0.9, 0.95};
static const double points[] = {-8, -5, -3.1, -2.25, -1.75, -1, -0.3, 0, 0.2, 1, 2.5, 4, 8};
#define RHOS   (sizeof rhos / sizeof rhos[0])
#define POINTS (sizeof points / sizeof points[0])

static double density(double x) {
    return 0.39894228040143267794 * exp(-0.5 * x * x);
}

/* The slow way: P = int_-inf^h density(x) Phi((k - rho x) / sqrt(1 - rho^2)) dx, Simpson's rule in
 * 4000 steps of at most 0.005. Nothing in common with the method under test. */
static double phi2_slow(double h, double k, double rho) {
    const int n = 4000;
    const double low = -12, step = (h - low) / n, s = sqrt(1 - rho * rho);
    double sum = 0;
    for (int i = 0; i <= n; i++) {
        const double x = low + i * step;
        const double weight = i == 0 || i == n ? 1 : i % 2 == 1 ? 4 : 2;
        sum += weight * density(x) * normal_phi((k - rho * x) / s);
    }
    return sum * step / 3;
}

static void close_to(double got, double want, double tolerance, double h, double k, double rho) {
    if (!(fabs(got - want) <= tolerance)) {
        fail_msg("phi2(%g, %g; %g) = %.17g, expected %.17g", h, k, rho, got, want);
    }
}

static void phi_known_values(void **state) {
    (void)state;
    assert_true(normal_phi(0) == 0.5);
    assert_true(fabs(normal_phi(1.959963984540054) - 0.975) < 1e-15);
    assert_true(fabs(normal_phi(-1.75068607125217) - 0.04) < 1e-15);
    assert_true(fabs(normal_phi(-8) / 6.220960574271784e-16 - 1) < 1e-12);
    assert_true(fabs(normal_phi(-20) / 2.753624118606233e-89 - 1) < 1e-12);
    assert_true(normal_phi(40) == 1 && normal_phi(-40) == 0);
}

static void phi2_against_slow(void **state) {
    (void)state;
    for (size_t r = 0; r < RHOS; r++) {
        struct phi2 p;
        phi2_init(&p, rhos[r], PHI2_NODES_MAX);
        for (size_t i = 0; i < POINTS; i++) {
            for (size_t j = 0; j < POINTS; j++) {
                const double h = points[i], k = points[j];
                close_to(phi2(&p, h, k), phi2_slow(h, k, rhos[r]), 1e-11, h, k, rhos[r]);
            }
        }
    }
}

/* The orthant: 1/4 + asin(rho) / (2 pi). Independence: a product. */
static void phi2_known_values(void **state) {
    (void)state;
    for (size_t r = 0; r < RHOS; r++) {
        struct phi2 p;
        phi2_init(&p, rhos[r], PHI2_NODES_MAX);
        close_to(phi2(&p, 0, 0), 0.25 + asin(rhos[r]) / (2 * acos(-1)), 1e-12, 0, 0, rhos[r]);
        for (size_t i = 0; rhos[r] == 0 && i < POINTS; i++) {
            for (size_t j = 0; j < POINTS; j++) {
                assert_true(phi2(&p, points[i], points[j]) ==
                            normal_phi(points[i]) * normal_phi(points[j]));
            }
        }
    }
}

/* Symmetry, the complement, the bounds of the margins, and margins that decide. */
static void phi2_identities(void **state) {
    (void)state;
    for (size_t r = 0; r < RHOS; r++) {
        struct phi2 p, minus;
        phi2_init(&p, rhos[r], PHI2_NODES_MAX);
        phi2_init(&minus, -rhos[r], PHI2_NODES_MAX);
        for (size_t i = 0; i < POINTS; i++) {
            const double h = points[i], a = normal_phi(h);
            for (size_t j = 0; j < POINTS; j++) {
                const double k = points[j], b = normal_phi(k), both = phi2(&p, h, k);
                close_to(phi2(&p, k, h), both, 1e-15, k, h, rhos[r]);
                close_to(phi2(&minus, h, -k), a - both, 2e-11, h, -k, -rhos[r]);
                assert_true(both >= 0 && both >= a + b - 1 && both <= a && both <= b);
            }
            close_to(phi2(&p, h, 30), a, 1e-15, h, 30, rhos[r]);
            close_to(phi2(&p, h, -30), 0, 1e-15, h, -30, rhos[r]);
            close_to(phi2(&p, 30, h), a, 1e-15, 30, h, rhos[r]);
        }
        assert_true(phi2(&p, -300, -300) == 0 && phi2(&p, 300, 300) == 1);
    }
}

/* More nodes are better: the calibration's 12 are good enough for it. */
static void phi2_nodes(void **state) {
    (void)state;
    for (size_t r = 0; r < RHOS; r++) {
        struct phi2 p;
        phi2_init(&p, rhos[r], PHI2_NODES_MAX / 2);
        const double h = -1.75, k = -2.3;
        close_to(phi2(&p, h, k), phi2_slow(h, k, rhos[r]), 1e-7, h, k, rhos[r]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phi_known_values),  cmocka_unit_test(phi2_against_slow),
        cmocka_unit_test(phi2_known_values), cmocka_unit_test(phi2_identities),
        cmocka_unit_test(phi2_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
