/* Unit tests of worker/read_ahead.h: leases in, batches out, driven without threads and files
 * through orders of events that threads rarely show. */
#include "worker/read_ahead.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define POOL_MAX 4
#define ALL      UINT32_MAX

static struct read_ahead a;
static struct batch batches[POOL_MAX];

static void begin(uint32_t pool) {
    assert_int_equal(read_ahead_init(&a, batches, pool), OK);
}

static enum status put(uint32_t shard, uint64_t fence, uint32_t limit, const void *done,
                       size_t done_bytes) {
    const struct wire_lease lease = {
        .kind = LEASE_TRAIN, .shard = shard, .fence = fence, .batch_limit = limit};
    struct reading *x;
    assert_int_equal(reading_create(&x, &lease, done, done_bytes), OK);
    const enum status status = read_ahead_lease(&a, x);
    if (status != OK) {
        reading_destroy(&x);
    }
    return status;
}

static void put_whole(uint32_t shard) {
    assert_int_equal(put(shard, 10 + shard, ALL, NULL, 0), OK);
}

static struct reading *expect_load(uint32_t shard) {
    struct reading *x = read_ahead_load(&a);
    assert_non_null(x);
    assert_int_equal(x->lease.shard, shard);
    return x;
}

static void loaded(struct reading *x, uint32_t shard_batches) {
    x->batches = shard_batches;
    read_ahead_loaded(x);
}

static void expect_cut(uint32_t shard, uint32_t batch) {
    struct read_cut cut;
    assert_true(read_ahead_cut(&a, &cut));
    assert_non_null(cut.batch);
    assert_int_equal(cut.lease->lease.shard, shard);
    assert_int_equal(cut.lease->at, batch);
    assert_int_equal(cut.begins, cut.lease->queued == 0);
    read_ahead_batch(&a, &cut);
}

static void expect_end(uint32_t shard) {
    struct read_cut cut;
    assert_true(read_ahead_cut(&a, &cut));
    assert_null(cut.batch);
    assert_int_equal(cut.lease->lease.shard, shard);
    read_ahead_end(&a, &cut);
}

static void expect_no_cut(void) {
    struct read_cut cut;
    assert_false(read_ahead_cut(&a, &cut));
}

static struct batch *take_batch(uint64_t fence) {
    struct reader_item item;
    assert_int_equal(read_ahead_take(&a, &item), OK);
    assert_non_null(item.batch);
    assert_int_equal(item.lease.fence, fence);
    return item.batch;
}

static void take_end(uint64_t fence, uint32_t lease_batches) {
    struct reader_item item;
    assert_int_equal(read_ahead_take(&a, &item), OK);
    assert_null(item.batch);
    assert_int_equal(item.lease.fence, fence);
    assert_int_equal(item.lease_batches, lease_batches);
}

static void expect_nothing(enum status status) {
    struct reader_item item;
    assert_int_equal(read_ahead_take(&a, &item), status);
}

static void a_lease_s_batches_come_in_order(void **state) {
    (void)state;
    const uint8_t done[1] = {0x16}; /* batches 1, 2, 4 */
    begin(4);
    expect_no_cut();
    assert_null(read_ahead_load(&a));
    assert_int_equal(put(3, 7, 6, done, sizeof done), OK);
    struct reading *x = expect_load(3);
    assert_null(read_ahead_load(&a));
    expect_no_cut(); /* its shard is not there */
    loaded(x, 100);
    expect_cut(3, 0);
    expect_cut(3, 3);
    expect_cut(3, 5);
    expect_end(3); /* the lease's limit */
    for (int i = 0; i < 3; i++) {
        read_ahead_give_back(&a, take_batch(7));
    }
    take_end(7, 3);
    expect_nothing(ERR_TIMEOUT);
    read_ahead_fini(&a);
}

static void a_lease_without_batches_is_an_end_mark(void **state) {
    (void)state;
    const uint8_t done[2] = {0xff, 0xff};
    begin(1);
    assert_int_equal(put(1, 7, ALL, done, sizeof done), OK);
    assert_int_equal(put(2, 8, 0, NULL, 0), OK);
    loaded(expect_load(1), 12);
    loaded(expect_load(2), 12);
    expect_end(1);
    expect_end(2);
    take_end(7, 0);
    take_end(8, 0);
    read_ahead_fini(&a);
}

