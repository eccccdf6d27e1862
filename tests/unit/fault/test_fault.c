/* Points that are named in ESMM_FAULT end the process, others do nothing. */
#include "common/fault/fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void pass_one(void) {
    FAULT("test.one");
}
static void pass_two(void) {
    FAULT("test.two");
}

/* Passes the points so often in a process of its own that is armed; how it ended. */
static int child(const char *entries, const char *dir, int ones, int twos) {
    const pid_t pid = fork();
    const char *wrong;
    size_t length;
    int status = 0;
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!fault_arm(entries, dir, &wrong, &length)) {
            _exit(2);
        }
        for (int i = 0; i < ones; i++) {
            pass_one();
        }
        for (int i = 0; i < twos; i++) {
            pass_two();
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (WIFSTOPPED(status)) {
        const int signal = WSTOPSIG(status);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        return -signal;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_listed(void **state) {
    (void)state;
    size_t found = 0;
    for (size_t i = 0; i < fault_count(); i++) {
        const struct fault_point *p = fault_at(i);
        found += strncmp(p->name, "test.", 5) == 0;
        assert_false(p->armed);
    }
    assert_int_equal(found, 2);
}

static void test_passes(void **state) {
    (void)state;
    assert_int_equal(child(NULL, NULL, 100, 100), 0);
    assert_int_equal(child("", NULL, 100, 100), 0);
    assert_int_equal(child("test.one:3", NULL, 2, 100), 0);
    assert_int_equal(child("test.one:3", NULL, 3, 0), 128 + SIGKILL);
    assert_int_equal(child("test.one:3,test.two:2:term", NULL, 2, 2), 128 + SIGTERM);
    assert_int_equal(child("test.two:1:kill", NULL, 0, 1), 128 + SIGKILL);
    assert_int_equal(child("test.two:1:stop", NULL, 0, 1), -SIGSTOP);
}

static void test_wrong(void **state) {
    (void)state;
    static const char *const wrong[] = {"test.one",      "test.one:",   "test.one:0",
                                        "test.one:x",    "test.one:1:", "test.one:1:burn",
                                        "test.three:1",  "test.on:1",   ":1",
                                        "test.one:1,,x", ",test.one:1", "test.one:-1",
                                        "test.one:1 ",   "test.one: 1", "test.one:1:stopp"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(child(wrong[i], NULL, 0, 0), 2);
    }
}

/* Each entry fires once in all processes with one directory. */
static void test_once(void **state) {
    (void)state;
    char dir[] = "/tmp/test-fault-XXXXXX", path[128];
    assert_non_null(mkdtemp(dir));
    assert_int_equal(child("test.one:2,test.one:2", dir, 5, 0), 128 + SIGKILL);
    assert_int_equal(child("test.one:2,test.one:2", dir, 5, 0), 128 + SIGKILL);
    assert_int_equal(child("test.one:2,test.one:2", dir, 5, 0), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%d-test.one", dir, i);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_listed), cmocka_unit_test(test_passes),
                                       cmocka_unit_test(test_wrong), cmocka_unit_test(test_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
