#include "common/job/applied.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED        3u
#define EPOCHS      4u
#define SHARDS      5u
#define BATCHES_MAX 17u

static const uint32_t plan[SHARDS] = {3, 8, 17, 0, 9};
#define TOTAL 37u

/* The naive set. */
struct oracle {
    bool has[EPOCHS][SHARDS][BATCHES_MAX];
};

static struct batch_name random_name(uint64_t seed, uint64_t op) {
    struct batch_name n = {.epoch = (uint32_t)rng_below(seed, op, 0, EPOCHS)};
    do {
        n.shard = (uint32_t)rng_below(seed, op++, 1, SHARDS);
    } while (plan[n.shard] == 0);
    n.batch = (uint32_t)rng_below(seed, op, 2, plan[n.shard]);
    return n;
}

static void check(const struct applied *a, const struct oracle *o) {
    uint64_t count = 0;
    uint32_t base = 0;
    bool complete = true;
    for (uint32_t e = 0; e < EPOCHS; e++) {
        for (uint32_t s = 0; s < SHARDS; s++) {
            struct buf bits = BUF_EMPTY;
            assert_int_equal(s == 3 ? OK : applied_bits(a, e, s, &bits), OK);
            for (uint32_t b = 0; b < plan[s]; b++) {
                bool has = false;
                assert_int_equal(applied_has(a, (struct batch_name){e, s, b}, &has), OK);
                assert_int_equal(has, o->has[e][s][b]);
                assert_int_equal(bits.data[b / 8] >> (b % 8) & 1, has);
                count += has;
                complete = complete && has;
            }
            if (plan[s] > 0) {
                assert_int_equal(bits.len, (plan[s] + 7) / 8);
                assert_int_equal(plan[s] % 8 == 0 ? 0 : bits.data[plan[s] / 8] >> (plan[s] % 8), 0);
            }
            buf_fini(&bits);
        }
        base += complete;
    }
    assert_int_equal(applied_count(a), count);
    assert_int_equal(applied_base(a), base);
}

static void fill(struct applied *a, struct oracle *o, uint64_t seed, uint32_t ops) {
    memset(o, 0, sizeof *o);
    for (uint32_t i = 0; i < ops; i++) {
        const struct batch_name n = random_name(seed, i * 100);
        bool *has = &o->has[n.epoch][n.shard][n.batch];
        assert_int_equal(applied_add(a, n), *has ? ERR_EXISTS : OK);
        *has = true;
    }
}

static struct applied *make(void) {
    struct applied *a = NULL;
    assert_int_equal(applied_create(&a, plan, SHARDS), OK);
    return a;
}

static void test_against_naive(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct applied *a = make(), *copy = NULL, *decoded = NULL;
        struct oracle o;
        struct buf bytes = BUF_EMPTY;
        fill(a, &o, seed, (uint32_t)(seed * 25));
        check(a, &o);
        assert_int_equal(applied_copy(&copy, a), OK);
        assert_true(applied_equal(a, copy));
        check(copy, &o);
        assert_int_equal(applied_encode(a, &bytes), OK);
        assert_int_equal(applied_decode(&decoded, bytes.data, bytes.len, plan, SHARDS), OK);
        assert_true(applied_equal(a, decoded));
        check(decoded, &o);
        buf_fini(&bytes);
        applied_destroy(&a);
        applied_destroy(&copy);
        applied_destroy(&decoded);
    }
}

static void test_intersect(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct applied *a = make(), *b = make();
        struct oracle oa, ob;
        fill(a, &oa, seed, (uint32_t)(rng_below(seed, 1, 9, 900)));
        fill(b, &ob, seed + 1000, (uint32_t)(rng_below(seed, 2, 9, 900)));
        assert_int_equal(applied_intersect(a, b), OK);
        for (size_t i = 0; i < sizeof oa; i++) {
            ((uint8_t *)&oa)[i] &= ((uint8_t *)&ob)[i];
        }
        check(a, &oa);
        check(b, &ob);
        applied_destroy(&a);
        applied_destroy(&b);
    }
}

