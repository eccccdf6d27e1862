/* Numbers and ids as people and programs write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/base/hash.h"
#include "common/field/field_number.h"

#include <cmocka.h>

/* The number in the program's way, "no" if it is not written in that style. */
static void number(char decimal, char thousands, const char *text, const char *want) {
    const struct number_style style = {decimal, thousands};
    char copy[FIELD_NUMBER_BYTES], got[128];
    struct span out;
    const size_t n = strlen(text);
    char *exact = malloc(n + 1); /* no byte beyond: reads past the end are found */
    assert_non_null(exact);
    memcpy(exact, text, n);
    const bool good = field_number_plain(&style, (struct span){exact, n}, copy, &out);
    snprintf(got, sizeof got, "%.*s", good ? (int)out.n : 2, good ? out.at : "no");
    free(exact);
    if (strcmp(got, want) != 0) {
        fail_msg("'%s' is '%s', expected '%s'", text, got, want);
    }
}

static void test_numbers(void **state) {
    char longest[80];
    (void)state;
    number(0, 0, " 19.90 ", "19.90");
    number(0, 0, "19,90", "19,90"); /* which is no number, and the parser says so */
    number(0, ',', "1,234,567.89", "1234567.89");
    number(0, ',', "-1,234", "-1234");
    number(0, ',', "1234,567", "no");
    number(0, ',', "1,23", "no");
    number(0, ',', "1,2345", "no");
    number(0, ',', ",123", "no");
    number(0, ',', "1,,234", "no");
    number(0, ',', "1.5,000", "no");
    number(',', 0, "19,90", "19.90");
    number(',', 0, "19.90", "no");
    number(',', 0, "1,9,0", "no");
    number(',', '.', "1.234.567,89", "1234567.89");
    number(',', '.', "19.90", "no");
    number(',', '.', "1.234", "1234");
    number(',', ' ', "1 234,5", "1234.5");
    number(',', '\'', "1'234'567", "1234567");
    number(',', '.', "", "");
    number(',', '.', ",5", ".5");
    memset(longest, '1', sizeof longest);
    longest[63] = '\0';
    number(',', 0, longest, longest);
    longest[63] = '1';
    longest[70] = '\0';
    number(',', 0, longest, "no");
}

static void id(const char *text, const char *want) {
    const size_t n = strlen(text);
    char *exact = malloc(n + 1);
    assert_non_null(exact);
    memcpy(exact, text, n);
    const struct span got = field_id_plain(0, (struct span){exact, n});
    if (got.n != strlen(want) || memcmp(got.at, want, got.n) != 0) {
        fail_msg("'%s' is '%.*s', expected '%s'", text, (int)got.n, got.at, want);
    }
    free(exact);
}

static void test_ids(void **state) {
    (void)state;
    id("376", "376");
    id(" 376\t", "376");
    id("000376", "376");
    id("376.0", "376");
    id("376.000", "376");
    id(" 000376.0 ", "376");
    id("370", "370");
    id("3700.0", "3700");
    id("0", "0");
    id("000", "0");
    id("0.0", "0");
    id("376.5", "376.5");
    id("376.50", "376.50");
    id("376.", "376.");
    id(".0", ".0");
    id("x.0", "x.0");
    id("-5", "-5");
    id("", "");
    id("  ", "");
}

/* Plain digits go another way than the rest: to the same double. A number ends with its text,
 * whatever comes behind. */
static void test_f64(void **state) {
    static const char *const texts[] = {"0",
                                        "7",
                                        "0.1",
                                        "19.90",
                                        "5.",
                                        ".5",
                                        "00012",
                                        "1e3",
                                        "-2.5",
                                        "+4",
                                        "0.000000000000001",
                                        "999999999999999",
                                        "9007199254740993",
                                        "1234567.8901234567"};
    double v = 0;
    (void)state;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        const struct span text = {texts[k], strlen(texts[k])};
        assert_int_equal(field_number_f64(text, &v), FIELD_FINE);
        assert_true(v == strtod(texts[k], NULL));
    }
    assert_int_equal(field_number_f64((struct span){"123", 2}, &v), FIELD_FINE);
    assert_true(v == 12);
    assert_int_equal(field_number_f64((struct span){"1.5", 1}, &v), FIELD_FINE);
    assert_true(v == 1);
    static const char *const bad[] = {"", ".", "1.2.3", "1x", " 1", "0x10"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(field_number_f64((struct span){bad[k], strlen(bad[k])}, &v),
                         FIELD_NO_NUMBER);
    }
}

static void test_whole(void **state) {
    uint64_t v = 0;
    (void)state;
    assert_true(field_number_u64((struct span){"18446744073709551615", 20}, &v) && v == UINT64_MAX);
    assert_false(field_number_u64((struct span){"18446744073709551616", 20}, &v));
    assert_false(field_number_u64((struct span){"", 0}, &v));
    assert_false(field_number_u64((struct span){"+1", 2}, &v));
    assert_int_equal(field_number_or_hash((struct span){"123", 3}), 123);
    assert_int_equal(field_number_or_hash((struct span){"0", 1}), 0);
    assert_true(field_number_or_hash((struct span){"0123", 4}) == hash_bytes("0123", 4));
    assert_true(field_number_or_hash((struct span){"ab", 2}) == hash_bytes("ab", 2));
}

static void test_mutations(void **state) {
    static const char alphabet[] = "0123456789.,' -+eE\t";
    (void)state;
    for (uint64_t round = 0; round < 200000; round++) {
        const struct number_style style = {round % 3 == 0 ? ',' : 0, round % 2 == 0 ? '\'' : 0};
        const size_t n = rng_below(4, round, 0, 90);
        char copy[FIELD_NUMBER_BYTES], *text = malloc(n + 1);
        struct span out;
        assert_non_null(text);
        for (size_t k = 0; k < n; k++) {
            text[k] = alphabet[rng_below(4, round, k + 1, sizeof alphabet - 1)];
        }
        if (field_number_plain(&style, (struct span){text, n}, copy, &out)) {
            assert_true(out.n <= n);
        }
        assert_true(field_id_plain(style.decimal, (struct span){text, n}).n <= n);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_ids),
                                       cmocka_unit_test(test_f64), cmocka_unit_test(test_whole),
                                       cmocka_unit_test(test_mutations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
