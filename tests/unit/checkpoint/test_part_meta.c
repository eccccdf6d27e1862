#include "common/checkpoint/part_meta.h"

#include <string.h>
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 4711u

static void test_there_and_back(void **state) {
    (void)state;
    struct part_table tables[4] = {{"a", 18, 36, 232, OPT_ADAM, CELLS_F32, CELLS_F32, 0},
                                   {"b", 3, 1, 32, OPT_ROWWISE_ADAGRAD, CELLS_F32, CELLS_F32, 0},
                                   {"c", 18, 18, 160, OPT_RMSPROP, CELLS_F32, CELLS_F32, 0},
                                   {"d", 18, 1, 96, OPT_ROWWISE_RMSPROP, CELLS_F32, CELLS_F32, 0}};
    struct part_domain domains[2] = {{.bucket_begin = 5, .bucket_end = 9, .dense_step = 3},
                                     {.bucket_begin = 9, .bucket_end = 4096}};
    struct part_meta m = {5, 4096,   100, 9000,    2, OPT_ADAM, 3,    77,
                          0, tables, 4,   domains, 2, 0,        false};
    struct buf bytes = BUF_EMPTY;
    assert_int_equal(buf_put(&domains[0].applied, "names", 5), OK);
    assert_int_equal(part_meta_encode(&m, &bytes), OK);
    assert_int_equal(load_u32(bytes.data), 1); /* as it was before there were ids */
    const size_t old_bytes = bytes.len;
    struct part_meta before;
    assert_int_equal(part_meta_decode(&before, bytes.data, bytes.len), OK);
    assert_true(before.cut == 0 && before.version == 77);
    part_meta_free(&before);
    m.cut = UINT64_C(0x123456789abcdef1);
    buf_clear(&bytes);
    assert_int_equal(part_meta_encode(&m, &bytes), OK);
    struct part_meta out;
    assert_int_equal(part_meta_decode(&out, bytes.data, bytes.len), OK);
    assert_int_equal(bytes.len, old_bytes + 8);
    assert_int_equal(out.version, 77);
    assert_true(out.cut == m.cut);
    assert_int_equal(out.dense_end, 9000);
    assert_int_equal(out.table_count, 4);
    assert_memory_equal(out.tables, tables, sizeof tables);
    assert_int_equal(out.domains[0].dense_step, 3);
    assert_int_equal(out.domains[0].applied.len, 5);
    assert_memory_equal(out.domains[0].applied.data, "names", 5);
    part_meta_free(&out);
    for (size_t n = 0; n < bytes.len; n++) {
        assert_int_equal(part_meta_decode(&out, bytes.data, n), ERR_CORRUPT);
    }
    for (uint64_t i = 0; i < 5000; i++) {
        const uint64_t at = rng_below(SEED, i, 0, bytes.len);
        const uint8_t old = bytes.data[at];
        bytes.data[at] = (uint8_t)rng_u64(SEED, i, 1);
        const enum status status = part_meta_decode(&out, bytes.data, bytes.len);
        assert_true(status == OK || status == ERR_CORRUPT);
        if (status == OK) { /* what is accepted is the bytes */
            struct buf again = BUF_EMPTY;
            assert_int_equal(part_meta_encode(&out, &again), OK);
            assert_int_equal(again.len, bytes.len);
            assert_memory_equal(again.data, bytes.data, bytes.len);
            buf_fini(&again);
            part_meta_free(&out);
        }
        bytes.data[at] = old;
    }
    buf_fini(&bytes);
    buf_fini(&domains[0].applied);
}

