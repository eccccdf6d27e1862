#include "common/base/bytes.h"

#include <float.h>
#include <math.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 31u

static int fails_off(void **state) {
    (void)state;
    mem_fail_after(0);
    return 0;
}

static void fields_are_little_endian(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    assert_int_equal(buf_put_u8(&b, 0xfe), OK);
    assert_int_equal(buf_put_u32(&b, 0x04030201), OK);
    assert_int_equal(buf_put_u64(&b, 0x0807060504030201), OK);
    assert_int_equal(buf_put_f32(&b, 1.0f), OK);
    const uint8_t expected[] = {0xfe, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x80, 0x3f};
    assert_int_equal(b.len, sizeof expected);
    assert_memory_equal(b.data, expected, sizeof expected);
    struct cursor c = cursor_of(b.data, b.len);
    assert_int_equal(cursor_u8(&c), 0xfe);
    assert_int_equal(cursor_u32(&c), 0x04030201);
    assert_int_equal(cursor_u64(&c), 0x0807060504030201);
    assert_true(cursor_f32(&c) == 1.0f);
    assert_false(c.bad);
    assert_int_equal(cursor_left(&c), 0);
    buf_fini(&b);
    assert_null(b.data);
    buf_fini(&b);
}

static void floats_keep_their_bits(void **state) {
    (void)state;
    const float values[] = {0.0f, -0.0f, FLT_MIN / 8, -FLT_MAX, INFINITY, NAN};
    struct buf b = BUF_EMPTY;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(buf_put_f32(&b, values[i]), OK);
    }
    assert_memory_equal(b.data, values, sizeof values);
    struct cursor c = cursor_of(b.data, b.len);
    for (size_t i = 0; i < 6; i++) {
        const float v = cursor_f32(&c);
        assert_memory_equal(&v, &values[i], sizeof v);
    }
    buf_fini(&b);
}

static void varints_come_back(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    const struct {
        uint64_t value;
        size_t bytes;
    } cases[] = {{0, 1},          {127, 1},        {128, 2},       {16383, 2},
                 {16384, 3},      {UINT32_MAX, 5}, {INT64_MAX, 9}, {(uint64_t)1 << 63, 10},
                 {UINT64_MAX, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&b);
        assert_int_equal(buf_put_varint(&b, cases[i].value), OK);
        assert_int_equal(b.len, cases[i].bytes);
        struct cursor c = cursor_of(b.data, b.len);
        assert_true(cursor_varint(&c) == cases[i].value);
        assert_false(c.bad);
        assert_int_equal(cursor_left(&c), 0);
    }
    buf_clear(&b);
    for (uint64_t i = 0; i < 10000; i++) {
        assert_int_equal(buf_put_varint(&b, rng_u64(SEED, 0, i) >> (i % 64)), OK);
    }
    struct cursor c = cursor_of(b.data, b.len);
    for (uint64_t i = 0; i < 10000; i++) {
        assert_true(cursor_varint(&c) == rng_u64(SEED, 0, i) >> (i % 64));
    }
    assert_false(c.bad);
    assert_int_equal(cursor_left(&c), 0);
    buf_fini(&b);
}

static void a_varint_that_is_none_is_bad(void **state) {
    (void)state;
    const struct {
        uint8_t bytes[12];
        size_t n;
    } cases[] = {
        {{0}, 0},
        {{0x80}, 1},
        {{0xff, 0xff, 0xff, 0xff}, 4},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 10}, /* bit 65 */
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0}, 11},
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, 11},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cursor c = cursor_of(cases[i].bytes, cases[i].n);
        assert_int_equal(cursor_varint(&c), 0);
        assert_true(c.bad);
    }
}

static void over_reads_are_bad_and_stay_so(void **state) {
    (void)state;
    uint8_t eight[8];
    memset(eight, 0xff, sizeof eight);
    for (size_t n = 0; n < 8; n++) {
        struct cursor c = cursor_of(eight, n);
        assert_int_equal(cursor_u64(&c), 0);
        assert_true(c.bad);
        assert_int_equal(cursor_u8(&c), 0); /* although bytes are left */
        assert_int_equal(cursor_u32(&c), 0);
        assert_true(cursor_f32(&c) == 0);
        assert_int_equal(cursor_varint(&c), 0);
        assert_null(cursor_take(&c, 0));
        assert_true(c.bad);
    }
    struct cursor c = cursor_of(eight, 8);
    assert_null(cursor_take(&c, SIZE_MAX));
    assert_true(c.bad);
    c = cursor_of(eight, 8);
    assert_ptr_equal(cursor_take(&c, 8), eight);
    assert_ptr_equal(cursor_take(&c, 0), eight + 8);
    assert_false(c.bad);
}

/* Random reads over random bytes in a block of exactly that size: a sanitizer sees a byte too far.
 */
