/* The lines of an Ali-CCP log: good ones, every reason to refuse one, and random damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tools/log/aliccp_line.h"

#include <cmocka.h>

#define TEXT_BYTES 4096u
#define MUTATIONS  200000u

/* A line in memory of its own, as the reader gives it: a line end and zeros follow. */
struct line {
    char *text;
    struct span span;
};

static struct line line_of(const char *text, size_t n) {
    struct line l = {.text = calloc(1, n + 17)};
    assert_non_null(l.text);
    memcpy(l.text, text, n);
    l.text[n] = '\n';
    l.span = (struct span){l.text, n};
    return l;
}

static struct log_fields *fields;
static struct feature_list list;

static int setup(void **state) {
    (void)state;
    fields = calloc(1, sizeof *fields);
    return fields == NULL ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    free(fields);
    feature_list_fini(&list);
    return 0;
}

static enum reject skeleton(const char *text, struct skeleton_line *out) {
    struct line l = line_of(text, strlen(text));
    enum reject why = REJECT_NONE;
    assert_int_equal(aliccp_line_skeleton(l.span, fields, out, &list, &why), OK);
    free(l.text);
    return why;
}

static enum reject common(const char *text) {
    struct line l = line_of(text, strlen(text));
    struct span key;
    enum reject why = REJECT_NONE;
    assert_int_equal(aliccp_line_common(l.span, fields, &key, &list, &why), OK);
    free(l.text);
    return why;
}

#define A "\x01"
#define B "\x02"
#define C "\x03"

static void test_good(void **state) {
    struct skeleton_line row;
    uint32_t slot = 0;
    (void)state;
    log_fields_init(fields, NULL);
    assert_int_equal(skeleton("17,1,0,ab,4,205" B "7" C "1.0" A "210" B "9" C "0.69315" A "210" B
                              "10000000" C "1" A "a_long_field_name" B "8" C "-2.5e-1",
                              &row),
                     REJECT_NONE);
    assert_true(row.click && !row.conversion);
    assert_int_equal(list.count, 4);
    assert_int_equal(fields->schema.count, 3);
    assert_string_equal(fields->schema.fields[2].name, "a_long_field_name");
    assert_int_equal(list.features[2].field, list.features[1].field);
    assert_int_equal(list.features[2].id, 10000000);
    assert_true(list.features[0].weight == 1.0f && list.features[1].weight == 0.69315f);
    assert_true(list.features[3].weight == -0.25f);
    assert_int_equal(skeleton("18,0,0,k,0,", &row), REJECT_NONE);
    assert_int_equal(list.count, 0);
    assert_int_equal(skeleton("x,0,1,k,1,205" B "18446744073709551615" C "1.0", &row), REJECT_NONE);
    assert_true(list.features[0].id == UINT64_MAX);
    assert_false(log_fields_conflict(fields, list.features, list.count, SIDE_ITEM, &slot));
    assert_int_equal(common("k,1,205" B "3" C "1.0"), REJECT_NONE);
    assert_true(log_fields_conflict(fields, list.features, list.count, SIDE_USER, &slot));
    assert_string_equal(fields->schema.fields[slot].name, "205");    /* it was met as an item's */
    assert_int_equal(common("k,1,2050" B "3" C "1.0"), REJECT_NONE); /* not its prefix */
    assert_false(log_fields_conflict(fields, list.features, list.count, SIDE_USER, &slot));
}

