/* Key frames: what was packed comes out, in few bytes where ids are near, and damage is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/net/wire.h"
#include "common/net/wire_keys.h"

#include <cmocka.h>

#define FIELDS 5u
#define KEYS   4000u
#define SEED   9u

struct frame {
    uint32_t counts[FIELDS];
    size_t total;
    uint64_t ids[KEYS], got[KEYS];
    uint8_t bytes[KEYS * 8 + FIELDS];
    size_t len;
};

static void pack(struct frame *f) {
    f->total = 0;
    for (uint32_t i = 0; i < FIELDS; i++) {
        f->total += f->counts[i];
    }
    assert_true(f->total <= KEYS);
    f->len = wire_keys_pack(f->counts, FIELDS, f->ids, f->bytes);
    assert_true(f->len <= wire_keys_bytes_max(f->total, FIELDS));
    assert_true(f->len >= f->total); /* what lets a receiver bound its memory */
}

static void unpack_is_the_same(struct frame *f) {
    memset(f->got, 0xff, sizeof f->got);
    assert_int_equal(wire_keys_unpack(f->counts, FIELDS, f->bytes, f->len, f->got), OK);
    assert_memory_equal(f->got, f->ids, f->total * sizeof f->ids[0]);
}

static int upwards(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Fields of every kind: none, one key, near ids, 64-bit hashes, and ids that are not in order. */
static void fill(struct frame *f, uint64_t seed) {
    size_t at = 0;
    for (uint32_t i = 0; i < FIELDS; i++) {
        const uint64_t kind = rng_below(seed, i, 0, 5);
        f->counts[i] = kind == 0 ? 0 : kind == 1 ? 1 : (uint32_t)rng_below(seed, i, 1, 700);
        const uint64_t range = kind == 3 ? UINT64_MAX : 10000000;
        for (uint32_t k = 0; k < f->counts[i]; k++) {
            f->ids[at + k] = rng_below(seed, i, 100 + k, range);
        }
        if (kind != 4) {
            qsort(f->ids + at, f->counts[i], sizeof f->ids[0], upwards);
        }
        at += f->counts[i];
    }
}

static void what_goes_in_comes_out(void **state) {
    static struct frame f;
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        fill(&f, seed);
        pack(&f);
        unpack_is_the_same(&f);
    }
}

static void extremes(void **state) {
    static struct frame f = {.counts = {4, 0, 3, 1, 0},
                             .ids = {0, 1, UINT64_MAX - 1, UINT64_MAX, 7, 7, 7, UINT64_MAX}};
    (void)state;
    pack(&f);
    unpack_is_the_same(&f);
    static struct frame none;
    pack(&none);
    assert_int_equal(none.len, 0);
    unpack_is_the_same(&none);
}

/* Ten million ids, one in three hundred of them in a batch: two bytes each. */
static void near_ids_take_two_bytes(void **state) {
    static struct frame f = {.counts = {KEYS}};
    (void)state;
    uint64_t id = 0;
    for (size_t i = 0; i < KEYS; i++) {
        id += 1 + rng_below(SEED, i, 0, 600);
        f.ids[i] = id;
    }
    pack(&f);
    assert_true(f.len < KEYS * 2);
    unpack_is_the_same(&f);
}

static void hashes_take_no_more_than_raw(void **state) {
    static struct frame f = {.counts = {0, 1000}};
    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        f.ids[i] = rng_u64(SEED, i, 1);
    }
    qsort(f.ids, 1000, sizeof f.ids[0], upwards);
    pack(&f);
    assert_true(f.len <= 1 + 8 * 1000);
    unpack_is_the_same(&f);
}

static void damage_is_refused(void **state) {
    static struct frame f;
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        fill(&f, seed);
        pack(&f);
        for (size_t cut = 1; cut <= f.len && cut < 40; cut++) {
            assert_int_equal(wire_keys_unpack(f.counts, FIELDS, f.bytes, f.len - cut, f.got),
                             ERR_PROTOCOL);
        }
        f.bytes[f.len] = 0;
        assert_int_equal(wire_keys_unpack(f.counts, FIELDS, f.bytes, f.len + 1, f.got),
                         ERR_PROTOCOL);
        if (f.len > 0) {
            f.bytes[0] = 2; /* no such coding */
            assert_int_equal(wire_keys_unpack(f.counts, FIELDS, f.bytes, f.len, f.got),
                             ERR_PROTOCOL);
        }
    }
}

/* Random bytes decode or are refused, within a buffer of just their own length (a sanitizer
 * watches both ends). */
static void random_bytes_do_no_harm(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        const size_t len = (size_t)rng_below(seed, 0, 0, 80);
        uint32_t counts[FIELDS];
        uint8_t *bytes = NULL;
        uint64_t *ids = NULL;
        size_t total = 0;
        for (uint32_t i = 0; i < FIELDS; i++) {
            counts[i] = (uint32_t)rng_below(seed, i, 1, 9);
            total += counts[i];
        }
        assert_int_equal(mem_array(&bytes, len + 1), OK);
        assert_int_equal(mem_array(&ids, total + 1), OK);
        for (size_t i = 0; i < len; i++) {
            const uint64_t draw = rng_u64(seed, i, 2);
            bytes[i] = (uint8_t)(draw % 3 == 0 ? draw >> 32 : draw >> 40 & 1);
        }
        const enum status status = wire_keys_unpack(counts, FIELDS, bytes, len, ids);
        assert_true(status == OK || status == ERR_PROTOCOL);
        mem_free(&bytes);
        mem_free(&ids);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),  cmocka_unit_test(extremes),
        cmocka_unit_test(near_ids_take_two_bytes), cmocka_unit_test(hashes_take_no_more_than_raw),
        cmocka_unit_test(damage_is_refused),       cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
