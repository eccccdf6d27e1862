/* Unit tests of tools/run/process_id.h: a process that runs, one that has ended, one that took the
 * number of another, and those of other boots and machines. */
#include "tools/run/process_id.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A child that waits, under a name that could confuse who reads /proc/PID/stat. It says of itself
 * who it is. */
static struct process_id start_child(pid_t *pid) {
    struct process_id p = {0};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    *pid = fork();
    if (*pid == 0) {
        prctl(PR_SET_NAME, "a) S 1 2 (b");
        const bool good = process_id_self(&p) == OK && write(ends[1], &p, sizeof p) == sizeof p;
        sleep(good ? 100 : 0);
        _exit(1);
    }
    assert_int_equal(read(ends[0], &p, sizeof p), sizeof p);
    close(ends[0]);
    close(ends[1]);
    return p;
}

static void one_that_runs_and_ends(void **state) {
    (void)state;
    struct process_id self;
    pid_t pid;
    assert_int_equal(process_id_self(&self), OK);
    assert_int_equal(self.pid, getpid());
    assert_int_equal(process_id_look(&self), PROCESS_RUNS);
    const struct process_id child = start_child(&pid);
    assert_int_equal(child.pid, pid);
    assert_string_equal(child.boot, self.boot);
    assert_true(child.started >= self.started);
    assert_int_equal(process_id_look(&child), PROCESS_RUNS);
    assert_int_equal(process_id_signal(&child, SIGUSR1), OK);
    siginfo_t how;
    assert_int_equal(waitid(P_PID, (id_t)pid, &how, WEXITED | WNOWAIT), 0);
    assert_int_equal(how.si_status, SIGUSR1);
    assert_int_equal(process_id_look(&child), PROCESS_GONE); /* a zombie */
    assert_int_equal(process_id_signal(&child, SIGUSR1), ERR_NOT_FOUND);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(process_id_look(&child), PROCESS_GONE);
    assert_int_equal(process_id_signal(&child, SIGUSR1), ERR_NOT_FOUND);
}

static void another_with_its_number(void **state) {
    (void)state;
    struct process_id self, other;
    assert_int_equal(process_id_self(&self), OK);
    other = self;
    other.started--;
    assert_int_equal(process_id_look(&other), PROCESS_GONE);
    assert_int_equal(process_id_signal(&other, SIGKILL), ERR_NOT_FOUND); /* else this test ends */
    other = self;
    other.boot[0] = other.boot[0] == 'a' ? 'b' : 'a';
    assert_int_equal(process_id_look(&other), PROCESS_GONE);
    assert_int_equal(process_id_signal(&other, SIGKILL), ERR_NOT_FOUND);
}

static void on_another_machine(void **state) {
    (void)state;
    struct process_id other;
    assert_int_equal(process_id_self(&other), OK);
    snprintf(other.host, sizeof other.host, "elsewhere.example");
    assert_int_equal(process_id_look(&other), PROCESS_ELSEWHERE);
    assert_int_equal(process_id_signal(&other, SIGKILL), ERR_USAGE);
    char text[128];
    snprintf(text, sizeof text, "process %d is on elsewhere.example, not on this machine",
             (int)getpid());
    assert_string_equal(fail_text(), text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_runs_and_ends),
        cmocka_unit_test(another_with_its_number),
        cmocka_unit_test(on_another_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
