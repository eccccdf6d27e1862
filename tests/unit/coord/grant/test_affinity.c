/* Unit tests of coord/grant/affinity.h, through coord/grant/lease.h, which uses it: whole epochs
 * of windows with several workers that may be lost, against a model that searches all ranges
 * each time. */
#include "coord/grant/lease.h"

#include <stdio.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define LEASE_MS 1000u
#define WORKERS  5u
#define NONE     AFFINITY_NONE

static struct ranges ranges; /* of the job that was begun last */
static struct batch_plan plan;

/* `shards` of 1000 impressions, batches of 10. */
static struct leases job_of(uint32_t shards, uint32_t window, bool one_at_a_time) {
    const struct ranges_spec spec = {.seed = 3, .shuffle = true, .batch = 10, .window = window};
    struct ranges_shard *shard = NULL;
    struct applied *done = NULL;
    struct leases l;
    assert_int_equal(mem_array(&shard, shards), OK);
    for (uint32_t s = 0; s < shards; s++) {
        shard[s] = (struct ranges_shard){1000, 1000};
    }
    ranges_fini(&ranges);
    assert_int_equal(ranges_init(&ranges, &spec, shard, shards), OK);
    mem_free(&shard);
    plan = (struct batch_plan){.ranges = &ranges, .epochs = 3, .max_steps = UINT64_MAX};
    assert_int_equal(applied_create(&done, ranges.batches, ranges.count), OK);
    assert_int_equal(leases_init(&l, &plan, done, one_at_a_time, LEASE_MS, 100), OK);
    return l;
}

static struct wire_lease ask(struct leases *l, uint32_t worker) {
    struct wire_lease lease;
    struct buf bits = BUF_EMPTY;
    assert_int_equal(leases_ask(l, worker, worker + 1, false, 0, &lease, &bits), OK);
    buf_fini(&bits);
    return lease;
}

static void give(struct leases *l, uint32_t worker, const struct wire_lease *lease) {
    const struct wire_lease_ask a = {.index = worker,
                                     .incarnation = worker + 1,
                                     .returns = true,
                                     .epoch = lease->epoch,
                                     .shard = lease->shard,
                                     .fence = lease->fence};
    assert_int_equal(leases_return(l, &a, 0), OK);
}

/* --- the model -------------------------------------------------------------------------------- */

enum state { PENDING, OUT, BACK };
struct model {
    enum state *state; /* [ranges.count] */
    uint32_t on[WORKERS], ahead[WORKERS];
};

static uint32_t model_first(const struct model *m, uint32_t window) {
    for (uint32_t i = ranges.first_range[window]; i < ranges.first_range[window + 1]; i++) {
        if (m->state[i] == PENDING) {
            return i;
        }
    }
    return NONE;
}

static bool model_taken(const struct model *m, uint32_t window, bool reservations_count) {
    for (uint32_t w = 0; w < WORKERS; w++) {
        if (m->on[w] == window || (reservations_count && m->ahead[w] == window)) {
            return true;
        }
    }
    return false;
}

/* The first pending window that passes; care: 0 none, 1 nobody is on it, 2 nor has reserved it. */
static uint32_t model_search(const struct model *m, int care) {
    for (uint32_t w = 0; w < ranges.windows; w++) {
        if (model_first(m, w) != NONE && (care == 0 || !model_taken(m, w, care == 2))) {
            return w;
        }
    }
    return NONE;
}

static bool model_pends(const struct model *m, uint32_t window) {
    return window != NONE && model_first(m, window) != NONE;
}

/* The range and what is ahead of it, as leases_ask should say them. */
static uint32_t model_ask(struct model *m, uint32_t worker, uint32_t *ahead) {
    uint32_t to = m->on[worker];
    *ahead = 0;
    to = model_pends(m, to) ? to : m->ahead[worker];
    for (int care = 2; care >= 0 && !model_pends(m, to); care--) {
        to = model_search(m, care);
    }
    if (to == NONE) {
        return NONE;
    }
    const uint32_t range = model_first(m, to);
    m->on[worker] = to;
    m->ahead[worker] = m->ahead[worker] == to ? NONE : m->ahead[worker];
    m->state[range] = OUT;
    if (!model_pends(m, m->ahead[worker])) {
        m->ahead[worker] = NONE;
        m->ahead[worker] = model_search(m, 2);
    }
    *ahead = m->ahead[worker] == NONE ? 0 : 1 + model_first(m, m->ahead[worker]);
    return range;
}

static void model_lose(struct model *m, uint32_t worker, const struct wire_lease *held) {
    m->on[worker] = m->ahead[worker] = NONE;
    if (held->kind == LEASE_TRAIN) {
        m->state[held->shard] = PENDING;
    }
}

