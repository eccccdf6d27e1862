#include "common/base/hash.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED  77u
#define BYTES 5000u

static void fill(uint8_t *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)rng_u64(SEED, 0, i);
    }
}

/* Files hold these values: they may never change. XXH3-64, seed 0, from the algorithm's page. */
static void known_values(void **state) {
    (void)state;
    assert_true(hash_bytes("", 0) == 0x2d06800538d394c2u);
    assert_true(hash_bytes(NULL, 0) == 0x2d06800538d394c2u);
    assert_true(hash_bytes("a", 1) == 0xe6c632b61e964e1fu);
    assert_true(hash_bytes("abc", 3) == 0x78af5f94892f3950u);
}

static void the_stream_agrees_however_it_is_cut(void **state) {
    (void)state;
    static uint8_t data[BYTES];
    fill(data, sizeof data);
    for (uint64_t round = 0; round < 200; round++) {
        const size_t n = (size_t)rng_below(SEED, 1, round, BYTES + 1);
        struct hash_stream *h = NULL;
        assert_int_equal(hash_stream_create(&h), OK);
        size_t at = 0;
        for (uint64_t k = 0; at < n; k++) {
            size_t piece = (size_t)rng_below(SEED, 2 + round, k, 600);
            piece = piece < n - at ? piece : n - at;
            hash_stream_add(h, data + at, piece);
            at += piece;
        }
        assert_true(hash_stream_value(h) == hash_bytes(data, n));
        assert_true(hash_stream_value(h) == hash_bytes(data, n)); /* asking changes nothing */
        hash_stream_destroy(&h);
        assert_null(h);
    }
}

static void every_flipped_bit_shows(void **state) {
    (void)state;
    uint8_t data[300];
    fill(data, sizeof data);
    const uint64_t whole = hash_bytes(data, sizeof data);
    for (size_t bit = 0; bit < sizeof data * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_true(hash_bytes(data, sizeof data) != whole);
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_true(hash_bytes(data, sizeof data - 1) != whole);
}

static void no_memory_gives_no_stream(void **state) {
    (void)state;
    mem_fail_after(1);
    struct hash_stream *h = NULL;
    assert_int_equal(hash_stream_create(&h), ERR_MEMORY);
    mem_fail_after(0);
    assert_null(h);
    hash_stream_destroy(&h);
}

/* Consecutive ids, as data sets have them, fill the buckets like balls thrown at random: chi-square
 * over 4095 degrees of freedom lies within 4095 +- 6 * sqrt(2 * 4095). */
static void buckets_are_even(void **state) {
    (void)state;
    static uint32_t count[BUCKETS];
    const uint64_t salt = hash_bytes("205", 3);
    const uint32_t keys = BUCKETS * 64;
    memset(count, 0, sizeof count);
    for (uint64_t id = 0; id < keys; id++) {
        const uint32_t bucket = hash_bucket(hash_key(salt, id));
        assert_true(bucket < BUCKETS);
        count[bucket]++;
    }
    double chi = 0;
    for (uint32_t b = 0; b < BUCKETS; b++) {
        chi += (count[b] - 64.0) * (count[b] - 64.0) / 64.0;
    }
    assert_true(fabs(chi - (BUCKETS - 1)) < 6 * sqrt(2.0 * (BUCKETS - 1)));
}

static void fields_do_not_share_keys(void **state) {
    (void)state;
    const uint64_t a = hash_bytes("101", 3);
    const uint64_t b = hash_bytes("102", 3);
    uint32_t same = 0;
    for (uint64_t id = 0; id < 10000; id++) {
        assert_true(hash_key(a, id) != hash_key(b, id));
        same += hash_bucket(hash_key(a, id)) == hash_bucket(hash_key(b, id));
    }
    assert_true(same < 20); /* 2.4 expected */
    assert_int_equal(hash_bucket(UINT64_MAX), BUCKETS - 1);
    assert_int_equal(hash_bucket(0), 0);
}

static void partitions_share_all_buckets(void **state) {
    (void)state;
    for (uint64_t parts = 1; parts <= BUCKETS; parts += parts < 70 ? 1 : 97) {
        assert_int_equal(bucket_begin(0, parts), 0);
        assert_int_equal(bucket_begin(parts, parts), BUCKETS);
        for (uint64_t k = 0; k < parts; k++) {
            const uint32_t n = bucket_begin(k + 1, parts) - bucket_begin(k, parts);
            assert_true(n == BUCKETS / parts || n == BUCKETS / parts + 1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(the_stream_agrees_however_it_is_cut),
        cmocka_unit_test(every_flipped_bit_shows),
        cmocka_unit_test(no_memory_gives_no_stream),
        cmocka_unit_test(buckets_are_even),
        cmocka_unit_test(partitions_share_all_buckets),
        cmocka_unit_test(fields_do_not_share_keys),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
