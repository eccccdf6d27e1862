#include "common/base/number.h"

#include <inttypes.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void good(const char *text, enum number_unit unit, uint64_t expected) {
    uint64_t v = 99;
    assert_int_equal(number_parse(text, unit, &v), NUMBER_GOOD);
    assert_true(v == expected);
}

static void is(const char *text, enum number_unit unit, enum number_result expected) {
    uint64_t v = 99;
    assert_int_equal(number_parse(text, unit, &v), expected);
    assert_true(v == 99);
}

static void a_letter_means_what_is_counted(void **state) {
    (void)state;
    for (int unit = NUMBER_PLAIN; unit <= NUMBER_BYTES; unit++) {
        good("0", (enum number_unit)unit, 0);
        good("007", (enum number_unit)unit, 7);
        good("18446744073709551615", (enum number_unit)unit, UINT64_MAX);
        is("18446744073709551616", (enum number_unit)unit, NUMBER_TOO_LARGE);
        is("99999999999999999999999999", (enum number_unit)unit, NUMBER_TOO_LARGE);
    }
    good("8G", NUMBER_BYTES, UINT64_C(8) << 30);
    good("8G", NUMBER_COUNT, UINT64_C(8000000000));
    good("3K", NUMBER_BYTES, 3072);
    good("3M", NUMBER_COUNT, 3000000);
    good("2T", NUMBER_BYTES, UINT64_C(2) << 40);
    good("16777215T", NUMBER_BYTES, UINT64_C(16777215) << 40);
    is("16777216T", NUMBER_BYTES, NUMBER_TOO_LARGE);
    is("18446745T", NUMBER_COUNT, NUMBER_TOO_LARGE);
    good("0T", NUMBER_COUNT, 0);
}

static void nothing_else_is_a_number(void **state) {
    (void)state;
    static const char *const bad[] = {"",    "K",   "-1",   "+1",   " 1",  "1 ", "1k",
                                      "1KB", "1Ki", "1.5G", "0x10", "1KK", "G1", "1P"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (int unit = NUMBER_PLAIN; unit <= NUMBER_BYTES; unit++) {
            is(bad[i], (enum number_unit)unit, NUMBER_BAD);
        }
    }
    is("1K", NUMBER_PLAIN, NUMBER_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_means_what_is_counted),
        cmocka_unit_test(nothing_else_is_a_number),
    };
    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
