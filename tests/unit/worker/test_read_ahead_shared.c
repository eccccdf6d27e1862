/* Unit tests of worker/read_ahead.h where the batches of a range share bags: each range is one
 * trainer's, from its first batch to its end mark. */
#include "worker/read_ahead.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define POOL_MAX 12
#define ALL      UINT32_MAX

static struct read_ahead a;
static struct batch batches[POOL_MAX];

static void begin(uint32_t pool, uint32_t trainers) {
    assert_int_equal(read_ahead_init(&a, true, batches, pool), OK);
    read_ahead_share(&a, trainers);
}

/* A lease whose number is its fence. */
static void put(enum lease_kind kind, uint32_t number, uint32_t window, uint32_t first,
                uint32_t count, const void *done, size_t done_bytes) {
    const struct wire_lease lease = {
        .kind = kind, .shard = number, .fence = number, .batch_limit = ALL};
    const struct reading_place place = {
        .window = {kind, 0, window}, .first = first, .count = count};
    struct reading *x;
    assert_int_equal(reading_create(&x, &lease, &place, done, done_bytes), OK);
    assert_int_equal(read_ahead_lease(&a, x), OK);
}

static void put_range(uint32_t number, uint32_t window, uint32_t first, uint32_t count) {
    put(LEASE_TRAIN, number, window, first, count, NULL, 0);
}

static void load(uint32_t window, uint32_t window_batches) {
    struct read_window *w = read_ahead_load(&a);
    assert_non_null(w);
    assert_int_equal(w->key.window, window);
    w->batches = window_batches;
    read_ahead_loaded(&a, w);
}

static void expect_cut(uint32_t number, uint32_t batch) {
    struct read_cut cut;
    assert_true(read_ahead_cut(&a, &cut));
    assert_non_null(cut.batch);
    assert_true(cut.shares);
    assert_int_equal(cut.lease->lease.shard, number);
    assert_int_equal(cut.lease->at, batch);
    read_ahead_batch(&a, &cut);
}

static void expect_end(uint32_t number) {
    struct read_cut cut;
    assert_true(read_ahead_cut(&a, &cut));
    assert_null(cut.batch);
    assert_int_equal(cut.lease->lease.shard, number);
    read_ahead_end(&a, &cut);
}

static void expect_no_cut(void) {
    struct read_cut cut;
    assert_false(read_ahead_cut(&a, &cut));
}

static void take(uint32_t trainer, uint32_t number) {
    struct reader_item item;
    assert_int_equal(read_ahead_take(&a, trainer, &item), OK);
    assert_non_null(item.batch);
    assert_int_equal(item.lease.shard, number);
    read_ahead_give_back(&a, item.batch);
}

static void take_end(uint32_t trainer, uint32_t number) {
    struct reader_item item;
    assert_int_equal(read_ahead_take(&a, trainer, &item), OK);
    assert_null(item.batch);
    assert_int_equal(item.lease.shard, number);
}

static void take_nothing(uint32_t trainer, enum status status) {
    struct reader_item item;
    assert_int_equal(read_ahead_take(&a, trainer, &item), status);
}

static void a_range_is_one_trainer_s(void **state) {
    (void)state;
    begin(12, 2); /* three of a lease may wait */
    put_range(1, 0, 0, 4);
    put_range(2, 0, 4, 4);
    load(0, 8);
    expect_cut(1, 0);
    take(1, 1);
    take_nothing(0, ERR_TIMEOUT); /* lease 1 is the other's */
    expect_cut(1, 1);
    take_nothing(0, ERR_TIMEOUT);
    expect_cut(1, 2);
    expect_cut(1, 3);
    expect_end(1);
    expect_cut(2, 0);
    take(0, 2);
    take(1, 1);
    take(1, 1);
    take(1, 1);
    take_end(1, 1);
    expect_cut(2, 1);
    take_nothing(1, ERR_TIMEOUT); /* lease 2 is the other's */
    take(0, 2);
    read_ahead_fini(&a);
}

