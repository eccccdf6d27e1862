/* Unit tests of common/net/wire_bf16.h: every level of this CPU gives the same bytes, those of the
 * definition. test_wire.c has what rounding must do. */
#include "common/net/wire_bf16.h"

#include <string.h>

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 20261201u
#define MOST 300

/* To the nearest, ties to even, in wide integers; a NaN keeps the upper bits and becomes quiet. */
static uint16_t expected(uint32_t bits) {
    const uint32_t upper = bits >> 16, rest = bits & 0xffffu;
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)(upper | 0x40u);
    }
    return (uint16_t)(upper + (rest > 0x8000u || (rest == 0x8000u && (upper & 1u))));
}

/* Any bits, among them infinities, NaNs, ties and the largest numbers. */
static uint32_t draw(size_t n, size_t i) {
    const uint64_t r = rng_u64(SEED, n, i);
    static const uint32_t special[] = {0x7f800000u, 0xff800000u, 0x7f800001u, 0x7fffffffu,
                                       0x7f7fffffu, 0x3f808000u, 0x3f818000u, 0x80000001u};
    return r % 3 == 0 ? special[(r >> 8) % 8] : (uint32_t)(r >> 32);
}

static void test_levels(void **state) {
    (void)state;
    for (size_t n = 0; n <= MOST; n++) {
        for (enum cpu_level level = CPU_LOWEST; level <= cpu_level_found(); level++) {
            const struct wire_bf16 *bf16 = wire_bf16_at(level);
            uint32_t bits[MOST + 1];
            float values[MOST + 1], back[MOST + 1];
            uint8_t out[2 * MOST + 4];
            for (size_t i = 0; i < n; i++) {
                bits[i] = draw(n, i);
            }
            memcpy(values, bits, n * sizeof *values);
            memset(out, 0xa5, sizeof out);
            bf16->pack(values, n, out + 1); /* frames may be unaligned */
            bf16->unpack(out + 1, n, back);
            for (size_t i = 0; i < n; i++) {
                uint16_t half;
                uint32_t whole;
                memcpy(&half, out + 1 + 2 * i, sizeof half);
                memcpy(&whole, &back[i], sizeof whole);
                assert_int_equal(half, expected(bits[i]));
                assert_int_equal(whole, (uint32_t)half << 16);
            }
            assert_int_equal(out[0], 0xa5);
            assert_int_equal(out[1 + 2 * n], 0xa5);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