static void test_every_reason(void **state) {
    static char long_key[400], long_field[200];
    memset(long_key, 'k', 300);
    memcpy(long_key + 300, ",0,", 4);
    memcpy(long_field, "k,1,", 4);
    memset(long_field + 4, 'f', 70);
    memcpy(long_field + 74, B "1" C "1", 5);
    static const struct {
        const char *text;
        enum reject why;
    } lines[] = {
        {"", REJECT_COLUMNS},
        {"1,0,0,k,1", REJECT_COLUMNS},
        {",0,0,k,1,f" B "1" C "1.0", REJECT_IMPRESSION},
        {"1,2,0,k,1,f" B "1" C "1.0", REJECT_LABEL},
        {"1,0,,k,1,f" B "1" C "1.0", REJECT_LABEL},
        {"1,0,01,k,1,f" B "1" C "1.0", REJECT_LABEL},
        {"1,0,0,,1,f" B "1" C "1.0", REJECT_KEY},
        {"1,0,0,k,x,f" B "1" C "1.0", REJECT_COUNT},
        {"1,0,0,k,-1,f" B "1" C "1.0", REJECT_COUNT},
        {"1,0,0,k,,f" B "1" C "1.0", REJECT_COUNT},
        {"1,0,0,k,2,f" B "1" C "1.0", REJECT_DISAGREES},
        {"1,0,0,k,0,f" B "1" C "1.0", REJECT_DISAGREES},
        {"1,0,0,k,1,", REJECT_DISAGREES},
        {"1,0,0,k,1,f" B "1" C "1.0" A, REJECT_ENTRY},
        {"1,0,0,k,1," A "f" B "1" C "1.0", REJECT_ENTRY},
        {"1,0,0,k,1,f" B "1", REJECT_ENTRY},
        {"1,0,0,k,1,f", REJECT_ENTRY},
        {"1,0,0,k,1,f" C "1" B "1", REJECT_ENTRY},
        {"1,0,0,k,1," B "1" C "1.0", REJECT_FIELD},
        {"1,0,0,k,1,f=" B "1" C "1.0", REJECT_FIELD},
        {"1,0,0,k,1,\x7f" B "1" C "1.0", REJECT_FIELD},
        {"1,0,0,k,1,f" B C "1.0", REJECT_ID},
        {"1,0,0,k,1,f" B "-4" C "1.0", REJECT_ID},
        {"1,0,0,k,1,f" B "18446744073709551616" C "1.0", REJECT_ID},
        {"1,0,0,k,1,f" B "1" C, REJECT_VALUE},
        {"1,0,0,k,1,f" B "1" C "0x1p3", REJECT_VALUE},
        {"1,0,0,k,1,f" B "1" C "1.0" C "2", REJECT_VALUE},
        {"1,0,0,k,1,f" B "1" C "1.0,", REJECT_VALUE},
        {"1,0,0,k,1,f" B "1" C "1.0.", REJECT_VALUE},
        {"1,0,0,k,1,f" B "1" C ".", REJECT_VALUE},
        {"1,0,0,k,1,f" B "1" C "nan", REJECT_FINITE},
        {"1,0,0,k,1,f" B "1" C "-Inf", REJECT_FINITE},
        {"1,0,0,k,1,f" B "1" C "1e39", REJECT_FINITE},
        {"1,0,0,k,1,f" B "1" C "1e999", REJECT_FINITE},
    };
    struct skeleton_line row;
    (void)state;
    log_fields_init(fields, NULL);
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        const enum reject why = skeleton(lines[k].text, &row);
        if (why != lines[k].why) {
            fail_msg("line %zu: '%s', expected '%s'", k, reject_text(why),
                     reject_text(lines[k].why));
        }
        assert_int_equal(fields->schema.count, 0); /* its fields are forgotten */
    }
    assert_int_equal(common(long_key), REJECT_KEY);
    assert_int_equal(common(long_field), REJECT_FIELD);
    assert_int_equal(common("k,1"), REJECT_COLUMNS);
    assert_int_equal(skeleton("1,0,0,k,1,f" B "1" C "1.0", &row), REJECT_NONE);
}

/* A NUL is no part of a name: neither "f\0" nor "\0" is a known field. */
static void test_zero_bytes(void **state) {
    static const char one[] = "k,1,f\0\x02"
                              "1" C "1.0",
                      two[] = "k,1,\0\x02"
                              "1" C "1.0";
    const struct {
        const char *text;
        size_t n;
    } lines[] = {{one, sizeof one - 1}, {two, sizeof two - 1}};
    (void)state;
    log_fields_init(fields, NULL);
    assert_int_equal(common("k,1,f" B "1" C "1.0"), REJECT_NONE);
    for (size_t k = 0; k < 2; k++) {
        struct line l = line_of(lines[k].text, lines[k].n);
        struct span key;
        enum reject why;
        assert_int_equal(aliccp_line_common(l.span, fields, &key, &list, &why), OK);
        assert_int_equal(why, REJECT_FIELD);
        free(l.text);
    }
}

