#include "common/checkpoint/cell_code.h"

#include <string.h>
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 77u
#define MOST 40u

/* Numbers of all sizes, and now and then what is none. */
static void fill(float *x, uint64_t i) {
    for (uint32_t k = 0; k < MOST; k++) {
        uint32_t bits = (uint32_t)rng_u64(SEED, i, k);
        if (i % 3 != 0) { /* within the range of a scale */
            bits = (bits & 0x87ffffffu) | 0x38000000u;
        }
        memcpy(&x[k], &bits, sizeof bits);
    }
}

/* Every level of this CPU gives the bytes of the lowest, in both directions. */
static void test_levels_agree(void **state) {
    (void)state;
    const struct cell_codes *low = cell_codes_at(CPU_LOWEST);
    for (uint64_t i = 0; i < 6000; i++) {
        const size_t n = 1 + i % MOST;
        const bool has_sign = i % 2 != 0;
        float x[MOST];
        fill(x, i);
        for (enum cpu_level level = CPU_LOWEST; level <= cpu_level_found(); level++) {
            const struct cell_codes *c = cell_codes_at(level);
            uint8_t a[2 * MOST + 1] = {0}, b[2 * MOST + 1] = {0};
            float p[MOST] = {0}, q[MOST] = {0};
            low->u8_put(n, x, has_sign, i * 0x123456789abcu, 5, a);
            c->u8_put(n, x, has_sign, i * 0x123456789abcu, 5, b);
            assert_memory_equal(a, b, sizeof a);
            low->u8_get(n, a, has_sign, p);
            c->u8_get(n, a, has_sign, q);
            assert_memory_equal(p, q, sizeof p);
            low->bf16_put(n, x, has_sign, i, 9, a);
            c->bf16_put(n, x, has_sign, i, 9, b);
            assert_memory_equal(a, b, sizeof a);
            low->bf16_get(n, a, p);
            c->bf16_get(n, a, q);
            assert_memory_equal(p, q, sizeof p);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels_agree)};
    return cmocka_run_group_tests_name("cell_code", tests, NULL, NULL);
}