/* Epochs fold into base in whatever order their last batches come. */
static void test_folding(void **state) {
    (void)state;
    struct applied *a = make();
    for (uint32_t e = EPOCHS; e-- > 0;) {
        for (uint32_t s = 0; s < SHARDS; s++) {
            for (uint32_t b = 0; b < plan[s]; b++) {
                assert_int_equal(applied_base(a), 0);
                assert_int_equal(applied_add(a, (struct batch_name){e, s, b}), OK);
            }
        }
    }
    assert_int_equal(applied_base(a), EPOCHS);
    assert_int_equal(applied_count(a), EPOCHS * TOTAL);
    assert_int_equal(applied_add(a, (struct batch_name){1, 0, 0}), ERR_EXISTS);
    applied_destroy(&a);
}

static void test_names_outside(void **state) {
    (void)state;
    struct applied *a = make();
    bool has;
    assert_int_equal(applied_has(a, (struct batch_name){0, SHARDS, 0}, &has), ERR_PROTOCOL);
    assert_int_equal(applied_has(a, (struct batch_name){0, 3, 0}, &has), ERR_PROTOCOL);
    assert_int_equal(applied_add(a, (struct batch_name){0, 0, 3}), ERR_PROTOCOL);
    assert_int_equal(applied_add(a, (struct batch_name){UINT32_MAX, 0, 0}), ERR_PROTOCOL);
    /* Far epochs are allowed, but not without bound. */
    uint32_t epoch = 5;
    while (applied_add(a, (struct batch_name){epoch, 0, 0}) == OK) {
        epoch += 1000;
        assert_true(epoch < 5000000);
    }
    assert_int_equal(fail_status(), ERR_PROTOCOL);
    applied_destroy(&a);
}

static void test_other_plan(void **state) {
    (void)state;
    struct applied *a = make(), *out = NULL;
    struct buf bytes = BUF_EMPTY;
    uint32_t other[SHARDS];
    memcpy(other, plan, sizeof plan);
    other[1]++;
    assert_int_equal(applied_encode(a, &bytes), OK);
    assert_int_equal(applied_decode(&out, bytes.data, bytes.len, other, SHARDS), ERR_CONFIG);
    assert_int_equal(applied_decode(&out, bytes.data, bytes.len, plan, SHARDS - 1), ERR_CONFIG);
    assert_null(out);
    buf_fini(&bytes);
    applied_destroy(&a);
}

/* Bytes cut short or changed: an error or another well-formed set, never a crash; and whatever is
 * accepted encodes to the same bytes. */
static void harm(struct applied *a) {
    struct buf good = BUF_EMPTY;
    assert_int_equal(applied_encode(a, &good), OK);
    for (size_t n = 0; n < good.len; n++) {
        struct applied *out = NULL;
        assert_int_equal(applied_decode(&out, good.data, n, plan, SHARDS), ERR_CORRUPT);
    }
    for (uint64_t i = 0; i < 4000; i++) {
        struct applied *out = NULL;
        struct buf bad = BUF_EMPTY;
        assert_int_equal(buf_put(&bad, good.data, good.len), OK);
        for (uint64_t k = 0; k <= i % 3; k++) {
            const uint64_t at = rng_below(SEED, i, k, bad.len);
            bad.data[at] = (uint8_t)(bad.data[at] ^ 1u << rng_below(SEED, i, k + 9, 8));
        }
        const enum status status = applied_decode(&out, bad.data, bad.len, plan, SHARDS);
        if (status == OK) {
            struct buf again = BUF_EMPTY;
            assert_int_equal(applied_encode(out, &again), OK);
            assert_int_equal(again.len, bad.len);
            assert_memory_equal(again.data, bad.data, bad.len);
            buf_fini(&again);
        } else {
            assert_true(status == ERR_CORRUPT || status == ERR_CONFIG);
            assert_null(out);
        }
        applied_destroy(&out);
        buf_fini(&bad);
    }
    buf_fini(&good);
}

