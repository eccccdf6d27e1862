/* Unit tests of coord/journal/journal_record.h: every kind there and back, every truncation, every
 * bit flipped. */
#include "sample.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* cmocka's; ours records a cause */

static void test_every_kind_comes_back(void **state) {
    (void)state;
    bool seen[JOURNAL_KINDS] = {false};
    size_t end[SAMPLE_RECORDS];
    struct buf file = BUF_EMPTY;
    struct journal_scan s;
    struct journal_record r;
    bool got;
    assert_int_equal(sample_file(&file, true, end), OK);
    assert_int_equal(journal_scan_open(&s, "j", file.data, file.len), OK);
    for (uint32_t i = 0; i < SAMPLE_RECORDS; i++) {
        const struct journal_record was = sample_record(i);
        struct buf again = BUF_EMPTY, first = BUF_EMPTY;
        assert_int_equal(journal_scan_next(&s, &r, &got), OK);
        assert_true(got);
        assert_int_equal(s.at, end[i]);
        assert_int_equal(r.kind, was.kind);
        seen[r.kind] = true;
        assert_int_equal(journal_record_put(&again, &r, 0, 0), OK);
        assert_int_equal(journal_record_put(&first, &was, 0, 0), OK);
        assert_int_equal(again.len, first.len);
        assert_memory_equal(again.data, first.data, first.len);
        buf_fini(&again);
        buf_fini(&first);
    }
    assert_int_equal(journal_scan_next(&s, &r, &got), OK);
    assert_false(got);
    assert_false(s.torn);
    for (int k = 1; k < JOURNAL_KINDS; k++) {
        assert_true(seen[k]);
    }
    buf_fini(&file);
}

/* The fields themselves, not only that the bytes are the same again. */
static void test_fields(void **state) {
    (void)state;
    struct buf file = BUF_EMPTY;
    struct journal_scan s;
    struct journal_record r;
    bool got;
    const struct journal_record ask = sample_ask(2, 6, 3, 17, 8, 18), life = sample_life();
    assert_int_equal(journal_head_put(&file), OK);
    assert_int_equal(journal_record_put(&file, &life, file.len, 0), OK);
    assert_int_equal(journal_record_put(&file, &ask, file.len, 0), OK);
    assert_int_equal(journal_scan_open(&s, "j", file.data, file.len), OK);
    assert_int_equal(journal_scan_next(&s, &r, &got), OK);
    assert_string_equal(r.u.life.bound, "tcp://0.0.0.0:4711");
    assert_true(r.u.life.job == life.u.life.job && r.u.life.rate_cvr == 1e-300);
    assert_int_equal(r.u.life.workers, SAMPLE_WORKERS);
    assert_int_equal(journal_scan_next(&s, &r, &got), OK);
    assert_true(r.u.ask.returns && r.u.ask.grants);
    assert_int_equal(r.u.ask.back.range, 3);
    assert_int_equal(r.u.ask.back_fence, 17);
    assert_int_equal(r.u.ask.lease.fence, 18);
    assert_int_equal(r.u.ask.lease.ahead, 13);
    buf_fini(&file);
}

static void test_truncation(void **state) {
    (void)state;
    size_t end[SAMPLE_RECORDS];
    struct buf file = BUF_EMPTY;
    assert_int_equal(sample_file(&file, true, end), OK);
    for (size_t n = 0; n < file.len; n++) {
        struct journal_state s = {0};
        size_t torn = 0, last = JOURNAL_HEAD_BYTES;
        for (uint32_t i = 0; i < SAMPLE_RECORDS && end[i] <= n; i++) {
            last = end[i];
        }
        const enum status status = journal_state_read(&s, "j", file.data, n, &torn);
        if (n < end[SAMPLE_WHOLE - 1]) {
            assert_int_equal(status, ERR_CORRUPT);
        } else {
            assert_int_equal(status, OK);
            assert_int_equal(torn, n - last);
        }
        journal_state_fini(&s);
    }
    buf_fini(&file);
}

/* Where every record says that those before were on disk, a flipped bit in any but the last one is
 * refused, with its offset; in the last one it cannot be told from a torn tail. */
static void test_flips(void **state) {
    (void)state;
    size_t end[SAMPLE_RECORDS];
    struct buf file = BUF_EMPTY;
    assert_int_equal(sample_file(&file, true, end), OK);
    for (size_t bit = 0; bit < 8 * file.len; bit++) {
        struct journal_state s = {0};
        size_t torn = 0, begin = 0;
        uint32_t i = 0;
        for (; i < SAMPLE_RECORDS && bit / 8 >= end[i]; i++) {
        }
        begin = i == 0 ? JOURNAL_HEAD_BYTES : end[i - 1];
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const enum status status = journal_state_read(&s, "j", file.data, file.len, &torn);
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (bit / 8 < JOURNAL_HEAD_BYTES) {
            assert_int_equal(status, ERR_CORRUPT);
        } else if (i < SAMPLE_RECORDS - 1) {
            char where[32];
            snprintf(where, sizeof where, "j: offset %zu: ", begin);
            assert_int_equal(status, ERR_CORRUPT);
            assert_non_null(strstr(fail_text(), where));
        } else {
            assert_int_equal(status, OK);
            assert_int_equal(torn, file.len - begin);
        }
        journal_state_fini(&s);
    }
    buf_fini(&file);
}

/* Where nothing was synced after the whole state, what follows a damaged record is cut off too. */
static void test_flips_unsynced(void **state) {
    (void)state;
    size_t end[SAMPLE_RECORDS];
    struct buf file = BUF_EMPTY;
    assert_int_equal(sample_file(&file, false, end), OK);
    for (size_t bit = 8 * JOURNAL_HEAD_BYTES; bit < 8 * file.len; bit++) {
        struct journal_state s = {0};
        size_t torn = 0;
        uint32_t i = 0;
        for (; bit / 8 >= end[i]; i++) {
        }
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        const enum status status = journal_state_read(&s, "j", file.data, file.len, &torn);
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(status, i < SAMPLE_WHOLE ? ERR_CORRUPT : OK);
        assert_true(status != OK || torn == file.len - end[i - 1]);
        journal_state_fini(&s);
    }
    buf_fini(&file);
}

/* A record of another place in the file is none. */
static void test_moved_record(void **state) {
    (void)state;
    struct buf file = BUF_EMPTY;
    struct journal_scan s;
    struct journal_record r = sample_life();
    bool got;
    assert_int_equal(journal_head_put(&file), OK);
    assert_int_equal(journal_record_put(&file, &r, file.len + 8, 0), OK);
    assert_int_equal(journal_scan_open(&s, "j", file.data, file.len), OK);
    assert_int_equal(journal_scan_next(&s, &r, &got), OK);
    assert_false(got);
    assert_true(s.torn);
    buf_fini(&file);
}

static void test_other_version(void **state) {
    (void)state;
    struct buf file = BUF_EMPTY;
    struct journal_scan s;
    assert_int_equal(journal_head_put(&file), OK);
    file.data[8] = JOURNAL_VERSION + 1;
    assert_int_equal(journal_scan_open(&s, "j", file.data, file.len), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "version 2"));
    buf_fini(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_comes_back),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_flips_unsynced),
        cmocka_unit_test(test_moved_record),
        cmocka_unit_test(test_other_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
