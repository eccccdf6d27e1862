/* Unit tests of worker/flight.h: what a trainer does next, driven without threads and sockets
 * through orders of events that a job rarely shows. */
#include "worker/flight.h"

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define WAIT true
#define GO   false

#define BATCHES 50

static struct flight f;

static void expect(enum flight_act act, uint32_t slot, bool wait) {
    const struct flight_order o = flight_next(&f);
    assert_int_equal(o.act, act);
    assert_int_equal(o.slot, slot);
    assert_int_equal(o.wait, wait);
}

static void expect_take(uint32_t slot, bool wait, enum flight_taken what) {
    expect(FLIGHT_TAKE, slot, wait);
    flight_took(&f, slot, what);
}

static void expect_enter(uint32_t slot, bool wait, bool may) {
    expect(FLIGHT_ENTER, slot, wait);
    flight_entered(&f, may);
}

/* A turn without an item for `slot`, which is free. */
static void expect_nothing(uint32_t slot, bool wait) {
    expect_take(slot, wait, FLIGHT_TOOK_NONE);
}

static void one_slot_is_a_plain_loop(void **state) {
    (void)state;
    flight_init(&f, 1, false);
    for (int batch = 0; batch < 3; batch++) {
        expect_take(0, WAIT, FLIGHT_TOOK_TRAIN);
        expect_enter(0, WAIT, true);
        expect(FLIGHT_PULL, 0, GO);
        expect(FLIGHT_LISTEN, 0, WAIT);
        expect(FLIGHT_LISTEN, 0, WAIT); /* a part of the answers came */
        flight_arrived(&f, 0);
        expect(FLIGHT_COMPUTE, 0, GO);
        expect(FLIGHT_LISTEN, 0, WAIT);
        flight_arrived(&f, 0);
        expect(FLIGHT_RETIRE, 0, GO);
    }
    expect_take(0, WAIT, FLIGHT_TOOK_LAST);
    expect(FLIGHT_END, 0, GO);
}

/* What has arrived by listening is computed at once if it was the oldest before. */
static void the_oldest_is_computed_first(void **state) {
    (void)state;
    flight_init(&f, 2, false);
    for (uint32_t i = 0; i < 2; i++) {
        expect_take(i, i == 0 ? WAIT : GO, FLIGHT_TOOK_TRAIN);
        expect_enter(i, i == 0 ? WAIT : GO, true);
        expect(FLIGHT_PULL, i, GO);
    }
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 1); /* the second one first */
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 0);
    expect(FLIGHT_COMPUTE, 0, GO);
    expect(FLIGHT_LISTEN, 0, GO); /* the other is there: no waiting for the push's answer */
    flight_arrived(&f, 0);
    expect(FLIGHT_RETIRE, 0, GO);
    expect(FLIGHT_COMPUTE, 1, GO);
    expect_take(0, GO, FLIGHT_TOOK_TRAIN); /* slot 0's second batch is younger */
    expect_enter(0, GO, true);
    expect(FLIGHT_PULL, 0, GO);
    expect(FLIGHT_LISTEN, 0, WAIT);
}

/* A gate that is shut holds a batch; it is waited for only if nothing else is under way. */
static void the_gate_holds_a_batch(void **state) {
    (void)state;
    flight_init(&f, 2, false);
    expect_take(0, WAIT, FLIGHT_TOOK_TRAIN);
    expect_enter(0, WAIT, false);
    expect_take(1, GO, FLIGHT_TOOK_TRAIN); /* it does not ask before the older one has entered */
    expect(FLIGHT_LISTEN, 0, GO);          /* nothing was asked, no answer is due */
    expect_enter(0, WAIT, true);
    expect(FLIGHT_PULL, 0, GO);
    expect_enter(1, GO, false);
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 0);
    expect(FLIGHT_COMPUTE, 0, GO);
    expect_enter(1, GO, false);
    expect(FLIGHT_LISTEN, 0, WAIT);
}

