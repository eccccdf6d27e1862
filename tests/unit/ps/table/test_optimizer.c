#include "ps/table/optimizer.h"

#include <math.h>
#include <string.h>

#include "common/base/rng.h"
#include "tests/naive/optimizer_naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED   11u
#define WIDEST 70
#define STEPS  60

static const enum optimizer_kind kinds[] = {
    OPT_SGD,  OPT_ADAM,    OPT_ADAGRAD,        OPT_ROWWISE_ADAGRAD,
    OPT_FTRL, OPT_RMSPROP, OPT_ROWWISE_RMSPROP};

static struct optimizer_config config_of(enum optimizer_kind kind) {
    return (struct optimizer_config){.kind = kind,
                                     .lr = 0.05f,
                                     .beta1 = 0.9f,
                                     .beta2 = 0.999f,
                                     .eps = 1e-8f,
                                     .adagrad_init = 0.1f,
                                     .ftrl_l1 = 0.01f,
                                     .ftrl_l2 = 0.02f,
                                     .ftrl_beta = 1.0f};
}

static void near(double got, double want, double relative, double absolute) {
    if (!(fabs(got - want) <= relative * fabs(want) + absolute)) {
        fail_msg("got %.9g, want %.9g", got, want);
    }
}

/* One step each, by hand. */
static void test_hand_values(void **state) {
    (void)state;
    float w, s[2];
    const float g = 0.5f;
    struct optimizer_config o = config_of(OPT_SGD);
    w = 1.0f;
    optimizer_apply(&o, 1, 0.1f, 1, &w, s, &g);
    near((double)w, 1 - 0.1 * 0.5, 0, 1e-7);
    o.l2 = 0.2f;
    w = 1.0f;
    optimizer_apply(&o, 1, 0.1f, 1, &w, s, &g);
    near((double)w, 1 - 0.1 * (0.5 + 0.2), 0, 1e-7);

    o.decay = 3.0f; /* and 0.1 * 3 of the weight */
    w = 1.0f;
    optimizer_apply(&o, 1, 0.1f, 1, &w, s, &g);
    near((double)w, 1 - 0.1 * 3 - 0.1 * (0.5 + 0.2), 0, 1e-7);

    /* Adam's first step is lr * sign(g), whatever g. */
    o = config_of(OPT_ADAM);
    w = 1.0f;
    optimizer_state_init(&o, 1, &w, s);
    optimizer_apply(&o, 1, 0.1f, 1, &w, s, &g);
    near((double)w, 0.9, 0, 1e-6);
    near((double)s[0], 0.05, 1e-6, 0);
    near((double)s[1], 0.00025, 1e-4, 0);
    optimizer_apply(&o, 1, 0.1f, 2, &w, s, &g);
    near((double)w, 0.8, 0, 1e-5);

    o = config_of(OPT_ADAGRAD);
    o.adagrad_init = 0.75f;
    o.eps = 0.0f;
    w = 1.0f;
    optimizer_state_init(&o, 1, &w, s);
    near((double)s[0], 0.75, 0, 0);
    optimizer_apply(&o, 1, 0.1f, 1, &w, s, &g); /* n = 0.75 + 0.25 = 1 */
    near((double)w, 1 - 0.1 * 0.5, 0, 1e-7);

    o = config_of(OPT_ROWWISE_ADAGRAD);
    o.adagrad_init = 0.0f;
    o.eps = 0.0f;
    float w2[2] = {1.0f, 1.0f};
    const float g2[2] = {3.0f, 4.0f};
    optimizer_state_init(&o, 2, w2, s);
    optimizer_apply(&o, 2, 0.1f, 1, w2, s, g2); /* n = (9 + 16) / 2 */
    near((double)s[0], 12.5, 1e-6, 0);
    near((double)w2[0], 1 - 0.1 * 3 / sqrt(12.5), 1e-6, 0);
    near((double)w2[1], 1 - 0.1 * 4 / sqrt(12.5), 1e-6, 0);

    o = config_of(OPT_FTRL);
    o.lr = 0.5f;
    o.ftrl_l1 = 0.25f;
    o.ftrl_l2 = 0.0f;
    w = 0.0f;
    optimizer_state_init(&o, 1, &w, s);
    const float g1 = 2.0f;
    optimizer_apply(&o, 1, 0.5f, 1, &w, s, &g1); /* z = 2, n = 4, w = -(2-.25)/((1+2)/.5) */
    near((double)w, -1.75 / 6, 1e-6, 0);
    const float small = 0.1f; /* within l1: exactly 0 */
    w = 0.0f;
    optimizer_state_init(&o, 1, &w, s);
    optimizer_apply(&o, 1, 0.5f, 1, &w, s, &small);
    assert_true(w == 0.0f);
}

/* A fresh FTRL row keeps its initial weights through an update by 0. */
static void test_ftrl_keeps_initial(void **state) {
    (void)state;
    const struct optimizer_config o = config_of(OPT_FTRL);
    float w[3] = {0.5f, -0.25f, 0.0f}, s[6];
    const float g[3] = {0};
    optimizer_state_init(&o, 3, w, s);
    optimizer_apply(&o, 3, o.lr * 0.01f, 1, w, s, g);
    near((double)w[0], 0.5, 1e-6, 0);
    near((double)w[1], -0.25, 1e-6, 0);
    assert_true(w[2] == 0.0f);
}

