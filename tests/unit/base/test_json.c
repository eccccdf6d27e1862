#include "common/base/json.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 3u

static void text_is(struct json *j, const char *expected) {
    assert_int_equal(j->status, OK);
    assert_int_equal(j->depth, 0);
    assert_int_equal(buf_put_u8(j->out, '\0'), OK);
    assert_string_equal((char *)j->out->data, expected);
    buf_fini(j->out);
}

static void write_sample(struct json *j) {
    json_open(j, NULL, '{');
    json_u64(j, "rows", UINT64_MAX);
    json_open(j, "fields", '[');
    json_str(j, NULL, "101");
    json_str(j, NULL, "");
    json_open(j, NULL, '{');
    json_close(j);
    json_open(j, NULL, '[');
    json_close(j);
    json_close(j);
    json_bool(j, "done", true);
    json_bool(j, "late", false);
    json_null(j, "auc");
    json_close(j);
}

static void one_line(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    struct json j;
    json_init(&j, &b, false);
    write_sample(&j);
    text_is(&j, "{\"rows\":18446744073709551615,"
                "\"fields\":[\"101\",\"\",{},[]],\"done\":true,\"late\":false,\"auc\":null}");
}

static void pretty(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    struct json j;
    json_init(&j, &b, true);
    write_sample(&j);
    text_is(&j, "{\n  \"rows\": 18446744073709551615,\n"
                "  \"fields\": [\n    \"101\",\n    \"\",\n    {},\n    []\n  ],\n"
                "  \"done\": true,\n  \"late\": false,\n  \"auc\": null\n}");
}

static void top_values_need_no_bracket(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    struct json j;
    json_init(&j, &b, true);
    json_u64(&j, NULL, 7);
    text_is(&j, "7");
}

static void texts_are_escaped(void **state) {
    (void)state;
    const struct {
        const char *text, *expected;
    } cases[] = {
        {"a\"b\\c/", "\"a\\\"b\\\\c/\""},
        {"\n\t\x01\x1f\x7f", "\"\\u000a\\u0009\\u0001\\u001f\x7f\""},
        {"\xc3\xa4 \xe6\xbc\xa2 \xf0\x9f\x99\x82 \xf4\x8f\xbf\xbf",
         "\"\xc3\xa4 \xe6\xbc\xa2 \xf0\x9f\x99\x82 \xf4\x8f\xbf\xbf\""},
        {"\xff", "\"\\ufffd\""},
        {"\xc3", "\"\\ufffd\""},                                  /* ends too early */
        {"\xc3(", "\"\\ufffd(\""},                                /* no continuation */
        {"\x80z", "\"\\ufffdz\""},                                /* a continuation alone */
        {"\xc0\xaf", "\"\\ufffd\\ufffd\""},                       /* over-long */
        {"\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\""},            /* over-long */
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* a surrogate */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* above U+10FFFF */
        {"\xe6\xbc", "\"\\ufffd\\ufffd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b = BUF_EMPTY;
        struct json j;
        json_init(&j, &b, false);
        json_str(&j, NULL, cases[i].text);
        text_is(&j, cases[i].expected);
    }
    struct buf b = BUF_EMPTY;
    struct json j;
    json_init(&j, &b, false);
    json_open(&j, NULL, '{');
    json_null(&j, "a \"key\"");
    json_close(&j);
    text_is(&j, "{\"a \\\"key\\\"\":null}");
}

static void number_is(double value, const char *expected) {
    struct buf b = BUF_EMPTY;
    struct json j;
    json_init(&j, &b, false);
    json_f64(&j, NULL, value);
    text_is(&j, expected);
}

static void doubles_are_as_short_as_can_be(void **state) {
    (void)state;
    number_is(0, "0");
    number_is(-1.5, "-1.5");
    number_is(0.1, "0.1");
    number_is(1.0 / 3, "0.3333333333333333");
    number_is(0.1 + 0.2, "0.30000000000000004");
    number_is(1e300, "1e+300");
    number_is(4.9406564584124654e-324, "5e-324");
    number_is(NAN, "null");
    number_is(INFINITY, "null");
    number_is(-INFINITY, "null");
}

static void doubles_read_back(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        const uint64_t bits = rng_u64(SEED, 1, i);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) {
            continue;
        }
        struct buf b = BUF_EMPTY;
        struct json j;
        json_init(&j, &b, false);
        json_f64(&j, NULL, value);
        assert_int_equal(buf_put_u8(&b, '\0'), OK);
        assert_true(strtod((char *)b.data, NULL) == value);
        buf_fini(&b);
    }
}

static void the_deepest_nesting_works(void **state) {
    (void)state;
    struct buf b = BUF_EMPTY;
    struct json j;
    json_init(&j, &b, false);
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        json_open(&j, NULL, '[');
    }
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        json_close(&j);
    }
    text_is(&j, "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]");
}

static void no_memory_sticks(void **state) {
    (void)state;
    for (size_t n = 1; n <= 2; n++) {
        struct buf b = BUF_EMPTY;
        struct json j;
        json_init(&j, &b, false);
        mem_fail_after(n);
        write_sample(&j);
        mem_fail_after(0);
        assert_int_equal(j.status, ERR_MEMORY);
        const size_t len = b.len;
        json_u64(&j, NULL, 1); /* memory is back, but half a text would be worse than none */
        assert_int_equal(b.len, len);
        assert_int_equal(j.status, ERR_MEMORY);
        buf_fini(&b);
    }
}

static void a_number_is_found_by_its_key(void **state) {
    (void)state;
    const char *text = "{\"loss\":0.25,\"auc\":null,\"loss_sum\":-3e2,\"name\":\"x\"}";
    assert_true(json_number(text, "loss") == 0.25);
    assert_true(json_number(text, "loss_sum") == -300);
    assert_true(isnan(json_number(text, "auc")) && isnan(json_number(text, "name")) &&
                isnan(json_number(text, "sum")) && isnan(json_number("", "loss")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line),
        cmocka_unit_test(pretty),
        cmocka_unit_test(top_values_need_no_bracket),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(doubles_are_as_short_as_can_be),
        cmocka_unit_test(doubles_read_back),
        cmocka_unit_test(the_deepest_nesting_works),
        cmocka_unit_test(no_memory_sticks),
        cmocka_unit_test(a_number_is_found_by_its_key),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
