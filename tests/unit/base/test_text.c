/* Bytes from outside, fit to be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/base/status.h"
#include "common/base/text.h"

#include <cmocka.h>

static void shows(const char *text, const char *want) {
    char out[200];
    assert_int_equal(text_show(out, sizeof out, text, strlen(text), false), strlen(want));
    assert_string_equal(out, want);
}

static void test_shows(void **state) {
    (void)state;
    shows("", "");
    shows("a b~\\x1b", "a b~\\x1b"); /* shown before */
    shows("\x1b[2J\a\b\x7f", "\\x1b[2J\\x07\\x08\\x7f");
    shows("\t\r\n", "\\x09\\x0d\\x0a");
    shows("\xc3\xa9 \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80",
          "\xc3\xa9 \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80");
    shows("\x9b"
          "31m \xff\xfe",
          "\\x9b31m \\xff\\xfe");
    shows("\xc2\x9b"
          "31m",
          "\\xc2\\x9b31m");                                       /* C1 */
    shows("\xc0\xae \xe0\x80\xaf", "\\xc0\\xae \\xe0\\x80\\xaf"); /* overlong */
    shows("\xed\xa0\x80", "\\xed\\xa0\\x80");                     /* a surrogate */
    shows("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");            /* beyond the last */
    shows("\xe4\xb8", "\\xe4\\xb8");                              /* cut */
}

static void test_lines(void **state) {
    char out[32];
    (void)state;
    assert_int_equal(text_show(out, sizeof out, "a\tb\n\r", 5, true), 8);
    assert_string_equal(out, "a\tb\n\\x0d");
}

static void test_room(void **state) {
    char out[8];
    (void)state;
    assert_int_equal(text_show(out, 5, "ab\x01", 3, false), 2); /* no half of a byte's four */
    assert_string_equal(out, "ab");
    assert_int_equal(text_show(out, 4, "ab\xc3\xa9", 4, false), 2);
    assert_int_equal(text_show(out, 1, "ab", 2, false), 0);
    assert_string_equal(out, "");
}

/* Whatever comes in, nothing that a terminal obeys comes out, and a second time changes nothing. */
static void test_any_bytes(void **state) {
    char text[64], once[300], twice[300];
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        const size_t n = (size_t)rng_below(seed, 0, 0, sizeof text);
        for (size_t i = 0; i < n; i++) {
            text[i] = (char)rng_below(seed, i, 1, 256);
        }
        const size_t length = text_show(once, sizeof once, text, n, false);
        for (size_t i = 0; i < length; i++) {
            assert_true((unsigned char)once[i] >= 0x20 && once[i] != 0x7f);
        }
        assert_int_equal(text_show(twice, sizeof twice, once, length, false), length);
        assert_memory_equal(once, twice, length);
    }
}

/* Long texts, so that it is cut into parts anywhere, characters of several bytes too. */
static void test_print(void **state) {
    static const char unit[] = "\xe4\xb8\xad\xe6\x96\x87,\xc3\xa9\t\x1b[m";
    static const char shown[] = "\xe4\xb8\xad\xe6\x96\x87,\xc3\xa9\t\\x1b[m";
    char text[8000], want[16000], got[16000] = "";
    size_t n = 0, m = 0;
    (void)state;
    for (size_t k = 0; k < 400; k++) {
        const size_t end = k % 150 == 149;
        memcpy(text + n, unit, sizeof unit - 1);
        memcpy(want + m, shown, sizeof shown - 1);
        n += sizeof unit - 1;
        m += sizeof shown - 1;
        memcpy(text + n, "\n", end);
        memcpy(want + m, "\n", end);
        n += end;
        m += end;
    }
    FILE *to = fmemopen(got, sizeof got, "w");
    assert_non_null(to);
    text_print(to, text, n);
    fclose(to);
    assert_int_equal(strlen(got), m);
    assert_memory_equal(got, want, m);
}

static void test_fail(void **state) {
    (void)state;
    (fail)(ERR_FORMAT, "no column '%s'; the first:\n%s", "\x1b]0;title\a", "a\tb");
    assert_string_equal(fail_text(), "no column '\\x1b]0;title\\x07'; the first:\na\tb");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shows), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_room),  cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_fail),  cmocka_unit_test(test_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
