/* The link to the coordinator, against a coordinator that forgets, repeats itself, and falls
 * silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/net/link.h"
#include "common/net/job_plan.h"
#include "common/base/thread.h"

#include <cmocka.h> /* last: it has a macro called fail */

#define JOB         0x1234567890abcdefu
#define MESSAGE_MAX (1u << 20)
#define LONG_MS     20000

static char dir[64];

/* What the pretended coordinator does, and what it has seen. The thread reads the first part only
 * before it starts or as atomics; the test reads the second part after joining. */
struct pretender {
    struct thread thread;
    struct transport *t;
    char endpoint[128];
    uint32_t not_ready;   /* WELCOMEs without ready before the good one */
    uint32_t quiet_after; /* hellos answered before it says nothing any more; 0: always answers */
    uint32_t deaf;        /* requests (not hellos) to ignore first */
    uint32_t say_twice;   /* answers to repeat */
    bool refuse, ended;
    atomic_bool bound, silent, mute_clock, stop;
    enum wire_type passes_over; /* requests of this type get no answer; 0: none does */

    uint32_t hellos, beats, failing, requests, first_ids;
    uint64_t last_id;
    char endpoints[256];
    size_t endpoint_bytes;
    uint8_t beat_values[64];
    size_t beat_bytes;
    uint64_t beat_ms[64];
};

static enum status say(struct port *p, const struct port_message *to, enum wire_type type,
                       struct wire_msg *m, const void *keys, size_t bytes, uint32_t times) {
    m->type = type;
    m->job = JOB;
    m->id = to->msg.id;
    for (uint32_t i = 0; i < times; i++) {
        TRY(port_send(p, to->peer, to->peer_bytes, m, keys, bytes, NULL, 0));
    }
    return OK;
}

static enum status answer_hello(struct pretender *c, struct port *p, const struct port_message *m) {
    char config[] = "[train]\nbatch = 64\n", endpoint[1][WIRE_ENDPOINT_MAX] = {"ipc://one"};
    uint32_t batches[2] = {3, 4};
    struct job_plan plan = {.config_text = config,
                            .batches_per_shard = batches,
                            .shards = 2,
                            .endpoint = endpoint,
                            .partitions = 1};
    struct wire_msg out = {0};
    c->hellos++;
    c->endpoint_bytes = m->keys_bytes;
    memcpy(c->endpoints, m->keys, m->keys_bytes);
    if (c->quiet_after > 0 && c->hellos > c->quiet_after) {
        return OK;
    }
    if (c->refuse) {
        out.u.error.status = c->ended ? ERR_CLOSED : ERR_CONFIG;
        snprintf(out.u.error.text, WIRE_TEXT_MAX, "there is a server 0 already");
        return say(p, m, WIRE_REFUSE, &out, NULL, 0, 1);
    }
    out.u.welcome.job = JOB;
    out.u.welcome.ready = c->hellos > c->not_ready;
    if (!out.u.welcome.ready) {
        return say(p, m, WIRE_WELCOME, &out, NULL, 0, 1);
    }
    struct buf bytes = BUF_EMPTY;
    enum status status = job_plan_encode(&plan, &bytes);
    if (status == OK) {
        status = say(p, m, WIRE_WELCOME, &out, bytes.data, bytes.len, 1);
    }
    buf_fini(&bytes);
    return status;
}

static enum status answer_beat(struct pretender *c, struct port *p, const struct port_message *m) {
    struct wire_msg out = {0};
    if (c->beats < 64) {
        c->beat_ms[c->beats] = clock_mono_ms();
    }
    c->beats++;
    c->failing += m->msg.u.heartbeat.failing;
    c->beat_bytes = m->values_bytes;
    for (size_t i = 0; i < m->values_bytes && i < sizeof c->beat_values; i++) {
        c->beat_values[i] = ((const uint8_t *)m->values)[i];
    }
    out.u.command.order = ORDER_CUT;
    out.u.command.cut = c->beats;
    return say(p, m, WIRE_COMMAND, &out, NULL, 0, 1);
}

