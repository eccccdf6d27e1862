/* Unit tests of coord/grant/lease.h and coord/grant/batch_plan.h: single leases, and whole
 * epochs with workers that die, in which every batch must be done and nothing beyond
 * --max-steps. */
#include "coord/grant/lease.h"

#include <stdio.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/job/plan.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SHARDS   4u
#define LEASE_MS 1000u
static const uint32_t batches[SHARDS] = {3, 1, 0, 5};
static const uint32_t impressions[SHARDS] = {29, 7, 0, 50};
static struct ranges ranges; /* of the plan that was made last */

static struct batch_plan plan_over(const struct ranges_spec *spec, const uint32_t *sizes,
                                   uint32_t shards, uint32_t epochs, uint64_t max_steps) {
    struct ranges_shard *shard = NULL;
    assert_int_equal(mem_array(&shard, shards), OK);
    for (uint32_t s = 0; s < shards; s++) {
        shard[s] = (struct ranges_shard){sizes[s], sizes[s]};
    }
    ranges_fini(&ranges);
    assert_int_equal(ranges_init(&ranges, spec, shard, shards), OK);
    mem_free(&shard);
    return (struct batch_plan){.ranges = &ranges, .epochs = epochs, .max_steps = max_steps};
}

static struct batch_plan plan_of(uint32_t epochs, uint64_t max_steps, bool shuffle) {
    const struct ranges_spec spec = {.seed = 5, .shuffle = shuffle, .batch = 10};
    return plan_over(&spec, impressions, SHARDS, epochs, max_steps);
}

static struct leases leases_of(const struct batch_plan *p, bool one_at_a_time) {
    struct leases l;
    struct applied *done = NULL;
    assert_int_equal(applied_create(&done, p->ranges->batches, p->ranges->count), OK);
    assert_int_equal(leases_init(&l, p, done, one_at_a_time, LEASE_MS, 100), OK);
    return l;
}

static struct wire_lease ask(struct leases *l, uint32_t worker, uint64_t now_ms) {
    struct wire_lease lease;
    struct buf bits = BUF_EMPTY;
    assert_int_equal(leases_ask(l, worker, worker + 1, false, now_ms, &lease, &bits), OK);
    buf_fini(&bits);
    return lease;
}

static void give(struct leases *l, uint32_t worker, const struct wire_lease *lease) {
    struct wire_lease_ask a = {.index = worker,
                               .incarnation = worker + 1,
                               .returns = true,
                               .epoch = lease->epoch,
                               .shard = lease->shard,
                               .fence = lease->fence};
    assert_int_equal(leases_return(l, &a, 0), OK);
}

static void an_epoch_in_order(void **state) {
    (void)state;
    struct batch_plan p = plan_of(2, UINT64_MAX, false);
    struct leases l = leases_of(&p, false);
    assert_int_equal(ask(&l, 0, 0).kind, LEASE_WAIT); /* no phase yet */
    assert_int_equal(leases_train(&l, 0), OK);
    struct wire_lease a = ask(&l, 0, 0), b = ask(&l, 1, 0), c = ask(&l, 0, 0);
    assert_int_equal(a.kind, LEASE_TRAIN);
    assert_int_equal(a.shard, 0);
    assert_int_equal(a.batch_limit, 3);
    assert_int_equal(a.fence, 101);
    assert_int_equal(b.shard, 1);
    assert_int_equal(c.shard, 3); /* shard 2 is empty */
    assert_int_equal(ask(&l, 1, 0).kind, LEASE_WAIT);
    assert_int_equal(leases_held(&l, 0), 2);
    give(&l, 0, &a);
    give(&l, 1, &b);
    assert_false(leases_phase_complete(&l));
    give(&l, 0, &c);
    assert_true(leases_phase_complete(&l));
    assert_int_equal(applied_base(l.done), 1);
    assert_int_equal(l.done_impressions, 86);
    leases_finish(&l);
    assert_int_equal(ask(&l, 0, 0).kind, LEASE_FINISHED);
    leases_fini(&l);
}

