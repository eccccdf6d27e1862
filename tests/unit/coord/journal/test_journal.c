/* Unit tests of coord/journal/journal.h: the file, on a disk that fails at each call in turn. */
#include "coord/journal/journal.h"

#include "sample.h"
#include "tests/unit/base/fake_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* cmocka's; ours records a cause */

#define PATH "/d/journal"

static enum status publish(struct journal *j, uint32_t records) {
    TRY(journal_begin(j));
    for (uint32_t i = 0; i < records; i++) {
        const struct journal_record r = sample_record(i);
        TRY(journal_collect(j, &r));
    }
    return journal_publish(j, PATH);
}

static enum status append(struct journal *j, uint32_t from, uint32_t to, bool must) {
    for (uint32_t i = from; i < to; i++) {
        const struct journal_record r = sample_record(i);
        TRY(journal_append(j, &r, must));
    }
    return OK;
}

/* Reads what the disk has, after everybody has ended. ERR_NOT_FOUND: no journal. */
static enum status read_back(struct journal_state *s, size_t *torn) {
    char text[DISK_BYTES];
    const int at = disk_find(&disk.names, PATH);
    if (at < 0) {
        return ERR_NOT_FOUND;
    }
    const struct disk_text *file = &disk.now[disk.names.name[at].file];
    memcpy(text, file->data, file->bytes);
    *s = (struct journal_state){0};
    return journal_state_read(s, PATH, text, file->bytes, torn);
}

static void test_goes_on(void **state) {
    (void)state;
    struct journal j = JOURNAL_CLOSED;
    struct journal_state s;
    size_t torn;
    disk_reset();
    file_ops_set(&fake_disk);
    assert_int_equal(publish(&j, SAMPLE_WHOLE), OK);
    assert_int_equal(append(&j, SAMPLE_WHOLE, 14, true), OK);
    assert_true(j.must);
    assert_int_equal(journal_sync(&j), OK);
    assert_false(j.must);
    assert_int_equal(append(&j, 14, 16, false), OK);
    assert_false(j.must);
    assert_int_equal(read_back(&s, &torn), OK);
    assert_int_equal(torn, 0);
    assert_int_equal(s.works[2].id, 6);
    journal_state_fini(&s);
    assert_int_equal(publish(&j, SAMPLE_WHOLE), OK); /* a new one takes its place */
    assert_int_equal(read_back(&s, &torn), OK);
    assert_int_equal(s.works[2].id, 5);
    journal_state_fini(&s);
    journal_close(&j);
    file_ops_set(NULL);
}

/* Whatever call fails: what is there is a state that was, and nothing is appended to half a record.
 */
static void test_each_call_fails(void **state) {
    (void)state;
    for (size_t fails = 1; fails < 60; fails++) {
        struct journal j = JOURNAL_CLOSED;
        struct journal_state s;
        size_t torn;
        disk_reset();
        disk.fail_at = fails;
        disk.error = ENOSPC;
        disk.write_max = 100; /* so that records are torn */
        file_ops_set(&fake_disk);
        bool synced = false;
        enum status status = publish(&j, SAMPLE_WHOLE);
        if (status == OK) {
            status = append(&j, SAMPLE_WHOLE, 16, true);
            assert_true(status == OK || j.file.fd < 0);
            synced = status == OK && journal_sync(&j) == OK && j.file.fd >= 0;
            status = append(&j, 16, 18, false);
            assert_true(status == OK || j.file.fd < 0);
        }
        journal_close(&j);
        disk_reboot(fails % 2 == 0, fails % 4 < 2);
        status = read_back(&s, &torn);
        if (status != ERR_NOT_FOUND) {
            assert_int_equal(status, OK);
            assert_true(s.whole);
            assert_true(!synced || s.worker[0].known);
            journal_state_fini(&s);
        }
        file_ops_set(NULL);
    }
}

static void test_closed(void **state) {
    (void)state;
    struct journal j = JOURNAL_CLOSED;
    assert_int_equal(append(&j, 12, 14, true), OK);
    assert_int_equal(journal_sync(&j), OK);
    assert_false(journal_large(&j));
    journal_close(&j);
}

static void test_no_file(void **state) {
    (void)state;
    struct journal_state s = {0};
    size_t torn;
    assert_int_equal(journal_read(&s, "/nowhere/journal", &torn), ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_each_call_fails),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
