/* Unit tests of common/checkpoint/newest.h: damaged checkpoints are passed over, named and set
 * aside; and whatever call fails while one is saved, the one before is found. */
#include "common/checkpoint/newest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/checkpoint/shelf.h"
#include "tests/unit/base/faulty_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* cmocka's; ours records a cause */

#define PARTS       2u
#define PART_BYTES  1000u
#define IMPRESSIONS 20u /* a step */

static char run[64], root[96];

static void part_path(uint64_t step, uint32_t part, char *out) {
    char name[32];
    manifest_dir_name(step, name);
    snprintf(out, PATH_BYTES_MAX, "%s/%s/part-%05u-of-%05u.bin", root, name, part, PARTS);
}

/* As a job saves: parts, manifest, publication. */
static enum status try_to_save(uint64_t step, uint32_t keep) {
    char name[32], dir[PATH_BYTES_MAX], path[PATH_BYTES_MAX], bytes[PART_BYTES] = {0};
    struct manifest_part part[PARTS] = {{.bucket_end = 2048}, {.bucket_begin = 2048}};
    struct manifest m = {.step = step,
                         .impressions = IMPRESSIONS * step,
                         .config_text = (char *)(uintptr_t) "",
                         .parts = part,
                         .part_count = PARTS};
    part[1].bucket_end = 4096;
    assert_int_equal(schema_add(&m.schema, "f", SIDE_USER), OK);
    schema_finish(&m.schema);
    manifest_dir_name(step, name);
    snprintf(dir, sizeof dir, "%s/%s.tmp", root, name);
    TRY(file_mkdirs(root));
    manifest_sweep(root);
    TRY(file_mkdirs(dir));
    for (uint32_t p = 0; p < PARTS; p++) {
        snprintf(part[p].name, sizeof part[p].name, "part-%05u-of-%05u.bin", p, PARTS);
        part[p].bytes = PART_BYTES;
        TRY(path_join(path, dir, part[p].name));
        TRY(file_write_atomic(path, bytes, sizeof bytes));
    }
    TRY(manifest_write(&m, dir));
    TRY(manifest_publish(root, step));
    struct shelf s = {0};
    if (shelf_read(&s, root, step) == OK) {
        shelf_clean(&s, root, &(struct retention){.newest = keep});
    }
    shelf_free(&s);
    return OK;
}

static void save(uint64_t step) {
    assert_int_equal(try_to_save(step, 10), OK);
}

static void manifest_path(uint64_t step, char *out) {
    char name[32];
    manifest_dir_name(step, name);
    snprintf(out, PATH_BYTES_MAX, "%s/%s/manifest", root, name);
}

static void flip(const char *path, long at) {
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    const int byte = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_true(fputc(byte ^ 8, f) != EOF);
    assert_int_equal(fclose(f), 0);
}

/* What is found: the step, or what must be said of the first that was passed over. */
static void finds(uint64_t step, size_t passed, const char *says) {
    struct newest n;
    char text[4 * PATH_BYTES_MAX] = "";
    const enum status status = newest_good(root, &n);
    if (status != OK) {
        print_error("%s\n", fail_text());
    }
    assert_int_equal(status, OK);
    assert_int_equal(n.step, step);
    assert_int_equal(n.impressions, IMPRESSIONS * step);
    assert_int_equal(n.passed_count, passed);
    if (passed > 0) {
        newest_say(&n, 0, text, sizeof text);
    }
    if (strstr(text, says) == NULL) {
        print_error("it says \"%s\", expected \"%s\"\n", text, says);
        assert_true(false);
    }
    newest_free(&n);
}

static uint64_t found_step(void) {
    struct newest n;
    assert_int_equal(newest_good(root, &n), OK);
    const uint64_t step = n.step;
    newest_free(&n);
    return step;
}

static int setup_run(void **state) {
    (void)state;
    snprintf(run, sizeof run, "/tmp/test_newest.XXXXXX");
    assert_non_null(mkdtemp(run));
    snprintf(root, sizeof root, "%s/checkpoints", run);
    save(10);
    save(20);
    save(30);
    return 0;
}

static int teardown_run(void **state) {
    (void)state;
    return file_remove_tree(run) == OK ? 0 : -1;
}

static void the_newest(void **state) {
    (void)state;
    struct newest n;
    char none[128];
    finds(30, 0, "");
    save(25); /* of a job that was resumed from 20: `latest` decides */
    finds(25, 0, "");
    snprintf(none, sizeof none, "%s/nothing", run);
    assert_int_equal(newest_good(none, &n), ERR_NOT_FOUND);
    assert_int_equal(file_mkdirs(none), OK);
    assert_int_equal(newest_good(none, &n), ERR_NOT_FOUND);
    newest_free(&n);
}