static void a_lost_lease_goes_to_another(void **state) {
    (void)state;
    struct batch_plan p = plan_of(1, UINT64_MAX, false);
    struct leases l = leases_of(&p, false);
    assert_int_equal(leases_train(&l, 0), OK);
    struct wire_lease a = ask(&l, 0, 0);
    leases_renew(&l, 0, 1, 600);
    leases_renew(&l, 0, 77, 5000); /* another incarnation's words do not count */
    assert_int_equal(leases_expire(&l, 1599), 0);
    assert_int_equal(leases_expire(&l, 1600), 1);
    struct wire_lease b = ask(&l, 1, 1600);
    assert_int_equal(b.shard, a.shard);
    assert_true(b.fence > a.fence);
    give(&l, 0, &a); /* too late */
    assert_int_equal(applied_count(l.done), 0);
    assert_int_equal(leases_held(&l, 1), 1);
    give(&l, 1, &b);
    assert_int_equal(applied_count(l.done), 3);
    give(&l, 1, &b); /* repeated */
    assert_int_equal(applied_count(l.done), 3);
    struct wire_lease old = ask(&l, 0, 1600);
    assert_int_equal(leases_release(&l, 0), 1);
    assert_int_equal(ask(&l, 0, 1600).shard, old.shard); /* the same worker, another lease */
    give(&l, 0, &old);
    assert_int_equal(leases_held(&l, 0), 1);
    assert_int_equal(leases_release(&l, 0), 1);
    assert_int_equal(leases_release(&l, 0), 0);
    assert_int_equal(ask(&l, 1, 1600).shard, 1);
    leases_fini(&l);
}

static void deterministic_grants_one(void **state) {
    (void)state;
    struct batch_plan p = plan_of(1, UINT64_MAX, false);
    struct leases l = leases_of(&p, true);
    assert_int_equal(leases_train(&l, 0), OK);
    struct wire_lease a = ask(&l, 0, 0), lease;
    assert_int_equal(ask(&l, 0, 0).kind, LEASE_WAIT);
    assert_int_equal(ask(&l, 1, 0).kind, LEASE_WAIT);
    give(&l, 0, &a);
    struct buf bits = BUF_EMPTY;
    assert_int_equal(leases_ask(&l, 1, 2, true, 0, &lease, &bits), OK); /* held for a cut */
    assert_int_equal(lease.kind, LEASE_WAIT);
    assert_int_equal(ask(&l, 1, 0).shard, 1);
    buf_fini(&bits);
    leases_fini(&l);
}

static void what_is_done_is_skipped(void **state) {
    (void)state;
    struct batch_plan p = plan_of(2, UINT64_MAX, false);
    struct leases l;
    struct applied *done = NULL;
    struct wire_lease lease;
    struct buf bits = BUF_EMPTY;
    applied_create(&done, batches, SHARDS);
    applied_add(done, (struct batch_name){0, 1, 0});
    applied_add(done, (struct batch_name){0, 3, 1});
    applied_add(done, (struct batch_name){0, 3, 4});
    applied_add(done, (struct batch_name){1, 0, 2});
    assert_int_equal(leases_init(&l, &p, done, false, LEASE_MS, 0), OK);
    assert_int_equal(l.done_impressions, 7 + 10 + 10 + 10);
    assert_int_equal(leases_train(&l, 0), OK);
    assert_int_equal(ask(&l, 0, 0).shard, 0);
    assert_int_equal(leases_ask(&l, 0, 1, false, 0, &lease, &bits), OK);
    assert_int_equal(lease.shard, 3);
    assert_int_equal(bits.len, 1);
    assert_int_equal(bits.data[0], 0x12);
    give(&l, 0, &lease);
    assert_int_equal(l.done_impressions, 7 + 50 + 10);
    buf_fini(&bits);
    leases_fini(&l);
}

