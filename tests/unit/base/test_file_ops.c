#include "common/base/file_ops.h"

#include <stdlib.h>

#include "common/base/container.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "fake_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has one too */

#define OLD "the old text"
#define NEW "the new text, which is longer"

static int disk_in(void **state) {
    (void)state;
    disk_reset();
    file_ops_set(&fake_disk);
    assert_int_equal(file_write_atomic("/d/f", OLD, strlen(OLD)), OK);
    return 0;
}

static int disk_out(void **state) {
    (void)state;
    file_ops_set(NULL);
    return 0;
}

static bool holds(const char *text) {
    const int k = disk_find(&disk.names, "/d/f");
    const struct disk_text *f = &disk.now[disk.names.name[k < 0 ? 0 : k].file];
    return k >= 0 && f->bytes == strlen(text) && memcmp(f->data, text, f->bytes) == 0;
}

static enum status fail_at(size_t call, bool for_good, int error) {
    disk_reset();
    assert_int_equal(file_write_atomic("/d/f", OLD, strlen(OLD)), OK);
    disk.calls = 0;
    disk.fail_at = call;
    disk.for_good = for_good;
    disk.error = error;
    return file_write_atomic("/d/f", NEW, strlen(NEW));
}

/* --- failures --------------------------------------------------------------------------------- */

/* Whichever call fails: the file is whole, the temporary one is gone, the cause is told. */
static void one_failure_leaves_a_whole_file(void **state) {
    (void)state;
    enum status status = ERR_IO;
    size_t calls = 0;
    for (size_t n = 1; status != OK; n++, calls++) {
        assert_true(n < 50);
        status = fail_at(n, false, ENOSPC);
        assert_true(holds(NEW) || (status != OK && holds(OLD)));
        assert_int_equal(disk.names.count, 1);
        assert_true(status == OK || strstr(fail_text(), strerror(ENOSPC)) != NULL);
        for (size_t k = 0; k < DISK_FILES; k++) {
            assert_false(disk.opened[k].used);
        }
    }
    assert_true(calls >= 7); /* open, write, fsync, close, rename; open, fsync of the directory */
}

static void the_cause_outlives_the_removal(void **state) {
    (void)state;
    assert_int_equal(fail_at(2, true, EIO), ERR_IO); /* write; the removal fails too */
    assert_string_equal(fail_text(), "/d/f.tmp: cannot write: Input/output error");
    assert_int_equal(fail_at(3, true, EIO), ERR_IO);
    assert_string_equal(fail_text(), "/d/f.tmp: cannot fsync: Input/output error");
}

/* A failed fsync is final: what it would have synced is not taken for good a second time. */
static void a_failed_fsync_is_not_tried_again(void **state) {
    (void)state;
    assert_int_equal(fail_at(3, false, EIO), ERR_IO);
    assert_true(holds(OLD));
    disk_reboot(true, true);
    assert_true(holds(OLD));
}

static void short_writes_are_continued(void **state) {
    (void)state;
    disk.write_max = 5;
    assert_int_equal(file_write_atomic("/d/f", NEW, strlen(NEW)), OK);
    assert_true(holds(NEW));
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read_all("/d/f", 100, &text, &bytes), OK);
    assert_string_equal(text, NEW);
    mem_free(&text);
}

static void pieces_are_written_in_order(void **state) {
    (void)state;
    const struct file_part parts[] = {{"ab", 2}, {NULL, 0}, {"cdefg", 5}, {"h", 1}, {NULL, 0}};
    for (size_t most = 0; most < 6; most++) {
        struct file f;
        disk_reset();
        disk.write_max = most;
        assert_int_equal(file_open_write(&f, "/d/f"), OK);
        assert_int_equal(file_pwrite_parts(&f, parts, 5, 0), OK);
        assert_true(holds("abcdefgh"));
        assert_int_equal(file_pwrite_parts(&f, parts, 5, 6), OK);
        assert_true(holds("abcdefabcdefgh"));
        assert_int_equal(file_pwrite_parts(&f, parts + 3, 1, 1), OK);
        assert_true(holds("ahcdefabcdefgh"));
        assert_int_equal(file_truncate(&f, 3), OK);
        assert_true(holds("ahc"));
        disk.fail_at = disk.calls + 1;
        disk.error = ENOSPC;
        assert_int_equal(file_pwrite_parts(&f, parts, 5, 0), ERR_IO);
        assert_string_equal(fail_text(), "/d/f: cannot write: No space left on device");
        assert_int_equal(file_close(&f), OK);
    }
}