static void test_hostile_bytes(void **state) {
    (void)state;
    struct applied *a = make(), *open = NULL;
    struct oracle o;
    fill(a, &o, SEED, 50);
    harm(a);
    applied_destroy(&a);
    assert_int_equal(applied_create_open(&open), OK);
    for (uint32_t i = 0; i < 20; i++) {
        struct batch_name n = random_name(SEED, i * 100);
        n.epoch = 0;
        assert_int_equal(applied_grow(open, n.shard, plan[n.shard]), OK);
        enum status status = applied_add(open, n);
        assert_true(status == OK || status == ERR_EXISTS);
    }
    harm(open);
    applied_destroy(&open);
}

/* --- open sets -------------------------------------------------------------------------------- */

/* A set of which each shard becomes known when its first name comes, in any order. */
static void grow_at_random(struct applied *a, bool has[SHARDS][BATCHES_MAX], uint64_t seed,
                           uint32_t ops) {
    for (uint32_t i = 0; i < ops; i++) {
        struct batch_name n = random_name(seed, i * 100);
        n.epoch = 0;
        assert_int_equal(applied_grow(a, n.shard, plan[n.shard]), OK);
        assert_int_equal(applied_add(a, n), has[n.shard][n.batch] ? ERR_EXISTS : OK);
        has[n.shard][n.batch] = true;
    }
}

static void check_open(const struct applied *a, bool has[SHARDS][BATCHES_MAX]) {
    uint32_t count = 0;
    for (uint32_t s = 0; s < SHARDS; s++) {
        struct buf bits = BUF_EMPTY;
        bool known = applied_bits(a, 0, s, &bits) == OK;
        for (uint32_t b = 0; b < plan[s]; b++) {
            assert_true(known || !has[s][b]);
            assert_true(!known || (bits.data[b / 8] >> (b % 8) & 1) == has[s][b]);
            count += has[s][b];
        }
        buf_fini(&bits);
    }
    assert_true(applied_is_open(a));
    assert_int_equal(applied_count(a), count);
    assert_int_equal(applied_base(a), 0); /* also when every batch that is known is there */
}

static void test_open_against_naive(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct applied *a = NULL, *copy = NULL, *decoded = NULL;
        bool has[SHARDS][BATCHES_MAX] = {{false}};
        struct buf bytes = BUF_EMPTY, again = BUF_EMPTY;
        assert_int_equal(applied_create_open(&a), OK);
        grow_at_random(a, has, seed, (uint32_t)(seed * seed / 4));
        check_open(a, has);
        assert_int_equal(applied_copy(&copy, a), OK);
        assert_true(applied_equal(a, copy));
        check_open(copy, has);
        assert_int_equal(applied_encode(a, &bytes), OK);
        assert_int_equal(applied_decode(&decoded, bytes.data, bytes.len, plan, SHARDS), OK);
        check_open(decoded, has);
        /* The bytes do not tell which shards without a name were known. */
        assert_int_equal(applied_encode(decoded, &again), OK);
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.data, bytes.data, bytes.len);
        for (uint32_t s = 0; s < SHARDS; s++) {
            assert_int_equal(s == 3 ? OK : applied_grow(a, s, plan[s]), OK);
        }
        assert_true(applied_equal(a, decoded));
        buf_fini(&bytes);
        buf_fini(&again);
        applied_destroy(&a);
        applied_destroy(&copy);
        applied_destroy(&decoded);
    }
}

static void test_open_intersect(void **state) {
    (void)state;
    struct applied *a = NULL, *b = NULL;
    bool in_a[SHARDS][BATCHES_MAX] = {{false}}, in_b[SHARDS][BATCHES_MAX] = {{false}};
    assert_int_equal(applied_create_open(&a), OK);
    assert_int_equal(applied_create_open(&b), OK);
    grow_at_random(a, in_a, 1, 60);
    grow_at_random(b, in_b, 2, 60);
    for (uint32_t s = SHARDS; s-- > 0;) {
        assert_int_equal(s == 3 ? OK : applied_grow(a, s, plan[s]), OK);
        assert_int_equal(s == 3 ? OK : applied_grow(b, s, plan[s]), OK);
    }
    assert_int_equal(applied_intersect(a, b), OK);
    for (uint32_t s = 0; s < SHARDS; s++) {
        for (uint32_t k = 0; k < BATCHES_MAX; k++) {
            in_a[s][k] = in_a[s][k] && in_b[s][k];
        }
    }
    check_open(a, in_a);
    check_open(b, in_b);
    applied_destroy(&a);
    applied_destroy(&b);
}

