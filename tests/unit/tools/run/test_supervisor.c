/* Unit tests of tools/run/supervisor.h: a world without processes, whose clock the tests set. What
 * the supervisor does is written down as words: "start 3.1" (child 3, restart 1), "term 0", ... */
#include "tools/run/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* One coordinator, two servers, two workers. */
enum { COORD, PS0, PS1, WORKER0, WORKER1, CHILDREN };

struct stage {
    struct supervisor s;
    struct supervised children[CHILDREN];
    uint64_t now_ms;
    char did[2048];         /* since it was last looked at */
    size_t start_fails;     /* of this child; CHILDREN: of none */
    struct event script[8]; /* for supervisor_run */
    size_t script_length, script_at;
};

static void note(struct stage *t, const char *text) {
    const size_t n = strlen(t->did);
    assert_true(n + strlen(text) + 3 < sizeof t->did);
    snprintf(t->did + n, sizeof t->did - n, "%s%s", n > 0 ? ", " : "", text);
}

static void note_child(struct stage *t, const char *what, size_t child) {
    char text[64];
    snprintf(text, sizeof text, "%s %zu", what, child);
    note(t, text);
}

static uint64_t stage_now_ms(void *self) {
    return ((struct stage *)self)->now_ms;
}

/* The events of the script, then time alone, a second each time. */
static void stage_wait(void *self, struct event *e) {
    struct stage *t = self;
    *e = (struct event){.kind = EVENT_NONE};
    if (t->script_at < t->script_length) {
        *e = t->script[t->script_at++];
    } else {
        t->now_ms += 1000;
    }
}

static enum status stage_start(void *self, size_t child, uint32_t attempt) {
    struct stage *t = self;
    char text[64];
    if (child == t->start_fails) {
        return (fail)(ERR_IO, "no more processes"); /* cmocka has a macro of this name */
    }
    snprintf(text, sizeof text, "start %zu.%u", child, attempt);
    note(t, text);
    return OK;
}

static void stage_tell(void *self, size_t child, int signal) {
    note_child(self, signal == SIGINT ? "int" : signal == SIGTERM ? "term" : "kill", child);
}

static void stage_cut(void *self, size_t child) {
    note_child(self, "cut", child);
}

static void stage_say(void *self, const char *line) {
    char text[256];
    snprintf(text, sizeof text, "'%s'", line);
    note(self, text);
}

static void set_up(struct stage *t, bool second_signal_stops) {
    static const char *const names[CHILDREN] = {"coord-0", "ps-0", "ps-1", "worker-0", "worker-1"};
    const struct supervisor_world world = {.self = t,
                                           .now_ms = stage_now_ms,
                                           .wait = stage_wait,
                                           .start = stage_start,
                                           .tell = stage_tell,
                                           .cut = stage_cut,
                                           .say = stage_say};
    const struct supervisor_policy policy = {
        .restarts = {.most = 3, .again_ms = 1000, .again_most_ms = 60000, .settled_ms = 60000},
        .second_signal_stops = second_signal_stops,
        .save_ms = 300000,
        .save_failed_ms = 30000,
        .follow_ms = 15000,
        .fail_ms = 6000,
        .lost_ms = 2000,
        .term_ms = 5000,
        .kill_ms = 4000};
    *t = (struct stage){.now_ms = 1000, .start_fails = CHILDREN};
    for (size_t i = 0; i < CHILDREN; i++) {
        t->children[i].name = names[i];
        t->children[i].kind = i == COORD ? CHILD_COORD : i <= PS1 ? CHILD_SERVER : CHILD_WORKER;
    }
    supervisor_init(&t->s, &world, &policy, t->children, CHILDREN);
}

static void did(struct stage *t, const char *expected) {
    assert_string_equal(t->did, expected);
    t->did[0] = '\0';
}