static enum status answer_request(struct pretender *c, struct port *p,
                                  const struct port_message *m) {
    struct wire_msg out = {0};
    c->requests++;
    c->first_ids += m->msg.id != c->last_id;
    c->last_id = m->msg.id;
    if (c->requests <= c->deaf || m->msg.type == c->passes_over ||
        (m->msg.type == WIRE_CLOCK_ASK && atomic_load(&c->mute_clock))) {
        return OK;
    }
    out.u.lease.shard = m->msg.u.lease_ask.shard;
    return say(p, m, m->msg.type == WIRE_CLOCK_ASK ? WIRE_CLOCK : WIRE_LEASE, &out, m->keys,
               m->keys_bytes, 1 + c->say_twice);
}

static enum status pretend(void *arg) {
    struct pretender *c = arg;
    struct port *p = NULL;
    struct port_message m;
    enum status status = port_bind(&p, c->t, c->endpoint, MESSAGE_MAX);
    atomic_store(&c->bound, true);
    while (status == OK && !atomic_load(&c->stop)) {
        status = port_receive(p, &m, 5);
        if (status == ERR_TIMEOUT || (status == OK && atomic_load(&c->silent))) {
            status = OK;
        } else if (status == OK && m.msg.type == WIRE_HELLO) {
            status = answer_hello(c, p, &m);
        } else if (status == OK && m.msg.type == WIRE_HEARTBEAT) {
            status = answer_beat(c, p, &m);
        } else if (status == OK) {
            status = answer_request(c, p, &m);
        }
    }
    port_close(&p);
    return status;
}

static void begin(struct pretender *c, const char *name) {
    assert_int_equal(transport_create(&c->t, 1), OK);
    snprintf(c->endpoint, sizeof c->endpoint, "ipc://%s/%s", dir, name);
    assert_int_equal(thread_start(&c->thread, "pretender", pretend, c), OK);
    while (!atomic_load(&c->bound)) {
        clock_sleep_ms(1);
    }
}
static void end(struct pretender *c) {
    atomic_store(&c->stop, true);
    if (thread_join(&c->thread) != OK) {
        fail_msg("%s", fail_text());
    }
    transport_destroy(&c->t);
}

static enum status open_link(struct pretender *c, struct link **l, uint64_t timeout_ms,
                             struct job_plan *plan) {
    static const char endpoints[2][WIRE_ENDPOINT_MAX] = {"ipc://one", "tcp://two:2"};
    const struct link_hello hello = {.hello = {.role = ROLE_SERVER, .build = "test"},
                                     .endpoints = endpoints,
                                     .endpoint_count = 2,
                                     .timeout_ms = timeout_ms};
    struct wire_welcome welcome;
    TRY(link_open(l, c->t, c->endpoint, &hello, &welcome, plan));
    assert_true(welcome.job == JOB);
    return OK;
}

static void open_ready(struct pretender *c, struct link **l) {
    struct job_plan plan;
    if (open_link(c, l, LONG_MS, &plan) != OK) {
        fail_msg("%s", fail_text());
    }
    job_plan_free(&plan);
}

/* --- hello ------------------------------------------------------------------------------------ */

static void test_hello_until_ready(void **state) {
    (void)state;
    struct pretender c = {.not_ready = 2};
    struct link *l;
    struct job_plan plan;
    begin(&c, "hello");
    assert_int_equal(open_link(&c, &l, LONG_MS, &plan), OK);
    assert_int_equal(plan.shards, 2);
    assert_int_equal(plan.batches_per_shard[1], 4);
    assert_string_equal(plan.endpoint[0], "ipc://one");
    job_plan_free(&plan);
    link_close(&l);
    end(&c);
    assert_int_equal(c.hellos, 3);
    assert_int_equal(c.endpoint_bytes, 22);
    assert_memory_equal(c.endpoints, "ipc://one\0tcp://two:2", 22);
}

static void test_nobody_there(void **state) {
    (void)state;
    struct pretender c = {0};
    struct link *l;
    struct job_plan plan;
    assert_int_equal(transport_create(&c.t, 1), OK);
    snprintf(c.endpoint, sizeof c.endpoint, "ipc://%s/nobody", dir);
    uint64_t start_ms = clock_mono_ms();
    assert_int_equal(open_link(&c, &l, 150, &plan), ERR_TIMEOUT);
    assert_in_range(clock_mono_ms() - start_ms, 145, 5000);
    assert_non_null(strstr(fail_text(), "no coordinator answered at ipc://"));
    assert_null(l);
    transport_destroy(&c.t);
}