/* Sets that know of a stream to different ends; a shard of which nothing is trained has no batches.
 */
static void test_intersect_levels(void **state) {
    (void)state;
    const uint32_t same[] = {4, 3}, other[] = {4, 2};
    struct applied *a = NULL, *b = NULL, *closed = NULL;
    assert_int_equal(applied_create_open(&a), OK);
    assert_int_equal(applied_create_open(&b), OK);
    assert_int_equal(applied_grow(a, 0, 4), OK);
    assert_int_equal(applied_grow(a, 4, 9), OK);
    assert_int_equal(applied_grow(b, 2, 5), OK);
    assert_int_equal(applied_grow(b, 0, 4), OK);
    assert_int_equal(applied_add(a, (struct batch_name){0, 0, 2}), OK);
    assert_int_equal(applied_add(a, (struct batch_name){0, 4, 8}), OK);
    assert_int_equal(applied_add(b, (struct batch_name){0, 0, 2}), OK);
    assert_int_equal(applied_add(b, (struct batch_name){0, 2, 0}), OK);
    assert_int_equal(applied_intersect(a, b), OK);
    assert_int_equal(applied_count(a), 1);
    assert_int_equal(applied_grow(a, 2, 5), OK); /* it knows what b knew */
    assert_int_equal(applied_grow(a, 4, 8), ERR_PROTOCOL);
    assert_int_equal(applied_grow(b, 4, 8), OK);
    assert_int_equal(applied_intersect(a, b), ERR_PROTOCOL);
    assert_int_equal(applied_create(&closed, same, 2), OK);
    assert_int_equal(applied_intersect(a, closed), ERR_CONFIG);
    assert_int_equal(applied_intersect(closed, a), ERR_CONFIG);
    applied_destroy(&a);
    assert_int_equal(applied_create(&a, other, 2), OK);
    assert_int_equal(applied_intersect(a, closed), ERR_CONFIG);
    applied_destroy(&a);
    applied_destroy(&b);
    applied_destroy(&closed);
}

static void test_open_refuses(void **state) {
    (void)state;
    struct applied *a = NULL, *fixed = make(), *out = NULL;
    struct buf bytes = BUF_EMPTY;
    uint32_t other[SHARDS];
    assert_int_equal(applied_create_open(&a), OK);
    assert_int_equal(applied_add(a, (struct batch_name){0, 0, 0}), ERR_PROTOCOL);
    assert_int_equal(applied_grow(a, 2, 17), OK);
    assert_int_equal(applied_grow(a, 2, 17), OK);
    assert_int_equal(applied_grow(a, 2, 16), ERR_PROTOCOL);
    assert_int_equal(applied_grow(a, 3, 0), ERR_PROTOCOL);
    assert_int_equal(applied_grow(a, APPLIED_SHARDS_MAX, 1), ERR_PROTOCOL);
    assert_int_equal(applied_grow(a, 3, UINT32_MAX), ERR_PROTOCOL);
    assert_int_equal(applied_add(a, (struct batch_name){0, 1, 0}), ERR_PROTOCOL); /* not named */
    assert_int_equal(applied_add(a, (struct batch_name){1, 2, 0}), ERR_PROTOCOL); /* one epoch */
    assert_int_equal(applied_add(a, (struct batch_name){0, 2, 16}), OK);
    assert_int_equal(applied_grow(fixed, SHARDS, 1), ERR_PROTOCOL);
    assert_int_equal(applied_encode(a, &bytes), OK);
    assert_int_equal(applied_decode(&out, bytes.data, bytes.len, plan, 2), ERR_CONFIG);
    memcpy(other, plan, sizeof plan);
    other[0]++; /* has no name, so nothing depends on it */
    assert_int_equal(applied_decode(&out, bytes.data, bytes.len, other, SHARDS), OK);
    applied_destroy(&out);
    other[2]++;
    assert_int_equal(applied_decode(&out, bytes.data, bytes.len, other, SHARDS), ERR_CONFIG);
    buf_fini(&bytes);
    applied_destroy(&a);
    applied_destroy(&fixed);
}