/* Enough of the first waits: the second is cut, so that its trainer does not starve. */
static void leases_are_cut_in_turn(void **state) {
    (void)state;
    begin(8, 2); /* two of a lease may wait */
    for (uint32_t k = 0; k < 3; k++) {
        put_range(k, 0, 8 * k, 8);
    }
    load(0, 24);
    expect_cut(0, 0);
    expect_cut(0, 1);
    expect_cut(1, 0);
    expect_cut(1, 1);
    expect_no_cut(); /* the third is nobody's yet: there are two trainers */
    take(0, 0);
    take(1, 1);
    take(1, 1);
    expect_cut(0, 2);
    expect_cut(1, 2);
    expect_cut(1, 3);
    expect_no_cut();
    read_ahead_fini(&a);
}

/* All batches of a lease are cut again, or none: the first has the rows, the last their sum. */
static void all_or_none_are_done(void **state) {
    (void)state;
    const uint8_t some[1] = {0x0b}, all[1] = {0x0f};
    begin(12, 1);
    put(LEASE_TRAIN, 0, 0, 0, 4, some, sizeof some);
    put(LEASE_TRAIN, 1, 0, 4, 4, all, sizeof all);
    load(0, 8);
    for (uint32_t k = 0; k < 4; k++) {
        expect_cut(0, k);
    }
    expect_end(0);
    expect_end(1);
    for (uint32_t k = 0; k < 4; k++) {
        take(0, 0);
    }
    take_end(0, 0);
    take_end(0, 1);
    read_ahead_fini(&a);
}

/* Scores have no order: everybody takes batches of an evaluation, and its bitmap is as ever. */
static void evaluations_are_everybody_s(void **state) {
    (void)state;
    const uint8_t some[1] = {0x02};
    struct read_cut cut;
    begin(8, 2);
    put(LEASE_EVAL, 0, 3, 0, ALL, some, sizeof some);
    load(3, 3);
    for (uint32_t k = 0; k < 3; k += 2) {
        assert_true(read_ahead_cut(&a, &cut));
        assert_int_equal(cut.lease->at, k);
        assert_false(cut.shares);
        read_ahead_batch(&a, &cut);
    }
    expect_end(0);
    take(0, 0);
    take(1, 0);
    take_end(0, 0);
    read_ahead_fini(&a);
}

/* The first lease needs a window and all places are taken: not that which is being cut from. */
static void a_window_stays_while_it_is_cut(void **state) {
    (void)state;
    struct read_cut cut, other;
    begin(12, 3);
    put_range(0, 1, 0, 1);
    put_range(1, 2, 0, 1);
    put_range(2, 0, 0, 1);
    put_range(3, 1, 1, 1);
    put_range(4, 2, 1, 1);
    load(1, 2);
    load(2, 2);
    assert_true(read_ahead_cut(&a, &cut)); /* of lease 0 */
    read_ahead_batch(&a, &cut);
    expect_end(0);
    expect_cut(1, 0);
    expect_end(1); /* lease 2 is the first now, without its window */
    assert_true(read_ahead_cut(&a, &cut));
    assert_int_equal(cut.lease->lease.shard, 3);
    struct read_window *w = read_ahead_load(&a);
    assert_non_null(w);
    assert_ptr_not_equal(w, cut.window);
    w->batches = 1;
    read_ahead_loaded(&a, w);
    read_ahead_batch(&a, &cut);
    assert_true(read_ahead_cut(&a, &other));
    assert_int_equal(other.lease->lease.shard, 2);
    read_ahead_fini(&a);
}

static void a_closed_reader_has_an_end(void **state) {
    (void)state;
    begin(12, 2);
    put_range(0, 0, 0, 9);
    load(0, 9);
    expect_cut(0, 0);
    expect_cut(0, 1);
    take(1, 0);
    read_ahead_close(&a, ERR_CLOSED);
    take_nothing(0, ERR_CLOSED);
    take(1, 0);
    take_nothing(1, ERR_CLOSED);
    read_ahead_fini(&a);
}

/* --- by chance -------------------------------------------------------------------------------- */

#define RANGES       60
#define RANGE_MOST   7
#define TRAINERS_MAX 4