static float draw(uint64_t a, uint64_t b) {
    return (float)rng_normal(SEED, a, b);
}

/* All rules, many dims (tails of the vector loops), with l2 and decay and without. */
static void test_against_naive(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (uint32_t dim = 1; dim <= WIDEST; dim += dim < 20 ? 1 : 7) {
            struct optimizer_config o = config_of(kinds[k]);
            float w[WIDEST], s[2 * WIDEST], w2[WIDEST], s2[2 * WIDEST], g[WIDEST];
            o.l2 = dim % 2 == 0 ? 0.0f : 0.03f;
            o.decay = dim % 5 < 2 || kinds[k] == OPT_FTRL ? 0.0f : 0.4f;
            o.correction = dim % 3 == 0 ? CORRECT_ROW : CORRECT_BATCH;
            o.eps = 0.02f; /* large enough to tell where it is added */
            for (uint32_t i = 0; i < dim; i++) {
                w[i] = 0.1f * draw(dim, i);
            }
            optimizer_state_init(&o, dim, w, s);
            memcpy(w2, w, sizeof w);
            memcpy(s2, s, optimizer_state_floats(o.kind, dim) * sizeof(float));
            for (uint32_t step = 1; step <= STEPS; step++) {
                for (uint32_t i = 0; i < dim; i++) {
                    g[i] = draw(dim * 1000 + step, i);
                }
                optimizer_apply(&o, dim, o.lr, step, w, s, g);
                optimizer_apply_naive(&o, dim, o.lr, step, w2, s2, g);
                for (uint32_t i = 0; i < dim; i++) {
                    near((double)w[i], (double)w2[i], 1e-3, 2e-4);
                }
            }
        }
    }
}

/* Every level that this CPU has gives the bits of the lowest one, whatever the length. */
static void test_levels_agree(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (uint32_t dim = 1; dim <= WIDEST; dim++) {
            struct optimizer_config o = config_of(kinds[k]);
            float want[3 * WIDEST] = {0};
            o.l2 = dim % 2 == 0 ? 0.0f : 0.03f;
            o.decay = dim % 5 < 2 || kinds[k] == OPT_FTRL ? 0.0f : 0.4f;
            for (enum cpu_level level = CPU_LOWEST; level <= cpu_level_found(); level++) {
                const struct optimizer_rules *rules = optimizer_rules_at(level);
                float row[3 * WIDEST] = {0}, g[WIDEST];
                for (uint32_t i = 0; i < dim; i++) {
                    row[i] = 0.1f * draw(dim, i);
                    g[i] = draw(dim * 1000, i);
                }
                rules->state_init(&o, dim, row, row + dim);
                rules->apply(&o, dim, o.lr, 7, row, row + dim, g);
                float *s0 = row + dim;
                rules->apply_arrays(&o, dim, o.lr, 8, row, s0, s0 + dim, g);
                if (level == CPU_LOWEST) {
                    memcpy(want, row, sizeof want);
                }
                assert_memory_equal(row, want, sizeof want);
            }
        }
    }
}

/* Decay shrinks what the gradient leaves alone, and is no part of the state. */
static void test_decay_is_decoupled(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct optimizer_config o = config_of(kinds[k]), plain = o;
        float w[3] = {1.0f, -0.5f, 0.0f}, v[3], s[6], s2[6];
        const float none[3] = {0}, g[3] = {0.3f, -0.2f, 0.1f};
        if (o.kind == OPT_FTRL) {
            continue; /* a config error */
        }
        o.decay = 0.25f;
        memcpy(v, w, sizeof w);
        optimizer_state_init(&o, 3, w, s);
        optimizer_state_init(&o, 3, w, s2);
        optimizer_apply(&o, 3, 0.1f, 1, w, s, none);
        near((double)w[0], 1 - 0.1 * 0.25, 1e-6, 0);
        near((double)w[1], -0.5 * (1 - 0.1 * 0.25), 1e-6, 0);
        assert_true(w[2] == 0.0f);
        optimizer_apply(&plain, 3, 0.1f, 1, v, s2, none);
        optimizer_apply(&o, 3, 0.1f, 2, w, s, g);
        optimizer_apply(&plain, 3, 0.1f, 2, v, s2, g);
        assert_memory_equal(s, s2, optimizer_state_floats(o.kind, 3) * sizeof(float));
        assert_memory_not_equal(w, v, sizeof w);
    }
}

