/* Unit tests of coord/stall.c: a coordinator's state put together by hand, each phase driven into a
 * stall by a clock that is not real. Whole jobs that stall are in test_coord.c. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "coord/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#undef fail /* cmocka's; ours records a cause */

#define SHARDS   3u
#define LIMIT_MS 1000u

static uint32_t batches[SHARDS] = {4, 4, 4};
static struct ranges ranges; /* of the coordinator that was begun last */
static struct config config;
static struct coord_options options;

static void beat(struct coord *c, uint32_t w, uint64_t finished, bool reading, uint64_t now_ms) {
    struct member *m = membership_heard(&c->members, ROLE_WORKER, w, w + 1, now_ms);
    struct wire_heartbeat b = {.role = ROLE_WORKER, .reading = reading};
    assert_non_null(m);
    b.progress.finished = finished;
    membership_beat(m, &b);
}

/* Two workers, nothing granted; a phase has just begun. */
static struct coord begin(enum phase phase) {
    struct coord c = {.phase = phase, .config = &config, .options = &options};
    struct applied *done = NULL;
    config_default(&config);
    config.stall_ms = LIMIT_MS;
    config.lease_ms = 100000;
    options = (struct coord_options){.workers = 2};
    const struct ranges_spec spec = {.batch = 10};
    const struct ranges_shard shard[SHARDS] = {{40, 40}, {40, 40}, {40, 40}};
    ranges_fini(&ranges);
    assert_int_equal(ranges_init(&ranges, &spec, shard, SHARDS), OK);
    c.plan = (struct batch_plan){.ranges = &ranges, .epochs = 1, .max_steps = UINT64_MAX};
    c.event_log.metrics = FILE_CLOSED;
    assert_int_equal(applied_create(&done, batches, SHARDS), OK);
    assert_int_equal(leases_init(&c.leases, &c.plan, done, false, config.lease_ms, 1), OK);
    assert_int_equal(membership_init(&c.members, 1, 2, 100, 100000, "test"), OK);
    staleness_init(&c.staleness, 4, 1000);
    c.notes.journal.file = FILE_CLOSED;
    for (uint32_t w = 0; w < 2; w++) {
        struct wire_hello h = {
            .role = ROLE_WORKER, .index = w, .pid = 10 + w, .incarnation = w + 1};
        char why[WIRE_TEXT_MAX];
        bool fresh;
        snprintf(h.build, sizeof h.build, "test");
        snprintf(h.host, sizeof h.host, "h%u", w);
        assert_int_equal(membership_hello(&c.members, &h, NULL, 0, 0, &fresh, why), HELLO_WELCOME);
        beat(&c, w, 0, false, 0);
    }
    if (phase == PHASE_SCORE) {
        assert_int_equal(leases_eval(&c.leases, 0, batches, SHARDS), OK);
    } else {
        assert_int_equal(leases_train(&c.leases, 0), OK);
    }
    return c;
}

static void end(struct coord *c) {
    leases_fini(&c->leases);
    membership_fini(&c->members);
    staleness_fini(&c->staleness);
    buf_fini(&c->scratch);
}

static uint32_t grant(struct coord *c, uint32_t w, uint64_t now_ms) {
    struct wire_lease lease;
    assert_int_equal(leases_ask(&c->leases, w, w + 1, false, now_ms, &lease, &c->scratch), OK);
    assert_true(lease.kind == LEASE_TRAIN || lease.kind == LEASE_EVAL);
    membership_busy(&c->members.worker[w], now_ms);
    return lease.shard;
}

static void runs(struct coord *c, uint64_t now_ms) {
    if (stall_step(c, now_ms) != OK) {
        print_error("at %llu: %s\n", (unsigned long long)now_ms, fail_text());
        assert_true(false);
    }
}

static void stalls(struct coord *c, uint64_t now_ms, const char *what) {
    assert_int_equal(stall_step(c, now_ms), ERR_TIMEOUT);
    if (strstr(fail_text(), what) == NULL) {
        print_error("\"%s\", expected \"%s\"\n", fail_text(), what);
        assert_true(false);
    }
}

static void training(void **state) {
    (void)state;
    struct coord c = begin(PHASE_TRAIN);
    runs(&c, 0);
    grant(&c, 1, 10);
    runs(&c, 500);
    beat(&c, 1, 1, false, 600); /* a batch */
    runs(&c, 600);
    beat(&c, 1, 1, false, 1500); /* a heartbeat, and no more */
    beat(&c, 0, 0, false, 1500);
    c.members.worker[0].stuck = true; /* of no use either */
    runs(&c, 1599);
    stalls(&c, 1600,
           "epoch 1 has made no progress for 1000 ms (net.stall_ms); awaited: worker 1 (host "
           "h1, pid 11), which holds shard 0 and has finished 1 batches");
    end(&c);
}

static void nobody_asks(void **state) {
    (void)state;
    struct coord c = begin(PHASE_TRAIN);
    runs(&c, 0);
    runs(&c, 999);
    stalls(&c, 1000, "3 shards are pending, and none of 2 workers asks for one");
    end(&c);
}

