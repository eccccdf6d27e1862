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
    assert_int_equal(read_ahead_init(&a, false, batches, pool), OK);
}

static void begin_mixed(uint32_t pool) {
    assert_int_equal(read_ahead_init(&a, true, batches, pool), OK);
}

static enum status put_place(struct wire_lease lease, struct reading_place place, const void *done,
                             size_t done_bytes) {
    struct reading *x;
    assert_int_equal(reading_create(&x, &lease, &place, done, done_bytes), OK);
    const enum status status = read_ahead_lease(&a, x);
    if (status != OK) {
        reading_destroy(&x);
    }
    return status;
}

/* A lease on a whole shard. */
static enum status put(uint32_t shard, uint64_t fence, uint32_t limit, const void *done,
                       size_t done_bytes) {
    const struct wire_lease lease = {
        .kind = LEASE_TRAIN, .shard = shard, .fence = fence, .batch_limit = limit};
    const struct reading_place place = {.window = {LEASE_TRAIN, 0, shard}, .count = ALL};
    return put_place(lease, place, done, done_bytes);
}

static void put_whole(uint32_t shard) {
    assert_int_equal(put(shard, 10 + shard, ALL, NULL, 0), OK);
}

/* A lease on batches [first, first + count) of a window. In these tests its range has the number
 * of the window. ahead: 0: none announced, else 1 + a window. */
static void put_range(uint32_t window, uint32_t first, uint32_t count, uint32_t ahead) {
    struct reading_place place = {
        .window = {LEASE_TRAIN, 0, window}, .first = first, .count = count};
    if (ahead > 0) {
        place.ahead = (struct window_key){LEASE_TRAIN, 0, ahead - 1};
    }
    const struct wire_lease lease = {
        .kind = LEASE_TRAIN, .shard = window, .fence = 10 + window, .batch_limit = ALL};
    assert_int_equal(put_place(lease, place, NULL, 0), OK);
}

static void put_eval(uint32_t shard) {
    const struct reading_place place = {.window = {LEASE_EVAL, 0, shard}, .count = ALL};
    const struct wire_lease lease = {
        .kind = LEASE_EVAL, .shard = shard, .fence = 10 + shard, .batch_limit = ALL};
    assert_int_equal(put_place(lease, place, NULL, 0), OK);
}

static struct read_window *expect_load_of(enum lease_kind kind, uint32_t window) {
    struct read_window *w = read_ahead_load(&a);
    assert_non_null(w);
    assert_int_equal(w->key.kind, kind);
    assert_int_equal(w->key.window, window);
    return w;
}

static struct read_window *expect_load(uint32_t window) {
    return expect_load_of(LEASE_TRAIN, window);
}

static struct read_window *loaded(struct read_window *w, uint32_t window_batches) {
    w->batches = window_batches;
    read_ahead_loaded(&a, w);
    return w;
}

/* begins: whether the batch before was of another window. */
static void expect_cut_of(uint32_t window, uint32_t batch, uint32_t lease_batches, bool begins) {
    struct read_cut cut;
    assert_true(read_ahead_cut(&a, &cut));
    assert_non_null(cut.batch);
    assert_int_equal(cut.window->key.window, window);
    assert_true(cut.window->loaded);
    assert_int_equal(cut.lease->lease.shard, window);
    assert_int_equal(cut.lease->at, batch);
    assert_int_equal(cut.lease_batches, lease_batches);
    assert_int_equal(cut.begins, begins);
    read_ahead_batch(&a, &cut);
}

static void expect_cut(uint32_t shard, uint32_t batch) {
    struct read_cut cut;
    assert_true(read_ahead_cut(&a, &cut));
    assert_non_null(cut.batch);
    assert_int_equal(cut.lease->lease.shard, shard);
    assert_int_equal(cut.lease->at, batch);
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
    assert_int_equal(read_ahead_take(&a, 0, &item), OK);
    assert_non_null(item.batch);
    assert_int_equal(item.lease.fence, fence);
    return item.batch;
}

static void take_end(uint64_t fence, uint32_t lease_batches) {
    struct reader_item item;
    assert_int_equal(read_ahead_take(&a, 0, &item), OK);
    assert_null(item.batch);
    assert_int_equal(item.lease.fence, fence);
    assert_int_equal(item.lease_batches, lease_batches);
}

static void expect_nothing(enum status status) {
    struct reader_item item;
    assert_int_equal(read_ahead_take(&a, 0, &item), status);
}