/* A batch in a lower slot does not overtake an older one that the gate holds. */
static void batches_begin_in_order(void **state) {
    (void)state;
    flight_init(&f, 2, false);
    expect_take(0, WAIT, FLIGHT_TOOK_TRAIN);
    expect_enter(0, WAIT, true);
    expect(FLIGHT_PULL, 0, GO);
    expect_take(1, GO, FLIGHT_TOOK_TRAIN);
    expect_enter(1, GO, false);
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 0);
    expect(FLIGHT_COMPUTE, 0, GO);
    expect_enter(1, GO, false);
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 0);
    expect(FLIGHT_RETIRE, 0, GO);
    expect_nothing(0, GO);
    expect_enter(1, WAIT, false);
    expect(FLIGHT_LISTEN, 0, GO);
    expect_take(0, GO, FLIGHT_TOOK_TRAIN); /* younger: it does not ask */
    expect_enter(1, WAIT, true);
    expect(FLIGHT_PULL, 1, GO);
    expect(FLIGHT_LISTEN, 0, WAIT);
    expect_enter(0, GO, true);
    expect(FLIGHT_PULL, 0, GO);
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 0); /* still the second to be computed */
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 1);
    expect(FLIGHT_COMPUTE, 1, GO);
}

static void an_evaluation_neither_enters_nor_pushes(void **state) {
    (void)state;
    flight_init(&f, 1, true);
    expect_take(0, WAIT, FLIGHT_TOOK_EVAL);
    expect(FLIGHT_PULL, 0, GO); /* in one step, in a hybrid job too */
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 0);
    expect(FLIGHT_COMPUTE, 0, GO);
    assert_false(flight_awaits(&f, 0));
    expect(FLIGHT_LISTEN, 0, WAIT);
    expect(FLIGHT_RETIRE, 0, GO);
}

static void a_hybrid_job_pulls_in_two_steps(void **state) {
    (void)state;
    flight_init(&f, 2, true);
    expect_take(0, WAIT, FLIGHT_TOOK_TRAIN);
    expect(FLIGHT_PULL_ROWS, 0, GO);
    expect_take(1, GO, FLIGHT_TOOK_TRAIN);
    expect(FLIGHT_PULL_ROWS, 1, GO);
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 0);
    expect_enter(0, WAIT, false); /* the barrier: others are behind */
    expect(FLIGHT_LISTEN, 0, GO);
    flight_arrived(&f, 1); /* rows of the next come meanwhile */
    expect_enter(0, WAIT, true);
    expect(FLIGHT_PULL_DENSE, 0, GO);
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 0);
    expect(FLIGHT_COMPUTE, 0, GO);
    expect(FLIGHT_LISTEN, 0, WAIT); /* not to the barrier before the push is acknowledged */
    flight_arrived(&f, 0);
    expect(FLIGHT_RETIRE, 0, GO);
    expect_nothing(0, GO);
    expect_enter(1, WAIT, true);
    expect(FLIGHT_PULL_DENSE, 1, GO);
}

/* A stop between pull and push, and one while a push is on its way: nothing more is done. */
static void a_stop_leaves_everything(void **state) {
    (void)state;
    for (int pushing = 0; pushing < 2; pushing++) {
        flight_init(&f, 2, false);
        expect_take(0, WAIT, FLIGHT_TOOK_TRAIN);
        expect_enter(0, WAIT, true);
        expect(FLIGHT_PULL, 0, GO);
        expect_nothing(1, GO);
        expect(FLIGHT_LISTEN, 0, WAIT);
        flight_arrived(&f, 0);
        if (pushing) {
            expect(FLIGHT_COMPUTE, 0, GO);
        }
        flight_stop(&f);
        expect(FLIGHT_END, 0, GO);
        expect(FLIGHT_END, 0, GO);
    }
}

/* Items of a lease that is lost, and end marks, come to nothing: the next one is taken, and the
 * gate is told that this trainer holds nobody back. */
static void lost_batches_leave_the_slot_free(void **state) {
    (void)state;
    flight_init(&f, 2, false);
    for (int i = 0; i < 3; i++) {
        for (uint32_t slot = 0; slot < 2; slot++) {
            expect_nothing(slot, WAIT);
            expect(FLIGHT_IDLE, 0, GO);
        }
        expect(FLIGHT_LISTEN, 0, GO);
    }
    expect_take(0, WAIT, FLIGHT_TOOK_TRAIN);
}