static void test_silent_before_complete(void **state) {
    (void)state;
    struct pretender c = {.not_ready = UINT32_MAX, .quiet_after = 2};
    struct link *l;
    struct job_plan plan;
    begin(&c, "incomplete");
    assert_int_equal(open_link(&c, &l, 700, &plan), ERR_TIMEOUT);
    assert_non_null(strstr(fail_text(), "was there, then silent for 700 ms"));
    end(&c);
}

/* A coordinator that says "not yet" is waited for, beyond the timeout: it has a deadline itself. */
static void test_not_yet_is_no_silence(void **state) {
    (void)state;
    struct pretender c = {.not_ready = 30};
    struct link *l = NULL;
    struct job_plan plan;
    begin(&c, "slow");
    const uint64_t start_ms = clock_mono_ms();
    assert_int_equal(open_link(&c, &l, 2000, &plan), OK);
    assert_true(clock_mono_ms() - start_ms > 2000);
    job_plan_free(&plan);
    link_close(&l);
    end(&c);
}

static void test_refused(void **state) {
    (void)state;
    struct pretender c = {.refuse = true};
    struct link *l;
    struct job_plan plan;
    begin(&c, "refused");
    assert_int_equal(open_link(&c, &l, LONG_MS, &plan), ERR_CONFIG);
    assert_non_null(strstr(fail_text(), "there is a server 0 already"));
    end(&c);
}

/* Who comes when the job has ended is not at fault. */
static void test_too_late(void **state) {
    (void)state;
    struct pretender c = {.refuse = true, .ended = true};
    struct link *l;
    struct job_plan plan;
    begin(&c, "late");
    assert_int_equal(open_link(&c, &l, LONG_MS, &plan), ERR_CLOSED);
    assert_null(l);
    end(&c);
}

/* --- requests --------------------------------------------------------------------------------- */

static void test_lost_requests_are_repeated(void **state) {
    (void)state;
    struct pretender c = {.deaf = 2};
    struct link *l;
    struct port_message m;
    uint64_t id;
    begin(&c, "lost");
    open_ready(&c, &l);
    link_timing(l, 1000, 30, LONG_MS, 300000);
    struct wire_msg ask = {.type = WIRE_LEASE_ASK};
    ask.u.lease_ask.shard = 77;
    assert_int_equal(link_request(l, &ask, "keys", 4, NULL, 0, &id), OK);
    assert_int_equal(link_next(l, &m, LONG_MS), OK);
    assert_int_equal(m.msg.type, WIRE_LEASE);
    assert_int_equal(m.msg.u.lease.shard, 77);
    assert_true(m.msg.id == id);
    assert_memory_equal(m.keys, "keys", 4); /* frames are repeated too */
    link_close(&l);
    end(&c);
    assert_int_equal(c.requests, 3);
    assert_int_equal(c.first_ids, 1); /* all of them with the same id */
}

static void test_second_answers_are_dropped(void **state) {
    (void)state;
    struct pretender c = {.say_twice = 3};
    struct link *l;
    struct port_message m;
    uint64_t id;
    begin(&c, "twice");
    open_ready(&c, &l);
    for (uint32_t i = 0; i < 5; i++) {
        struct wire_msg ask = {.type = WIRE_LEASE_ASK};
        ask.u.lease_ask.shard = i;
        assert_int_equal(link_request(l, &ask, NULL, 0, NULL, 0, &id), OK);
    }
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(link_next(l, &m, LONG_MS), OK);
        assert_int_equal(m.msg.u.lease.shard, i);
    }
    assert_int_equal(link_next(l, &m, 100), ERR_TIMEOUT);
    link_close(&l);
    end(&c);
}

/* --- heartbeats ------------------------------------------------------------------------------- */

