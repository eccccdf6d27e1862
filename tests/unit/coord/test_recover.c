/* Unit tests of coord/recover.h. */
#include "coord/recover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#undef fail /* cmocka's; ours records a cause */

static void each_life_has_its_number(void **state) {
    (void)state;
    struct recover r;
    recover_init(&r, 0x123456789abcdefull);
    const uint64_t first = recover_job(&r);
    recover_want(&r, 1, "x");
    assert_int_equal(recover_end_life(&r, 5, true, 1), OK);
    assert_true(recover_job(&r) != first);
    assert_true(wire_same_run(first, recover_job(&r)));
    assert_false(wire_same_run(first, first + WIRE_LIVES_MAX));
    assert_false(r.wanted);
    r.life = WIRE_LIVES_MAX - 1;
    recover_want(&r, 1, "the last");
    assert_int_equal(recover_end_life(&r, 5, true, 1), ERR_LIMIT);
}

static void fruitless_lives_in_a_row_fail_with_the_first_cause(void **state) {
    (void)state;
    struct recover r;
    recover_init(&r, 0);
    for (uint32_t round = 0; round < 2; round++) { /* a batch between them makes it a new row */
        for (uint32_t i = 0; i + 1 < LIVES_FRUITLESS_MAX; i++) {
            recover_want(&r, i, i == 0 && round == 1 ? "the first" : "another");
            assert_int_equal(recover_end_life(&r, 0, false, i), OK);
        }
        if (round == 0) {
            recover_want(&r, 9, "fruitful");
            assert_int_equal(recover_end_life(&r, 1, true, 9), OK);
        }
    }
    recover_want(&r, 9, "the last");
    recover_want(&r, 9, "later still");
    assert_string_equal(r.cause, "the last");
    assert_int_equal(recover_end_life(&r, 0, false, 9), ERR_PEER);
    assert_string_equal(fail_text(), "the first (the job went back to its newest checkpoint 4 "
                                     "times without finishing a batch)");
}

/* Losses before training goes on are one recovery. */
static void what_is_repeated_counts_once(void **state) {
    (void)state;
    struct recover r;
    double seconds = 0;
    recover_init(&r, 0);
    assert_false(recover_goes_on(&r, 1000, &seconds));
    recover_want(&r, 5000, "a");
    assert_int_equal(recover_end_life(&r, 100, true, 5000), OK);
    recover_restored(&r, 60);
    recover_want(&r, 6000, "b");
    assert_int_equal(recover_end_life(&r, 60, false, 6000), OK);
    recover_restored(&r, 60);
    assert_true(recover_goes_on(&r, 7500, &seconds));
    assert_true(seconds == 2.5 && r.seconds == 2.5);
    assert_int_equal(r.lives, 2);
    assert_int_equal(r.rollbacks, 2);
    assert_int_equal(r.batches_repeated, 40);
    recover_want(&r, 8000, "c");
    assert_int_equal(recover_end_life(&r, 61, true, 8000), OK);
    recover_restored(&r, 62); /* the cut had more than workers had reported */
    assert_true(recover_goes_on(&r, 8100, &seconds));
    assert_int_equal(r.lives, 1);
    assert_int_equal(r.batches_repeated, 40);
    assert_false(recover_goes_on(&r, 8200, &seconds));
}

static void short_lives_are_cut_sooner(void **state) {
    (void)state;
    struct recover r;
    double seconds;
    recover_init(&r, 0);
    assert_int_equal(recover_cut_ms(&r, 600000), 600000);
    recover_goes_on(&r, 1000, &seconds);
    recover_want(&r, 101000, "a");
    assert_int_equal(recover_end_life(&r, 9, true, 101000), OK);
    assert_int_equal(recover_cut_ms(&r, 600000), 50000);
    assert_int_equal(recover_cut_ms(&r, 30000), 30000);
    assert_int_equal(recover_cut_ms(&r, 0), 0);
    recover_want(&r, 102000, "b"); /* it did not train: the one before tells */
    assert_int_equal(recover_end_life(&r, 9, false, 102000), OK);
    assert_int_equal(recover_cut_ms(&r, 600000), 50000);
    recover_goes_on(&r, 103000, &seconds);
    recover_want(&r, 104000, "c");
    assert_int_equal(recover_end_life(&r, 9, true, 104000), OK);
    assert_int_equal(recover_cut_ms(&r, 600000), HURRY_LEAST_MS);
    recover_saved(&r);
    assert_int_equal(recover_cut_ms(&r, 600000), 600000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_life_has_its_number),
        cmocka_unit_test(fruitless_lives_in_a_row_fail_with_the_first_cause),
        cmocka_unit_test(what_is_repeated_counts_once),
        cmocka_unit_test(short_lives_are_cut_sooner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
