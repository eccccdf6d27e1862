/* Unit tests of tools/run/job_note.h: the text both ways, cut and damaged texts, and the file over
 * the life of a job. */
#include "tools/run/job_note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct job_note note = {.process = {.host = "db1.example",
                                                 .boot = "6f-a1",
                                                 .pid = 4711,
                                                 .started = 1234567890123456789u},
                                     .since = "2026-01-02T03:04:05Z",
                                     .coordinator = "tcp://db1:27500",
                                     .background = true,
                                     .state = JOB_ENDED,
                                     .exit_code = 143};
static const char text[] =
    "launcher 1\nhost db1.example\nboot 6f-a1\nprocess 4711\nstarted 1234567890123456789\n"
    "since 2026-01-02T03:04:05Z\ncoordinator tcp://db1:27500\nbackground yes\nstate ended\nexit 143\n";

static void both_ways(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    struct job_note n;
    assert_int_equal(job_note_encode(&note, &b), OK);
    assert_int_equal(b.len, strlen(text));
    assert_memory_equal(b.data, text, b.len);
    assert_int_equal(job_note_decode(&n, (const char *)b.data, b.len), OK);
    assert_memory_equal(&n, &note, sizeof n);
    buf_fini(&b);
}

/* Every beginning of a note lacks something, but for the last newline; no byte beyond is read. */
static void cut_anywhere(void **state) {
    (void)state;
    for (size_t n = 0; n < strlen(text); n++) {
        struct job_note out;
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, text, n);
        const enum status status = job_note_decode(&out, copy, n);
        assert_int_equal(status == OK, n >= strlen(text) - 3); /* exit 1, 14, 143 are all numbers */
        free(copy);
    }
}

static void refused(const char *from, const char *to, const char *why) {
    char changed[sizeof text + 64];
    const char *at = strstr(text, from);
    struct job_note out;
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_int_equal(job_note_decode(&out, changed, strlen(changed)), ERR_FORMAT);
    assert_non_null(strstr(fail_text(), why));
}

static void what_is_not_understood(void **state) {
    (void)state;
    refused("launcher 1", "launcher 2", "'launcher 2'");
    refused("process 4711", "process 99999999999", "'process 99999999999'");
    refused("process 4711", "process -4", "'process -4'");
    refused("state ended", "state dead", "'state dead'");
    refused("background yes", "background", "'background'");
    refused("exit 143", "exit 256", "'exit 256'");
    refused("started 1234567890123456789", "began 1", "'started'");
}

static char dir[64];

static enum job_state state_there(void) {
    struct job_note n;
    assert_int_equal(job_note_read(&n, dir), OK);
    assert_int_equal(n.process.pid, getpid());
    assert_int_equal(process_id_look(&n.process), PROCESS_RUNS);
    assert_false(n.background);
    assert_string_equal(n.coordinator, "ipc://there");
    return n.state;
}

static void over_a_job(void **state) {
    (void)state;
    struct job_noted n = {0};
    struct job_note read;
    job_note_training(&n); /* nothing was begun: nothing happens */
    job_note_end(&n, 0);
    assert_int_equal(job_note_read(&read, dir), ERR_NOT_FOUND);
    assert_int_equal(job_note_begin(&n, dir, "ipc://there", false), OK);
    assert_int_equal(state_there(), JOB_STARTING);
    job_note_training(&n);
    assert_int_equal(state_there(), JOB_TRAINING);
    n.note.background = true; /* its end stays */
    job_note_end(&n, 143);
    assert_int_equal(job_note_read(&read, dir), OK);
    assert_true(read.background && read.state == JOB_ENDED && read.exit_code == 143);
    n.note.background = false;
    job_note_end(&n, 0);
    assert_int_equal(job_note_read(&read, dir), ERR_NOT_FOUND);
}

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state) {
    (void)state;
    return file_remove_tree(dir) != OK;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(what_is_not_understood),
        cmocka_unit_test(over_a_job),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
