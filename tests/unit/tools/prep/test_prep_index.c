/* The index of the common file: every row is found, duplicates are told, hashes are not trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tools/prep/prep_index.h"

#include <cmocka.h>

#define ROWS 5000u

static char dir[64], common[96];

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-index-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(common, sizeof common, "%s/common.csv", dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return file_remove_tree(dir) == OK ? 0 : -1;
}

static enum status none(void *arg, const struct index_entry *e, struct span head) {
    (void)e;
    (void)head;
    ++*(int *)arg;
    return OK;
}

/* ROWS rows "key%u,0,text", and their entries. */
static void write_rows(struct buf *entries) {
    struct buf text = BUF_EMPTY;
    for (unsigned k = 0; k < ROWS; k++) {
        char key[32];
        snprintf(key, sizeof key, "key%u", k);
        struct index_entry e = {.hash = prep_index_hash((struct span){key, strlen(key)}),
                                .offset = text.len,
                                .line = k + 1,
                                .key_bytes = (uint32_t)strlen(key)};
        assert_int_equal(buf_printf(&text, "%s,0,text of %u\n", key, k), OK);
        e.bytes = (uint32_t)(text.len - e.offset - 1);
        assert_int_equal(buf_put(entries, &e, sizeof e), OK);
    }
    assert_int_equal(file_write_atomic(common, text.data, text.len), OK);
    buf_fini(&text);
}

static void check_found(const struct prep_index *x, unsigned k) {
    struct buf line = BUF_EMPTY;
    char key[32], want[64];
    bool found = false;
    snprintf(key, sizeof key, "key%u", k);
    snprintf(want, sizeof want, "%s,0,text of %u", key, k);
    assert_int_equal(prep_index_find(x, (struct span){key, strlen(key)}, &line, &found), OK);
    assert_int_equal(found, k < ROWS);
    if (found) {
        assert_int_equal(line.len, strlen(want));
        assert_memory_equal(line.data, want, line.len);
        assert_int_equal(line.data[line.len], 0);
    }
    buf_fini(&line);
}

static void test_find(void **state) {
    (void)state;
    for (int small = 0; small < 2; small++) { /* one table, and several */
        struct prep_index x;
        struct buf entries = BUF_EMPTY;
        int duplicates = 0;
        write_rows(&entries);
        assert_int_equal(prep_index_create(&x, dir, common), OK);
        x.places_max = small == 1 ? 1024 : x.places_max;
        assert_int_equal(prep_index_add(&x, &entries), OK);
        assert_int_equal(prep_index_build(&x, dir, none, &duplicates), OK);
        assert_int_equal(x.tables, small == 1 ? 10 : 1);
        assert_int_equal(duplicates, 0);
        for (unsigned k = 0; k < 2 * ROWS; k++) {
            check_found(&x, k);
        }
        prep_index_close(&x);
        prep_index_close(&x);
        buf_fini(&entries);
    }
}

static void test_empty(void **state) {
    struct prep_index x;
    int duplicates = 0;
    (void)state;
    assert_int_equal(file_write_atomic(common, "", 0), OK);
    assert_int_equal(prep_index_create(&x, dir, common), OK);
    assert_int_equal(prep_index_build(&x, dir, none, &duplicates), OK);
    check_found(&x, ROWS);
    prep_index_close(&x);
}

static enum status note(void *arg, const struct index_entry *e, struct span head) {
    *(uint64_t *)arg = *(uint64_t *)arg * 100 + e->line;
    assert_memory_equal(head.at, "bbb,", 4);
    return OK;
}

/* Three rows, the last a second of the second; all have one hash, that of "bbb". */
static void test_one_hash(void **state) {
    static const char text[] = "aaa,0,1\nbbb,0,2\nbbb,0,3\n";
    struct prep_index x;
    struct buf entries = BUF_EMPTY, line = BUF_EMPTY;
    uint64_t told = 0;
    bool found = false;
    (void)state;
    assert_int_equal(file_write_atomic(common, text, sizeof text - 1), OK);
    for (unsigned k = 0; k < 3; k++) {
        const struct index_entry e = {.hash = prep_index_hash((struct span){"bbb", 3}),
                                      .offset = 8 * k,
                                      .line = k + 1,
                                      .bytes = 7,
                                      .key_bytes = 3};
        assert_int_equal(buf_put(&entries, &e, sizeof e), OK);
    }
    assert_int_equal(prep_index_create(&x, dir, common), OK);
    assert_int_equal(prep_index_add(&x, &entries), OK);
    assert_int_equal(prep_index_build(&x, dir, note, &told), OK);
    assert_int_equal(told, 3);
    assert_int_equal(prep_index_find(&x, (struct span){"bbb", 3}, &line, &found), OK);
    assert_true(found);
    assert_memory_equal(line.data, "bbb,0,2", 7);
    prep_index_close(&x);
    buf_fini(&entries);
    buf_fini(&line);
}

/* A thousand entries of one hash do not fit into a table, and do not hang it. */
static void test_full(void **state) {
    struct prep_index x;
    struct buf entries = BUF_EMPTY;
    int duplicates = 0;
    (void)state;
    write_rows(&entries);
    for (unsigned k = 0; k < ROWS; k++) {
        ((struct index_entry *)(void *)entries.data)[k].hash = k; /* all in the first table */
    }
    assert_int_equal(prep_index_create(&x, dir, common), OK);
    x.places_max = 1024;
    assert_int_equal(prep_index_add(&x, &entries), OK);
    assert_int_equal(prep_index_build(&x, dir, none, &duplicates), ERR_LIMIT);
    prep_index_close(&x);
    buf_fini(&entries);
}

static void test_memory_fails(void **state) {
    struct buf entries = BUF_EMPTY;
    int duplicates = 0;
    (void)state;
    write_rows(&entries);
    for (size_t n = 1;; n++) {
        struct prep_index x;
        mem_fail_after(n);
        enum status status = prep_index_create(&x, dir, common);
        status = status == OK ? prep_index_add(&x, &entries) : status;
        status = status == OK ? prep_index_build(&x, dir, none, &duplicates) : status;
        mem_fail_after(0);
        prep_index_close(&x);
        if (status == OK) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
    }
    buf_fini(&entries);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),         cmocka_unit_test(test_empty),
        cmocka_unit_test(test_one_hash),     cmocka_unit_test(test_full),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
