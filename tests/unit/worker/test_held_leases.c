/* Unit tests of worker/held_leases.h: when a lease is complete, and the scores of evaluation
 * leases. */
#include "worker/held_leases.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct wire_lease lease(enum lease_kind kind, uint32_t shard, uint64_t fence) {
    return (struct wire_lease){.kind = kind, .epoch = 1, .shard = shard, .fence = fence};
}

static void complete_in_any_order(void **state) {
    (void)state;
    struct held_leases held;
    struct batch none = {0};
    struct wire_lease one = lease(LEASE_TRAIN, 1, 10), two = lease(LEASE_TRAIN, 2, 11);
    held_leases_init(&held);
    assert_null(held_leases_take_complete(&held));
    assert_int_equal(held_leases_open(&held, &one), OK);
    assert_int_equal(held_leases_open(&held, &two), OK);
    assert_int_equal(held_leases_finish(&held, &one, &none, NULL, NULL, NULL), OK);
    assert_null(
        held_leases_take_complete(&held)); /* all that is known of is finished, but more may come */
    held_leases_end(&held, &one, 2);
    assert_null(held_leases_take_complete(&held));
    held_leases_end(&held, &two, 0); /* everything of it was done before */
    struct held_lease *l = held_leases_take_complete(&held);
    assert_int_equal(l->lease.shard, 2);
    held_lease_free(&l);
    assert_null(l);
    assert_int_equal(held_leases_finish(&held, &one, &none, NULL, NULL, NULL), OK);
    l = held_leases_take_complete(&held);
    assert_int_equal(l->lease.fence, 10);
    held_lease_free(&l);
    assert_null(held_leases_take_complete(&held));
    held_leases_fini(&held);
}

/* The same shard under a newer fence is another lease. */
static void fences_tell_leases_apart(void **state) {
    (void)state;
    struct held_leases held;
    struct batch none = {0};
    struct wire_lease old = lease(LEASE_TRAIN, 1, 10), new = lease(LEASE_TRAIN, 1, 20);
    held_leases_init(&held);
    assert_int_equal(held_leases_open(&held, &new), OK);
    held_leases_end(&held, &old, 0);
    assert_int_equal(held_leases_finish(&held, &old, &none, NULL, NULL, NULL),
                     OK); /* unknown: ignored */
    assert_null(held_leases_take_complete(&held));
    held_leases_end(&held, &new, 0);
    struct held_lease *l = held_leases_take_complete(&held);
    assert_non_null(l);
    held_lease_free(&l);
    held_leases_fini(&held);
}

/* A lease that is another's now: its batches end like others, and its shard's newer lease is not
 * it. */
static void a_lost_lease_is_told_once(void **state) {
    (void)state;
    struct held_leases held;
    struct batch none = {0};
    struct wire_lease old = lease(LEASE_TRAIN, 1, 10), new = lease(LEASE_TRAIN, 1, 20);
    held_leases_init(&held);
    assert_false(held_leases_lose(&held, &old)); /* not known */
    assert_int_equal(held_leases_open(&held, &old), OK);
    assert_int_equal(held_leases_open(&held, &new), OK);
    assert_false(held_leases_lost(&held, &old));
    assert_true(held_leases_lose(&held, &old));
    assert_false(held_leases_lose(&held, &old));
    assert_true(held_leases_lost(&held, &old));
    assert_false(held_leases_lost(&held, &new));
    held_leases_end(&held, &old, 1);
    assert_int_equal(held_leases_finish(&held, &old, &none, NULL, NULL, NULL), OK);
    struct held_lease *l = held_leases_take_complete(&held);
    assert_int_equal(l->lease.fence, 10);
    held_lease_free(&l);
    held_leases_fini(&held);
}

static void scores_are_gathered(void **state) {
    (void)state;
    struct held_leases held;
    struct wire_lease exam = lease(LEASE_EVAL, 3, 5);
    uint64_t id[3] = {100, 101, 102}, user[3] = {7, 7, 8};
    uint8_t labels[3] = {0, 1, 3};
    const struct unseen unseen = {.fields = 1};
    const float logit_a[3] = {-1, 0, 1}, logit_b[3] = {4, 5, 6};
    struct batch batch = {.impressions = 3, .impression_id = id, .user = user, .labels = labels};
    held_leases_init(&held);
    assert_int_equal(held_leases_open(&held, &exam), OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(held_leases_finish(&held, &exam, &batch, logit_a, logit_b, &unseen), OK);
    }
    mem_fail_after(1);
    enum status status = OK;
    for (int i = 0; i < 40 && status == OK; i++) {
        status = held_leases_finish(&held, &exam, &batch, logit_a, logit_b, &unseen);
    }
    mem_fail_after(0);
    assert_int_equal(status, ERR_MEMORY);
    held_leases_fini(&held); /* frees what was not taken */
    held_leases_init(&held);
    assert_int_equal(held_leases_open(&held, &exam), OK);
    assert_int_equal(held_leases_finish(&held, &exam, &batch, logit_a, logit_b, &unseen), OK);
    held_leases_end(&held, &exam, 1);
    struct held_lease *l = held_leases_take_complete(&held);
    assert_int_equal(l->score_count, 3);
    assert_int_equal(l->scores[2].impression_id, 102);
    assert_int_equal(l->scores[2].user, 8);
    assert_int_equal(l->scores[2].labels, 3);
    assert_true(l->scores[1].a == 0 && l->scores[1].b == 5);
    held_lease_free(&l);
    held_leases_fini(&held);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complete_in_any_order),
        cmocka_unit_test(fences_tell_leases_apart),
        cmocka_unit_test(a_lost_lease_is_told_once),
        cmocka_unit_test(scores_are_gathered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
