/* Unit tests of common/base/lock.h. Within one process two openings exclude each other as two
 * processes do; where a process must die, one is made. */
#include "common/base/lock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char dir[64], output[96], path[128];

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-XXXXXX");
    const bool made = mkdtemp(dir) != NULL;
    snprintf(output, sizeof output, "%s/out", dir);
    snprintf(path, sizeof path, "%s.lock", output);
    return !made;
}

static int remove_dir(void **state) {
    (void)state;
    return file_remove_tree(dir) != OK;
}

static void the_second_is_told_of_the_first(void **state) {
    (void)state;
    struct lock a, b;
    char host[256] = "", process[32];
    gethostname(host, sizeof host - 1);
    snprintf(process, sizeof process, "process %d ", (int)getpid());
    assert_int_equal(lock_take_beside(&a, output), OK);
    char slashes[128];
    snprintf(slashes, sizeof slashes, "%s-other", output);
    assert_int_equal(lock_take_beside(&b, slashes), OK);
    lock_release(&b);
    snprintf(slashes, sizeof slashes, "%s//", output);
    assert_int_equal(lock_take_beside(&b, slashes), ERR_BUSY);
    assert_non_null(strstr(fail_text(), output));
    assert_non_null(strstr(fail_text(), host));
    assert_non_null(strstr(fail_text(), process));
    assert_non_null(strstr(fail_text(), " since 20"));
    assert_null(strchr(fail_text(), '\n'));
    lock_release(&b); /* holds nothing, removes nothing */
    assert_true(file_exists(path));
    lock_release(&a);
    assert_false(file_exists(path));
    lock_release(&a);
    assert_int_equal(lock_take_beside(&b, output), OK);
    lock_release(&b);
}

static void a_file_that_nobody_holds_is_no_lock(void **state) {
    (void)state;
    struct lock a;
    assert_int_equal(file_write_atomic(path, "host h\nprocess 1\nsince 2026\n", 27), OK);
    assert_int_equal(lock_take_beside(&a, output), OK);
    lock_release(&a);
    assert_false(file_exists(path));
}

/* Whoever opened the file before it was removed must not go by it. */
static void a_removed_file_is_not_held(void **state) {
    (void)state;
    struct lock a, b, c;
    assert_int_equal(lock_take_beside(&a, output), OK);
    assert_int_equal(unlink(path), 0); /* as an administrator does */
    assert_int_equal(lock_take_beside(&b, output), OK);
    assert_int_equal(lock_take_beside(&c, output), ERR_BUSY);
    lock_release(&b);
}

static void many_at_once_are_one_after_the_other(void **state) {
    (void)state;
    enum { PROCESSES = 4, ROUNDS = 60 };
    char counter[128];
    snprintf(counter, sizeof counter, "%s/counter", dir);
    assert_int_equal(file_write_atomic(counter, "0", 1), OK);
    for (int p = 0; p < PROCESSES; p++) {
        const pid_t pid = fork();
        assert_true(pid >= 0);
        for (int i = 0; pid == 0 && i < ROUNDS; i++) {
            struct lock l;
            char *text = NULL, next[32];
            size_t bytes;
            enum status status;
            while ((status = lock_take_beside(&l, output)) == ERR_BUSY) {
            }
            status = status == OK ? file_read_all(counter, 31, &text, &bytes) : status;
            if (status != OK) {
                _exit(1);
            }
            const int n = snprintf(next, sizeof next, "%ld", strtol(text, NULL, 10) + 1);
            mem_free(&text);
            const int fd = open(counter, O_WRONLY | O_TRUNC);
            status = write(fd, next, (size_t)n) == n && close(fd) == 0 ? OK : ERR_IO;
            lock_release(&l);
            if (status != OK) {
                _exit(1);
            }
        }
        if (pid == 0) {
            _exit(0);
        }
    }
    for (int p = 0, status = 0; p < PROCESSES; p++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    char *text = NULL;
    size_t bytes;
    assert_int_equal(file_read_all(counter, 31, &text, &bytes), OK);
    assert_int_equal(strtol(text, NULL, 10), PROCESSES * ROUNDS);
    mem_free(&text);
    assert_false(file_exists(path));
}

static pid_t holder(int *ready) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        struct lock l;
        const enum status status = lock_take_beside(&l, output);
        if (write(ends[1], &status, sizeof status) == sizeof status) {
            pause();
        }
        _exit(0);
    }
    enum status status = ERR_IO;
    assert_int_equal(read(ends[0], &status, sizeof status), sizeof status);
    assert_int_equal(status, OK);
    close(ends[0]);
    close(ends[1]);
    *ready = pid > 0;
    return pid;
}

static void the_killed_hold_nothing(void **state) {
    (void)state;
    struct lock a;
    int ready = 0;
    const pid_t pid = holder(&ready);
    assert_true(ready);
    assert_int_equal(lock_take_beside(&a, output), ERR_BUSY);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(file_exists(path)); /* nobody removed it, and it does not matter */
    assert_int_equal(lock_take_beside(&a, output), OK);
    lock_release(&a);
    assert_false(file_exists(path));
}

static void a_child_holds_on(void **state) {
    (void)state;
    struct lock a, b, c;
    char in[128];
    snprintf(in, sizeof in, "%s/run", dir);
    assert_int_equal(lock_take_in(&a, in), OK);
    snprintf(in, sizeof in, "%s/run/lock", dir);
    assert_int_equal(lock_adopt(&b, STDIN_FILENO, in), ERR_USAGE);
    const int child = dup(a.fd); /* as after a fork */
    assert_int_equal(lock_adopt(&b, child, in), OK);
    close(a.fd); /* the parent is gone */
    snprintf(in, sizeof in, "%s/run", dir);
    assert_int_equal(lock_take_in(&c, in), ERR_BUSY);
    lock_release(&b);
    assert_int_equal(lock_take_in(&c, in), OK);
    lock_release(&c);
    snprintf(in, sizeof in, "%s/run/lock", dir);
    assert_false(file_exists(in));
}

static void what_is_quoted_is_printable(void **state) {
    (void)state;
    static const char *const texts[] = {"host \033[2J\nprocess 1\nsince 2026\n", "", "host",
                                        "since x"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct lock a, b;
        assert_int_equal(lock_take_beside(&a, output), OK);
        assert_int_equal(ftruncate(a.fd, 0), 0);
        assert_int_equal(pwrite(a.fd, texts[i], strlen(texts[i]), 0), strlen(texts[i]));
        assert_int_equal(lock_take_beside(&b, output), ERR_BUSY);
        assert_non_null(strstr(fail_text(), "another process"));
        assert_null(strchr(fail_text(), '\033'));
        lock_release(&a);
    }
}

static void where_no_file_can_be_made(void **state) {
    (void)state;
    struct lock a;
    char nowhere[160], long_path[PATH_BYTES_MAX + 10];
    snprintf(nowhere, sizeof nowhere, "%s/nowhere/out", dir);
    assert_int_equal(lock_take_beside(&a, nowhere), ERR_NOT_FOUND);
    assert_int_equal(lock_take_beside(&a, ""), ERR_LIMIT);
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(lock_take_beside(&a, long_path), ERR_LIMIT);
    lock_release(&a);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIR(the_second_is_told_of_the_first), IN_DIR(a_file_that_nobody_holds_is_no_lock),
        IN_DIR(a_removed_file_is_not_held),      IN_DIR(many_at_once_are_one_after_the_other),
        IN_DIR(the_killed_hold_nothing),         IN_DIR(a_child_holds_on),
        IN_DIR(what_is_quoted_is_printable),     IN_DIR(where_no_file_can_be_made),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
