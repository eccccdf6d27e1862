/* Which line ends are inside of a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "tools/log/csv_quotes.h"
#include "tools/prep/prep_piece.h"

#include <cmocka.h>

/* Where the records of the text end, each followed by a bar, doubtful ones by a question mark.
 * Every stop before the end of what is asked for gives the same answer or none. */
static void split(const char *text, uint32_t columns, char *out) {
    struct csv_quotes q = {.quote = '"', .delimiter = ',', .columns = columns};
    const size_t n = strlen(text);
    for (size_t from = 0; from < n;) {
        size_t end = csv_quotes_end(&q, text, from, n, true, false);
        end = end == NO_END ? n : end;
        for (size_t stop = from; stop < n; stop++) {
            char *part = malloc(stop + 1); /* no byte beyond */
            assert_non_null(part);
            memcpy(part, text, stop);
            struct csv_quotes fresh = {.quote = '"', .delimiter = ',', .columns = columns};
            const size_t early = csv_quotes_end(&fresh, part, from, stop, false, false);
            free(part);
            if (early != NO_END && (early != end || fresh.doubtful != q.doubtful)) {
                fail_msg("%s: record at %zu ends at %zu, and with %zu bytes at %zu", text, from,
                         end, stop, early);
            }
        }
        memcpy(out, text + from, end - from);
        out += end - from;
        *out++ = q.doubtful ? '?' : '|';
        from = end;
    }
    *out = '\0';
}

static void expect(uint32_t columns, const char *text, const char *want) {
    char out[512];
    split(text, columns, out);
    assert_string_equal(out, want);
}

static void test_records_of_several_lines(void **state) {
    (void)state;
    expect(3, "1,\"a\nb\",0\n2,c,0\n", "1,\"a\nb\",0\n|2,c,0\n|");
    expect(3, "1,\"a\r\nb\",0\r\n2,c,0\r\n", "1,\"a\r\nb\",0\r\n|2,c,0\r\n|");
    expect(3, "1,2,\"a\n\n\nb\"", "1,2,\"a\n\n\nb\"|"); /* no line end at the end */
    expect(3, "1,2,\"a\nb\"\r", "1,2,\"a\nb\"\r|");
    expect(3, "1,\"a\n\"\"b\"\"\nc\",\"d\ne\"\n", "1,\"a\n\"\"b\"\"\nc\",\"d\ne\"\n|");
    expect(4, "\"a\nb\",\"\",\"\n\",0\n1,2,3,4", "\"a\nb\",\"\",\"\n\",0\n|1,2,3,4|");
    expect(4, "1,2,3,\"a, b\nc, d\"\n", "1,2,3,\"a, b\nc, d\"\n|"); /* two cells are no record */
}

static void test_quotes_that_are_bad(void **state) {
    (void)state;
    expect(3, "1,\"a,0\n2,b,0\n3,c,0\n", "1,\"a,0\n|2,b,0\n|3,c,0\n|"); /* never closed */
    expect(3, "1,\"a,0\n2,b,0\n3,\"c,0\n", "1,\"a,0\n|2,b,0\n|3,\"c,0\n|");
    expect(3, "1,0,\"\n2,b,0\n3,0,\"\n",
           "1,0,\"\n|2,b,0\n|3,0,\"\n|"); /* right cells, whole, wrong */
    expect(3, "1,\"a\n\"2\",\"b\",\"0\"\n", "1,\"a\n|\"2\",\"b\",\"0\"\n|");
    expect(3, "1,\"a\nb\"\n2,c,0\n", "1,\"a\n|b\"\n|2,c,0\n|"); /* too few cells */
    expect(3, "1,\"a\nb\",2,3\n", "1,\"a\n|b\",2,3\n|");        /* too many */
    expect(4, "1,\"a\nb\",2,3,4,5\n", "1,\"a\n|b\",2,3,4,5\n|");
    expect(4, "1,\"a\nb\"c,2,3\n", "1,\"a\n|b\"c,2,3\n|"); /* goes on behind its end */
    expect(4, "1,\"a\nb\"\rc,2,3\n", "1,\"a\n|b\"\rc,2,3\n|");
    expect(4, "1,5\" x,\"\n\",2\n", "1,5\" x,\"\n\",2\n|"); /* the first quote is a letter */
}