static void test_beats_and_commands(void **state) {
    (void)state;
    struct pretender c = {0};
    struct link *l;
    struct port_message m;
    uint64_t rows[3] = {1, 2, 3};
    begin(&c, "beats");
    open_ready(&c, &l);
    link_timing(l, 60, 1000, LONG_MS, 300000);
    assert_int_equal(link_next(l, &m, 150), ERR_TIMEOUT); /* none before link_beat */
    struct wire_heartbeat beat = {.role = ROLE_SERVER, .rows = 5};
    link_beat(l, &beat);
    assert_int_equal(link_beat_values(l, rows, sizeof rows), OK);
    for (uint64_t i = 1; i <= 4; i++) {
        assert_int_equal(link_next(l, &m, LONG_MS), OK);
        assert_int_equal(m.msg.type, WIRE_COMMAND);
        assert_int_equal(m.msg.u.command.cut, i);
    }
    link_timing(l, 60000, 1000, LONG_MS, 300000); /* a failing beat does not wait for its turn */
    assert_int_equal(link_next(l, &m, LONG_MS), OK);
    beat.failing = true;
    link_beat(l, &beat);
    uint64_t start_ms = clock_mono_ms();
    assert_int_equal(link_next(l, &m, LONG_MS), OK);
    assert_true(clock_mono_ms() - start_ms < 5000);
    link_close(&l);
    end(&c);
    assert_int_equal(c.beats, 6);
    assert_int_equal(c.failing, 1);
    assert_int_equal(c.beat_bytes, sizeof rows);
    assert_memory_equal(c.beat_values, rows, sizeof rows);
    assert_true(c.beat_ms[3] - c.beat_ms[0] >= 3 * 60 - 30);
}

/* --- silence ---------------------------------------------------------------------------------- */

static void expect_silence(struct pretender *c, struct link *l, uint64_t give_up_ms,
                           const char *what) {
    struct port_message m;
    enum status status = ERR_TIMEOUT;
    uint64_t start_ms = clock_mono_ms();
    while (status == ERR_TIMEOUT || status == OK) {
        status = link_next(l, &m, 20);
        assert_true(clock_mono_ms() - start_ms < LONG_MS);
    }
    assert_int_equal(status, ERR_PEER);
    assert_in_range(clock_mono_ms() - start_ms, give_up_ms - 50, give_up_ms + 3000);
    assert_non_null(strstr(fail_text(), c->endpoint));
    assert_non_null(strstr(fail_text(), what));
}

static void test_silence_is_noticed(void **state) {
    (void)state;
    struct pretender c = {0};
    struct link *l;
    uint64_t id;
    begin(&c, "silent");
    open_ready(&c, &l);
    link_timing(l, 50, 50, 400, 300000);
    atomic_store(&c.silent, true);
    struct wire_msg ask = {.type = WIRE_LEASE_ASK};
    assert_int_equal(link_request(l, &ask, NULL, 0, NULL, 0, &id), OK);
    expect_silence(&c, l, 400, "LEASE_ASK");
    link_close(&l);

    atomic_store(&c.silent, false); /* the same with heartbeats alone */
    open_ready(&c, &l);
    link_timing(l, 50, 50, 400, 300000);
    atomic_store(&c.silent, true);
    struct wire_heartbeat beat = {.role = ROLE_WORKER};
    link_beat(l, &beat);
    expect_silence(&c, l, 400, "HEARTBEAT");
    link_close(&l);
    end(&c);
}

/* A question may stay open for long, as CLOCK_ASK does, while the coordinator is alive. */
static void test_a_late_answer_is_not_silence(void **state) {
    (void)state;
    struct pretender c = {0};
    struct link *l;
    struct port_message m;
    uint64_t id;
    begin(&c, "late");
    open_ready(&c, &l);
    link_timing(l, 50, 50, 400, 300000);
    atomic_store(&c.mute_clock, true);
    struct wire_heartbeat beat = {.role = ROLE_WORKER};
    link_beat(l, &beat);
    struct wire_msg ask = {.type = WIRE_CLOCK_ASK};
    assert_int_equal(link_request(l, &ask, NULL, 0, NULL, 0, &id), OK);
    uint64_t until_ms = clock_mono_ms() + 1200;
    while (clock_left_ms(until_ms) > 0) {
        enum status status = link_next(l, &m, 20);
        assert_true(status == ERR_TIMEOUT || (status == OK && m.msg.type == WIRE_COMMAND));
    }
    atomic_store(&c.mute_clock, false);
    do {
        assert_int_equal(link_next(l, &m, LONG_MS), OK);
    } while (m.msg.type != WIRE_CLOCK);
    assert_true(m.msg.id == id);
    link_close(&l);
    end(&c);
}

