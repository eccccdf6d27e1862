/* Unit tests of coord/grant/staleness.h: the plain cases, and a simulation of trainers that
 * come, work, rest, die and come again, in which the bound must hold and somebody must always
 * get on. */
#include "coord/grant/staleness.h"

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct staleness_address address(uint64_t id) {
    struct staleness_address a = {.peer_bytes = 1, .id = id};
    a.peer[0] = (uint8_t)id;
    return a;
}

static void ask(struct staleness *s, uint32_t worker, uint32_t trainer, uint64_t clock, uint64_t id,
                uint64_t now_ms) {
    struct staleness_address a = address(id);
    assert_int_equal(staleness_ask(s, worker, trainer, clock, &a, now_ms), OK);
}

static void expect_answer(struct staleness *s, uint64_t now_ms, uint32_t worker, uint32_t trainer,
                          uint64_t clock, uint64_t id) {
    struct staleness_answer out;
    assert_true(staleness_next(s, now_ms, &out));
    assert_int_equal(out.worker, worker);
    assert_int_equal(out.trainer, trainer);
    assert_int_equal(out.clock, clock);
    assert_int_equal(out.address.id, id);
    assert_int_equal(out.address.peer[0], (uint8_t)id);
}

static void expect_silence(struct staleness *s, uint64_t now_ms) {
    struct staleness_answer out;
    assert_false(staleness_next(s, now_ms, &out));
}

static void the_fast_wait_for_the_slow(void **state) {
    (void)state;
    struct staleness s;
    staleness_init(&s, 2, 1000);
    ask(&s, 0, 0, 0, 1, 0);
    ask(&s, 1, 0, 0, 1, 0);
    expect_answer(&s, 0, 0, 0, 0, 1);
    expect_answer(&s, 0, 1, 0, 0, 1);
    ask(&s, 0, 0, 2, 2, 10);
    expect_answer(&s, 10, 0, 0, 0, 2);
    ask(&s, 0, 0, 3, 3, 20);
    expect_silence(&s, 20);
    ask(&s, 1, 0, 1, 2, 30);
    expect_answer(&s, 30, 0, 0, 1, 3);
    expect_answer(&s, 30, 1, 0, 1, 2);
    staleness_fini(&s);
}

static void a_barrier_with_bound_zero(void **state) {
    (void)state;
    struct staleness s;
    staleness_init(&s, 0, 1000);
    for (uint32_t w = 0; w < 3; w++) {
        ask(&s, w, 0, 0, 1, 0);
        expect_answer(&s, 0, w, 0, 0, 1);
    }
    ask(&s, 0, 0, 1, 2, 1);
    ask(&s, 1, 0, 1, 2, 1);
    expect_silence(&s, 1);
    ask(&s, 2, 0, 1, 2, 2);
    for (uint32_t w = 0; w < 3; w++) {
        expect_answer(&s, 2, w, 0, 1, 2);
    }
    staleness_fini(&s);
}

static void the_idle_hold_nobody_back(void **state) {
    (void)state;
    struct staleness s;
    staleness_init(&s, 0, 1000);
    ask(&s, 0, 0, 0, 1, 0);
    ask(&s, 0, 1, 0, 2, 0);
    expect_answer(&s, 0, 0, 0, 0, 1);
    expect_answer(&s, 0, 0, 1, 0, 2);
    ask(&s, 0, 0, 5, 3, 1);
    expect_silence(&s, 1);
    ask(&s, 0, 1, CLOCK_IDLE, 4, 2);
    expect_answer(&s, 2, 0, 0, 5, 3);
    expect_answer(&s, 2, 0, 1, 5, 4);
    staleness_fini(&s);
}

/* Who was away re-enters at the floor, and hears answers on the scale of its own clock. */
static void a_newcomer_starts_at_the_floor(void **state) {
    (void)state;
    struct staleness s;
    staleness_init(&s, 3, 1000);
    ask(&s, 0, 0, 1000, 1, 0);
    expect_answer(&s, 0, 0, 0, 1000, 1);
    ask(&s, 1, 0, 0, 1, 0);
    expect_answer(&s, 0, 1, 0, 0, 1);
    ask(&s, 0, 0, 1004, 2, 1);
    expect_silence(&s, 1);
    ask(&s, 1, 0, 1, 2, 2);
    expect_answer(&s, 2, 0, 0, 1001, 2);
    expect_answer(&s, 2, 1, 0, 1, 2);
    staleness_fini(&s);
}

static void a_dead_worker_is_not_waited_for(void **state) {
    (void)state;
    struct staleness s;
    staleness_init(&s, 0, 1000);
    ask(&s, 0, 0, 0, 1, 0);
    ask(&s, 1, 0, 0, 1, 0);
    expect_answer(&s, 0, 0, 0, 0, 1);
    expect_answer(&s, 0, 1, 0, 0, 1);
    ask(&s, 0, 0, 1, 2, 1);
    expect_silence(&s, 1);
    staleness_leave(&s, 1);
    expect_answer(&s, 1, 0, 0, 1, 2);
    staleness_fini(&s);
}

