/* What server and worker do alike, with parts that only note what they are called for, against a
 * coordinator that is a few lines. */
#include "common/net/role.h"

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
#include "common/base/thread.h"

#include <cmocka.h>

#define JOB     0xabcdefu
#define LONG_MS 20000

static char dir[64];

/* --- the coordinator -------------------------------------------------------------------------- */

struct pretender {
    struct thread thread;
    char endpoint[128];
    bool refuses;     /* every HELLO: the job has ended */
    uint32_t place;   /* given to who takes any */
    bool answers_no;  /* every request, with an ERROR */
    uint32_t stop_at; /* the heartbeat whose answer is STOP; 0: none */
    uint32_t back_at; /* the one whose answer is REJOIN, after which the job has another number */
    uint64_t job, beat_job;
    uint32_t hellos;
    bool job_failed;
    atomic_bool bound, stop;
    struct wire_hello hello;
    uint32_t beats;
    struct wire_heartbeat last;
};

static enum status answer_hello(struct pretender *c, struct wire_msg *out, struct buf *keys) {
    char config[] = "[net]\nheartbeat_ms = 20\n[train]\nbatch = 64\n";
    char endpoint[1][WIRE_ENDPOINT_MAX] = {"ipc://one"};
    uint32_t batches[2] = {3, 4};
    struct job_plan plan = {.config_text = config,
                            .batches_per_shard = batches,
                            .shards = 2,
                            .endpoint = endpoint,
                            .partitions = 1};
    if (c->refuses) {
        out->type = WIRE_REFUSE;
        out->u.error.status = ERR_CLOSED;
        return OK;
    }
    out->type = WIRE_WELCOME;
    out->u.welcome =
        (struct wire_welcome){.job = c->job, .ready = true, .workers = 3, .index = c->place};
    TRY(schema_add(&plan.schema, "user", SIDE_USER));
    TRY(schema_add(&plan.schema, "item", SIDE_ITEM));
    schema_finish(&plan.schema);
    return job_plan_encode(&plan, keys);
}

static enum status answer(struct pretender *c, struct port *p, const struct port_message *m) {
    struct buf keys = BUF_EMPTY;
    struct wire_msg out = {.job = m->msg.job, .id = m->msg.id, .type = WIRE_LEASE};
    enum status status = OK;
    if (m->msg.type == WIRE_HELLO) {
        c->hello = m->msg.u.hello;
        c->hellos++;
        status = answer_hello(c, &out, &keys);
    } else if (m->msg.type == WIRE_HEARTBEAT) {
        c->last = m->msg.u.heartbeat;
        out.type = WIRE_COMMAND;
        c->beat_job = m->msg.job;
        out.u.command.order = ++c->beats == c->stop_at ? ORDER_STOP
                              : c->beats == c->back_at ? ORDER_REJOIN
                                                       : ORDER_CUT;
        c->job += c->beats == c->back_at;
        out.u.command.failed = c->job_failed;
    } else if (c->answers_no) {
        out.type = WIRE_ERROR;
        snprintf(out.u.error.text, WIRE_TEXT_MAX, "no such shard");
    }
    if (status == OK) {
        status = port_send(p, m->peer, m->peer_bytes, &out, keys.data, keys.len, NULL, 0);
    }
    buf_fini(&keys);
    return status == ERR_AGAIN ? OK : status; /* who has left needs no answer */
}

static enum status pretend(void *arg) {
    struct pretender *c = arg;
    struct transport *t = NULL;
    struct port *p = NULL;
    struct port_message m;
    enum status status = transport_create(&t, 1);
    if (status == OK) {
        status = port_bind(&p, t, c->endpoint, 1u << 20);
    }
    atomic_store(&c->bound, true);
    while (status == OK && !atomic_load(&c->stop)) {
        status = port_receive(p, &m, 5);
        status = status == ERR_TIMEOUT ? OK : status == OK ? answer(c, p, &m) : status;
    }
    port_close(&p);
    transport_destroy(&t);
    return status;
}

/* --- a role ----------------------------------------------------------------------------------- */

struct actor {
    struct pretender coordinator;
    struct role role;
    struct config config;
    struct job_plan plan;
    struct layout layout;
    char called[16]; /* o b l f c: the parts in their order; takes and works are counted */
    uint32_t cuts, leases, works, stops;
    bool takes_any;
    uint32_t asks_at, fails_at, quits_at; /* which turn; 0: none */
    bool begin_fails;
};