/* A coordinator that answers heartbeats, but never the one request, is alive and no use. */
static void passed_over(enum wire_type type, const char *name) {
    struct pretender c = {.passes_over = type};
    struct link *l;
    uint64_t id;
    begin(&c, name);
    open_ready(&c, &l);
    link_timing(l, 50, 50, 1000, 2000); /* one that is a second late is not silent */
    struct wire_heartbeat beat = {.role = ROLE_WORKER};
    link_beat(l, &beat);
    struct wire_msg ask = {.type = type};
    assert_int_equal(link_request(l, &ask, NULL, 0, "scores", 6, &id), OK);
    expect_silence(&c, l, 1500, name); /* of 2000, some may have passed before it looks */
    assert_non_null(strstr(fail_text(), "answers heartbeats, but has not answered a"));
    assert_non_null(strstr(fail_text(), "of 6 bytes"));
    link_close(&l);
    end(&c);
    assert_true(c.beats > 5);
    assert_in_range(c.requests, 3, 10); /* at growing intervals */
}

static void test_a_request_passed_over_is_named(void **state) {
    (void)state;
    passed_over(WIRE_LEASE_ASK, "LEASE_ASK");
    passed_over(WIRE_SCORES, "SCORES");
    passed_over(WIRE_PART_DONE, "PART_DONE");
}

/* A role that was stopped while it awaited an answer asks again before it blames anybody. */
static void test_who_was_away_asks_again(void **state) {
    (void)state;
    struct pretender c = {0};
    struct link *l;
    struct port_message m;
    struct wire_heartbeat beat = {.role = ROLE_WORKER};
    begin(&c, "away");
    open_ready(&c, &l);
    link_timing(l, 20, 20, 2000, 300000);
    atomic_store(&c.silent, true);
    link_beat(l, &beat);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(link_next(l, &m, 20), ERR_TIMEOUT);
    }
    clock_sleep_ms(2100); /* stopped; the coordinator is there again */
    atomic_store(&c.silent, false);
    assert_int_equal(link_next(l, &m, 0), ERR_TIMEOUT);
    enum status status = ERR_TIMEOUT;
    for (int i = 0; i < 100 && status == ERR_TIMEOUT; i++) {
        status = link_next(l, &m, 20);
    }
    assert_int_equal(status, OK);
    assert_int_equal(m.msg.type, WIRE_COMMAND);
    link_close(&l);
    end(&c);
}

/* With nothing asked nobody is blamed, however long it takes. */
static void test_idle_is_not_silence(void **state) {
    (void)state;
    struct pretender c = {0};
    struct link *l;
    struct port_message m;
    begin(&c, "idle");
    open_ready(&c, &l);
    link_timing(l, 20, 20, 100, 300000);
    assert_int_equal(link_next(l, &m, 400), ERR_TIMEOUT);
    link_close(&l);
    end(&c);
}

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-link-XXXXXX");
    return mkdtemp(dir) == NULL;
}
static int remove_dir(void **state) {
    (void)state;
    return file_remove_tree(dir) != OK;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_until_ready),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_a_request_passed_over_is_named),
        cmocka_unit_test(test_silent_before_complete),
        cmocka_unit_test(test_not_yet_is_no_silence),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_late),
        cmocka_unit_test(test_lost_requests_are_repeated),
        cmocka_unit_test(test_second_answers_are_dropped),
        cmocka_unit_test(test_beats_and_commands),
        cmocka_unit_test(test_silence_is_noticed),
        cmocka_unit_test(test_a_late_answer_is_not_silence),
        cmocka_unit_test(test_who_was_away_asks_again),
        cmocka_unit_test(test_idle_is_not_silence),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
