/* Values without a row: counting, what is expected of them, their bytes. */
#include "common/data/unseen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 11u

static void test_count(void **state) {
    static const uint8_t missing[] = {0, 1, 0, 1};
    static const uint32_t index[] = {0, 1, 1, 2, 3, 0, 1};
    struct unseen_field f = {.values = 10, .unseen = 1};
    (void)state;
    unseen_count(&f, index, 7, missing, 4);
    assert_int_equal(f.values, 17);
    assert_int_equal(f.unseen, 5);
    unseen_count(&f, NULL, 0, NULL, 0);
    unseen_count(&f, index, 1, missing, 1);
    assert_int_equal(f.values, 18);
    assert_int_equal(f.unseen, 5);
}

/* Of fields "a" and "b", by rows and values; the table has these settings ("" none). */
static void first_is(const char *setting, uint64_t rows, uint64_t values, uint64_t others,
                     double want) {
    struct config config;
    struct schema s = {0};
    double first[2];
    config_default(&config);
    if (setting[0] != '\0') {
        assert_int_equal(config_set(&config, setting), OK);
    }
    assert_int_equal(schema_add(&s, "a", SIDE_USER), OK);
    assert_int_equal(schema_add(&s, "b", SIDE_USER), OK);
    unseen_first(&config, &s, (uint64_t[]){rows, others}, (uint64_t[]){values, others}, first);
    assert_true(first[0] == want);
}

static void test_first(void **state) {
    (void)state;
    first_is("", 10, 1000, 0, 0.01);
    first_is("", 0, 1000, 0, 0);
    first_is("", 1000, 10, 0, 1);
    first_is("", 10, 0, 0, UNSEEN_FIRST_ASSUMED); /* nobody said how many values there were */
    first_is("", 0, 0, 5, 0);                     /* there were none, of this field */
    first_is("table.admit_after=2", 10, 1000, 0,
             UNSEEN_FIRST_ASSUMED); /* rare ones have no row by intent */
    first_is("table.admit_after=2", 800, 1000, 0, 0.8);
    first_is("table.evict_age=9", 10, 1000, 0, UNSEEN_FIRST_ASSUMED);
}

static bool doubtful(uint64_t values, uint64_t unseen, double first) {
    const struct unseen_field f = {.values = values, .unseen = unseen};
    return unseen_doubtful(&f, first);
}

static void test_doubtful(void **state) {
    (void)state;
    assert_true(doubtful(1000, 1000, 0));
    assert_true(doubtful(1000, 101, 0));
    assert_false(doubtful(1000, 100, 0));
    assert_true(doubtful(1000, 1000, 0.99)); /* nothing at all is known: always doubtful */
    assert_false(doubtful(1000, 540, 0.5));
    assert_true(doubtful(1000, 560, 0.5));
    assert_false(doubtful(10, 10, 0)); /* too few to tell */
    assert_false(doubtful(0, 0, 0));
    assert_false(doubtful(1000, 1000, 1));
}

/* A log without end of features drawn alike, cut anywhere: what follows is never doubtful. */
static void test_healthy(void **state) {
    (void)state;
    for (uint64_t world = 0; world < 60; world++) {
        const uint64_t ids = 10 + rng_below(SEED, world, 0, 20000);
        const uint64_t train = 500 + rng_below(SEED, world, 1, 20000), eval = 2000;
        const double skew = 1 + 3 * rng_unit(SEED, world, 2);
        uint8_t *seen = calloc(ids, 1);
        uint64_t rows = 0;
        struct unseen_field f = {0};
        for (uint64_t i = 0; i < train + eval; i++) {
            const uint64_t id = (uint64_t)((double)ids * pow(rng_unit(SEED, world, 100 + i), skew));
            if (i < train) {
                rows += seen[id] == 0;
                seen[id] = 1;
            } else {
                f.values++;
                f.unseen += seen[id] == 0;
            }
        }
        assert_false(unseen_doubtful(&f, (double)rows / (double)train));
        free(seen);
    }
}

static void test_bytes(void **state) {
    struct unseen u = {.fields = 3, .field = {{5, 0}, {1000000, 1000000}, {0, 0}}}, back;
    struct buf out = BUF_EMPTY;
    (void)state;
    assert_int_equal(unseen_pack(&u, &out), OK);
    assert_int_equal(unseen_unpack(&back, 3, out.data, out.len), OK);
    assert_memory_equal(&u, &back, sizeof u);
    assert_int_equal(unseen_unpack(&back, 2, out.data, out.len), ERR_PROTOCOL);
    assert_int_equal(unseen_unpack(&back, 4, out.data, out.len), ERR_PROTOCOL);
    for (size_t n = 0; n < out.len; n++) {
        assert_int_equal(unseen_unpack(&back, 3, out.data, n), ERR_PROTOCOL);
    }
    u.field[0].unseen = 6;
    buf_clear(&out);
    assert_int_equal(unseen_pack(&u, &out), OK);
    assert_int_equal(unseen_unpack(&back, 3, out.data, out.len), ERR_PROTOCOL);
    u.field[0] = (struct unseen_field){UINT64_MAX, 0};
    buf_clear(&out);
    assert_int_equal(unseen_pack(&u, &out), OK);
    assert_int_equal(unseen_unpack(&back, 3, out.data, out.len), ERR_PROTOCOL);
    buf_fini(&out);
}

static void test_words(void **state) {
    struct unseen u = {.fields = 2, .field = {{1000, 10}, {1000, 900}}};
    const double first[] = {0.02, 0.05};
    struct schema s = {0};
    struct buf out = BUF_EMPTY;
    struct json j;
    (void)state;
    assert_int_equal(schema_add(&s, "age", SIDE_USER), OK);
    assert_int_equal(schema_add(&s, "i\"tem", SIDE_ITEM), OK);
    assert_int_equal(unseen_doubts(&u, &s, first, &out), OK);
    assert_non_null(strstr((char *)out.data,
                           "field 'i\"tem': the model has no row for 90 % of its values, "
                           "where at most 5 % were"));
    assert_null(strstr((char *)out.data, "age"));
    buf_clear(&out);
    json_init(&j, &out, false);
    json_open(&j, NULL, '{');
    unseen_json(&u, &s, first, &j);
    json_close(&j);
    assert_int_equal(j.status, OK);
    assert_int_equal(buf_put_u8(&out, 0), OK);
    assert_string_equal(
        (char *)out.data,
        "{\"fields\":{\"age\":{\"values\":1000,\"unseen\":10,\"share\":0.01,\"share_first\":0.02,"
        "\"doubtful\":false},\"i\\\"tem\":{\"values\":1000,\"unseen\":900,\"share\":0.9,"
        "\"share_first\":0.05,\"doubtful\":true}}}");
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),    cmocka_unit_test(test_first),
        cmocka_unit_test(test_doubtful), cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_bytes),    cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests_name("unseen", tests, NULL, NULL);
}