/* The shard being cut, one that is ready, and one more: then loading waits for the first to end. */
static void three_shards_are_in_memory(void **state) {
    (void)state;
    begin(4);
    for (uint32_t k = 0; k < 5; k++) {
        put_whole(k);
    }
    loaded(expect_load(0), 1);
    expect_cut(0, 0);
    loaded(expect_load(1), 1);
    struct reading *third = expect_load(2);
    assert_null(read_ahead_load(&a)); /* one at a time, and three are enough */
    expect_end(0);
    expect_cut(1, 0);
    loaded(third, 1);
    struct reading *fourth = expect_load(3);
    assert_null(read_ahead_load(&a));
    loaded(fourth, 1);
    assert_null(read_ahead_load(&a));
    expect_end(1);
    expect_load(4);
    read_ahead_fini(&a);
}

static void who_keeps_batches_stops_the_cutter(void **state) {
    (void)state;
    begin(2);
    put_whole(0);
    loaded(expect_load(0), 3);
    expect_cut(0, 0);
    expect_cut(0, 1);
    expect_no_cut();
    struct batch *b = take_batch(10);
    expect_no_cut(); /* it is with a trainer now */
    read_ahead_give_back(&a, b);
    expect_cut(0, 2);
    expect_end(0); /* needs no batch */
    take_batch(10);
    assert_ptr_equal(take_batch(10), b);
    take_end(10, 3);
    read_ahead_fini(&a);
}

/* The lease is taken away while its shard loads, and given back under a new fence: two leases. */
static void a_newer_lease_on_a_shard_that_loads(void **state) {
    (void)state;
    const uint8_t done[1] = {0x03};
    begin(4);
    assert_int_equal(put(0, 10, ALL, NULL, 0), OK);
    struct reading *old = expect_load(0);
    assert_int_equal(put(0, 20, ALL, done, sizeof done), OK);
    loaded(old, 3);
    loaded(expect_load(0), 3);
    for (uint32_t k = 0; k < 3; k++) {
        expect_cut(0, k);
    }
    expect_end(0);
    expect_cut(0, 2); /* of the new one, what is left */
    expect_end(0);
    for (int k = 0; k < 3; k++) {
        take_batch(10);
    }
    take_end(10, 3); /* it is counted to its end, whoever trains it */
    take_batch(20);
    take_end(20, 1);
    read_ahead_fini(&a);
}

/* A shard fails to load while the one before is cut: what is queued can be taken, nothing more is
 * done, and everybody is told why. */
static void a_shard_that_fails_to_load(void **state) {
    (void)state;
    begin(4);
    put_whole(0);
    put_whole(1);
    loaded(expect_load(0), 3);
    expect_cut(0, 0);
    expect_load(1);
    (fail)(ERR_CORRUPT, "shard 1 is damaged");
    read_ahead_close(&a, ERR_CORRUPT);
    (fail)(ERR_IO, "something else, later");
    read_ahead_close(&a, ERR_IO); /* the first one counts */
    expect_no_cut();
    assert_null(read_ahead_load(&a));
    take_batch(10);
    for (int trainer = 0; trainer < 2; trainer++) {
        expect_nothing(ERR_CORRUPT);
        assert_string_equal(fail_text(), "shard 1 is damaged");
    }
    (fail)(ERR_IO, "something else");
    assert_int_equal(put(2, 12, ALL, NULL, 0), ERR_CORRUPT);
    assert_string_equal(fail_text(), "shard 1 is damaged");
    read_ahead_fini(&a);
}

static void a_closed_reader_has_an_end(void **state) {
    (void)state;
    begin(2);
    put_whole(0);
    struct reading *x = expect_load(0);
    read_ahead_close(&a, ERR_CLOSED);
    loaded(x, 3); /* the loader was still on the disk */
    expect_no_cut();
    expect_nothing(ERR_CLOSED);
    assert_int_equal(put(1, 11, ALL, NULL, 0), ERR_CLOSED);
    read_ahead_fini(&a);
}

/* A lease counts until its end mark is taken: so there is room for all marks and batches. */
static void leases_have_a_limit(void **state) {
    (void)state;
    begin(2);
    for (uint32_t k = 0; k < READ_LEASES_MAX; k++) {
        assert_int_equal(put(k, k, 0, NULL, 0), OK);
    }
    assert_int_equal(put(99, 99, 0, NULL, 0), ERR_LIMIT);
    for (uint32_t k = 0; k < READ_LEASES_MAX; k++) {
        loaded(expect_load(k), 5);
        expect_end(k);
    }
    assert_int_equal(put(99, 99, 0, NULL, 0), ERR_LIMIT);
    take_end(0, 0);
    assert_int_equal(put(99, 99, ALL, NULL, 0), OK);
    loaded(expect_load(99), 2);
    expect_cut(99, 0);
    expect_cut(99, 1);
    expect_end(99); /* the queue is full now */
    for (uint32_t k = 1; k < READ_LEASES_MAX; k++) {
        take_end(k, 0);
    }
    take_batch(99);
    take_batch(99);
    take_end(99, 2);
    expect_nothing(ERR_TIMEOUT);
    read_ahead_fini(&a);
}