/* Bits of an element do not depend on its neighbours, the row's length or its alignment. */
static void test_bits_are_position_free(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const struct optimizer_config o = config_of(kinds[k]);
        if (o.kind == OPT_ROWWISE_ADAGRAD || o.kind == OPT_ROWWISE_RMSPROP) {
            continue; /* one accumulator for the row */
        }
        for (uint32_t i = 0; i < 40; i++) {
            float many[64], g[64], s0[64] = {0}, s1[64] = {0};
            for (uint32_t n = 0; n < 40; n++) {
                many[n] = draw(7, n);
                g[n] = draw(8, n);
                s0[n] = s1[n] = 0.5f;
            }
            float w = many[i], a = s0[i], b = s1[i];
            optimizer_apply_arrays(&o, 1, o.lr, 3, &w, &a, &b, &g[i]);
            optimizer_apply_arrays(&o, 40 - i % 3, o.lr, 3, many, s0, s1, g);
            if (i < 40 - i % 3) {
                assert_memory_equal(&w, &many[i], sizeof w);
                assert_memory_equal(&a, &s0[i], sizeof a);
                assert_memory_equal(&b, &s1[i], sizeof b);
            }
        }
    }
}

/* rmsprop is adam with beta1 0, to the bit: what was measured with the one holds for the other. */
static void test_rmsprop_is_adam_without_momentum(void **state) {
    (void)state;
    for (uint32_t k = 0; k < 4; k++) {
        struct optimizer_config adam = config_of(OPT_ADAM), rms = config_of(OPT_RMSPROP);
        float w[18], w2[18], s[36] = {0}, s2[18] = {0}, g[18];
        adam.beta1 = 0.0f;
        adam.correction = rms.correction = k % 2 == 0 ? CORRECT_BATCH : CORRECT_ROW;
        adam.l2 = rms.l2 = adam.decay = rms.decay = k < 2 ? 0.0f : 0.3f;
        for (uint32_t i = 0; i < 18; i++) {
            w[i] = w2[i] = draw(5, i);
        }
        for (uint32_t step = 1; step <= STEPS; step += 1 + k) {
            for (uint32_t i = 0; i < 18; i++) {
                g[i] = 1e-5f * draw(step, i);
            }
            optimizer_apply(&adam, 18, 0.01f, step, w, s, g);
            optimizer_apply(&rms, 18, 0.01f, step, w2, s2, g);
            assert_memory_equal(w, w2, sizeof w);
            assert_memory_equal(s + 18, s2, sizeof s2);
        }
    }
}

/* One v for the row: its first step, too, has the gradient's direction, and length lr sqrt(dim). */
static void test_rowwise_rmsprop_keeps_direction(void **state) {
    (void)state;
    const struct optimizer_config o = config_of(OPT_ROWWISE_RMSPROP);
    float w[2] = {0.0f, 0.0f}, s[1];
    const float g[2] = {3e-3f, 4e-3f};
    optimizer_state_init(&o, 2, w, s);
    optimizer_apply(&o, 2, 0.1f, 1, w, s, g);
    near((double)s[0], 0.001 * 12.5e-6, 1e-4, 0);
    near((double)w[0], -0.1 * 3 / sqrt(12.5), 1e-4, 0);
    near((double)w[1], -0.1 * 4 / sqrt(12.5), 1e-4, 0);
}

static void test_state_floats(void **state) {
    (void)state;
    assert_int_equal(optimizer_state_floats(OPT_SGD, 18), 0);
    assert_int_equal(optimizer_state_floats(OPT_ADAM, 18), 36);
    assert_int_equal(optimizer_state_floats(OPT_ADAGRAD, 18), 18);
    assert_int_equal(optimizer_state_floats(OPT_ROWWISE_ADAGRAD, 18), 1);
    assert_int_equal(optimizer_state_floats(OPT_FTRL, 18), 36);
    assert_int_equal(optimizer_state_floats(OPT_RMSPROP, 18), 18);
    assert_int_equal(optimizer_state_floats(OPT_ROWWISE_RMSPROP, 18), 1);
    assert_int_equal(optimizer_state_floats(OPT_ROWWISE_RMSPROP, 0), 0);
    assert_string_equal(optimizer_name(OPT_ROWWISE_ADAGRAD), "rowwise_adagrad");
    assert_string_equal(optimizer_name(OPT_ROWWISE_RMSPROP), "rowwise_rmsprop");
}

/* Bias correction stays exact when t is large. */
static void test_adam_late_steps(void **state) {
    (void)state;
    const struct optimizer_config o = config_of(OPT_ADAM);
    const uint32_t steps[] = {1000, 1u << 20, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        float w = 1.0f, s[2] = {0.1f, 0.01f}, w2 = w, s2[2] = {0.1f, 0.01f};
        const float g = 0.3f;
        optimizer_apply(&o, 1, 0.1f, steps[i], &w, s, &g);
        optimizer_apply_naive(&o, 1, 0.1f, steps[i], &w2, s2, &g);
        near((double)w, (double)w2, 1e-6, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hand_values),
        cmocka_unit_test(test_ftrl_keeps_initial),
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_levels_agree),
        cmocka_unit_test(test_bits_are_position_free),
        cmocka_unit_test(test_decay_is_decoupled),
        cmocka_unit_test(test_state_floats),
        cmocka_unit_test(test_adam_late_steps),
        cmocka_unit_test(test_rmsprop_is_adam_without_momentum),
        cmocka_unit_test(test_rowwise_rmsprop_keeps_direction),
    };
    return cmocka_run_group_tests_name("optimizer", tests, NULL, NULL);
}
