/* Unit tests of coord/grant/lease_backup.h: who gets a second lease, when, and what comes of it. */
#include <stdio.h>

#include "coord/grant/lease.h"
#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SHARDS 6u
static struct ranges ranges;

/* SHARDS shards of five batches of ten impressions. */
static struct batch_plan plan(void) {
    const struct ranges_spec spec = {.seed = 5, .batch = 10};
    struct ranges_shard shard[SHARDS];
    for (uint32_t s = 0; s < SHARDS; s++) {
        shard[s] = (struct ranges_shard){50, 50};
    }
    ranges_fini(&ranges);
    assert_int_equal(ranges_init(&ranges, &spec, shard, SHARDS), OK);
    return (struct batch_plan){.ranges = &ranges, .epochs = 2, .max_steps = UINT64_MAX};
}

static void make(struct leases *l, const struct batch_plan *p) {
    struct applied *done = NULL;
    assert_int_equal(applied_create(&done, p->ranges->batches, p->ranges->count), OK);
    assert_int_equal(leases_init(l, p, done, false, 1000, 100), OK);
    assert_int_equal(leases_train(l, 0), OK);
}

static struct wire_lease ask(struct leases *l, uint32_t worker, uint64_t now_ms) {
    struct wire_lease lease;
    struct buf bits = BUF_EMPTY;
    assert_int_equal(leases_ask(l, worker, worker + 1, false, now_ms, &lease, &bits), OK);
    buf_fini(&bits);
    return lease;
}

static void give(struct leases *l, uint32_t worker, const struct wire_lease *lease,
                 uint64_t now_ms) {
    const struct wire_lease_ask a = {.index = worker,
                                     .incarnation = worker + 1,
                                     .returns = true,
                                     .epoch = lease->epoch,
                                     .shard = lease->shard,
                                     .fence = lease->fence};
    assert_int_equal(leases_return(l, &a, now_ms), OK);
}

/* Worker 0 holds one range from the start, worker 1 has done all others by 500 ms. */
static struct wire_lease slow(struct leases *l, const struct batch_plan *p) {
    make(l, p);
    l->backups = true;
    const struct wire_lease held = ask(l, 0, 0);
    for (uint32_t i = 1; i < SHARDS; i++) {
        const struct wire_lease x = ask(l, 1, 100 * (i - 1));
        assert_int_equal(x.kind, LEASE_TRAIN);
        give(l, 1, &x, 100 * i);
    }
    return held;
}

static void a_late_range_gets_a_second_worker(void **state) {
    (void)state;
    struct batch_plan p = plan();
    struct leases l;
    const struct wire_lease held = slow(&l, &p);
    assert_int_equal(ask(&l, 1, 1150).kind, LEASE_WAIT); /* twice 100 ms and a second: not yet */
    const struct wire_lease second = ask(&l, 1, 1310);
    assert_int_equal(second.kind, LEASE_TRAIN);
    assert_int_equal(second.shard, held.shard);
    assert_int_equal(second.fence, held.fence);
    assert_int_equal(second.batch_limit, held.batch_limit);
    assert_int_equal(l.seconds, 1);
    assert_false(leases_idle(&l, 1));
    assert_int_equal(ask(&l, 2, 1400).kind, LEASE_WAIT); /* two are enough */
    give(&l, 1, &second, 1500);
    assert_true(leases_phase_complete(&l));
    assert_int_equal(l.out, 0);
    assert_true(leases_idle(&l, 1));
    assert_int_equal(applied_count(l.done), SHARDS * 5);
    give(&l, 0, &held, 1600); /* late, and ignored */
    assert_int_equal(l.back, SHARDS);
    assert_int_equal(applied_count(l.done), SHARDS * 5);
    assert_int_equal(leases_train(&l, 1), OK);
    leases_fini(&l);
}

static void the_first_may_still_be_first(void **state) {
    (void)state;
    struct batch_plan p = plan();
    struct leases l;
    const struct wire_lease held = slow(&l, &p);
    const struct wire_lease second = ask(&l, 1, 1310);
    give(&l, 0, &held, 1400);
    assert_true(leases_phase_complete(&l));
    assert_true(leases_idle(&l, 1));
    give(&l, 1, &second, 1500);
    assert_int_equal(l.back, SHARDS);
    assert_int_equal(leases_train(&l, 1), OK);
    assert_int_equal(ask(&l, 1, 1500).kind, LEASE_TRAIN);
    leases_fini(&l);
}

static void the_second_takes_over(void **state) {
    (void)state;
    struct batch_plan p = plan();
    struct leases l;
    const struct wire_lease held = slow(&l, &p);
    const struct wire_lease second = ask(&l, 1, 1310);
    assert_int_equal(leases_release(&l, 0), 0); /* nothing is pending again */
    assert_int_equal(leases_held(&l, 1), 1);
    assert_int_equal(leases_held(&l, 0), 0);
    give(&l, 0, &held, 1400); /* a zombie */
    assert_false(leases_phase_complete(&l));
    leases_renew(&l, 1, 2, 1400);
    assert_int_equal(leases_expire(&l, 2399), 0);
    give(&l, 1, &second, 1500);
    assert_true(leases_phase_complete(&l));
    leases_fini(&l);
}

static void the_second_may_be_lost(void **state) {
    (void)state;
    struct batch_plan p = plan();
    struct leases l;
    const struct wire_lease held = slow(&l, &p);
    assert_int_equal(ask(&l, 1, 1310).kind, LEASE_TRAIN);
    leases_release(&l, 1);
    assert_true(leases_idle(&l, 1));
    assert_int_equal(l.out, 1);
    assert_int_equal(ask(&l, 2, 1400).shard, held.shard); /* another second */
    assert_int_equal(leases_expire(&l, 10000), 0); /* the first is silent: the second holds it */
    assert_int_equal(leases_held(&l, 2), 1);
    leases_finish(&l);
    leases_fini(&l);
}

static void nobody_where_not_asked_for(void **state) {
    (void)state;
    struct batch_plan p = plan();
    struct leases l;
    slow(&l, &p);
    l.backups = false;
    assert_int_equal(ask(&l, 1, 5000).kind, LEASE_WAIT);
    l.backups = true;
    assert_int_equal(ask(&l, 0, 13100).kind, LEASE_WAIT); /* not the holder itself */
    leases_fini(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_range_gets_a_second_worker),
        cmocka_unit_test(the_first_may_still_be_first),
        cmocka_unit_test(the_second_takes_over),
        cmocka_unit_test(the_second_may_be_lost),
        cmocka_unit_test(nobody_where_not_asked_for),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ranges_fini(&ranges);
    return failed;
}