/* --- whole epochs ----------------------------------------------------------------------------- */

/* One step of the play: a worker asks, returns, or is lost. */
static void act(struct leases *l, struct model *m, struct wire_lease *held, uint32_t w, bool lost) {
    uint32_t ahead;
    if (lost) {
        assert_int_equal(leases_release(l, w), held[w].kind == LEASE_TRAIN);
        model_lose(m, w, &held[w]);
        held[w].kind = LEASE_WAIT;
    } else if (held[w].kind == LEASE_TRAIN) {
        give(l, w, &held[w]);
        m->state[held[w].shard] = BACK;
        held[w].kind = LEASE_WAIT;
    } else {
        const uint32_t range = model_ask(m, w, &ahead);
        held[w] = ask(l, w);
        assert_int_equal(held[w].kind == LEASE_TRAIN, range != NONE);
        if (range != NONE) {
            assert_int_equal(held[w].shard, range);
            assert_int_equal(held[w].ahead, ahead);
            assert_true(ahead == 0 || m->state[ahead - 1] == PENDING);
            assert_true(ahead == 0 || ranges.window[ahead - 1] != ranges.window[range]);
        }
    }
}

static void epochs_like_the_model(uint64_t seed, uint32_t shards, uint32_t window,
                                  uint32_t deaths_of_100) {
    struct leases l = job_of(shards, window, false);
    struct wire_lease held[WORKERS] = {{0}};
    struct model m;
    uint64_t draws = 0;
    assert_int_equal(mem_array(&m.state, ranges.count), OK);
    for (uint32_t e = 0; e < 2; e++) {
        memset(m.state, 0, ranges.count * sizeof *m.state);
        for (uint32_t w = 0; w < WORKERS; w++) {
            m.on[w] = m.ahead[w] = NONE;
        }
        assert_int_equal(leases_train(&l, e), OK);
        while (!leases_phase_complete(&l)) {
            const uint32_t w = (uint32_t)rng_below(seed, 1, draws++, WORKERS);
            act(&l, &m, held, w, rng_below(seed, 2, draws++, 100) < deaths_of_100);
        }
        for (uint32_t i = 0; i < ranges.count; i++) {
            assert_int_equal(m.state[i], BACK);
        }
        assert_int_equal(applied_base(l.done), e + 1);
        assert_int_equal(l.back_impressions, ranges.sampled);
        assert_int_equal(l.out_impressions, 0);
        for (uint32_t w = 0; w < WORKERS; w++) { /* what was lost last is nobody's now */
            leases_release(&l, w);
            held[w].kind = LEASE_WAIT;
        }
    }
    assert_int_equal(l.fence - 100 >= 2 * (uint64_t)ranges.count, 1);
    if (deaths_of_100 == 0) { /* each range was granted once */
        assert_int_equal(l.fence - 100, 2 * (uint64_t)ranges.count);
    }
    mem_free(&m.state);
    leases_fini(&l);
}

static void any_workers(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        epochs_like_the_model(seed, 70, 3000, 0);
        epochs_like_the_model(seed, 70, 3000, 5);
        epochs_like_the_model(seed, 140, 900, 1);
        epochs_like_the_model(seed, 4, 2000, 0); /* fewer windows than workers */
        epochs_like_the_model(seed, 4, 2000, 20);
    }
}

/* --- single rules ----------------------------------------------------------------------------- */

static uint32_t window_of(const struct wire_lease *lease) {
    assert_int_equal(lease->kind, LEASE_TRAIN);
    return ranges.window[lease->shard];
}

static uint32_t window_ahead(const struct wire_lease *lease) {
    return lease->ahead == 0 ? NONE : ranges.window[lease->ahead - 1];
}

/* With one worker, and in a deterministic job whoever asks, the order is the epoch's. */
static void in_the_epochs_order(void **state) {
    (void)state;
    for (int strict = 0; strict < 2; strict++) {
        struct leases l = job_of(10, 2000, strict == 1);
        assert_int_equal(leases_train(&l, 0), OK);
        assert_int_equal(ranges.windows, 5);
        for (uint32_t i = 0; i < ranges.count; i++) {
            const uint32_t worker = strict == 1 ? i % 3 : 0;
            const struct wire_lease lease = ask(&l, worker);
            const uint32_t next = window_of(&lease) + 1;
            assert_int_equal(lease.shard, i);
            assert_int_equal(lease.ahead, next == 5 ? 0 : 1 + ranges.first_range[next]);
            if (strict == 1) {
                assert_int_equal(ask(&l, (i + 1) % 3).kind, LEASE_WAIT);
            }
            give(&l, worker, &lease);
        }
        assert_true(leases_phase_complete(&l));
        leases_fini(&l);
    }
}