/* A grant is no progress, but who has got one is given its time. */
static void another_takes_over(void **state) {
    (void)state;
    struct coord c = begin(PHASE_TRAIN);
    runs(&c, 0);
    const uint32_t shard = grant(&c, 1, 0);
    grant(&c, 0, 0);
    beat(&c, 0, 1, false, 500);
    runs(&c, 500);
    runs(&c, 999);
    assert_int_equal(leases_held(&c.leases, 1), 1);
    runs(&c, 1000); /* worker 0 gets on, worker 1 does not */
    assert_int_equal(leases_held(&c.leases, 1), 0);
    assert_int_equal(grant(&c, 0, 1001), shard);
    runs(&c, 1999);
    stalls(&c, 2001, "awaited: worker 0 (host h0, pid 10), which holds shard");
    beat(&c, 1, 1, false, 2002); /* it was only slow */
    runs(&c, 2002);
    assert_false(c.members.worker[1].stuck);
    end(&c);
}

/* Of two that stopped within moments the one is no help to the other, and both are named. */
static void both_stop(void **state) {
    (void)state;
    struct coord c = begin(PHASE_TRAIN);
    runs(&c, 0);
    grant(&c, 1, 0);
    grant(&c, 0, 20);
    runs(&c, 999);
    c.stall.moved_ms = 20; /* the job's time is not up yet */
    runs(&c, 1010);
    assert_int_equal(leases_held(&c.leases, 1), 1);
    stalls(&c, 1020, "; worker 1 (host h1, pid 11), which holds shard 0");
    end(&c);
}

/* Waiting for the disk is not a stall, but nobody else may hide behind it. */
static void reading(void **state) {
    (void)state;
    struct coord c = begin(PHASE_TRAIN);
    runs(&c, 0);
    grant(&c, 0, 0);
    grant(&c, 1, 0);
    for (uint64_t now_ms = 100; now_ms <= 5000; now_ms += 100) {
        beat(&c, 0, 0, true, now_ms);
        runs(&c, now_ms);
        assert_int_equal(leases_held(&c.leases, 1), now_ms < LIMIT_MS);
    }
    assert_int_equal(c.stall.said_ms, 5000); /* shown */
    beat(&c, 0, 0, false, 5100);             /* it is read; now it has to be trained on */
    runs(&c, 5100);
    runs(&c, 5999);
    stalls(&c, 6000, "which holds shard");
    end(&c);
}

static void scoring(void **state) {
    (void)state;
    struct coord c = begin(PHASE_SCORE);
    runs(&c, 0);
    grant(&c, 0, 0);
    c.eval_job.taken += 7; /* scores came */
    runs(&c, 900);
    c.members.worker[1].state = MEMBER_LOST;
    runs(&c, 1899);
    stalls(&c, 1900,
           "the evaluation after epoch 1 has made no progress for 1000 ms (net.stall_ms); "
           "awaited: worker 0");
    end(&c);
}

static atomic_bool release;
static enum status computes_for_ever(void *arg) {
    (void)arg;
    while (!atomic_load(&release)) {
        clock_sleep_ms(1);
    }
    return OK;
}

static void computing(void **state) {
    (void)state;
    struct coord c = begin(PHASE_COMPUTE);
    c.eval.impressions = 77;
    assert_int_equal(thread_start(&c.eval_job.thread, "computes", computes_for_ever, NULL), OK);
    leases_finish(&c.leases);
    runs(&c, 0);
    runs(&c, 999);
    stalls(&c, 1000, "the metrics of 77 evaluation impressions were not computed within 1000 ms");
    assert_true(c.eval_job.left);
    eval_job_fini(&c.eval_job); /* does not wait */
    atomic_store(&release, true);
    while (!thread_ended(&c.eval_job.thread)) {
        clock_sleep_ms(1);
    }
    clock_sleep_ms(20); /* its last words are on this stack */
    end(&c);
}

/* A stream is waited for, and a cut has a deadline of its own. */
static void what_has_another_deadline(void **state) {
    (void)state;
    struct coord c = begin(PHASE_TRAIN);
    options.stream = true;
    c.stream = (struct shard_stream){.dir = "/stream", .next = 3};
    leases_finish(&c.leases);
    runs(&c, 0);
    runs(&c, 100000);
    assert_int_equal(c.stall.said_ms, 100000);
    options.stream = false;
    end(&c);
    c = begin(PHASE_TRAIN);
    c.checkpoints.cut.busy = true;
    runs(&c, 0);
    runs(&c, 100000);
    c.checkpoints.cut.busy = false;
    runs(&c, 100999);
    stalls(&c, 101000, "3 shards are pending");
    const enum phase others[] = {PHASE_GATHER, PHASE_SAVE, PHASE_STOP};
    for (size_t i = 0; i < 3; i++) {
        c.phase = others[i];
        runs(&c, 200000);
        runs(&c, 300000);
    }
    end(&c);
}

static int quiet(void **state) {
    (void)state;
    log_level_set(LOG_ERROR);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training),  cmocka_unit_test(nobody_asks),
        cmocka_unit_test(reading),   cmocka_unit_test(another_takes_over),
        cmocka_unit_test(both_stop), cmocka_unit_test(scoring),
        cmocka_unit_test(computing), cmocka_unit_test(what_has_another_deadline),
    };
    return cmocka_run_group_tests_name("stall", tests, quiet, NULL);
}