static void a_worker_without_lease_is_not_waited_for(void **state) {
    (void)state;
    struct staleness s;
    staleness_init(&s, 0, 1000);
    ask(&s, 0, 0, 0, 1, 0);
    ask(&s, 1, 0, 0, 1, 0);
    expect_answer(&s, 0, 0, 0, 0, 1);
    expect_answer(&s, 0, 1, 0, 0, 1);
    ask(&s, 0, 0, 1, 2, 1);
    staleness_rest(&s, 0); /* the asker itself waits: it stays */
    expect_silence(&s, 1);
    staleness_rest(&s, 1);
    expect_answer(&s, 1, 0, 0, 1, 2);
    staleness_fini(&s);
}

static void the_silent_are_passed_over_at_last(void **state) {
    (void)state;
    struct staleness s;
    staleness_init(&s, 0, 1000);
    ask(&s, 0, 0, 0, 1, 0);
    ask(&s, 1, 0, 0, 1, 0);
    expect_answer(&s, 0, 0, 0, 0, 1);
    expect_answer(&s, 0, 1, 0, 0, 1);
    ask(&s, 0, 0, 1, 2, 500);
    expect_silence(&s, 1499);
    assert_int_equal(s.dropped, 0);
    expect_answer(&s, 1500, 0, 0, 1, 2);
    assert_int_equal(s.dropped, 1);
    staleness_fini(&s);
}

static void repeated_and_late_questions(void **state) {
    (void)state;
    struct staleness s;
    staleness_init(&s, 0, 1000);
    ask(&s, 0, 0, 0, 5, 0);
    ask(&s, 1, 0, 0, 5, 0);
    expect_answer(&s, 0, 0, 0, 0, 5);
    expect_answer(&s, 0, 1, 0, 0, 5);
    ask(&s, 0, 0, 0, 5, 1); /* its answer was lost */
    expect_answer(&s, 1, 0, 0, 0, 5);
    ask(&s, 0, 0, 1, 9, 2);
    ask(&s, 0, 0, 1, 9, 3);
    ask(&s, 0, 0, CLOCK_IDLE, 7, 4); /* overtaken: must not count */
    expect_silence(&s, 4);
    ask(&s, 1, 0, 1, 6, 5);
    expect_answer(&s, 5, 0, 0, 1, 9);
    expect_answer(&s, 5, 1, 0, 1, 6);
    expect_silence(&s, 5);
    struct staleness_address a = address(10);
    assert_int_equal(staleness_ask(&s, 0, 0, STALENESS_CLOCK_MAX + 1, &a, 6), ERR_PROTOCOL);
    staleness_fini(&s);
}

/* --- simulation ------------------------------------------------------------------------------- */

#define WORKERS  5
#define THREADS  3
#define TRAINERS (WORKERS * THREADS)

enum sim_state { AWAY, HOLDS, RUNS, DEAD };
struct sim_trainer {
    enum sim_state state;
    uint64_t clock;
    uint64_t known;    /* what the last answer said */
    bool joined;       /* has asked since it was away */
    bool fresh;        /* and had an answer */
    uint64_t question; /* id that is out, 0 none */
    uint64_t asked_clock;
    uint64_t speed;  /* of 100 */
    uint64_t sleeps; /* turns dead */
};
struct sim {
    struct staleness s;
    struct sim_trainer t[TRAINERS];
    uint64_t seed, draws, ids, finished, now_ms, held_back, turns_idle;
};

static uint64_t draw(struct sim *m, uint64_t n) {
    return rng_below(m->seed, 7, m->draws++, n);
}

static uint64_t effective(const struct sim *m, uint32_t i) {
    for (uint32_t k = 0; k < m->s.count; k++) {
        const struct staleness_trainer *t = &m->s.trainers[k];
        if (t->worker == i / THREADS && t->trainer == i % THREADS) {
            return m->t[i].clock + t->offset;
        }
    }
    fail_msg("seed %llu: trainer %u is unknown", (unsigned long long)m->seed, i);
    return 0;
}

static bool counts(const struct sim_trainer *t) {
    return t->state == RUNS || (t->state == HOLDS && t->joined);
}

static void check_bound(const struct sim *m, uint32_t i) {
    for (uint32_t u = 0; u < TRAINERS; u++) {
        if (counts(&m->t[u]) && effective(m, i) > effective(m, u) + m->s.max) {
            fail_msg("seed %llu: trainer %u begins a batch at %llu, trainer %u is at %llu, bound "
                     "%llu",
                     (unsigned long long)m->seed, i, (unsigned long long)effective(m, i), u,
                     (unsigned long long)effective(m, u), (unsigned long long)m->s.max);
        }
    }
}

static bool allowed(const struct sim *m, const struct sim_trainer *t) {
    return t->fresh && t->clock <= t->known + m->s.max;
}