struct player {
    uint64_t seed, dice;
    uint32_t trainers, put, ended, in_reader;
    struct read_window *loading;
    struct read_cut cut;
    bool cutting;
    struct batch *held[TRAINERS_MAX][2]; /* of each trainer, as many as it has in flight */
    uint32_t held_count[TRAINERS_MAX];
    uint32_t count[RANGES], seen[RANGES], owner[RANGES];
    uint32_t has[TRAINERS_MAX]; /* the range that it has begun; RANGES: none */
};

static uint64_t roll(struct player *p, uint64_t below) {
    return rng_below(p->seed, 1, p->dice++, below);
}

/* No more leases than a worker holds: one for each trainer, and one ahead. */
static void play_put(struct player *p) {
    if (p->put == RANGES || p->in_reader > p->trainers) {
        return;
    }
    p->count[p->put] = (uint32_t)roll(p, RANGE_MOST + 1);
    p->owner[p->put] = TRAINERS_MAX;
    put_range(p->put, p->put / 5, 0, p->count[p->put]);
    p->put++;
    p->in_reader++;
}

static void play_take(struct player *p, uint32_t t) {
    struct reader_item item;
    if (p->held_count[t] == 2 || read_ahead_take(&a, t, &item) != OK) {
        return;
    }
    const uint32_t range = item.lease.shard;
    if (item.batch != NULL) {
        assert_true(p->owner[range] == t || p->owner[range] == TRAINERS_MAX);
        assert_true(p->has[t] == range || p->has[t] == RANGES);
        p->owner[range] = t;
        p->has[t] = range;
        p->held[t][p->held_count[t]++] = item.batch;
        p->seen[range]++;
        return;
    }
    assert_int_equal(item.lease_batches, p->count[range]);
    assert_int_equal(p->seen[range], p->count[range]);
    assert_true(p->owner[range] == t || p->count[range] == 0);
    p->has[t] = RANGES;
    p->ended++;
    p->in_reader--;
}

static void play_cut(struct player *p) {
    if (!p->cutting) {
        p->cutting = read_ahead_cut(&a, &p->cut);
        return;
    }
    assert_true(p->cut.window->loaded);
    assert_int_equal(p->cut.window->key.window, p->cut.lease->place.window.window);
    p->cutting = false;
    if (p->cut.batch != NULL) {
        read_ahead_batch(&a, &p->cut);
    } else {
        read_ahead_end(&a, &p->cut);
    }
}

static void play(struct player *p) {
    const uint32_t t = (uint32_t)roll(p, p->trainers);
    switch (roll(p, 6)) {
    case 0: play_put(p); break;
    case 1: p->loading = p->loading == NULL ? read_ahead_load(&a) : p->loading; break;
    case 2:
        if (p->loading != NULL) {
            p->loading->batches = RANGE_MOST;
            read_ahead_loaded(&a, p->loading);
            p->loading = NULL;
        }
        break;
    case 3: play_cut(p); break;
    case 4: play_take(p, t); break;
    default:
        if (p->held_count[t] > 0) {
            read_ahead_give_back(&a, p->held[t][--p->held_count[t]]);
        }
    }
}

/* Whatever the order of events: no range is divided, and all come to their end. */
static void every_range_comes_to_its_end(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct player p = {.seed = seed, .trainers = 1 + (uint32_t)(seed % TRAINERS_MAX)};
        begin(2 * p.trainers + (uint32_t)(seed / 4 % (POOL_MAX - 2 * p.trainers + 1)), p.trainers);
        for (uint32_t t = 0; t < p.trainers; t++) {
            p.has[t] = RANGES;
        }
        for (uint32_t moves = 0; p.ended < RANGES; moves++) {
            play(&p);
            assert_true(moves < 100000);
        }
        read_ahead_fini(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_one_trainer_s),
        cmocka_unit_test(leases_are_cut_in_turn),
        cmocka_unit_test(all_or_none_are_done),
        cmocka_unit_test(evaluations_are_everybody_s),
        cmocka_unit_test(a_window_stays_while_it_is_cut),
        cmocka_unit_test(a_closed_reader_has_an_end),
        cmocka_unit_test(every_range_comes_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