/* --- crashes ---------------------------------------------------------------------------------- */

/* Wherever the crash comes, and whatever of the unsynced got to the disk by luck, the name leads to
 * the old file or to the new one. Once the call has returned it is the new one. */
static void a_crash_leaves_the_old_file_or_the_new(void **state) {
    (void)state;
    enum status status = ERR_IO;
    for (size_t n = 1; status != OK; n++) {
        assert_true(n < 50);
        for (int luck = 0; luck < 4; luck++) {
            status = fail_at(n, true, EIO);
            disk_reboot((luck & 1) != 0, (luck & 2) != 0);
            assert_true(holds(NEW) || (status != OK && holds(OLD)));
        }
    }
}

/* What this disk would show if a step were left out: the simulation is able to find it. */
static void without_fsync_a_crash_loses_it(void **state) {
    (void)state;
    struct file f;
    assert_int_equal(file_create(&f, "/d/f"), OK);
    assert_int_equal(file_write(&f, NEW, strlen(NEW)), OK);
    assert_int_equal(file_publish(&f, false), OK);
    assert_true(holds(NEW));
    const struct disk before = disk;
    disk_reboot(false, false);
    assert_true(holds(OLD));
    disk = before;
    disk_reboot(true, false); /* the name got there before the bytes */
    assert_true(holds(""));
}

static void an_abandoned_file_is_gone(void **state) {
    (void)state;
    struct file f;
    assert_int_equal(file_create(&f, "/d/f"), OK);
    assert_int_equal(disk.names.count, 2);
    fail(ERR_CORRUPT, "the cause");
    file_abandon(&f);
    assert_int_equal(disk.names.count, 1);
    assert_int_equal(f.fd, -1);
    assert_string_equal(fail_text(), "the cause");
    file_abandon(&f); /* again: nothing happens */
    assert_true(holds(OLD));
}

static enum status write_container(void) {
    struct container_writer w;
    TRY(container_create(&w, "/d/c", CONTAINER_TRUTH));
    const enum status status = container_put(&w, 1, 2, "some bytes", 10, false);
    if (status != OK) {
        container_abort(&w);
        return status;
    }
    return container_commit(&w, NULL, NULL);
}

static void a_container_is_whole_or_absent(void **state) {
    (void)state;
    enum status status = ERR_IO;
    for (size_t n = 1; status != OK; n++) {
        assert_true(n < 50);
        for (int luck = 0; luck < 4; luck++) {
            struct container_reader r;
            struct buf out = BUF_EMPTY;
            disk_reset();
            disk.fail_at = n;
            disk.for_good = true;
            status = write_container();
            disk_reboot((luck & 1) != 0, (luck & 2) != 0);
            const enum status opened = container_open(&r, "/d/c", CONTAINER_TRUTH);
            assert_true(opened == OK || (status != OK && opened == ERR_NOT_FOUND));
            if (opened == OK) {
                assert_int_equal(container_get(&r, 0, &out), OK);
                assert_memory_equal(out.data, "some bytes", 10);
                container_close(&r);
            }
            buf_fini(&out);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, disk_in, disk_out)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(one_failure_leaves_a_whole_file),   TEST(the_cause_outlives_the_removal),
        TEST(a_failed_fsync_is_not_tried_again), TEST(short_writes_are_continued),
        TEST(pieces_are_written_in_order),       TEST(a_crash_leaves_the_old_file_or_the_new),
        TEST(without_fsync_a_crash_loses_it),    TEST(an_abandoned_file_is_gone),
        TEST(a_container_is_whole_or_absent),
    };
    return cmocka_run_group_tests_name("file_ops", tests, NULL, NULL);
}
