#include "common/base/thread.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has one, too */

#define WAIT_MS 10000u

static enum status add_one(void *arg) {
    ++*(int *)arg;
    return OK;
}

static enum status fail_with_text(void *arg) {
    return fail(ERR_CORRUPT, "%s: block 3 is broken", (const char *)arg);
}

static enum status fail_without_text(void *arg) {
    (void)arg;
    return ERR_TIMEOUT;
}

static void a_thread_runs_and_ends(void **state) {
    (void)state;
    struct thread t = {0};
    int value = 41;
    assert_int_equal(thread_start(&t, "adder", add_one, &value), OK);
    const uint64_t deadline = clock_mono_ms() + WAIT_MS;
    while (!thread_ended(&t) && clock_left_ms(deadline) > 0) {
        clock_sleep_ms(1);
    }
    assert_true(thread_ended(&t));
    assert_int_equal(value, 42); /* ended says that all it wrote can be read */
    assert_int_equal(thread_join(&t), OK);
    assert_int_equal(thread_join(&t), OK); /* nothing left to join */
}

static void joining_what_never_started_is_fine(void **state) {
    (void)state;
    struct thread t = {0};
    assert_int_equal(thread_join(&t), OK);
}

static void a_failure_crosses_the_join(void **state) {
    (void)state;
    struct thread t = {0};
    assert_int_equal(thread_start(&t, "failer", fail_with_text, "part-0"), OK);
    fail(ERR_IO, "of the caller");
    assert_int_equal(thread_join(&t), ERR_CORRUPT);
    assert_int_equal(fail_status(), ERR_CORRUPT);
    assert_string_equal(fail_text(), "part-0: block 3 is broken");
    assert_int_equal(thread_start(&t, "failer", fail_without_text, NULL), OK);
    assert_int_equal(thread_join(&t), ERR_TIMEOUT);
    assert_string_equal(fail_text(), "deadline passed"); /* not the text of the failure before */
}

static void a_long_text_crosses_the_join_cut(void **state) {
    (void)state;
    struct thread t = {0};
    char name[2000];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(thread_start(&t, "failer", fail_with_text, name), OK);
    assert_int_equal(thread_join(&t), ERR_CORRUPT);
    assert_int_equal(strlen(fail_text()), 1023);
}

static enum status tell_name(void *arg) {
    /* The name is set by the starter, maybe after this thread began to run. */
    const uint64_t deadline = clock_mono_ms() + WAIT_MS;
    while (clock_left_ms(deadline) > 0) {
        char name[16] = "";
        pthread_getname_np(pthread_self(), name, sizeof name);
        if (strcmp(name, arg) == 0) {
            return OK;
        }
        clock_sleep_ms(1);
    }
    return ERR_TIMEOUT;
}

static void a_name_is_cut_at_15_bytes(void **state) {
    (void)state;
    struct thread t = {0};
    char expected[] = "partition-00000";
    assert_int_equal(thread_start(&t, "partition-0000000001", tell_name, expected), OK);
    assert_int_equal(thread_join(&t), OK);
}

static enum status signals_are_blocked(void *arg) {
    sigset_t now;
    (void)arg;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, SIGINT) == 1 && sigismember(&now, SIGTERM) == 1 &&
                   sigismember(&now, SIGPIPE) == 1
               ? OK
               : ERR_USAGE;
}

static void threads_take_no_signals(void **state) {
    (void)state;
    struct thread t = {0};
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_int_equal(thread_start(&t, "deaf", signals_are_blocked, NULL), OK);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(thread_join(&t), OK);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    assert_int_equal(sigismember(&after, SIGTERM), 0);
}

/* In a process of its own, as the flag cannot be taken back. The exit code tells what went wrong.
 */
static int stop_in_child(int signal_number) {
    const pid_t child = fork();
    if (child == 0) {
        stop_signals_install();
        int code = stop_requested() || stop_signal() != 0 ? 1 : 0;
        raise(SIGPIPE); /* ignored */
        code = code == 0 && stop_requested() ? 2 : code;
        raise(signal_number);
        code = code == 0 && (!stop_requested() || stop_signal() != signal_number) ? 3 : code;
        _exit(code);
    }
    int result = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

/* A process that does not heed a stop signal ends by itself, grace time later. */
static void the_grace_time_ends(void **state) {
    (void)state;
    int status = 0, ends[2];
    char said[256];
    assert_int_equal(pipe(ends), 0);
    const uint64_t began_ms = clock_mono_ms();
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        stop_grace(1);
        stop_signals_install();
        kill(getpid(), SIGTERM);
        kill(getpid(), SIGTERM); /* the first one counts */
        clock_sleep_ms(WAIT_MS);
        _exit(99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_in_range(clock_mono_ms() - began_ms, 900, WAIT_MS - 1);
    const ssize_t n = read(ends[0], said, sizeof said - 1);
    said[n > 0 ? n : 0] = '\0';
    assert_non_null(strstr(said, "did not end within its grace time"));
    close(ends[0]);
    close(ends[1]);
}

static void stop_signals_set_a_flag(void **state) {
    (void)state;
    assert_int_equal(stop_in_child(SIGTERM), 0);
    assert_int_equal(stop_in_child(SIGINT), 0);
    assert_false(stop_requested());
    assert_int_equal(stop_signal(), 0);
}

static void many_threads_come_and_go(void **state) {
    (void)state;
    struct thread t[16] = {0};
    int value[16] = {0};
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 16; i++) {
            assert_int_equal(thread_start(&t[i], "crowd", add_one, &value[i]), OK);
        }
        for (int i = 0; i < 16; i++) {
            assert_int_equal(thread_join(&t[i]), OK);
            assert_int_equal(value[i], round + 1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_runs_and_ends),
        cmocka_unit_test(joining_what_never_started_is_fine),
        cmocka_unit_test(a_failure_crosses_the_join),
        cmocka_unit_test(a_long_text_crosses_the_join_cut),
        cmocka_unit_test(a_name_is_cut_at_15_bytes),
        cmocka_unit_test(threads_take_no_signals),
        cmocka_unit_test(stop_signals_set_a_flag),
        cmocka_unit_test(the_grace_time_ends),
        cmocka_unit_test(many_threads_come_and_go),
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