static void a_lease_s_batches_come_in_order(void **state) {
    (void)state;
    const uint8_t done[1] = {0x16}; /* batches 1, 2, 4 */
    begin(4);
    expect_no_cut();
    assert_null(read_ahead_load(&a));
    assert_int_equal(put(3, 7, 6, done, sizeof done), OK);
    struct read_window *x = expect_load(3);
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
    struct read_window *third = expect_load(2);
    assert_null(read_ahead_load(&a)); /* one at a time, and three are enough */
    expect_end(0);
    expect_cut(1, 0);
    loaded(third, 1);
    struct read_window *fourth = expect_load(3);
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

/* The lease is taken away while its shard loads, and given back under a new fence: two leases, one
 * load. */
static void a_newer_lease_on_a_shard_that_loads(void **state) {
    (void)state;
    const uint8_t done[1] = {0x03};
    begin(4);
    assert_int_equal(put(0, 10, ALL, NULL, 0), OK);
    struct read_window *old = expect_load(0);
    assert_int_equal(put(0, 20, ALL, done, sizeof done), OK);
    loaded(old, 3);
    assert_null(read_ahead_load(&a));
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
    struct read_window *x = expect_load(0);
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
    struct read_window *x = expect_load(0);
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

/* --- windows of many shards ------------------------------------------------------------------- */

static void leases_on_a_window_share_it(void **state) {
    (void)state;
    begin_mixed(4);
    put_range(0, 0, 2, 0);
    put_range(0, 2, 2, 0);
    put_range(1, 0, 1, 0);
    put_range(0, 4, 8, 0); /* the window has not as many */
    loaded(expect_load(0), 5);
    loaded(expect_load(1), 9);
    assert_null(read_ahead_load(&a));
    expect_cut_of(0, 0, 2, true);
    expect_cut_of(0, 1, 2, false);
    expect_end(0);
    expect_cut_of(0, 0, 2, false);
    expect_cut_of(0, 1, 2, false);
    expect_end(0);
    for (int i = 0; i < 2; i++) {
        read_ahead_give_back(&a, take_batch(10));
    }
    expect_cut_of(1, 0, 1, true);
    expect_end(1);
    expect_cut_of(0, 0, 1, true);
    expect_end(0);
    assert_null(read_ahead_load(&a));
    read_ahead_fini(&a);
}

/* Limit and bitmap count batches within the lease's range. */
static void limit_and_bitmap_of_a_range(void **state) {
    (void)state;
    const uint8_t done[1] = {0x05}; /* batches 0, 2 */
    const struct wire_lease lease = {
        .kind = LEASE_TRAIN, .shard = 7, .fence = 20, .batch_limit = 4};
    const struct reading_place place = {.window = {LEASE_TRAIN, 0, 7}, .first = 16, .count = 8};
    begin_mixed(4);
    assert_int_equal(put_place(lease, place, done, sizeof done), OK);
    loaded(expect_load(7), 100);
    expect_cut_of(7, 1, 8, true);
    expect_cut_of(7, 3, 8, false);
    expect_end(7);
    take_batch(20);
    take_batch(20);
    take_end(20, 2);
    read_ahead_fini(&a);
}

/* The announced window is loaded while the one before is trained on, and stays until another takes
 * its place; the one after it waits until no lease needs the first. */
static void a_window_is_loaded_ahead(void **state) {
    (void)state;
    begin_mixed(4);
    put_range(0, 0, 2, 2);
    struct read_window *first = loaded(expect_load(0), 4);
    struct read_window *second = expect_load(1);
    assert_ptr_not_equal(first, second);
    expect_cut_of(0, 0, 2, true);
    loaded(second, 4);
    assert_null(read_ahead_load(&a));
    put_range(1, 0, 2, 3); /* is there; window 2 is announced */
    assert_null(read_ahead_load(&a));
    expect_cut_of(0, 1, 2, false);
    assert_null(read_ahead_load(&a)); /* the first is needed still */
    expect_end(0);
    assert_ptr_equal(expect_load(2), first);
    expect_cut_of(1, 0, 2, true);
    read_ahead_fini(&a);
}

static void what_is_leased_is_loaded_first(void **state) {
    (void)state;
    begin_mixed(4);
    put_range(3, 0, 2, 0);
    put_range(0, 0, 2, 6);
    loaded(expect_load(3), 4);
    loaded(expect_load(0), 4);
    assert_null(read_ahead_load(&a)); /* window 5: both places are needed */
    put_range(2, 0, 2, 6);
    expect_cut(3, 0);
    expect_cut(3, 1);
    expect_end(3);
    loaded(expect_load(2), 4);
    assert_null(read_ahead_load(&a));
    expect_cut(0, 0);
    expect_cut(0, 1);
    expect_end(0);
    expect_load(5);
    read_ahead_fini(&a);
}

/* No lease needs anything for a moment. The window of the last lease stays, because its next one
 * may be on the way. */
static void the_recent_window_stays(void **state) {
    (void)state;
    begin_mixed(4);
    put_range(0, 0, 1, 0);
    put_range(5, 0, 0, 0);
    put_range(0, 1, 1, 2);
    loaded(expect_load(0), 4);
    struct read_window *other = loaded(expect_load(5), 4);
    expect_cut_of(0, 0, 1, true);
    expect_end(0);
    expect_end(5);
    expect_cut_of(0, 0, 1, false);
    expect_end(0);
    assert_ptr_equal(loaded(expect_load(1), 4), other);
    put_range(0, 2, 1, 2);
    assert_null(read_ahead_load(&a));
    expect_cut_of(0, 0, 1, false);
    read_ahead_fini(&a);
}

/* A lease waits for a place until a window is idle; but if it comes to be the first one, the window
 * that is needed last goes. */
static void the_first_lease_drives_out_later_ones(void **state) {
    (void)state;
    begin_mixed(4);
    put_range(1, 0, 0, 0);
    put_range(2, 0, 0, 0);
    put_range(0, 0, 1, 0);
    put_range(1, 1, 1, 0);
    put_range(2, 1, 1, 0);
    loaded(expect_load(1), 4);
    struct read_window *last = loaded(expect_load(2), 4);
    expect_end(1);
    assert_null(read_ahead_load(&a)); /* the last two leases need them */
    expect_end(2);
    assert_ptr_equal(loaded(expect_load(0), 4), last);
    assert_null(read_ahead_load(&a));
    expect_cut(0, 0);
    expect_end(0);
    assert_ptr_equal(loaded(expect_load(2), 4), last); /* window 0 is idle */
    expect_cut_of(1, 0, 1, true);
    expect_end(1);
    expect_cut_of(2, 0, 1, true);
    expect_end(2);
    read_ahead_fini(&a);
}

static void an_evaluation_costs_no_window(void **state) {
    (void)state;
    begin_mixed(4);
    put_range(0, 0, 0, 2);
    loaded(expect_load(0), 4);
    loaded(expect_load(1), 4);
    expect_end(0);
    for (uint32_t k = 0; k < 3; k++) {
        put_eval(k);
    }
    loaded(expect_load_of(LEASE_EVAL, 0), 1);
    loaded(expect_load_of(LEASE_EVAL, 1), 1);
    assert_null(read_ahead_load(&a));
    expect_cut(0, 0);
    expect_end(0);
    loaded(expect_load_of(LEASE_EVAL, 2), 1);
    put_range(0, 1, 1, 2);
    put_range(1, 0, 1, 0);
    assert_null(read_ahead_load(&a));
    read_ahead_fini(&a);
}

/* A window that nobody needs yet is no excuse. */
static void no_excuse_while_it_reads_ahead(void **state) {
    (void)state;
    begin_mixed(2);
    put_range(0, 0, 0, 2);
    loaded(expect_load(0), 4);
    expect_end(0);
    struct read_window *w = expect_load(1);
    assert_false(read_ahead_waits(&a));
    put_range(1, 0, 1, 0);
    assert_true(read_ahead_waits(&a));
    loaded(w, 4);
    assert_false(read_ahead_waits(&a));
    read_ahead_fini(&a);
}

static void failing_memory(void **state) {
    (void)state;
    for (size_t k = 1; k <= 2; k++) {
        mem_fail_after(k);
        assert_int_equal(read_ahead_init(&a, true, batches, 2), ERR_MEMORY);
        mem_fail_after(0);
        read_ahead_fini(&a);
    }
    const struct wire_lease lease = {0};
    const struct reading_place place = {0};
    for (size_t k = 1; k <= 2; k++) {
        struct reading *x;
        mem_fail_after(k);
        assert_int_equal(reading_create(&x, &lease, &place, "x", 1), ERR_MEMORY);
        mem_fail_after(0);
        assert_null(x);
    }
}

/* --- by chance -------------------------------------------------------------------------------- */

#define WINDOWS        5
#define WINDOW_BATCHES 6
#define RANGES         60

struct player {
    uint64_t seed, dice;
    struct read_window *loading;
    struct read_cut cut; /* being cut, if `cutting` */
    struct window_key cut_key;
    bool cutting;
    struct batch *with_trainer[POOL_MAX];
    uint32_t trainers, put, ended, batches, expected, in_lease;
};

static uint64_t roll(struct player *p, uint64_t below) {
    return rng_below(p->seed, 1, p->dice++, below);
}

/* A lease on a part of a window, or on a shard of an evaluation. Its number is its fence. */
static void play_put(struct player *p) {
    const bool eval = roll(p, 8) == 0;
    const uint32_t window = (uint32_t)roll(p, WINDOWS);
    const enum lease_kind kind = eval ? LEASE_EVAL : LEASE_TRAIN;
    struct reading_place place = {.window = {kind, 0, window}, .count = ALL};
    const uint32_t limit = (uint32_t)roll(p, 5);
    if (!eval) {
        place.first = (uint32_t)roll(p, WINDOW_BATCHES);
        place.count = (uint32_t)roll(p, 4);
        place.ahead = (struct window_key){LEASE_TRAIN, 0, (uint32_t)roll(p, WINDOWS)};
    }
    const struct wire_lease lease = {
        .kind = kind, .shard = window, .fence = p->put, .batch_limit = limit};
    if (p->put == RANGES || put_place(lease, place, NULL, 0) != OK) {
        return;
    }
    const uint32_t left = WINDOW_BATCHES - place.first;
    const uint32_t range = place.count < left ? place.count : left;
    p->expected += range < limit ? range : limit;
    p->put++;
}

static void play_take(struct player *p) {
    struct reader_item item;
    if (read_ahead_take(&a, 0, &item) != OK) {
        return;
    }
    assert_int_equal(item.lease.fence, p->ended); /* leases end in their order */
    if (item.batch != NULL) {
        p->with_trainer[p->trainers++] = item.batch;
        p->batches++;
        p->in_lease++;
    } else {
        assert_int_equal(item.lease_batches, p->in_lease);
        p->in_lease = 0;
        p->ended++;
    }
}

/* Begins a cut or ends the one begun; in between its window stays. */
static void play_cut(struct player *p) {
    if (!p->cutting) {
        p->cutting = read_ahead_cut(&a, &p->cut);
        if (p->cutting) {
            p->cut_key = p->cut.window->key;
            assert_memory_equal(&p->cut_key, &p->cut.lease->place.window, sizeof p->cut_key);
        }
        return;
    }
    assert_memory_equal(&p->cut.window->key, &p->cut_key, sizeof p->cut_key);
    assert_true(p->cut.window->loaded);
    p->cutting = false;
    if (p->cut.batch != NULL) {
        read_ahead_batch(&a, &p->cut);
    } else {
        read_ahead_end(&a, &p->cut);
    }
}

/* Windows of training in memory, or on their way there: at most two if mixed, else three shards. */
static void check_memory(void) {
    uint32_t windows = 0, shards = 0;
    for (uint32_t i = 0; i < READ_PLACES; i++) {
        windows += a.window[i].key.kind == LEASE_TRAIN;
        shards += a.window[i].key.kind != LEASE_WAIT;
    }
    assert_true(a.mixed ? windows <= 2 : shards <= 3);
}

static void play(struct player *p) {
    switch (roll(p, 6)) {
    case 0: play_put(p); break;
    case 1: p->loading = p->loading == NULL ? read_ahead_load(&a) : p->loading; break;
    case 2:
        if (p->loading != NULL) {
            loaded(p->loading, WINDOW_BATCHES);
            p->loading = NULL;
        }
        break;
    case 3: play_cut(p); break;
    case 4: play_take(p); break;
    default:
        if (p->trainers > 0) {
            read_ahead_give_back(&a, p->with_trainer[--p->trainers]);
        }
    }
}

static void every_lease_comes_to_its_end(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct player p = {.seed = seed};
        const uint32_t pool = 1 + (uint32_t)(seed % POOL_MAX);
        assert_int_equal(read_ahead_init(&a, seed % 3 > 0, batches, pool), OK);
        for (uint32_t moves = 0; p.ended < RANGES; moves++) {
            play(&p);
            check_memory();
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
        cmocka_unit_test(leases_on_a_window_share_it),
        cmocka_unit_test(limit_and_bitmap_of_a_range),
        cmocka_unit_test(a_window_is_loaded_ahead),
        cmocka_unit_test(what_is_leased_is_loaded_first),
        cmocka_unit_test(the_recent_window_stays),
        cmocka_unit_test(the_first_lease_drives_out_later_ones),
        cmocka_unit_test(an_evaluation_costs_no_window),
        cmocka_unit_test(no_excuse_while_it_reads_ahead),
        cmocka_unit_test(failing_memory),
        cmocka_unit_test(every_lease_comes_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