static void a_part_is_damaged(void **state) {
    (void)state;
    char path[PATH_BYTES_MAX];
    part_path(30, 1, path);
    assert_int_equal(truncate(path, PART_BYTES - 1), 0);
    finds(20, 1, "200 impressions between are trained again");
    finds(20, 1, "part-00001-of-00002.bin: 999 bytes, the manifest says 1000");
    part_path(20, 0, path);
    assert_int_equal(unlink(path), 0);
    finds(10, 2, "400 impressions between");
    part_path(10, 0, path);
    assert_int_equal(truncate(path, 0), 0);
    struct newest n;
    assert_int_equal(newest_good(root, &n), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "part-00001-of-00002.bin: 999 bytes"));
    newest_free(&n);
}

/* Every byte of the manifest. */
static void a_manifest_is_damaged(void **state) {
    (void)state;
    char path[PATH_BYTES_MAX];
    struct file_info info;
    manifest_path(30, path);
    assert_true(file_look(path, &info));
    uint64_t same = 0; /* of packed bytes some have another form with the same content */
    for (uint64_t at = 0; at < info.bytes; at++) {
        flip(path, (long)at);
        if (found_step() == 30) {
            finds(30, 0, "");
            same++;
        } else {
            finds(20, 1, "10 batches between are trained again");
            finds(20, 1, path);
        }
        flip(path, (long)at);
    }
    assert_true(same < info.bytes / 8);
    finds(30, 0, "");
    assert_int_equal(truncate(path, (off_t)info.bytes / 2), 0);
    finds(20, 1, path);
}

static void a_damaged_one_goes_aside(void **state) {
    (void)state;
    char path[PATH_BYTES_MAX], aside[PATH_BYTES_MAX];
    uint64_t step = 0;
    snprintf(path, sizeof path, "%s/step-000000000030", root);
    snprintf(aside, sizeof aside, "%s.damaged", path);
    assert_int_equal(newest_set_aside(path), OK); /* a server found it damaged */
    finds(20, 0, "");
    save(25);
    finds(25, 0, "");
    assert_true(file_is_dir(aside)); /* it has what no other has yet */
    save(30);
    assert_false(file_is_dir(aside));
    finds(30, 0, "");
    assert_int_equal(newest_set_aside(path), OK);
    save(30);
    assert_int_equal(newest_set_aside(path), OK); /* in place of the earlier one */
    assert_true(newest_is_aside("step-000000000030.damaged", &step));
    assert_int_equal(step, 30);
    assert_true(newest_is_aside("step-000000000031.old.tmp.damaged", &step));
    assert_int_equal(step, 31);
    assert_false(newest_is_aside("step-000000000030", &step));
    assert_false(newest_is_aside("step-30.damaged", &step));
}

/* --- a disk in trouble ------------------------------------------------------------------------ */

static void no_leftovers(void) {
    struct file_list list = {0};
    assert_int_equal(file_list_dir(&list, root), OK);
    for (size_t i = 0; i < list.count; i++) {
        assert_null(strstr(list.names[i], ".tmp"));
    }
    file_list_free(&list);
}

/* Saves `step` over one that has 30 as its newest; the nth call fails. False: there were not so
 * many calls. */
static bool save_in_trouble(uint64_t step, long nth, int error, long times) {
    void *none = NULL;
    setup_run(&none);
    faulty_arm(nth, error, times);
    const enum status status = try_to_save(step, 2);
    const bool fired = faulty_disarm() > 0;
    const uint64_t found = found_step();
    assert_true(found == 30 || found == step);
    assert_true(status != OK || found == step);
    assert_true(fired || status == OK);
    assert_int_equal(try_to_save(step, 2), OK); /* there is room again */
    assert_int_equal(found_step(), step);
    no_leftovers();
    teardown_run(&none);
    return fired;
}

static void every_call_may_fail(void **state) {
    (void)state;
    const int errors[] = {ENOSPC, EIO};
    long calls = 0;
    for (uint64_t step = 30; step <= 35; step += 5) { /* the same, newer */
        for (int k = step == 30 ? 0 : 1; k < 3; k++) {
            long nth = 1;
            while (save_in_trouble(step, nth, errors[k % 2], k < 2 ? 1 : LONG_MAX)) {
                nth++;
            }
            calls += nth - 1;
        }
    }
    print_message("%ld failures, each at another call\n", calls);
    assert_true(calls > 150);
}

/* Short and interrupted writes are no failures. */
static void an_unsteady_disk(void **state) {
    (void)state;
    atomic_store(&faulty.unsteady, true);
    save(40);
    atomic_store(&faulty.unsteady, false);
    assert_true(atomic_load(&faulty.writes) > 10);
    finds(40, 0, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest, setup_run, teardown_run),
        cmocka_unit_test_setup_teardown(a_part_is_damaged, setup_run, teardown_run),
        cmocka_unit_test_setup_teardown(a_manifest_is_damaged, setup_run, teardown_run),
        cmocka_unit_test_setup_teardown(a_damaged_one_goes_aside, setup_run, teardown_run),
        cmocka_unit_test(every_call_may_fail),
        cmocka_unit_test_setup_teardown(an_unsteady_disk, setup_run, teardown_run)};
    faulty_disk_use();
    log_level_set(LOG_ERROR);
    return cmocka_run_group_tests_name("newest", tests, NULL, NULL);
}