static void hostile_bytes_are_not_over_read(void **state) {
    (void)state;
    for (uint64_t round = 0; round < 3000; round++) {
        const size_t n = (size_t)rng_below(SEED, 1, round, 40) + 1;
        uint8_t *block = test_malloc(n); /* cmocka guards both ends */
        for (size_t i = 0; i < n; i++) {
            block[i] = (uint8_t)(rng_u64(SEED, 2, round * 64 + i) | (round % 3 == 0 ? 0x80 : 0));
        }
        struct cursor c = cursor_of(block, n);
        for (uint64_t k = 0; !c.bad; k++) {
            const size_t before = cursor_left(&c);
            switch (rng_below(SEED, round + 10, k, 6)) {
            case 0: cursor_u8(&c); break;
            case 1: cursor_u32(&c); break;
            case 2: cursor_u64(&c); break;
            case 3: cursor_f32(&c); break;
            case 4: cursor_varint(&c); break;
            default: cursor_take(&c, (size_t)(rng_u64(SEED, round, k) >> (k % 64))); break;
            }
            assert_true(cursor_left(&c) <= before && c.at >= block && c.at <= block + n);
            assert_true(k < 1000);
        }
        test_free(block);
    }
}

static void zigzag_folds_signs(void **state) {
    (void)state;
    const int64_t values[] = {0, -1, 1, -2, 2, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < 7; i++) {
        assert_true(zigzag_decode(zigzag_encode(values[i])) == values[i]);
    }
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(zigzag_encode(values[i]), i);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        const int64_t v = (int64_t)rng_u64(SEED, 3, i);
        assert_true(zigzag_decode(zigzag_encode(v)) == v);
    }
}

static void loads_and_stores_need_no_alignment(void **state) {
    (void)state;
    uint8_t bytes[24] = {0};
    for (size_t at = 0; at < 8; at++) {
        store_u64(bytes + at, 0x1122334455667788u + at);
        assert_true(load_u64(bytes + at) == 0x1122334455667788u + at);
        store_u32(bytes + at, 0xa1b2c3d4u);
        assert_int_equal(load_u32(bytes + at), 0xa1b2c3d4u);
    }
}

static void a_buffer_grows_and_keeps(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(buf_put_u32(&b, i), OK);
        assert_true(b.len <= b.cap);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(load_u32(b.data + 4 * i), i);
    }
    const size_t cap = b.cap;
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.cap, cap);
    assert_int_equal(buf_reserve(&b, cap), OK);
    assert_int_equal(b.cap, cap);
    assert_int_equal(buf_put(&b, NULL, 0), OK);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void printf_appends_and_ends_with_nul(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    assert_int_equal(buf_printf(&b, "%s", ""), OK);
    assert_int_equal(b.len, 0);
    assert_string_equal((char *)b.data, "");
    for (int i = 0; i < 100; i++) {
        assert_int_equal(buf_printf(&b, "%02d", i), OK);
        assert_int_equal(b.len, 2 * (i + 1));
        assert_int_equal(b.data[b.len], '\0');
    }
    assert_memory_equal(b.data + 2 * 41, "4142", 4);
    buf_fini(&b);
}

static void no_memory_leaves_the_buffer_whole(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    mem_fail_after(1);
    assert_int_equal(buf_put_u8(&b, 1), ERR_MEMORY);
    assert_int_equal(buf_printf(&b, "x"), ERR_MEMORY);
    assert_int_equal(buf_put_varint(&b, 1), ERR_MEMORY);
    assert_int_equal(b.len, 0);
    mem_fail_after(0);
    assert_int_equal(buf_put(&b, "abc", 3), OK);
    mem_fail_after(1);
    assert_int_equal(buf_reserve(&b, b.cap), ERR_MEMORY);
    mem_fail_after(0);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), ERR_MEMORY);
    assert_int_equal(buf_reserve(&b, SIZE_MAX - 2), ERR_MEMORY);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "abc", 3);
    buf_fini(&b);
}

static void bits_are_counted_from_the_lowest(void **state) {
    (void)state;
    uint8_t bits[3] = {0};
    bit_set(bits, 0);
    bit_set(bits, 9);
    bit_set(bits, 23);
    bit_set(bits, 9);
    assert_memory_equal(bits, "\x01\x02\x80", 3);
    for (size_t i = 0; i < 24; i++) {
        assert_true(bit_get(bits, i) == (i == 0 || i == 9 || i == 23));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_little_endian),
        cmocka_unit_test(floats_keep_their_bits),
        cmocka_unit_test(varints_come_back),
        cmocka_unit_test(a_varint_that_is_none_is_bad),
        cmocka_unit_test(over_reads_are_bad_and_stay_so),
        cmocka_unit_test(hostile_bytes_are_not_over_read),
        cmocka_unit_test(zigzag_folds_signs),
        cmocka_unit_test(bits_are_counted_from_the_lowest),
        cmocka_unit_test(loads_and_stores_need_no_alignment),
        cmocka_unit_test(a_buffer_grows_and_keeps),
        cmocka_unit_test(printf_appends_and_ends_with_nul),
        cmocka_unit_test_teardown(no_memory_leaves_the_buffer_whole, fails_off),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