static void passes(struct stage *t, uint64_t ms) {
    const struct event e = {.kind = EVENT_NONE};
    t->now_ms += ms;
    supervisor_take(&t->s, &e, t->now_ms);
}

static struct event ended(size_t child, enum ending_kind kind, int code, const char *text) {
    struct event e = {.kind = EVENT_ENDED, .child = child, .ending = {.kind = kind, .code = code}};
    snprintf(e.ending.text, sizeof e.ending.text, "%s", text);
    return e;
}

static void ends(struct stage *t, size_t child, enum ending_kind kind, int code, const char *text) {
    const struct event e = ended(child, kind, code, text);
    supervisor_take(&t->s, &e, t->now_ms);
}

static void signal_comes(struct stage *t, int signal) {
    const struct event e = {.kind = EVENT_SIGNAL, .signal = signal};
    supervisor_take(&t->s, &e, t->now_ms);
}

/* All are started and have come up. */
static void begin(struct stage *t) {
    set_up(t, true);
    passes(t, 0);
    did(t, "start 0.0, start 1.0, start 2.0, start 3.0, start 4.0");
    for (size_t i = 0; i < CHILDREN; i++) {
        const struct event e = {.kind = EVENT_UP, .child = i};
        supervisor_take(&t->s, &e, t->now_ms);
        assert_int_equal(t->children[i].state, CHILD_UP);
    }
}

static void a_job_that_ends_well(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    ends(&t, WORKER1, ENDING_EXIT, 0, "");
    ends(&t, COORD, ENDING_EXIT, 0, "");
    passes(&t, 14999);
    assert_false(supervisor_over(&t.s));
    did(&t, ""); /* the others are given time to follow */
    passes(&t, 1);
    did(&t, "term 1, term 2, term 3");
    ends(&t, PS0, ENDING_EXIT, 143, "");
    ends(&t, PS1, ENDING_EXIT, 0, "");
    ends(&t, WORKER0, ENDING_KILLED, 9, "");
    assert_true(supervisor_over(&t.s) && t.s.ended_well && t.s.stopped_by == 0);
    assert_string_equal(t.s.cause, "");
}

static void nothing_was_left_to_train(void **state) {
    (void)state;
    struct stage t;
    struct event e = ended(COORD, ENDING_EXIT, 0, "");
    begin(&t);
    e.ending.idle = true;
    supervisor_take(&t.s, &e, t.now_ms);
    did(&t, "term 1, term 2, term 3, term 4");
    assert_true(t.s.ended_well && t.s.idle);
}

/* The first time at once, then after waits that double. */
static void workers_are_started_again(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    ends(&t, WORKER0, ENDING_KILLED, SIGKILL, "");
    did(&t, "'worker-0 was killed by signal 9 (KILL); started again (1 of 3)', start 3.1");
    ends(&t, WORKER0, ENDING_LOST, 255, "Broken pipe");
    did(&t, "'worker-0 lost its connection: Broken pipe; started again in 1 s (2 of 3)'");
    passes(&t, 999);
    did(&t, "");
    passes(&t, 1);
    did(&t, "start 3.2");
    ends(&t, WORKER1, ENDING_KILLED, SIGSEGV, ""); /* each has its own */
    did(&t, "'worker-1 was killed by signal 11 (SEGV); started again (1 of 3)', start 4.1");
    ends(&t, WORKER0, ENDING_KILLED, SIGKILL, "");
    did(&t, "'worker-0 was killed by signal 9 (KILL); started again in 2 s (3 of 3)'");
    passes(&t, 2000);
    did(&t, "start 3.3");
    assert_int_equal(t.s.phase, PHASE_RUN);
}

/* The longest wait is bounded, a long life makes up for the deaths before it, and without a limit
 * nothing ends the job. */