static void note(struct actor *a, char what) {
    a->called[strlen(a->called)] = what;
}

static enum status actor_open(void *self) {
    note(self, 'o');
    return OK;
}

static enum status actor_begin(void *self) {
    struct actor *a = self;
    note(a, 'b');
    assert_int_equal(a->config.batch, 64);
    assert_int_equal(a->plan.shards, 2);
    assert_int_equal(a->role.welcome.workers, 3);
    return a->begin_fails ? (fail)(ERR_CONFIG, "cannot begin") : OK;
}

static enum status actor_take(void *self, const struct port_message *m) {
    struct actor *a = self;
    a->cuts += m->msg.type == WIRE_COMMAND && m->msg.u.command.order == ORDER_CUT;
    a->stops += m->msg.type == WIRE_COMMAND && m->msg.u.command.order == ORDER_STOP;
    a->leases += m->msg.type == WIRE_LEASE;
    return OK;
}

static enum status actor_work(void *self) {
    struct actor *a = self;
    struct wire_heartbeat b = {.rows = ++a->works};
    role_beat(&a->role, &b);
    if (a->works == a->asks_at) {
        struct wire_msg m = {.type = WIRE_LEASE_ASK};
        uint64_t id;
        return link_request(a->role.link, &m, NULL, 0, NULL, 0, &id);
    }
    if (a->works == a->quits_at) {
        role_quit(&a->role, "told to");
        a->role.ended = true;
    }
    return a->works == a->fails_at ? (fail)(ERR_IO, "the disk is gone") : OK;
}

static enum status actor_leave(void *self) {
    struct actor *a = self;
    note(a, 'l');
    job_plan_free(&a->plan);
    return OK;
}

static void actor_finish(void *self) {
    struct actor *a = self;
    note(a, 'f');
    role_await(&a->role, 1, LONG_MS);
}

static void actor_close(void *self) {
    note(self, 'c');
}

static const struct role_parts PARTS = {.open = actor_open,
                                        .begin = actor_begin,
                                        .take = actor_take,
                                        .work = actor_work,
                                        .leave = actor_leave,
                                        .finish = actor_finish,
                                        .close = actor_close};

static enum status play(struct actor *a) {
    static unsigned plays;
    struct pretender *c = &a->coordinator;
    snprintf(c->endpoint, sizeof c->endpoint, "ipc://%s/coord-%u", dir, plays++);
    c->job = JOB;
    assert_int_equal(thread_start(&c->thread, "coordinator", pretend, c), OK);
    while (!atomic_load(&c->bound)) {
        clock_sleep_ms(1);
    }
    a->role = (struct role){.parts = &PARTS,
                            .self = a,
                            .kind = ROLE_WORKER,
                            .index = a->takes_any ? WIRE_INDEX_ANY : 2,
                            .threads = 4,
                            .coordinator = c->endpoint,
                            .timeout_ms = LONG_MS,
                            .step_ms = 2,
                            .config = &a->config,
                            .plan = &a->plan,
                            .layout = &a->layout};
    const enum status status = role_run(&a->role);
    assert_null(a->role.link);
    assert_null(a->role.transport);
    atomic_store(&c->stop, true);
    char why[256];
    snprintf(why, sizeof why, "%s", fail_text());
    assert_int_equal(thread_join(&c->thread), OK);
    job_plan_free(&a->plan);
    return status == OK ? OK : (fail)(status, "%s", why);
}

/* --- the tests -------------------------------------------------------------------------------- */

static struct actor actor;

static void it_works_until_it_is_stopped(void **state) {
    (void)state;
    actor = (struct actor){.asks_at = 2, .coordinator = {.stop_at = 4}};
    if (play(&actor) != OK) {
        fail_msg("%s", fail_text());
    }
    const struct pretender *c = &actor.coordinator;
    assert_string_equal(actor.called, "obfc");
    assert_true(c->hello.role == ROLE_WORKER && c->hello.index == 2 && c->hello.threads == 4);
    assert_int_equal(actor.cuts, 4); /* before STOP, and the answer to the last words */
    assert_int_equal(actor.stops, 0);
    assert_int_equal(actor.leases, 1);
    assert_int_equal(c->beats, 5);
    assert_true(c->last.role == ROLE_WORKER && c->last.index == 2);
    assert_true(c->last.incarnation == c->hello.incarnation && !c->last.failing);
    assert_true(c->last.rows > 0);
}