static void evaluation_ends_with_the_scores(void **state) {
    (void)state;
    struct batch_plan p = plan_of(1, UINT64_MAX, false);
    struct leases l = leases_of(&p, true);
    const uint32_t eval_batches[] = {2, 0, 4, 1, 1, 1};
    assert_int_equal(leases_eval(&l, 0, eval_batches, 6), OK);
    struct wire_lease a = ask(&l, 0, 0), b = ask(&l, 1, 0);
    assert_int_equal(a.kind, LEASE_EVAL);
    assert_int_equal(b.shard, 2); /* evaluation has no order to keep */
    give(&l, 0, &a);
    assert_int_equal(applied_count(l.done), 0);
    assert_int_equal(leases_held(&l, 0), 1);
    leases_complete(&l, 0);
    leases_complete(&l, 0);
    leases_complete(&l, 99);
    assert_int_equal(leases_held(&l, 0), 0);
    leases_release(&l, 1);
    leases_complete(&l, 2); /* its scores come all the same */
    assert_int_equal(ask(&l, 0, 0).shard, 3);
    for (uint32_t s = 3; s < 6; s++) {
        assert_false(leases_phase_complete(&l));
        leases_complete(&l, s);
    }
    assert_true(leases_phase_complete(&l));
    assert_int_equal(l.out, 0);
    leases_fini(&l);
}

/* Trains a whole job with three workers of which any may die at any time; counts per batch. */
static void random_job(uint64_t seed, uint64_t max_steps, uint32_t epochs) {
    struct batch_plan p = plan_of(epochs, max_steps, true);
    struct leases l = leases_of(&p, seed % 2 == 0);
    struct wire_lease held[3] = {{0}};
    uint64_t draws = 0, now_ms = 0, job_batches, job_impressions, counted;
    for (uint32_t e = 0; e < epochs; e++) {
        assert_int_equal(leases_train(&l, e), OK);
        while (!leases_phase_complete(&l)) {
            uint32_t w = (uint32_t)rng_below(seed, 1, draws++, 3);
            now_ms += rng_below(seed, 2, draws++, 20);
            if (rng_below(seed, 3, draws++, 10) == 0) { /* dies, comes back */
                leases_release(&l, w);
                held[w].kind = LEASE_WAIT;
            } else if (held[w].kind == LEASE_TRAIN) {
                give(&l, w, &held[w]);
                held[w].kind = LEASE_WAIT;
            } else {
                held[w] = ask(&l, w, now_ms);
                assert_true(held[w].kind == LEASE_WAIT || held[w].epoch == e);
            }
        }
    }
    assert_int_equal(batch_plan_job(&p, &job_batches, &job_impressions), OK);
    uint64_t all = ranges.epoch_batches * epochs;
    assert_int_equal(job_batches, max_steps < all ? max_steps : all);
    assert_int_equal(applied_count(l.done), job_batches);
    assert_int_equal(l.done_impressions, job_impressions);
    assert_int_equal(batch_plan_applied(&p, l.done, &counted), OK);
    assert_int_equal(counted, job_impressions);
    leases_fini(&l);
}

static void whole_jobs(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        random_job(seed, UINT64_MAX, 3);
        random_job(seed, seed, 3);
    }
}

/* A plan that grows under a phase: shards go out in their order, whenever they join, and a phase
 * that was complete is not any more. Shards may also join while others are out or lost. */