static void question(struct sim *m, uint32_t i, uint64_t clock) {
    m->t[i].question = ++m->ids;
    m->t[i].asked_clock = clock;
    ask(&m->s, i / THREADS, i % THREADS, clock, m->t[i].question, m->now_ms);
}

static void die(struct sim *m, uint32_t worker) {
    staleness_leave(&m->s, worker);
    for (uint32_t k = 0; k < THREADS; k++) {
        struct sim_trainer *t = &m->t[worker * THREADS + k];
        uint64_t speed = t->speed;
        *t = (struct sim_trainer){.state = DEAD, .speed = speed, .sleeps = draw(m, 500)};
    }
}

static void finish_batch(struct sim *m, uint32_t i) {
    struct sim_trainer *t = &m->t[i];
    t->clock++;
    m->finished++;
    m->turns_idle = 0;
    if (draw(m, 5) == 0) {
        t->state = AWAY;
        t->joined = t->fresh = false;
        t->known = 0;
        question(m, i, CLOCK_IDLE);
    } else {
        t->state = HOLDS;
    }
}

static void hold(struct sim *m, uint32_t i) {
    struct sim_trainer *t = &m->t[i];
    if (allowed(m, t)) {
        check_bound(m, i);
        t->state = RUNS;
    } else if (t->question == 0) {
        t->joined = true;
        question(m, i, t->clock);
    } else if (draw(m, 10) == 0 && t->asked_clock != CLOCK_IDLE) { /* out of patience: again */
        ask(&m->s, i / THREADS, i % THREADS, t->asked_clock, t->question, m->now_ms);
    }
}

static void sim_step(struct sim *m, uint32_t i) {
    struct sim_trainer *t = &m->t[i];
    switch (t->state) {
    case AWAY:
        if (t->question == 0 && draw(m, 3) == 0) {
            t->state = HOLDS;
        }
        break;
    case HOLDS: hold(m, i); break;
    case RUNS:
        if (draw(m, 100) < t->speed) {
            finish_batch(m, i);
        }
        break;
    case DEAD:
        if (t->sleeps-- == 0) {
            t->state = AWAY;
        }
        break;
    }
}

static void deliver(struct sim *m) {
    struct staleness_answer out;
    while (staleness_next(&m->s, m->now_ms, &out)) {
        struct sim_trainer *t = &m->t[out.worker * THREADS + out.trainer];
        if (t->question == out.address.id) {
            t->question = 0;
            t->fresh = t->asked_clock != CLOCK_IDLE;
            t->known = out.clock;
        }
    }
}

/* Whoever waits, somebody else works or may begin to. */
static void check_alive(const struct sim *m) {
    bool waits = false, moves = false;
    for (uint32_t i = 0; i < TRAINERS; i++) {
        const struct sim_trainer *t = &m->t[i];
        waits |= t->state == HOLDS && t->question != 0;
        moves |= t->state == RUNS || (t->state == HOLDS && (t->question == 0 || allowed(m, t)));
    }
    if (waits && !moves) {
        fail_msg("seed %llu: deadlock after %llu batches", (unsigned long long)m->seed,
                 (unsigned long long)m->finished);
    }
}

static void simulate(uint64_t seed, uint64_t max, uint64_t batches) {
    struct sim m = {.seed = seed};
    staleness_init(&m.s, max, UINT64_MAX / 2);
    for (uint32_t i = 0; i < TRAINERS; i++) {
        m.t[i].speed = 1 + draw(&m, 60);
    }
    while (m.finished < batches) {
        m.now_ms++;
        if (draw(&m, 2000) == 0) {
            die(&m, (uint32_t)draw(&m, WORKERS));
        }
        sim_step(&m, (uint32_t)draw(&m, TRAINERS));
        deliver(&m);
        check_alive(&m);
        for (uint32_t i = 0; i < TRAINERS; i++) {
            m.held_back += m.t[i].state == HOLDS && m.t[i].question != 0;
        }
        if (++m.turns_idle > 100000) {
            fail_msg("seed %llu: nothing has been finished for long", (unsigned long long)seed);
        }
    }
    assert_true(m.held_back > 0 || max > 100); /* the bound was felt */
    assert_int_equal(m.s.dropped, 0);
    staleness_fini(&m.s);
}

static void simulation(void **state) {
    (void)state;
    const uint64_t bounds[] = {0, 1, 2, 7, 64};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        simulate(seed, bounds[seed % 5], 3000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fast_wait_for_the_slow),
        cmocka_unit_test(a_barrier_with_bound_zero),
        cmocka_unit_test(the_idle_hold_nobody_back),
        cmocka_unit_test(a_newcomer_starts_at_the_floor),
        cmocka_unit_test(a_dead_worker_is_not_waited_for),
        cmocka_unit_test(a_worker_without_lease_is_not_waited_for),
        cmocka_unit_test(the_silent_are_passed_over_at_last),
        cmocka_unit_test(repeated_and_late_questions),
        cmocka_unit_test(simulation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