static void it_beats_from_the_place_that_it_is_given(void **state) {
    (void)state;
    actor = (struct actor){.takes_any = true, .coordinator = {.stop_at = 2, .place = 5}};
    assert_int_equal(play(&actor), OK);
    assert_true(actor.coordinator.hello.index == WIRE_INDEX_ANY);
    assert_int_equal(actor.coordinator.last.index, 5);
    assert_int_equal(actor.role.index, 5);
}

static void a_failed_job_is_no_failure_of_the_role(void **state) {
    (void)state;
    actor = (struct actor){.coordinator = {.stop_at = 1, .job_failed = true}};
    assert_int_equal(play(&actor), OK);
    assert_string_equal(actor.called, "obfc");
}

/* A lease asked for in the turn before is not answered any more, and nobody waits for it. */
static void it_joins_the_next_life_as_the_same_process(void **state) {
    (void)state;
    actor = (struct actor){.asks_at = 2, .coordinator = {.back_at = 2, .stop_at = 5}};
    if (play(&actor) != OK) {
        fail_msg("%s", fail_text());
    }
    const struct pretender *c = &actor.coordinator;
    assert_string_equal(actor.called, "oblbfc");
    assert_int_equal(c->hellos, 2);
    assert_true(c->beat_job == JOB + 1);
    assert_true(c->last.incarnation == c->hello.incarnation);
    assert_true(actor.role.welcome.job == JOB + 1);
}

static void the_coordinator_hears_what_failed(void **state) {
    (void)state;
    actor = (struct actor){.fails_at = 3};
    assert_int_equal(play(&actor), ERR_IO);
    assert_string_equal(fail_text(), "the disk is gone");
    assert_string_equal(actor.called, "obc");
    assert_true(actor.coordinator.last.failing);
    assert_string_equal(actor.coordinator.last.text, "the disk is gone");
    assert_int_equal(actor.coordinator.last.rows, 3); /* with the last figures */
}

static void one_that_quits_is_heard(void **state) {
    (void)state;
    actor = (struct actor){.quits_at = 2};
    assert_int_equal(play(&actor), OK);
    assert_true(actor.coordinator.last.failing && actor.coordinator.last.leaving);
    assert_string_equal(actor.coordinator.last.text, "told to");
    assert_string_equal(actor.called, "obfc");
}

static void one_that_cannot_begin_says_so(void **state) {
    (void)state;
    actor = (struct actor){.begin_fails = true};
    assert_int_equal(play(&actor), ERR_CONFIG);
    assert_string_equal(actor.called, "obc");
    assert_int_equal(actor.works, 0);
    assert_string_equal(actor.coordinator.last.text, "cannot begin");
    assert_int_equal(actor.coordinator.last.index, 2);
}

static void a_job_that_has_ended_is_none(void **state) {
    (void)state;
    actor = (struct actor){.coordinator = {.refuses = true}};
    assert_int_equal(play(&actor), OK);
    assert_string_equal(actor.called, "oc");
    assert_int_equal(actor.coordinator.beats, 0);
}

/* Who is refused by the coordinator need not tell it why it leaves. */
static void an_error_ends_the_role(void **state) {
    (void)state;
    actor = (struct actor){.asks_at = 1, .coordinator = {.answers_no = true}};
    assert_int_equal(play(&actor), ERR_PEER);
    assert_string_equal(fail_text(), "the coordinator answered with an error: no such shard");
    assert_string_equal(actor.called, "obc");
    assert_false(actor.coordinator.last.failing);
}

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-role-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state) {
    (void)state;
    return file_remove_tree(dir) != OK;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_works_until_it_is_stopped),
        cmocka_unit_test(it_beats_from_the_place_that_it_is_given),
        cmocka_unit_test(a_failed_job_is_no_failure_of_the_role),
        cmocka_unit_test(it_joins_the_next_life_as_the_same_process),
        cmocka_unit_test(the_coordinator_hears_what_failed),
        cmocka_unit_test(one_that_quits_is_heard),
        cmocka_unit_test(one_that_cannot_begin_says_so),
        cmocka_unit_test(a_job_that_has_ended_is_none),
        cmocka_unit_test(an_error_ends_the_role),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