static void test_open_memory_fails(void **state) {
    (void)state;
    for (size_t nth = 1; nth < 12; nth++) {
        struct applied *a = NULL;
        bool has = false;
        assert_int_equal(applied_create_open(&a), OK);
        assert_int_equal(applied_grow(a, 1, 9), OK);
        assert_int_equal(applied_add(a, (struct batch_name){0, 1, 8}), OK);
        mem_fail_after(nth);
        enum status status = applied_grow(a, 0, 20);
        status = status == OK ? applied_grow(a, 70, 3) : status;
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
        assert_int_equal(applied_has(a, (struct batch_name){0, 1, 8}, &has), OK);
        assert_true(has);
        assert_int_equal(applied_count(a), 1);
        assert_int_equal(applied_grow(a, 0, 20), OK);
        assert_int_equal(applied_grow(a, 70, 3), OK);
        assert_int_equal(applied_add(a, (struct batch_name){0, 70, 2}), OK);
        applied_destroy(&a);
    }
}

static void test_memory_fails(void **state) {
    (void)state;
    for (size_t nth = 1; nth < 8; nth++) {
        struct applied *a = NULL;
        mem_fail_after(nth);
        enum status status = applied_create(&a, plan, SHARDS);
        if (status == OK) {
            status = applied_add(a, (struct batch_name){0, 0, 0});
        }
        mem_fail_after(0);
        if (a != NULL) {
            bool has = true;
            assert_int_equal(applied_has(a, (struct batch_name){0, 0, 0}, &has), OK);
            assert_int_equal(has, status == OK);
        }
        applied_destroy(&a);
    }
}

/* An intersection that memory ends leaves the names as they were. */
static void test_intersect_memory_fails(void **state) {
    (void)state;
    enum status status = ERR_MEMORY;
    for (size_t nth = 1; status == ERR_MEMORY; nth++) {
        struct applied *a = make(), *b = make(), *want = NULL;
        for (uint32_t s = 0; s < SHARDS; s++) {
            for (uint32_t k = 0; k < plan[s]; k++) {
                assert_int_equal(applied_add(a, (struct batch_name){0, s, k}), OK);
                assert_int_equal(applied_add(a, (struct batch_name){1, s, k}), OK);
            }
        }
        assert_int_equal(applied_base(a), 2);
        assert_int_equal(applied_copy(&want, a), OK);
        assert_int_equal(applied_add(b, (struct batch_name){0, 0, 0}), OK);
        assert_int_equal(applied_add(b, (struct batch_name){1, 0, 0}), OK);
        mem_fail_after(nth);
        status = applied_intersect(a, b);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
        assert_true(applied_equal(a, status == OK ? b : want));
        applied_destroy(&a);
        applied_destroy(&b);
        applied_destroy(&want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),          cmocka_unit_test(test_intersect),
        cmocka_unit_test(test_intersect_memory_fails), cmocka_unit_test(test_folding),
        cmocka_unit_test(test_names_outside),          cmocka_unit_test(test_other_plan),
        cmocka_unit_test(test_hostile_bytes),          cmocka_unit_test(test_open_against_naive),
        cmocka_unit_test(test_open_intersect),         cmocka_unit_test(test_intersect_levels),
        cmocka_unit_test(test_open_refuses),           cmocka_unit_test(test_open_memory_fails),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests_name("applied", tests, NULL, NULL);
}
