#include "common/data/truth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED      20260201u
#define ROW_BYTES 24u

/* Every test has a directory of its own in *state. */
static int make_dir(void **state) {
    char *dir = strdup("/tmp/esmm-test-XXXXXX");
    *state = dir;
    return dir != NULL && mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state) {
    mem_fail_after(0);
    const enum status status = file_remove_tree(*state);
    free(*state);
    return status == OK ? 0 : -1;
}

static const char *in(void **state) {
    static char path[PATH_BYTES_MAX];
    assert_int_equal(path_join(path, *state, "truth.bin"), OK);
    return path;
}

static struct truth_row sample(uint64_t i) {
    return (struct truth_row){.impression_id = 1000 + i,
                              .p_ctr = (float)rng_unit(SEED, i, 0),
                              .p_cvr = i == 0 ? 0 : (float)rng_unit(SEED, i, 1),
                              .p_cvr_do = i == 1 ? 1 : (float)rng_unit(SEED, i, 2),
                              .labels = (uint8_t)rng_below(SEED, i, 3, 8)};
}

static enum status write_rows(const char *path, size_t n, bool backwards) {
    struct truth_writer w;
    enum status status = truth_create(&w, path);
    for (size_t i = 0; i < n && status == OK; i++) {
        const struct truth_row row = sample(backwards ? n - 1 - i : i);
        status = truth_put(&w, &row);
    }
    if (status == OK) {
        return truth_commit(&w, NULL);
    }
    truth_abort(&w);
    return status;
}

static void rows_are(const char *path, size_t n) {
    struct truth t;
    assert_int_equal(truth_read(&t, path), OK);
    assert_int_equal(t.count, n);
    for (size_t i = 0; i < n; i++) {
        const struct truth_row want = sample(i);
        const struct truth_row *got = truth_find(&t, want.impression_id);
        assert_non_null(got);
        assert_ptr_equal(got, &t.rows[i]);
        assert_true(got->p_ctr == want.p_ctr && got->p_cvr == want.p_cvr &&
                    got->p_cvr_do == want.p_cvr_do);
        assert_int_equal(got->labels, want.labels);
    }
    assert_null(truth_find(&t, 999));
    assert_null(truth_find(&t, 1000 + n));
    assert_null(truth_find(&t, UINT64_MAX));
    truth_free(&t);
    truth_free(&t);
}

/* None, one, and around the rows of a block. */
static void written_is_read(void **state) {
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 200000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        assert_int_equal(write_rows(in(state), sizes[s], false), OK);
        rows_are(in(state), sizes[s]);
    }
}

static void any_order_is_sorted(void **state) {
    assert_int_equal(write_rows(in(state), 70000, true), OK);
    rows_are(in(state), 70000);
}

static void absent_file(void **state) {
    struct truth t;
    assert_int_equal(truth_read(&t, in(state)), ERR_NOT_FOUND);
    assert_null(truth_find(&t, 1));
    truth_free(&t);
}

static void abort_leaves_nothing(void **state) {
    struct truth_writer w;
    struct file_list list;
    const struct truth_row row = sample(0);
    assert_int_equal(truth_create(&w, in(state)), OK);
    assert_int_equal(truth_put(&w, &row), OK);
    truth_abort(&w);
    truth_abort(&w);
    assert_int_equal(file_list_dir(&list, *state), OK);
    assert_int_equal(list.count, 0);
    file_list_free(&list);
}

/* --- damage ----------------------------------------------------------------------------------- */

/* Every byte of a small file flipped in turn, and every shorter file: noticed. (A flip within LZ4's
 * matches may decode to the same rows, which is no damage.) */
static void damage_is_noticed(void **state) {
    char *bytes = NULL;
    size_t n = 0;
    struct truth t;
    assert_int_equal(write_rows(in(state), 20, false), OK);
    assert_int_equal(file_read_all(in(state), 1 << 20, &bytes, &n), OK);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (char)(bytes[i] ^ 0x41);
        assert_int_equal(file_write_atomic(in(state), bytes, n), OK);
        const enum status status = truth_read(&t, in(state));
        assert_true(status == OK || (status == ERR_CORRUPT && t.rows == NULL));
        truth_free(&t);
        if (status == OK) {
            rows_are(in(state), 20);
        }
        bytes[i] = (char)(bytes[i] ^ 0x41);
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(file_write_atomic(in(state), bytes, i), OK);
        assert_int_equal(truth_read(&t, in(state)), ERR_CORRUPT);
    }
    mem_free(&bytes);
}

/* A container with valid checksums around these bytes. */
static enum status read_block(const char *path, uint32_t kind, const void *raw, size_t bytes) {
    struct container_writer w;
    struct truth t;
    assert_int_equal(container_create(&w, path, kind), OK);
    assert_int_equal(container_put(&w, 1, 0, raw, bytes, false), OK);
    assert_int_equal(container_commit(&w, NULL, NULL), OK);
    const enum status status = truth_read(&t, path);
    truth_free(&t);
    return status;
}