static void shards_that_join(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        enum { MANY = 200 };
        uint32_t n[MANY], next = 0, expected = 0;
        const struct ranges_spec spec = {.batch = 7};
        struct batch_plan p = plan_over(&spec, NULL, 0, 1, UINT64_MAX);
        struct leases l;
        struct applied *done = NULL;
        struct wire_lease held[3] = {{0}};
        uint64_t draws = 0, batches_all = 0;
        assert_int_equal(applied_create_open(&done), OK);
        assert_int_equal(leases_init(&l, &p, done, seed % 2 == 0, LEASE_MS, 100), OK);
        assert_int_equal(leases_train(&l, 0), OK);
        assert_true(leases_phase_complete(&l));
        while (next < MANY || !leases_phase_complete(&l)) {
            uint32_t w = (uint32_t)rng_below(seed, 1, draws++, 3);
            if (next < MANY && rng_below(seed, 2, draws++, 3) == 0) {
                n[next] = 1 + (uint32_t)rng_below(seed, 3, draws++, 20);
                batches_all += n[next];
                assert_int_equal(
                    ranges_add(&ranges, (struct ranges_shard){7 * n[next], 7 * n[next]}), OK);
                assert_int_equal(applied_grow(l.done, next, n[next]), OK);
                assert_int_equal(leases_add(&l, next, n[next]), OK);
                assert_false(leases_phase_complete(&l));
                next++;
            } else if (held[w].kind == LEASE_TRAIN && rng_below(seed, 4, draws++, 8) == 0) {
                assert_int_equal(leases_release(&l, w), 1); /* dies; the shard goes out again */
                held[w].kind = LEASE_WAIT;
            } else if (held[w].kind == LEASE_TRAIN) {
                give(&l, w, &held[w]);
                held[w].kind = LEASE_WAIT;
            } else {
                held[w] = ask(&l, w, 0);
                if (held[w].kind == LEASE_TRAIN) {
                    assert_true(held[w].shard <= expected); /* none is passed over */
                    assert_int_equal(held[w].batch_limit, n[held[w].shard]);
                    expected = held[w].shard == expected ? expected + 1 : expected;
                }
            }
        }
        assert_int_equal(expected, MANY);
        assert_int_equal(applied_count(l.done), batches_all);
        assert_int_equal(l.done_impressions, 7 * batches_all);
        assert_int_equal(applied_base(l.done), 0);
        leases_fini(&l);
    }
}

/* Resumed: what was done is skipped, also of shards in the middle; what joins comes after. */
static void a_grown_plan_resumed(void **state) {
    (void)state;
    const uint32_t n[] = {3, 2, 4, 1}, imps[] = {30, 20, 40, 10};
    const struct ranges_spec spec = {.batch = 10};
    struct batch_plan p = plan_over(&spec, imps, 3, 1, 9);
    struct leases l;
    struct applied *done = NULL;
    struct wire_lease lease;
    struct buf bits = BUF_EMPTY;
    assert_int_equal(applied_create_open(&done), OK);
    for (uint32_t s = 0; s < 3; s++) {
        assert_int_equal(applied_grow(done, s, n[s]), OK);
    }
    for (uint32_t k = 0; k < 3; k++) {
        assert_int_equal(applied_add(done, (struct batch_name){0, 0, k}), OK);
    }
    assert_int_equal(applied_add(done, (struct batch_name){0, 2, 1}), OK);
    assert_int_equal(leases_init(&l, &p, done, false, LEASE_MS, 0), OK);
    assert_int_equal(l.done_impressions, 40);
    assert_int_equal(leases_train(&l, 0), OK);
    assert_int_equal(ranges_add(&ranges, (struct ranges_shard){imps[3], imps[3]}), OK);
    assert_int_equal(applied_grow(l.done, 3, n[3]), OK);
    assert_int_equal(leases_add(&l, 3, 0), OK); /* beyond max_steps */
    lease = ask(&l, 0, 0);
    assert_int_equal(lease.shard, 1);
    give(&l, 0, &lease);
    assert_int_equal(leases_ask(&l, 0, 1, false, 0, &lease, &bits), OK);
    assert_int_equal(lease.shard, 2);
    assert_int_equal(bits.data[0], 2);
    give(&l, 0, &lease);
    assert_true(leases_phase_complete(&l));
    assert_int_equal(applied_count(l.done), 9);
    assert_int_equal(l.done_impressions, 90);
    buf_fini(&bits);
    leases_fini(&l);
}

