/* Unit tests of coord/grant/lease_suspect.c: workers that die at one batch, or by chance. */
#include <stdio.h>

#include "coord/grant/lease_suspect.h"
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

/* Grants a lease to worker 0; returns the batch it is narrowed to, or LEASE_NONE. */
static uint32_t grant(struct leases *l, struct wire_lease *lease) {
    struct buf bits = BUF_EMPTY;
    uint32_t left = 0, last = LEASE_NONE;
    assert_int_equal(leases_ask(l, 0, 1, false, 0, lease, &bits), OK);
    for (uint32_t k = 0; lease->kind == LEASE_TRAIN && k < lease->batch_limit; k++) {
        if (k / 8 >= bits.len || !bit_get(bits.data, k)) {
            left++;
            last = k;
        }
    }
    buf_fini(&bits);
    return left == 1 ? last : LEASE_NONE;
}

static void give(struct leases *l, const struct wire_lease *lease) {
    const struct wire_lease_ask a = {.index = 0,
                                     .incarnation = 1,
                                     .returns = true,
                                     .epoch = lease->epoch,
                                     .shard = lease->shard,
                                     .fence = lease->fence};
    assert_int_equal(leases_return(l, &a, 0), OK);
}

static void die(struct leases *l) {
    assert_int_equal(leases_died(l, 0), 1);
}

/* Trains with a worker that dies at `killer` of range 0; returns how often it died. */
static uint32_t train(struct leases *l, uint32_t killer, uint32_t deaths_max) {
    uint32_t deaths = 0;
    struct wire_lease x;
    for (uint32_t turn = 0; turn < 200 && !leases_phase_complete(l); turn++) {
        const uint32_t only = grant(l, &x);
        assert_int_equal(x.kind, LEASE_TRAIN);
        const bool whole = only == LEASE_NONE && l->lease[l->place[0]].deaths == 0;
        const bool has_it = x.shard == 0 && (whole || only == killer);
        if (has_it && deaths < deaths_max) {
            deaths++;
            die(l);
        } else {
            give(l, &x);
        }
    }
    assert_true(leases_phase_complete(l));
    return deaths;
}

static void one_batch_is_set_aside(void **state) {
    (void)state;
    struct batch_plan p = plan();
    for (uint32_t killer = 0; killer < 5; killer++) {
        struct leases l;
        struct lease_aside a;
        make(&l, &p);
        assert_int_equal(train(&l, killer, 100), SUSPECT_DEATHS);
        assert_true(leases_next_aside(&l, &a));
        assert_int_equal(a.epoch, 0);
        assert_int_equal(a.range, 0);
        assert_int_equal(a.batch, killer);
        assert_int_equal(a.impressions, 10);
        assert_false(leases_next_aside(&l, &a));
        assert_int_equal(applied_count(l.done), SHARDS * 5 - 1);
        bool has = true;
        assert_int_equal(applied_has(l.done, (struct batch_name){0, 0, killer}, &has), OK);
        assert_false(has);
        assert_int_equal(leases_train(&l, 1), OK); /* the next epoch tries it again */
        assert_int_equal(l.pending, 0);
        leases_fini(&l);
    }
}

static void a_chance_death_costs_nothing(void **state) {
    (void)state;
    struct batch_plan p = plan();
    for (uint32_t deaths = 1; deaths < SUSPECT_DEATHS; deaths++) {
        struct leases l;
        struct lease_aside a;
        make(&l, &p);
        assert_int_equal(train(&l, 3, deaths), deaths);
        assert_false(leases_next_aside(&l, &a));
        assert_int_equal(applied_count(l.done), SHARDS * 5);
        leases_fini(&l);
    }
}

static void a_range_that_stays_whole(void **state) {
    (void)state;
    struct batch_plan p = plan();
    struct leases l;
    struct lease_aside a;
    struct wire_lease x;
    make(&l, &p);
    l.whole_ranges = true;
    for (int i = 0; i < SUSPECT_DEATHS; i++) {
        assert_int_equal(grant(&l, &x), LEASE_NONE);
        assert_int_equal(x.shard, 0);
        die(&l);
    }
    assert_true(leases_next_aside(&l, &a));
    assert_int_equal(a.batch, LEASE_NONE);
    assert_int_equal(a.impressions, 50);
    while (!leases_phase_complete(&l)) {
        grant(&l, &x);
        assert_int_not_equal(x.shard, 0);
        give(&l, &x);
    }
    assert_int_equal(applied_count(l.done), SHARDS * 5 - 5);
    leases_fini(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_batch_is_set_aside),
        cmocka_unit_test(a_chance_death_costs_nothing),
        cmocka_unit_test(a_range_that_stays_whole),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ranges_fini(&ranges);
    return failed;
}
