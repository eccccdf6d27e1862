/* Unit tests of tools/run/question.h and of the script that it sends: a shell that runs its last
 * argument here stands for ssh. */
#include "tools/run/question.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char dir[64];
static struct hosts hosts;

/* `sh -c SCRIPT ssh HOST COMMAND` */
static struct words ssh_of(const char *script) {
    struct words w = {0};
    assert_int_equal(words_option(&w, "sh", "-c"), OK);
    assert_int_equal(words_option(&w, script, "ssh"), OK);
    return w;
}

static struct question ask_of(const char *const *words) {
    struct question q = {0};
    for (; *words != NULL; words++) {
        assert_int_equal(words_add(&q.words, *words), OK);
    }
    return q;
}

static void says(const struct question *q, const char *prefix, const char *expected) {
    char line[1024];
    const char *at = NULL;
    assert_string_equal(q->problem, "");
    if (expected == NULL) {
        assert_false(question_line(q, prefix, &at, line, sizeof line));
    } else {
        assert_true(question_line(q, prefix, &at, line, sizeof line));
        assert_string_equal(line, expected);
    }
}

static void a_host_is_asked(void **state) {
    (void)state;
    struct words ssh = ssh_of("exec sh -c \"$2\"");
    struct question q[2] = {
        ask_of((const char *const[]){"host", "/no/esmm", "esmm 1", "m", "", "0", NULL}),
        ask_of((const char *const[]){"host", "/bin/echo", "--version", "m", "", "1", dir, NULL})};
    assert_int_equal(questions_ask(q, 2, &ssh, &hosts), OK);
    says(&q[0], "problem ", "no program /no/esmm");
    says(&q[0], "data", NULL);
    char no_manifest[256];
    snprintf(no_manifest, sizeof no_manifest,
             "%s has no readable manifest: is it a directory that esmm prep made?", dir);
    if (strstr((const char *)q[1].answer.data, "GNU coreutils") == NULL) { /* an echo that echoes */
        says(&q[1], "problem ", no_manifest);
    }
    question_fini(&q[0]);
    question_fini(&q[1]);
    words_fini(&ssh);
}

static void connections_that_fail(void **state) {
    (void)state;
    struct words lost =
        ssh_of("echo motd >&2; printf 'ssh: no route to %s\\r\\n' \"$1\" >&2; exit 255");
    struct words strange = ssh_of("cat >/dev/null; exit 3");
    struct words cut = ssh_of("cat >/dev/null; echo problem half");
    struct words none = {0};
    const char *const words[] = {"end", dir, NULL};
    struct question q = ask_of(words);
    assert_int_equal(questions_ask(&q, 1, &lost, &hosts), OK);
    assert_string_equal(q.problem, "not reachable: ssh: no route to alpha");
    question_fini(&q);
    q = ask_of(words);
    assert_int_equal(questions_ask(&q, 1, &strange, &hosts), OK);
    assert_string_equal(q.problem, "cannot be asked (exit code 3): no answer");
    question_fini(&q);
    q = ask_of(words);
    assert_int_equal(questions_ask(&q, 1, &cut, &hosts), OK);
    assert_string_equal(q.problem, "cannot be asked (exit code 0): no answer");
    question_fini(&q);
    q = ask_of(words);
    assert_int_equal(words_add(&none, "/no/such/ssh"), OK);
    assert_int_equal(questions_ask(&q, 1, &none, &hosts), OK);
    assert_string_equal(q.problem, "cannot be asked (exit code 127): cannot run /no/such/ssh: No "
                                   "such file or directory");
    question_fini(&q);
    words_fini(&lost);
    words_fini(&strange);
    words_fini(&cut);
    words_fini(&none);
}

/* Directory and marker are there as long as the connection, or until they are kept. */
static void a_run_directory(const char *last_word, bool kept) {
    struct words ssh = ssh_of("exec sh -c \"$2\"");
    char run[128], marker[160];
    snprintf(run, sizeof run, "%s/a run", dir);
    snprintf(marker, sizeof marker, "%s/.launch-1", run);
    struct question q = ask_of((const char *const[]){"make", run, ".launch-1", "no", NULL});
    struct question s = ask_of((const char *const[]){"shared", run, ".launch-1", NULL});
    q.stays = true;
    assert_int_equal(questions_ask(&q, 1, &ssh, &hosts), OK);
    says(&q, "problem", NULL);
    assert_true(file_exists(marker));
    assert_int_equal(questions_ask(&s, 1, &ssh, &hosts), OK);
    says(&s, "problem", NULL);
    question_end(&q, last_word);
    question_fini(&q);
    question_fini(&s);
    assert_false(file_exists(marker));
    assert_int_equal(file_exists(run), kept);
    words_fini(&ssh);
}

static void what_is_made_goes_or_stays(void **state) {
    (void)state;
    a_run_directory(NULL, false);
    a_run_directory("keep\n", true);
}

static void the_end_of_a_job(void **state) {
    (void)state;
    struct words ssh = ssh_of("exec sh -c \"$2\"");
    char path[128];
    const char *const words[] = {"end", dir, NULL};
    struct question q = ask_of(words);
    snprintf(path, sizeof path, "%s/summary.json", dir);
    assert_int_equal(file_write_atomic(path, "{\n  \"steps\": 3\n}\n", 17), OK);
    assert_int_equal(questions_ask(&q, 1, &ssh, &hosts), OK);
    says(&q, "checkpoint", NULL);
    says(&q, "  \"steps\": ", "3");
    question_fini(&q);
    words_fini(&ssh);
}

/* A stop signal ends the asking at once, not the question to come. */
static void stop_signals(void **state) {
    (void)state;
    struct words ssh = ssh_of("exec sh -c \"$2\"");
    const char *const words[] = {"end", dir, NULL};
    struct question q[2] = {ask_of(words), ask_of(words)};
    const uint64_t start_ms = clock_mono_ms();
    struct words kill_us = ssh_of("kill -TERM $PPID; exec sleep 100");
    assert_int_equal(questions_ask(&q[0], 1, &kill_us, &hosts), ERR_CLOSED);
    assert_string_equal(fail_text(), "stopped by SIGTERM before anything was started");
    question_fini(&q[0]);
    assert_int_equal(questions_ask(&q[1], 1, &ssh, &hosts), OK);
    question_fini(&q[1]);
    assert_true(clock_mono_ms() - start_ms < 20000);
    words_fini(&ssh);
    words_fini(&kill_us);
}

static int set_up(void **state) {
    (void)state;
    stop_signals_install(); /* a connection that breaks is no reason to end, either */
    snprintf(dir, sizeof dir, "/tmp/esmm-test-XXXXXX");
    return mkdtemp(dir) == NULL || hosts_parse(&hosts, "f", "alpha") != OK;
}

static int tear_down(void **state) {
    (void)state;
    hosts_fini(&hosts);
    return file_remove_tree(dir) != OK;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_asked),
        cmocka_unit_test(connections_that_fail),
        cmocka_unit_test(what_is_made_goes_or_stays),
        cmocka_unit_test(the_end_of_a_job),
        cmocka_unit_test(stop_signals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
