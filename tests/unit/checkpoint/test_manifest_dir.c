/* Unit tests of common/checkpoint/manifest_dir.c: a crash at any point of a publication leaves a
 * readable checkpoint.
 *
 * The system calls by which a directory changes are this program's own: a child process publishes
 * and ends at the n-th of them, before or after it has had its effect, for every n; then the parent
 * looks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/checkpoint/shelf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define CRASHED 42

static int calls_left; /* 0: no crash is wanted */
static bool after;     /* the call's effect */
static bool no_exchange;

static void before_call(void) {
    if (calls_left > 0 && !after && --calls_left == 0) {
        _exit(CRASHED);
    }
}

static int after_call(long result) {
    if (calls_left > 0 && after && --calls_left == 0) {
        _exit(CRASHED);
    }
    return (int)result;
}

int rename(const char *from, const char *to) {
    before_call();
    return after_call(syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to));
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    if (no_exchange) {
        errno = EINVAL;
        return -1;
    }
    before_call();
    return after_call(syscall(SYS_renameat2, a, from, b, to, flags));
}

int unlink(const char *path) {
    before_call();
    return after_call(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int rmdir(const char *path) {
    before_call();
    return after_call(syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
}

int symlink(const char *target, const char *path) {
    before_call();
    return after_call(syscall(SYS_symlinkat, target, AT_FDCWD, path));
}

/* A process that ends loses nothing that it wrote: there is no need to wait for a disk. */
int fsync(int fd) {
    (void)fd;
    return 0;
}

static char run[64], root[96];

/* A checkpoint of this step whose impressions tell it from others of the same step, ready to be
 * published. */
static void stage(uint64_t step, uint64_t impressions) {
    char name[32], dir[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    struct manifest_part part = {.name = "part-00000-of-00001.bin", .bucket_end = 4096, .bytes = 1};
    struct manifest m = {.step = step,
                         .impressions = impressions,
                         .config_text = (char *)(uintptr_t) "",
                         .parts = &part,
                         .part_count = 1};
    assert_int_equal(schema_add(&m.schema, "f", SIDE_USER), OK);
    schema_finish(&m.schema);
    manifest_dir_name(step, name);
    snprintf(dir, sizeof dir, "%s/%s.tmp", root, name);
    assert_int_equal(file_mkdirs(dir), OK);
    assert_int_equal(path_join(path, dir, part.name), OK);
    assert_int_equal(file_write_atomic(path, "x", 1), OK);
    assert_int_equal(manifest_write(&m, dir), OK);
}

/* What a search finds: whole, and one of the two. */
static void finds_one_of(uint64_t a, uint64_t b) {
    char at[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    struct manifest m;
    if (manifest_find(run, at) != OK) {
        fail_msg("nothing is found: %s", fail_text());
    }
    assert_int_equal(manifest_read(&m, at), OK);
    assert_true(m.impressions == a || m.impressions == b);
    assert_int_equal(path_join(path, at, m.parts[0].name), OK);
    assert_true(file_exists(path));
    manifest_free(&m);
}

static enum status publish(uint64_t step, uint32_t keep) {
    struct shelf s = {0};
    const struct retention r = {.newest = keep};
    enum status status = manifest_publish(root, step);
    if (status == OK) {
        status = shelf_read(&s, root, step);
    }
    if (status == OK) {
        shelf_clean(&s, root, &r);
    }
    shelf_free(&s);
    return status;
}

/* Publishes step `second` after `first`, with a crash at each call. How many calls there are. */
static int crash_everywhere(uint64_t first, uint64_t second, uint32_t keep, bool effect) {
    int nth = 1;
    for (bool crashed = true; crashed; nth++) {
        snprintf(run, sizeof run, "/tmp/esmm-test-XXXXXX");
        assert_non_null(mkdtemp(run));
        snprintf(root, sizeof root, "%s/checkpoints", run);
        stage(first, 1);
        assert_int_equal(publish(first, keep), OK);
        stage(second, 2);
        const pid_t pid = fork();
        if (pid == 0) {
            calls_left = nth;
            after = effect;
            _exit(publish(second, keep) == OK ? 0 : 1);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        crashed = WEXITSTATUS(status) == CRASHED;
        assert_true(crashed || WEXITSTATUS(status) == 0);
        finds_one_of(crashed ? 1 : 2, 2);
        stage(second + 1, 3); /* the job goes on */
        assert_int_equal(publish(second + 1, keep), OK);
        finds_one_of(3, 3);
        struct file_list list;
        assert_int_equal(file_list_dir(&list, root), OK);
        assert_in_range(list.count, 2, 2 + keep);
        for (size_t i = 0; i < list.count; i++) {
            assert_null(strstr(list.names[i], ".tmp"));
        }
        file_list_free(&list);
        assert_int_equal(file_remove_tree(run), OK);
        assert_true(nth < 100);
    }
    return nth - 2;
}

static void there_is_always_one(void **state) {
    (void)state;
    for (int exchange = 0; exchange < 2; exchange++) {
        no_exchange = exchange == 0;
        for (int effect = 0; effect < 2; effect++) {
            for (uint32_t keep = 1; keep <= 2; keep++) {
                assert_true(crash_everywhere(7, 8, keep, effect) >= 3);
                assert_true(crash_everywhere(8, 8, keep, effect) >= 3);
                assert_true(crash_everywhere(9, 4, keep, effect) >= 3);
            }
        }
    }
    no_exchange = false;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(there_is_always_one)};
    return cmocka_run_group_tests_name("manifest_dir", tests, NULL, NULL);
}