static void put_row(uint8_t *at, uint64_t id, float ctr, float cvr, float cvr_do, uint32_t labels) {
    store_u64(at, id);
    memcpy(at + 8, &ctr, 4);
    memcpy(at + 12, &cvr, 4);
    memcpy(at + 16, &cvr_do, 4);
    store_u32(at + 20, labels);
}

static void hostile_rows(void **state) {
    static const float bad[] = {NAN, INFINITY, -INFINITY, -1e-9f, 1.0001f};
    const char *path = in(state);
    uint8_t raw[3 * ROW_BYTES] = {0};
    put_row(raw, 7, 0.5f, 0, 1, 7);
    assert_int_equal(read_block(path, CONTAINER_TRUTH, raw, ROW_BYTES), OK);
    assert_int_equal(read_block(path, CONTAINER_SHARD, raw, ROW_BYTES), ERR_CORRUPT);
    for (size_t cut = 1; cut < ROW_BYTES; cut++) {
        assert_int_equal(read_block(path, CONTAINER_TRUTH, raw, cut), ERR_CORRUPT);
        assert_int_equal(read_block(path, CONTAINER_TRUTH, raw, ROW_BYTES + cut), ERR_CORRUPT);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (int column = 0; column < 3; column++) {
            put_row(raw, 7, column == 0 ? bad[i] : 0, column == 1 ? bad[i] : 0,
                    column == 2 ? bad[i] : 0, 0);
            assert_int_equal(read_block(path, CONTAINER_TRUTH, raw, ROW_BYTES), ERR_CORRUPT);
            assert_non_null(strstr(fail_text(), "0..1"));
        }
    }
    for (uint32_t labels = 8; labels != 0; labels <<= 1) {
        put_row(raw, 7, 0, 0, 0, labels);
        assert_int_equal(read_block(path, CONTAINER_TRUTH, raw, ROW_BYTES), ERR_CORRUPT);
    }
    put_row(raw, 9, 0, 0, 0, 0);
    put_row(raw + ROW_BYTES, 8, 0, 0, 0, 0);
    put_row(raw + 2 * ROW_BYTES, 9, 0, 0, 0, 0);
    assert_int_equal(read_block(path, CONTAINER_TRUTH, raw, sizeof raw), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "impression 9 occurs twice"));
}

/* An index that asks for 25 GB: refused before anything is allocated. */
static void hostile_index(void **state) {
    const uint8_t raw[ROW_BYTES] = {0};
    struct container_writer w;
    struct truth t;
    assert_int_equal(container_create(&w, in(state), CONTAINER_TRUTH), OK);
    for (uint64_t k = 0; k < 100; k++) {
        assert_int_equal(container_put(&w, 1, k, raw, sizeof raw, false), OK);
        store_u64(w.index.data + w.index.len - 12, BLOCK_RAW_BYTES_MAX); /* its raw bytes */
    }
    assert_int_equal(container_commit(&w, NULL, NULL), OK);
    assert_int_equal(truth_read(&t, in(state)), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "26843545600 bytes of blocks"));
    truth_free(&t);
}

/* Random bytes with valid checksums: refused or read, never more. */
static void hostile_noise(void **state) {
    uint8_t raw[2 * ROW_BYTES];
    for (uint64_t round = 0; round < 200; round++) {
        const size_t n = (size_t)rng_below(SEED, round, 10, sizeof raw + 1);
        for (size_t i = 0; i < sizeof raw; i++) {
            raw[i] = (uint8_t)rng_u64(SEED, round, 100 + i);
        }
        const enum status status = read_block(in(state), CONTAINER_TRUTH, raw, n);
        assert_true(status == OK || status == ERR_CORRUPT);
    }
}

/* Any allocation may fail, in writing and in reading. */
static void failing_memory(void **state) {
    bool wrote = false, got = false;
    for (size_t n = 1; n < 200 && !wrote; n++) {
        mem_fail_after(n);
        const enum status status = write_rows(in(state), 50, false);
        mem_fail_after(0);
        wrote = status == OK;
        assert_true(wrote || status == ERR_MEMORY);
        assert_true(wrote == file_exists(in(state)));
    }
    for (size_t n = 1; n < 200 && !got; n++) {
        struct truth t;
        mem_fail_after(n);
        const enum status status = truth_read(&t, in(state));
        mem_fail_after(0);
        got = status == OK;
        assert_true(got || (status == ERR_MEMORY && t.rows == NULL));
        truth_free(&t);
    }
    assert_true(wrote && got);
}

int main(void) {
#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        WITH_DIR(written_is_read),      WITH_DIR(any_order_is_sorted), WITH_DIR(absent_file),
        WITH_DIR(abort_leaves_nothing), WITH_DIR(damage_is_noticed),   WITH_DIR(hostile_rows),
        WITH_DIR(hostile_index),        WITH_DIR(hostile_noise),       WITH_DIR(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