/* Cells other than f32 bring version 3 and two numbers a table; nothing else does. */
static void test_kinds_of_cells(void **state) {
    (void)state;
    struct part_table tables[2] = {{"a", 18, 36, 92, OPT_ADAM, CELLS_BF16, CELLS_U8, 0},
                                   {"b", 18, 1, 96, OPT_ROWWISE_ADAGRAD, CELLS_F32, CELLS_F32, 0}};
    struct part_domain domain = {.bucket_begin = 5, .bucket_end = 9};
    struct part_meta m = {5, 9, 100, 9000, 2, OPT_ADAM, 3, 77, 55, tables, 2, &domain, 1, 0, false},
                     out;
    struct buf bytes = BUF_EMPTY;
    assert_int_equal(part_meta_encode(&m, &bytes), OK);
    assert_int_equal(load_u32(bytes.data), 3);
    assert_int_equal(part_meta_decode(&out, bytes.data, bytes.len), OK);
    assert_memory_equal(out.tables, tables, sizeof tables);
    part_meta_free(&out);
    for (size_t n = 0; n < bytes.len; n++) {
        assert_int_equal(part_meta_decode(&out, bytes.data, n), ERR_CORRUPT);
    }
    bytes.data[0] = 5;
    assert_int_equal(part_meta_decode(&out, bytes.data, bytes.len), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "part 5, this program"));
    assert_non_null(strstr(fail_text(), "reads 1 to 4"));
    buf_clear(&bytes);
    tables[1].state = CELLS_U8; /* there is no vector */
    assert_int_equal(part_meta_encode(&m, &bytes), OK);
    assert_int_equal(part_meta_decode(&out, bytes.data, bytes.len), ERR_CORRUPT);
    tables[1].state = CELLS_F32;
    buf_clear(&bytes);
    tables[0] = (struct part_table){"a", 18, 36, 232, OPT_ADAM, CELLS_F32, CELLS_F32, 0};
    assert_int_equal(part_meta_encode(&m, &bytes), OK);
    assert_int_equal(load_u32(bytes.data), 2);
    buf_fini(&bytes);
}

/* Parts of deltas have version 4, whatever their cells: the base, and what an age is judged by. */
static void test_delta(void **state) {
    (void)state;
    struct part_table tables[2] = {{"a", 18, 36, 232, OPT_ADAM, CELLS_F32, CELLS_F32, 1000},
                                   {"b", 18, 36, 92, OPT_ADAM, CELLS_BF16, CELLS_U8, 0}};
    struct part_domain domains[2] = {{.bucket_begin = 5, .bucket_end = 7, .clock = 3},
                                     {.bucket_begin = 7, .bucket_end = 9, .clock = 1ull << 40}};
    struct part_meta m = {5,      9,      100, 9000,    2, OPT_ADAM, 3,    77,
                          0xabcd, tables, 2,   domains, 2, 0x1234,   false},
                     out;
    struct buf bytes = BUF_EMPTY;
    for (int whole = 0; whole < 2; whole++) {
        m.whole = whole != 0;
        buf_clear(&bytes);
        assert_int_equal(part_meta_encode(&m, &bytes), OK);
        assert_int_equal(load_u32(bytes.data), 4);
        assert_int_equal(part_meta_decode(&out, bytes.data, bytes.len), OK);
        assert_memory_equal(out.tables, tables, sizeof tables);
        assert_true(out.base == 0x1234 && out.whole == m.whole);
        assert_int_equal(out.domains[0].clock, 3);
        assert_true(out.domains[1].clock == 1ull << 40);
        part_meta_free(&out);
    }
    for (size_t n = 0; n < bytes.len; n++) {
        assert_int_equal(part_meta_decode(&out, bytes.data, n), ERR_CORRUPT);
    }
    for (uint64_t i = 0; i < 5000; i++) {
        const uint64_t at = rng_below(SEED, i, 2, bytes.len);
        const uint8_t old = bytes.data[at];
        bytes.data[at] = (uint8_t)rng_u64(SEED, i, 3);
        const enum status status = part_meta_decode(&out, bytes.data, bytes.len);
        assert_true(status == OK || status == ERR_CORRUPT);
        if (status == OK) {
            struct buf again = BUF_EMPTY;
            assert_int_equal(part_meta_encode(&out, &again), OK);
            assert_int_equal(again.len, bytes.len);
            assert_memory_equal(again.data, bytes.data, bytes.len);
            buf_fini(&again);
            part_meta_free(&out);
        }
        bytes.data[at] = old;
    }
    buf_fini(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back),
                                       cmocka_unit_test(test_kinds_of_cells),
                                       cmocka_unit_test(test_delta)};
    return cmocka_run_group_tests_name("part_meta", tests, NULL, NULL);
}