static void who_is_lost_leaves_windows_to_others(void **state) {
    (void)state;
    struct leases l = job_of(10, 2000, false);
    assert_int_equal(leases_train(&l, 0), OK);
    const struct wire_lease a = ask(&l, 0), b = ask(&l, 1);
    assert_int_equal(window_of(&a), 0);
    assert_int_equal(window_ahead(&a), 1);
    assert_int_equal(window_of(&b), 2); /* the one after it is reserved */
    assert_int_equal(window_ahead(&b), 3);
    assert_int_equal(leases_expire(&l, LEASE_MS), 2); /* both */
    const struct wire_lease c = ask(&l, 2);
    assert_int_equal(c.shard, a.shard);
    assert_int_equal(window_ahead(&c), 1);
    leases_fini(&l);
}

/* A worker without a window comes before one that has another. */
static void nobody_waits_for_a_reserved_window(void **state) {
    (void)state;
    struct leases l = job_of(4, 2000, false);
    assert_int_equal(leases_train(&l, 0), OK);
    assert_int_equal(ranges.windows, 2);
    const struct wire_lease a = ask(&l, 0), b = ask(&l, 1), c = ask(&l, 2);
    assert_int_equal(window_of(&a), 0);
    assert_int_equal(window_ahead(&a), 1);
    assert_int_equal(window_of(&b), 1);
    assert_int_equal(window_ahead(&b), NONE);
    assert_int_equal(window_of(&c), 0); /* helps */
    leases_fini(&l);
}

/* An evaluation within the epoch: who had read a window gets the rest of it. */
static void an_epoch_that_goes_on(void **state) {
    (void)state;
    struct leases l = job_of(10, 2000, false);
    const uint32_t eval_batches[] = {2};
    assert_int_equal(leases_train(&l, 0), OK);
    const struct wire_lease a = ask(&l, 0), b = ask(&l, 1);
    give(&l, 0, &a);
    give(&l, 1, &b);
    assert_int_equal(leases_eval(&l, 0, eval_batches, 1), OK);
    const struct wire_lease exam = ask(&l, 1);
    assert_int_equal(exam.kind, LEASE_EVAL);
    assert_int_equal(exam.ahead, 0);
    leases_complete(&l, 0);
    assert_int_equal(leases_train(&l, 0), OK);
    assert_int_equal(l.back, 2);
    const struct wire_lease again_b = ask(&l, 1), again_a = ask(&l, 0);
    assert_int_equal(again_b.shard, b.shard + 1);
    assert_int_equal(window_ahead(&again_b), window_ahead(&b));
    assert_int_equal(again_a.shard, a.shard + 1);
    leases_release(&l, 0);
    leases_release(&l, 1);
    assert_int_equal(leases_train(&l, 1), OK); /* another epoch: other impressions */
    assert_int_equal(ask(&l, 1).shard, 0);
    leases_fini(&l);
}

/* --- costs ------------------------------------------------------------------------------------ */

/* Of this thread: what else the machine does is not counted. */
static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ns of a grant with its return, windows of one range each. */
static double grant_ns(uint32_t shards) {
    struct leases l = job_of(shards, 10, false);
    assert_true(ranges.count >= 100 * shards);
    assert_int_equal(leases_train(&l, 0), OK);
    const uint64_t start_ns = cpu_ns();
    for (uint32_t i = 0; i < ranges.count; i++) {
        const struct wire_lease lease = ask(&l, i % WORKERS);
        give(&l, i % WORKERS, &lease);
    }
    const double ns = (double)(cpu_ns() - start_ns) / ranges.count;
    assert_true(leases_phase_complete(&l));
    leases_fini(&l);
    return ns;
}

/* A hundred times the windows must not cost ten times as much. */
static void costs_do_not_grow_with_the_windows(void **state) {
    (void)state;
    const double few = grant_ns(10), many = grant_ns(1000);
    print_message("a grant with its return: %.0f and %.0f ns, of 1,000 and 100,000 windows\n", few,
                  many);
    assert_true(many < 10 * few + 20000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_workers),
        cmocka_unit_test(in_the_epochs_order),
        cmocka_unit_test(who_is_lost_leaves_windows_to_others),
        cmocka_unit_test(nobody_waits_for_a_reserved_window),
        cmocka_unit_test(an_epoch_that_goes_on),
        cmocka_unit_test(costs_do_not_grow_with_the_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