/* The fast path gives what strtod gives. */
static void test_values(void **state) {
    (void)state;
    log_fields_init(fields, NULL);
    for (uint64_t i = 0; i < 100000; i++) {
        char number[64], text[128];
        const uint64_t whole = rng_u64(1, i, 0) >> rng_below(1, i, 1, 64);
        const int digits = (int)rng_below(1, i, 2, 12);
        if (digits == 0) {
            snprintf(number, sizeof number, "%llu", (unsigned long long)whole);
        } else {
            snprintf(number, sizeof number, "%llu.%0*llu", (unsigned long long)whole, digits,
                     (unsigned long long)rng_below(1, i, 3, 100000000000u));
        }
        snprintf(text, sizeof text, "k,1,f" B "%llu" C "%s", (unsigned long long)whole, number);
        assert_int_equal(common(text), REJECT_NONE);
        assert_true(list.features[0].weight == (float)strtod(number, NULL));
        assert_true(list.features[0].id == whole);
    }
}

static void test_key(void **state) {
    (void)state;
    const struct span key = aliccp_line_key((struct span){"1,0,0,abc,4,x", 13});
    assert_true(key.n == 3 && memcmp(key.at, "abc", 3) == 0);
    assert_int_equal(aliccp_line_key((struct span){"1,0,0,abc", 9}).n, 0);
    assert_int_equal(aliccp_line_key((struct span){"", 0}).n, 0);
}

static void test_too_many_fields(void **state) {
    struct buf text = BUF_EMPTY;
    struct span key;
    enum reject why;
    (void)state;
    log_fields_init(fields, NULL);
    assert_int_equal(buf_printf(&text, "k,%u,", FIELDS_MAX + 1), OK);
    for (unsigned k = 0; k <= FIELDS_MAX; k++) {
        assert_int_equal(buf_printf(&text, "%sf%u" B "1" C "1.0", k > 0 ? A : "", k), OK);
    }
    struct line l = line_of((char *)text.data, text.len);
    assert_int_equal(aliccp_line_common(l.span, fields, &key, &list, &why), ERR_LIMIT);
    assert_int_equal(fields->schema.count, 0);
    free(l.text);
    buf_fini(&text);
}

/* Any damage is refused or gives sound features; the same bytes give the same answer. */
static void test_mutations(void **state) {
    static const char good[] = "17,1,0,abcd,4,205" B "7" C "1.0" A "210" B "9" C "0.69315" A "210" B
                               "10000000" C "1" A "a_long_field_name" B "8" C "-2.5e-1";
    static const char alphabet[] = "\x01\x02\x03,.0123459-eEnaif\0\r\xff";
    const uint64_t seed = 7;
    uint64_t draws = 0;
    (void)state;
    for (uint32_t round = 0; round < MUTATIONS; round++) {
        char text[TEXT_BYTES];
        size_t n = sizeof good - 1;
        struct skeleton_line row;
        enum reject why, again;
        memcpy(text, good, n);
        for (uint64_t k = rng_below(seed, draws++, 0, 4); k < 4; k++) {
            const size_t at = (size_t)rng_below(seed, draws++, 1, n);
            if (rng_below(seed, draws++, 2, 4) == 0) { /* a byte less */
                memmove(text + at, text + at + 1, --n - at);
            } else {
                text[at] = alphabet[rng_below(seed, draws++, 3, sizeof alphabet - 1)];
            }
        }
        struct line l = line_of(text, n);
        log_fields_init(fields, NULL);
        assert_int_equal(aliccp_line_skeleton(l.span, fields, &row, &list, &why), OK);
        const size_t count = list.count;
        assert_true(why < REJECTS && (why == REJECT_NONE || fields->schema.count == 0));
        for (size_t i = 0; why == REJECT_NONE && i < list.count; i++) {
            assert_true(list.features[i].field < fields->schema.count);
        }
        assert_int_equal(aliccp_line_skeleton(l.span, fields, &row, &list, &again), OK);
        if (again != why || (why == REJECT_NONE && list.count != count)) {
            fail_msg("seed %llu, round %u: two answers", (unsigned long long)seed, round);
        }
        free(l.text);
    }
}

static void test_memory_fails(void **state) {
    struct line l = line_of("k,1,f" B "1" C "1.0", 11);
    struct span key;
    enum reject why;
    (void)state;
    feature_list_fini(&list);
    log_fields_init(fields, NULL);
    mem_fail_after(1);
    const enum status status = aliccp_line_common(l.span, fields, &key, &list, &why);
    mem_fail_after(0);
    assert_int_equal(status, ERR_MEMORY);
    assert_int_equal(aliccp_line_common(l.span, fields, &key, &list, &why), OK);
    free(l.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_every_reason),
        cmocka_unit_test(test_zero_bytes), cmocka_unit_test(test_values),
        cmocka_unit_test(test_key),        cmocka_unit_test(test_too_many_fields),
        cmocka_unit_test(test_mutations),  cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
