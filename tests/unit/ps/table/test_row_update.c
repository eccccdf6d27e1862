#include "ps/table/row_update.h"

#include <string.h>
#include "common/base/rng.h"
#include "ps/table/row_fused.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED  41u
#define BYTES (sizeof(float) * (DIM_MAX + ROW_STATE_MAX))
#define STEPS 12u

static const enum optimizer_kind kinds[] = {OPT_ADAM, OPT_RMSPROP, OPT_ADAGRAD};

static struct optimizer_config config_of(enum optimizer_kind kind, uint32_t dim) {
    struct optimizer_config o = {.kind = kind,
                                 .correction = dim % 3 == 0 ? CORRECT_ROW : CORRECT_BATCH,
                                 .lr = 0.01f,
                                 .beta1 = 0.9f,
                                 .beta2 = 0.999f,
                                 .eps = 1e-8f,
                                 .adagrad_init = 0.1f};
    o.l2 = dim % 2 == 0 ? 0.0f : 0.03f;
    o.decay = dim % 5 < 2 ? 0.0f : 0.4f;
    return o;
}

/* Gradients of all sizes; now and then a row of zeros, or numbers whose square is an infinity. */
static void draw_gradient(float *g, uint32_t dim, uint32_t step) {
    const float sizes[] = {1e-3f, 1.0f, 1e-20f, 0.0f, 1e-3f, 1e18f, 1e25f};
    for (uint32_t i = 0; i < dim; i++) {
        g[i] = (float)(rng_unit(SEED, step, i + 1000 * dim) - 0.5) *
               (step + 2 < STEPS ? sizes[(step + dim) % 5] : sizes[step % 7]);
    }
}

/* Ten updates of a row at one level, in registers where there is such an update, have the bytes of
 * the same updates step by step on the lowest level. */
static void check_row(enum optimizer_kind kind, enum cell_kind weights, enum cell_kind cells,
                      uint32_t dim, enum cpu_level level) {
    const struct optimizer_config o = config_of(kind, dim);
    const struct row_layout l = row_layout(dim, kind, weights, cells);
    struct row_layout low = l;
    struct row_updates steps, whole;
    uint8_t want[BYTES] = {0}, got[BYTES] = {0};
    float w[DIM_MAX], g[DIM_MAX];
    low.codes = cell_codes_at(CPU_LOWEST);
    row_updates_init(&steps, &low, &o, CPU_LOWEST);
    row_updates_init(&whole, &l, &o, level);
    const bool in_registers = cells == CELLS_U8 && dim >= row_fused_at(level)->dim_min;
    assert_int_equal(whole.fused != NULL, in_registers);
    for (uint32_t i = 0; i < dim; i++) {
        w[i] = (float)(rng_unit(SEED, dim, i) - 0.5);
    }
    row_fresh(&l, &o, 9, w, want);
    memcpy(got, want, sizeof got);
    for (uint32_t step = 1; step <= STEPS; step++) {
        const uint64_t key = row_key(SEED, dim, step);
        const float lr = step % 4 == 0 ? 0.5f * o.lr : o.lr;
        draw_gradient(g, dim, step);
        row_updates_pace(&steps, lr, step + step / 5);
        row_updates_pace(&whole, lr, step + step / 5);
        row_update_by_steps(&steps, key, want, g);
        row_update(&whole, key, got, g);
        assert_memory_equal(want, got, sizeof want);
    }
}

static void test_registers_and_steps_agree(void **state) {
    (void)state;
    for (uint32_t dim = 1; dim <= DIM_MAX; dim += dim < 70 ? 1 : 31) {
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            for (enum cpu_level level = CPU_LOWEST; level <= cpu_level_found(); level++) {
                check_row(kinds[k], CELLS_F32, CELLS_U8, dim, level);
                check_row(kinds[k], CELLS_BF16, CELLS_U8, dim, level);
                check_row(kinds[k], CELLS_BF16, CELLS_BF16, dim, level);
            }
        }
    }
}

/* Rate and step of one push are no other's. */
static void test_pace_follows(void **state) {
    (void)state;
    const struct optimizer_config o = config_of(OPT_ADAM, 16);
    const struct row_layout l = row_layout(16, OPT_ADAM, CELLS_F32, CELLS_U8);
    struct row_updates u;
    row_updates_init(&u, &l, &o, CPU_LOWEST);
    row_updates_pace(&u, 0.5f, 1);
    const struct rule_pace first = u.pace;
    assert_true(first.rate > 4.99f && first.rate < 5.01f); /* lr / (1 - beta1) */
    row_updates_pace(&u, 0.25f, 1);
    assert_true(u.pace.rate > 2.49f && u.pace.rate < 2.51f);
    row_updates_pace(&u, 0.25f, 100000);
    assert_true(u.pace.rate > 0.249f && u.pace.rate < 0.251f);
    assert_true(u.pace.scale > 0.99f && u.pace.scale < 1.01f);
    row_updates_pace(&u, 0.5f, 1);
    assert_memory_equal(&u.pace, &first, sizeof first);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_registers_and_steps_agree),
                                       cmocka_unit_test(test_pace_follows)};
    return cmocka_run_group_tests_name("row_update", tests, NULL, NULL);
}