/* "Waiting for a shard" is an excuse only while nobody has a batch. */
static void an_excuse_while_it_reads(void **state) {
    (void)state;
    begin(2);
    assert_false(read_ahead_waits(&a));
    put_whole(0);
    assert_false(read_ahead_waits(&a));
    struct reading *x = expect_load(0);
    assert_true(read_ahead_waits(&a));
    loaded(x, 1);
    assert_false(read_ahead_waits(&a));
    expect_cut(0, 0);
    put_whole(1);
    x = expect_load(1);
    assert_false(read_ahead_waits(&a)); /* there is a batch to be trained */
    struct batch *b = take_batch(10);
    assert_false(read_ahead_waits(&a));
    read_ahead_give_back(&a, b);
    assert_true(read_ahead_waits(&a));
    read_ahead_fini(&a);
}

static void failing_memory(void **state) {
    (void)state;
    for (size_t k = 1; k <= 2; k++) {
        mem_fail_after(k);
        assert_int_equal(read_ahead_init(&a, batches, 2), ERR_MEMORY);
        mem_fail_after(0);
        read_ahead_fini(&a);
    }
    for (size_t k = 1; k <= 2; k++) {
        struct reading *x;
        mem_fail_after(k);
        assert_int_equal(reading_create(&x, &(struct wire_lease){0}, "x", 1), ERR_MEMORY);
        mem_fail_after(0);
        assert_null(x);
    }
}

/* --- by chance -------------------------------------------------------------------------------- */

struct player {
    uint64_t seed, dice;
    struct reading *loading;
    struct batch *with_trainer[POOL_MAX];
    uint32_t trainers, put, ended, batches, expected;
};

static uint64_t roll(struct player *p, uint64_t below) {
    return rng_below(p->seed, 1, p->dice++, below);
}

static void play_take(struct player *p) {
    struct reader_item item;
    if (read_ahead_take(&a, &item) != OK) {
        return;
    }
    assert_int_equal(item.lease.fence, p->ended); /* leases end in their order */
    if (item.batch != NULL) {
        p->with_trainer[p->trainers++] = item.batch;
        p->batches++;
    } else {
        p->ended++;
    }
}

static void play_cut(void) {
    struct read_cut cut;
    if (!read_ahead_cut(&a, &cut)) {
        return;
    }
    if (cut.batch != NULL) {
        read_ahead_batch(&a, &cut);
    } else {
        read_ahead_end(&a, &cut);
    }
}

static void play(struct player *p) {
    switch (roll(p, 6)) {
    case 0:
        if (p->put < 30 && put(p->put, p->put, (uint32_t)roll(p, 5), NULL, 0) == OK) {
            p->put++;
        }
        break;
    case 1: p->loading = p->loading == NULL ? read_ahead_load(&a) : p->loading; break;
    case 2:
        if (p->loading != NULL) {
            const uint32_t n = (uint32_t)roll(p, 5), limit = p->loading->lease.batch_limit;
            p->expected += n < limit ? n : limit;
            loaded(p->loading, n);
            p->loading = NULL;
        }
        break;
    case 3: play_cut(); break;
    case 4: play_take(p); break;
    default:
        if (p->trainers > 0) {
            read_ahead_give_back(&a, p->with_trainer[--p->trainers]);
        }
    }
}

static void every_lease_comes_to_its_end(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct player p = {.seed = seed};
        begin(1 + (uint32_t)(seed % POOL_MAX));
        for (uint32_t moves = 0; p.ended < 30; moves++) {
            play(&p);
            assert_true(moves < 100000);
        }
        assert_int_equal(p.batches, p.expected);
        expect_nothing(ERR_TIMEOUT);
        read_ahead_fini(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_s_batches_come_in_order),
        cmocka_unit_test(a_lease_without_batches_is_an_end_mark),
        cmocka_unit_test(three_shards_are_in_memory),
        cmocka_unit_test(who_keeps_batches_stops_the_cutter),
        cmocka_unit_test(a_newer_lease_on_a_shard_that_loads),
        cmocka_unit_test(a_shard_that_fails_to_load),
        cmocka_unit_test(a_closed_reader_has_an_end),
        cmocka_unit_test(leases_have_a_limit),
        cmocka_unit_test(an_excuse_while_it_reads),
        cmocka_unit_test(failing_memory),
        cmocka_unit_test(every_lease_comes_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