static void restarts_without_end(void **state) {
    (void)state;
    static const unsigned waits_s[] = {0, 1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct stage t;
    char line[128];
    begin(&t);
    t.s.policy.restarts.most = RESTARTS_UNLIMITED;
    for (unsigned i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        passes(&t, 59999);
        ends(&t, WORKER0, ENDING_KILLED, SIGKILL, "");
        snprintf(line, sizeof line, " in %u s (restart %u)'", waits_s[i], i + 1);
        assert_non_null(strstr(t.did, i == 0 ? "started again (restart 1)', start 3.1" : line));
        t.did[0] = '\0';
        if (i > 0) {
            passes(&t, waits_s[i] * 1000ull - 1);
            did(&t, "");
            passes(&t, 1);
            snprintf(line, sizeof line, "start 3.%u", i + 1);
            did(&t, line);
        }
    }
    passes(&t, 60000);
    ends(&t, WORKER0, ENDING_KILLED, SIGKILL, "");
    did(&t, "'worker-0 was killed by signal 9 (KILL); started again (restart 11)', start 3.11");
}

/* The job goes on without it as long as there is another worker, running or to be started. */
static void the_fourth_death(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    for (int i = 0; i < 3; i++) {
        ends(&t, WORKER0, ENDING_KILLED, SIGKILL, "");
        passes(&t, 2000);
    }
    ends(&t, WORKER1, ENDING_KILLED, SIGKILL, "");
    t.did[0] = '\0';
    ends(&t, WORKER1, ENDING_KILLED, SIGKILL, ""); /* it is to be started again: there is another */
    ends(&t, WORKER0, ENDING_KILLED, SIGKILL, "");
    did(&t, "'worker-1 was killed by signal 9 (KILL); started again in 1 s (2 of 3)', "
            "'worker-0 was killed by signal 9 (KILL); the job goes on without it'");
    assert_int_equal(t.s.phase, PHASE_RUN);
    passes(&t, 1000);
    did(&t, "start 4.2");
    ends(&t, WORKER1, ENDING_KILLED, SIGKILL, "");
    passes(&t, 2000);
    t.did[0] = '\0';
    ends(&t, WORKER1, ENDING_KILLED, SIGKILL, ""); /* the last one's */
    did(&t, "term 0");
    assert_int_equal(t.s.phase, PHASE_SAVE);
    assert_string_equal(t.s.cause, "worker-1 was killed by signal 9 (KILL)");
    assert_int_equal(t.s.culprit, WORKER1);
}

/* Servers and the coordinator, where the others can take a new one in; not if they say themselves
 * why they end, and not once the job is to end. */
static void all_roles_are_started_again(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    t.s.policy.restarts.servers = t.s.policy.restarts.coordinator = true;
    ends(&t, PS1, ENDING_LOST, 255, "no route");
    ends(&t, COORD, ENDING_KILLED, SIGKILL, "");
    did(&t, "'ps-1 lost its connection: no route; started again (1 of 3)', start 2.1, "
            "'coord-0 was killed by signal 9 (KILL); started again (1 of 3)', start 0.1");
    ends(&t, COORD, ENDING_KILLED, SIGKILL, "");
    did(&t, "'coord-0 was killed by signal 9 (KILL); started again in 1 s (2 of 3)'");
    assert_false(supervisor_over(&t.s));
    passes(&t, 1000);
    did(&t, "start 0.2");
    ends(&t, PS1, ENDING_EXIT, 1, "disk full");
    did(&t, "term 0, term 1, term 3, term 4");
    assert_string_equal(t.s.cause, "ps-1 ended with exit code 1: disk full");

    begin(&t);
    t.s.policy.restarts.servers = true;
    for (int i = 0; i < 3; i++) {
        ends(&t, PS0, ENDING_KILLED, SIGKILL, "");
        passes(&t, 60000);
    }
    t.did[0] = '\0';
    ends(&t, PS0, ENDING_KILLED, SIGKILL, "");
    did(&t, "term 0, term 2, term 3, term 4");

    begin(&t);
    t.s.policy.restarts.servers = true;
    signal_comes(&t, SIGTERM);
    t.did[0] = '\0';
    ends(&t, PS0, ENDING_KILLED, SIGKILL, "");
    did(&t, "term 0, term 2, term 3, term 4");
}

/* A coordinator that dies before it has saved is started for that, and told what it was told. */
static void a_coordinator_that_is_to_save(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    t.s.policy.restarts.coordinator = true;
    signal_comes(&t, SIGINT);
    ends(&t, WORKER0, ENDING_KILLED, SIGKILL, "");
    t.did[0] = '\0';
    ends(&t, COORD, ENDING_KILLED, SIGKILL, "");
    did(&t, "'coord-0 was killed by signal 9 (KILL); started again (1 of 3)', start 0.1, int 0");
    ends(&t, COORD, ENDING_EXIT, 130, "");
    assert_true(t.s.ended_well && t.s.stopped_by == SIGINT);
    assert_string_equal(t.s.cause, "");

    begin(&t); /* a signal that comes while it waits to be started */
    t.s.policy.restarts.coordinator = true;
    ends(&t, COORD, ENDING_KILLED, SIGKILL, "");
    ends(&t, COORD, ENDING_KILLED, SIGKILL, "");
    t.did[0] = '\0';
    signal_comes(&t, SIGTERM);
    did(&t, "'stopping: saving a checkpoint first (a second signal stops at once)', start 0.2, "
            "term 0");
    passes(&t, 300000);
    assert_string_equal(t.s.cause, "coord-0 did not end within its time to save");
}

/* The coordinator that waits in vain for a worker that is not started again is not the whole story.
 */
static void whom_the_coordinator_missed(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    for (int i = 0; i < 4; i++) {
        ends(&t, WORKER1, ENDING_KILLED, SIGILL, "");
        passes(&t, 2000);
    }
    passes(&t, 100000);
    ends(&t, COORD, ENDING_EXIT, 1, "worker 1 did not appear");
    assert_string_equal(t.s.cause, "coord-0 ended with exit code 1: worker 1 did not appear "
                                   "(before that worker-1 was killed by signal 4 (ILL))");
}

/* Somebody else told workers to end: the job shrinks. */
static void workers_that_leave(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    ends(&t, WORKER0, ENDING_EXIT, 128 + SIGTERM, "");
    did(&t, "'worker-0 was told to end; the job goes on without it'");
    passes(&t, 100000);
    did(&t, "");
    ends(&t, WORKER1, ENDING_EXIT, 128 + SIGINT, "");
    did(&t, "'worker-1 was told to end; none is left: if none joins, the job is saved and ends'");
    assert_int_equal(t.s.phase, PHASE_RUN);
    ends(&t, COORD, ENDING_EXIT, 128 + SIGTERM, "");
    assert_true(t.s.ended_well && t.s.stopped_by == SIGTERM);
    assert_string_equal(t.s.cause, "");
}

/* A server that leaves is missed. */
static void servers_that_leave(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    t.s.policy.restarts.servers = true;
    ends(&t, PS0, ENDING_EXIT, 128 + SIGTERM, "");
    did(&t, "'ps-0 was told to end, and all was saved; started again (1 of 3)', start 1.1");
    signal_comes(&t, SIGTERM);
    t.did[0] = '\0';
    ends(&t, PS1, ENDING_EXIT, 128 + SIGTERM, ""); /* not once the job is to end */
    did(&t, "");
}

static void a_worker_that_fails(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    ends(&t, WORKER1, ENDING_EXIT, 3, "a bad shard");
    did(&t, "term 0");
    ends(&t, WORKER0, ENDING_EXIT, 1,
         "another one"); /* the first cause stands, nobody is replaced */
    passes(&t, 29999);
    did(&t, "");
    ends(&t, COORD, ENDING_EXIT, 143, "");
    passes(&t, 15000);
    did(&t, "term 1, term 2");
    ends(&t, PS0, ENDING_EXIT, 0, "");
    ends(&t, PS1, ENDING_EXIT, 0, "");
    assert_true(supervisor_over(&t.s) && t.s.lasting);
    assert_int_equal(t.s.culprit, WORKER1);
    assert_string_equal(t.s.cause, "worker-1 ended with exit code 3: a bad shard");
}

static void a_server_that_is_gone(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    ends(&t, WORKER0, ENDING_KILLED, SIGKILL, "");
    ends(&t, WORKER0, ENDING_KILLED, SIGKILL, "");
    t.did[0] = '\0';
    ends(&t, PS1, ENDING_LOST, 255, "no route");
    did(&t, "term 0, term 1, term 4"); /* nobody is asked to save, nobody started any more */
    passes(&t, 2000);
    did(&t, "kill 0, kill 1, kill 4");
    ends(&t, COORD, ENDING_KILLED, SIGKILL, "");
    ends(&t, PS0, ENDING_KILLED, SIGKILL, "");
    ends(&t, WORKER1, ENDING_EXIT, 1, "no server");
    assert_true(supervisor_over(&t.s) && !t.s.lasting);
    assert_string_equal(t.s.cause, "ps-1 lost its connection: no route");
}

/* While the coordinator saves for another reason: what it waits for does not come any more. */
static void a_server_that_ends_while_all_is_saved(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    signal_comes(&t, SIGTERM);
    t.did[0] = '\0';
    ends(&t, PS0, ENDING_EXIT, 1, "disk full");
    did(&t, "term 0, term 2, term 3, term 4");
    assert_string_equal(t.s.cause, "ps-0 ended with exit code 1: disk full");
}

static void stop_signals(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    signal_comes(&t, SIGINT);
    did(&t, "'stopping: saving a checkpoint first (a second signal stops at once)', int 0");
    ends(&t, WORKER0, ENDING_KILLED, SIGKILL, ""); /* nobody is replaced now */
    passes(&t, 200000);
    did(&t, "");
    ends(&t, COORD, ENDING_EXIT, 130, "");
    assert_true(t.s.ended_well && t.s.stopped_by == SIGINT);

    begin(&t);
    signal_comes(&t, SIGHUP);
    did(&t, "'stopping: saving a checkpoint first (a second signal stops at once)', term 0");
    signal_comes(&t, SIGHUP);
    did(&t, "term 0, term 1, term 2, term 3, term 4");
    signal_comes(&t, SIGHUP);
    did(&t, "kill 0, kill 1, kill 2, kill 3, kill 4");
    assert_string_equal(t.s.cause, "coord-0 was stopped at once by a second signal");

    begin(&t);
    t.s.policy.second_signal_stops = false;
    t.s.policy.save_ms = UINT64_MAX; /* no limit */
    signal_comes(&t, SIGTERM);
    did(&t, "'stopping: saving a checkpoint first', term 0");
    signal_comes(&t, SIGTERM);
    passes(&t, 1000000000);
    did(&t, "");
    assert_int_equal(t.s.phase, PHASE_SAVE);
}

/* Each phase has its deadline; at the last one it is over, whoever is still there. */
static void one_that_never_ends(void **state) {
    (void)state;
    struct stage t;
    begin(&t);
    signal_comes(&t, SIGTERM);
    for (size_t i = PS1; i < CHILDREN; i++) {
        ends(&t, i, ENDING_EXIT, 0, "");
    }
    t.did[0] = '\0';
    passes(&t, 300000);
    did(&t, "term 0, term 1");
    passes(&t, 5000);
    did(&t, "kill 0, kill 1");
    ends(&t, COORD, ENDING_KILLED, SIGKILL, "");
    passes(&t, 4000);
    did(&t, "cut 1");
    assert_false(supervisor_over(&t.s));
    passes(&t, 4000);
    assert_true(supervisor_over(&t.s));
    assert_string_equal(t.s.cause, "coord-0 did not end within its time to save");
}

static void a_start_that_fails(void **state) {
    (void)state;
    struct stage t;
    set_up(&t, true);
    t.start_fails = PS1;
    passes(&t, 0);
    did(&t, "start 0.0, start 1.0, term 0, term 1");
    assert_string_equal(t.s.cause, "ps-1 cannot be started: no more processes");

    begin(&t); /* later it is tried again */
    t.start_fails = WORKER0;
    ends(&t, WORKER0, ENDING_KILLED, SIGKILL, "");
    did(&t, "'worker-0 was killed by signal 9 (KILL); started again (1 of 3)', "
            "'worker-0 cannot be started: no more processes; started again in 1 s (2 of 3)'");
    t.start_fails = CHILDREN;
    passes(&t, 1000);
    did(&t, "start 3.2");
}

/* A host is not offered more connections at once than it takes. */
static void few_at_once_on_a_host(void **state) {
    (void)state;
    struct stage t;
    const struct event lost = ended(PS0, ENDING_LOST, 255, "refused");
    const struct event up = {.kind = EVENT_UP, .child = COORD};
    set_up(&t, true);
    t.s.policy.opening_max = 2;
    t.children[WORKER1].host = 1;
    passes(&t, 0);
    did(&t, "start 0.0, start 1.0, start 4.0");
    supervisor_take(&t.s, &up, t.now_ms);
    did(&t, "start 2.0");
    t.children[PS0].kind = CHILD_WORKER;
    supervisor_take(&t.s, &lost, t.now_ms);
    did(&t, "'ps-0 lost its connection: refused; started again (1 of 3)', start 1.1");
}

/* The loop, with a world that gives events and lets time pass. */
static void the_whole(void **state) {
    (void)state;
    struct stage t;
    set_up(&t, true);
    t.script[0] = ended(COORD, ENDING_EXIT, 0, "");
    t.script[1] = ended(PS0, ENDING_EXIT, 0, "");
    t.script[2] = ended(PS1, ENDING_EXIT, 0, "");
    t.script[3] = ended(WORKER0, ENDING_EXIT, 0, "");
    t.script_length = 4;
    assert_int_equal(supervisor_run(&t.s), OK);
    did(&t, "start 0.0, start 1.0, start 2.0, start 3.0, start 4.0, term 4, kill 4, cut 4");
    assert_int_equal(t.now_ms, 1000 + 15000 + 5000 + 4000 + 4000);

    set_up(&t, true);
    t.script[0] = ended(PS0, ENDING_EXIT, 3, "what the manifest says is not there");
    t.script_length = 1;
    assert_int_equal(supervisor_run(&t.s), ERR_PEER);
    assert_string_equal(fail_text(),
                        "ps-0 ended with exit code 3: what the manifest says is not there");
    assert_true(t.s.lasting);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_ends_well),
        cmocka_unit_test(nothing_was_left_to_train),
        cmocka_unit_test(workers_are_started_again),
        cmocka_unit_test(restarts_without_end),
        cmocka_unit_test(the_fourth_death),
        cmocka_unit_test(all_roles_are_started_again),
        cmocka_unit_test(a_coordinator_that_is_to_save),
        cmocka_unit_test(whom_the_coordinator_missed),
        cmocka_unit_test(workers_that_leave),
        cmocka_unit_test(servers_that_leave),
        cmocka_unit_test(a_worker_that_fails),
        cmocka_unit_test(a_server_that_is_gone),
        cmocka_unit_test(a_server_that_ends_while_all_is_saved),
        cmocka_unit_test(stop_signals),
        cmocka_unit_test(one_that_never_ends),
        cmocka_unit_test(a_start_that_fails),
        cmocka_unit_test(few_at_once_on_a_host),
        cmocka_unit_test(the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