/* Is it one cell of two lines, or a line with an open quote and a row with a quote that is a
 * letter? */
static void test_doubtful(void **state) {
    (void)state;
    expect(3, "1,0,\"\n2,0,\"\n", "1,0,\"\n2,0,\"\n?");
    expect(3, "1,\"a\n2,5\",0\n3,c,0\n", "1,\"a\n2,5\",0\n?3,c,0\n|"); /* five inches */
    expect(3, "\"a\nb\",1,0\n", "\"a\nb\",1,0\n?");
    expect(1, "\"a\nb\"\n", "\"a\nb\"\n?"); /* every line is a record of one column */
    expect(3, "1,\"a\n2,5\",0\n\",0\n", "1,\"a\n2,5\",0\n?\",0\n|");
    expect(3, "1,\"a\n2,5\"\"\",0\n", "1,\"a\n2,5\"\"\",0\n?");
    expect(3, "1,\"a\n2,b,0\nc,d\",0\n", "1,\"a\n|2,b,0\n|c,d\",0\n|"); /* a good row in between */
}

/* Without a number of columns the record's own counts: a header. */
static void test_columns_unknown(void **state) {
    (void)state;
    expect(0, "id,\"a\nb\"\n1,2\n", "id,\"a\nb\"\n|1,2\n|");
    expect(0, "id,\"a\n1,2\n3,4\n5,\"\n", "id,\"a\n|1,2\n|3,4\n|5,\"\n|");
}

static void test_off(void **state) {
    struct csv_quotes q = {.quote = 0, .delimiter = ',', .columns = 3};
    (void)state;
    assert_int_equal(csv_quotes_end(&q, "1,\"a\nb\",0\n", 0, 10, true, false), 5);
    assert_int_equal(csv_quotes_end(&q, "1,\"a", 0, 4, true, false), NO_END);
}

static void test_cut(void **state) {
    struct csv_quotes q = {.quote = '"', .delimiter = ',', .columns = 3};
    (void)state;
    assert_int_equal(csv_quotes_end(&q, "1,\"a\nb c d", 0, 10, false, false), NO_END);
    assert_int_equal(csv_quotes_end(&q, "1,\"a\nb c d", 0, 10, false, true), 5);
    assert_int_equal(csv_quotes_end(&q, "1,\"a b c d", 0, 10, false, true), NO_END);
}

/* Short texts of the bytes that matter. */
static void test_any_stop(void **state) {
    static const char alphabet[] = "ab,,\"\"\"\n\n\r";
    char text[48], out[128];
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        const size_t n = (size_t)rng_below(seed, 0, 0, sizeof text - 1);
        for (size_t i = 0; i < n; i++) {
            text[i] = alphabet[rng_below(seed, i, 1, sizeof alphabet - 1)];
        }
        text[n] = '\0';
        split(text, (uint32_t)rng_below(seed, 1, 0, 5), out);
    }
}

/* A quote that is not closed is looked at from each line anew; that must not be quadratic. */
static void test_time(void **state) {
    static const char *const lines[] = {"\"abc,1,0\n",   "\"\n",     "x,\"\n",
                                        "5\",x,\"abc\n", "\"\"\"\n", "\"\n\n\n\n\n\n\n\nx\n"};
    const size_t most = (size_t)4 << 20;
    char *text = malloc(most + 64);
    (void)state;
    assert_non_null(text);
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        struct csv_quotes q = {.quote = '"', .delimiter = ',', .columns = 7};
        const uint64_t started_ms = clock_mono_ms();
        const size_t length = strlen(lines[k]);
        size_t n = 0;
        for (; n + length <= most; n += length) {
            memcpy(text + n, lines[k], length);
        }
        for (size_t from = 0; from < n;) {
            const bool cut = n - from > LINE_BYTES_MAX;
            const size_t end =
                csv_quotes_end(&q, text, from, cut ? from + LINE_BYTES_MAX + 1 : n, !cut, cut);
            assert_true(end > from && end <= n);
            from = end;
        }
        assert_true(clock_mono_ms() - started_ms < 20000);
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_of_several_lines),
        cmocka_unit_test(test_quotes_that_are_bad),
        cmocka_unit_test(test_doubtful),
        cmocka_unit_test(test_columns_unknown),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_any_stop),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
