/* Unit tests of worker/gate.h: who may begin a batch, which questions go out, and that threads that
 * wait are woken. */
#include "worker/gate.h"

#include "common/base/clock.h"
#include "common/base/thread.h"
#include "common/net/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct gate gate;

static void expect_question(uint32_t want_trainer, uint64_t want_clock) {
    uint32_t trainer;
    uint64_t clock;
    assert_true(gate_wants(&gate, &trainer, &clock));
    assert_int_equal(trainer, want_trainer);
    assert_int_equal(clock, want_clock);
}

static void expect_none(void) {
    uint32_t trainer;
    uint64_t clock;
    assert_false(gate_wants(&gate, &trainer, &clock));
}

/* A trainer wants to begin, asks, and is answered. */
static void join(uint32_t trainer, uint64_t clock) {
    assert_int_equal(gate_enter(&gate, trainer, 1), ERR_TIMEOUT);
    expect_question(trainer, clock);
    gate_learn(&gate, trainer, clock);
    assert_int_equal(gate_enter(&gate, trainer, 1), OK);
}

static void the_first_batch_waits_for_an_answer(void **state) {
    (void)state;
    gate_init(&gate, 1, 64);
    assert_int_equal(gate_enter(&gate, 0, 1), ERR_TIMEOUT);
    expect_question(0, 0);
    expect_none(); /* it is out */
    assert_int_equal(gate_enter(&gate, 0, 1), ERR_TIMEOUT);
    gate_learn(&gate, 0, 0);
    assert_int_equal(gate_enter(&gate, 0, 1), OK);
    expect_none(); /* asked at this clock already */
    gate_fini(&gate);
}

static void the_bound_holds(void **state) {
    (void)state;
    gate_init(&gate, 1, 4);
    join(0, 0);
    for (uint64_t clock = 0; clock <= 4; clock++) {
        assert_int_equal(gate_enter(&gate, 0, 1), OK);
        if (clock == 3) { /* more than half-way: in advance */
            expect_question(0, 3);
            gate_learn(&gate, 0, 0);
        } else if (clock < 3) {
            expect_none();
        }
        gate_finish(&gate, 0);
    }
    assert_int_equal(gate_enter(&gate, 0, 1), ERR_TIMEOUT); /* five ahead of 0 */
    expect_question(0, 5);
    gate_learn(&gate, 0, 1);
    assert_int_equal(gate_enter(&gate, 0, 1), OK);
    gate_learn(&gate, 0, 0); /* older news */
    assert_int_equal(gate_enter(&gate, 0, 1), OK);
    gate_fini(&gate);
}

/* An idle trainer says so once, and joins anew: what it knew before does not hold any more. */
static void who_is_idle_leaves_and_joins_again(void **state) {
    (void)state;
    gate_init(&gate, 2, 4);
    gate_idle(&gate, 0);
    expect_none(); /* never joined: nobody counts it */
    join(0, 0);
    gate_finish(&gate, 0);
    gate_idle(&gate, 0);
    expect_question(0, CLOCK_IDLE);
    gate_idle(&gate, 0);
    expect_none();              /* said already */
    gate_learn(&gate, 0, 1000); /* the answer to that, of no meaning */
    gate_idle(&gate, 0);
    expect_none();
    assert_int_equal(gate_enter(&gate, 0, 1), ERR_TIMEOUT);
    expect_question(0, 1);
    gate_learn(&gate, 0, 1);
    assert_int_equal(gate_enter(&gate, 0, 1), OK);
    gate_fini(&gate);
}

/* A batch came before it could be said: then it is not said. */
static void who_is_busy_again_says_nothing(void **state) {
    (void)state;
    gate_init(&gate, 1, 4);
    join(0, 0);
    gate_idle(&gate, 0);
    assert_int_equal(gate_enter(&gate, 0, 1), OK);
    expect_none();
    gate_fini(&gate);
}

/* Clocks are on each trainer's own scale: one's answer says nothing to another. */
static void answers_are_not_shared(void **state) {
    (void)state;
    gate_init(&gate, 2, 1);
    join(0, 0);
    join(1, 0);
    gate_finish(&gate, 0);
    gate_finish(&gate, 0);
    assert_int_equal(gate_enter(&gate, 0, 1), ERR_TIMEOUT);
    gate_learn(&gate, 1, 500);
    assert_int_equal(gate_enter(&gate, 0, 1), ERR_TIMEOUT);
    gate_fini(&gate);
}

static enum status enter_long(void *arg) {
    return gate_enter(&gate, *(uint32_t *)arg, 20000);
}

/* The other trainer's question may come first; it stays without an answer. */
static void await_question(uint32_t want_trainer, uint64_t want_clock) {
    uint32_t trainer = UINT32_MAX;
    uint64_t clock = 0;
    while (trainer != want_trainer) {
        if (!gate_wants(&gate, &trainer, &clock)) {
            clock_sleep_ms(1);
        }
    }
    assert_int_equal(clock, want_clock);
}

static void who_waits_is_woken(void **state) {
    (void)state;
    struct thread learns = {0}, closes = {0};
    uint32_t first = 0, second = 1;
    gate_init(&gate, 2, 0);
    uint64_t start_ms = clock_mono_ms();
    assert_int_equal(thread_start(&learns, "first", enter_long, &first), OK);
    assert_int_equal(thread_start(&closes, "second", enter_long, &second), OK);
    await_question(0, 0);
    gate_learn(&gate, 0, 0);
    assert_int_equal(thread_join(&learns), OK);
    clock_sleep_ms(5);
    gate_close(&gate);
    assert_int_equal(thread_join(&closes), ERR_CLOSED);
    assert_true(clock_mono_ms() - start_ms < 10000);
    assert_int_equal(gate_enter(&gate, 0, 1), ERR_CLOSED);
    gate_fini(&gate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_batch_waits_for_an_answer),
        cmocka_unit_test(the_bound_holds),
        cmocka_unit_test(who_is_idle_leaves_and_joins_again),
        cmocka_unit_test(who_is_busy_again_says_nothing),
        cmocka_unit_test(answers_are_not_shared),
        cmocka_unit_test(who_waits_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