/* Which batches belong to the job follows the epoch's order alone. */
static void limits_follow_the_order(void **state) {
    (void)state;
    struct batch_plan p = plan_of(2, 12, true);
    uint32_t order[SHARDS], limit[SHARDS], expect[SHARDS];
    assert_int_equal(batch_plan_epoch(&p, 1, order, limit), OK);
    plan_shards(5, true, 1, SHARDS, expect);
    uint64_t left = 12 - 9;
    for (uint32_t i = 0; i < SHARDS; i++) {
        assert_int_equal(order[i], expect[i]);
        uint64_t want = left < batches[order[i]] ? left : batches[order[i]];
        assert_int_equal(limit[i], want);
        left -= want;
    }
    uint32_t sum = 0;
    for (uint32_t k = 0; k < batches[0]; k++) {
        sum += batch_plan_batch_impressions(&p, 0, k);
    }
    assert_int_equal(sum, impressions[0]);
}

/* --- costs ------------------------------------------------------------------------------------ */

/* ns of a heartbeat, and of a grant with its return, in an epoch of so many leases, the first of
 * which never comes back. */
struct costs {
    double renew, grant;
};

/* Of this thread: what else the machine does is not counted. */
static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct costs costs_of(uint32_t shards) {
    struct costs out;
    uint32_t *ones = NULL;
    struct wire_lease lease;
    assert_int_equal(mem_array(&ones, shards), OK);
    for (uint32_t s = 0; s < shards; s++) {
        ones[s] = 1;
    }
    const struct ranges_spec spec = {.batch = 1};
    struct batch_plan p = plan_over(&spec, ones, shards, 1, UINT64_MAX);
    struct leases l = leases_of(&p, false);
    assert_int_equal(leases_train(&l, 0), OK);
    ask(&l, 7, 0);
    uint64_t start_ns = cpu_ns();
    for (uint32_t i = 0; i < 2000; i++) {
        leases_renew(&l, 7, 8, i);
        assert_int_equal(leases_expire(&l, i), 0);
        assert_int_equal(leases_held(&l, 7), 1);
    }
    out.renew = (double)(cpu_ns() - start_ns) / 2000;
    for (uint32_t i = 0; i < shards - 901; i++) {
        lease = ask(&l, 1, 0);
        give(&l, 1, &lease);
    }
    start_ns = cpu_ns();
    for (uint32_t i = 0; i < 900; i++) {
        lease = ask(&l, 1, 0);
        assert_int_equal(lease.kind, LEASE_TRAIN);
        give(&l, 1, &lease);
    }
    out.grant = (double)(cpu_ns() - start_ns) / 900;
    assert_int_equal(l.back, shards - 1);
    leases_fini(&l);
    mem_free(&ones);
    return out;
}

/* A hundred times the shards must not cost ten times as much. */
static void costs_do_not_grow_with_the_epoch(void **state) {
    (void)state;
    const struct costs few = costs_of(1000), many = costs_of(100000);
    print_message(
        "a heartbeat: %.0f and %.0f ns, a grant with its return: %.0f and %.0f ns, of 1,000 "
        "and 100,000 leases\n",
        few.renew, many.renew, few.grant, many.grant);
    assert_true(many.renew < 10 * few.renew + 2000);
    assert_true(many.grant < 10 * few.grant + 20000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_in_order),
        cmocka_unit_test(a_lost_lease_goes_to_another),
        cmocka_unit_test(deterministic_grants_one),
        cmocka_unit_test(what_is_done_is_skipped),
        cmocka_unit_test(evaluation_ends_with_the_scores),
        cmocka_unit_test(whole_jobs),
        cmocka_unit_test(limits_follow_the_order),
        cmocka_unit_test(shards_that_join),
        cmocka_unit_test(a_grown_plan_resumed),
        cmocka_unit_test(costs_do_not_grow_with_the_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