/* The reader's end comes while a batch is on its way: that one is finished first. */
static void the_last_batch_is_finished(void **state) {
    (void)state;
    flight_init(&f, 2, false);
    expect_take(0, WAIT, FLIGHT_TOOK_TRAIN);
    expect_enter(0, WAIT, true);
    expect(FLIGHT_PULL, 0, GO);
    expect_take(1, GO, FLIGHT_TOOK_LAST);
    expect(FLIGHT_LISTEN, 0, WAIT);
    flight_arrived(&f, 0);
    expect(FLIGHT_COMPUTE, 0, GO);
    expect(FLIGHT_LISTEN, 0, WAIT); /* nothing is taken any more */
    flight_arrived(&f, 0);
    expect(FLIGHT_RETIRE, 0, GO);
    expect(FLIGHT_END, 0, GO);
}

/* --- by chance -------------------------------------------------------------------------------- */

struct player { /* what the trainer around it would know */
    uint64_t seed, dice;
    uint32_t left; /* items that the reader has */
    uint32_t taken, computed, retired;
    uint32_t batch[FLIGHT_SLOTS_MAX]; /* number of the batch in a slot */
    bool is_computed[BATCHES], is_retired[BATCHES];
};

static bool chance(struct player *p, uint32_t percent) {
    return rng_below(p->seed, 1, p->dice++, 100) < percent;
}

static void play_take(struct player *p, uint32_t slot) {
    enum flight_taken what = p->left == 0 ? FLIGHT_TOOK_LAST : FLIGHT_TOOK_NONE;
    if (p->left > 0 && chance(p, 70)) {
        what = chance(p, 80) ? FLIGHT_TOOK_TRAIN : FLIGHT_TOOK_EVAL;
        p->batch[slot] = p->taken++;
        p->left--;
    }
    flight_took(&f, slot, what);
}

static void note_once(bool *done, uint32_t batch, uint32_t *count) {
    assert_false(done[batch]);
    done[batch] = true;
    ++*count;
}

static void play(struct player *p, struct flight_order o) {
    switch (o.act) {
    case FLIGHT_TAKE: play_take(p, o.slot); break;
    case FLIGHT_ENTER: flight_entered(&f, chance(p, 60)); break;
    case FLIGHT_LISTEN:
        for (uint32_t i = 0; i < f.slots; i++) {
            if (flight_awaits(&f, i) && chance(p, 50)) {
                flight_arrived(&f, i);
            }
        }
        break;
    case FLIGHT_COMPUTE:
        for (uint32_t i = 0; i < f.slots; i++) { /* no older one could have been */
            assert_true(f.slot[i].state != SLOT_PULLED || p->batch[i] > p->batch[o.slot]);
        }
        note_once(p->is_computed, p->batch[o.slot], &p->computed);
        break;
    case FLIGHT_RETIRE:
        assert_true(p->is_computed[p->batch[o.slot]]);
        note_once(p->is_retired, p->batch[o.slot], &p->retired);
        break;
    default: break;
    }
}

/* Whatever comes when, each batch is computed and retired once, the oldest first, and it ends. */
static void every_batch_is_computed_once(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct player p = {.seed = seed, .left = BATCHES};
        flight_init(&f, 1 + (uint32_t)seed % 5, seed % 2 == 1);
        struct flight_order o = {0};
        for (uint32_t orders = 0; o.act != FLIGHT_END; orders++) {
            o = flight_next(&f);
            play(&p, o);
            assert_true(orders < 20000);
        }
        assert_int_equal(p.taken, BATCHES);
        assert_int_equal(p.computed, BATCHES);
        assert_int_equal(p.retired, BATCHES);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_slot_is_a_plain_loop),
        cmocka_unit_test(the_oldest_is_computed_first),
        cmocka_unit_test(the_gate_holds_a_batch),
        cmocka_unit_test(batches_begin_in_order),
        cmocka_unit_test(an_evaluation_neither_enters_nor_pushes),
        cmocka_unit_test(a_hybrid_job_pulls_in_two_steps),
        cmocka_unit_test(a_stop_leaves_everything),
        cmocka_unit_test(lost_batches_leave_the_slot_free),
        cmocka_unit_test(the_last_batch_is_finished),
        cmocka_unit_test(every_batch_is_computed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
