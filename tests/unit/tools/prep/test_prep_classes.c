/* The rejects are the positives: what esmm prep says then. And what is read as a label. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "tools/log/log_label.h"

#include <cmocka.h>

#include "tests/prep_case.h"

/* --- cells of labels -------------------------------------------------------------------------- */

#define NEITHER 9

static void label(const char *text, enum csv_labels labels, unsigned want) {
    bool is = false;
    uint32_t stage = 0;
    const size_t n = strlen(text);
    char *cell = malloc(n + 1); /* no byte beyond: reads past the end are found */
    assert_non_null(cell);
    memcpy(cell, text, n);
    const struct span span = {cell, n};
    const bool good =
        labels == LABELS_FUNNEL ? log_label_stage(span, &stage) : log_label(span, labels, &is);
    const unsigned got = !good ? NEITHER : labels == LABELS_FUNNEL ? stage : is;
    if (got != want) {
        fail_msg("'%s' is read as %u, expected %u", text, got, want);
    }
    free(cell);
}

static void test_labels(void **state) {
    static const char *const ones[] = {"1",    "1.",   "1.0",  "1.000000", " 1", "1 ", "\t1.0 ",
                                       "true", "True", "TRUE", "t",        "T",  " t"};
    static const char *const zeros[] = {"0",     "0.",    "0.0",   "0.000", " 0",
                                        "false", "False", "FALSE", "f",     "F"};
    static const char *const neither[] = {"",    " ",    "2",   "-1",  "1.5", "1.01", "0.1", "01",
                                          "yes", "NULL", "\\N", "nan", "1,0", "tru",  "1e0", "10"};
    (void)state;
    for (size_t k = 0; k < sizeof ones / sizeof *ones; k++) {
        label(ones[k], LABELS_BINARY, 1);
        label(ones[k], LABELS_COUNT, 1);
    }
    for (size_t k = 0; k < sizeof zeros / sizeof *zeros; k++) {
        label(zeros[k], LABELS_BINARY, 0);
        label(zeros[k], LABELS_COUNT, 0);
    }
    for (size_t k = 0; k < sizeof neither / sizeof *neither; k++) {
        label(neither[k], LABELS_BINARY, NEITHER);
    }
    label("2", LABELS_COUNT, 1);
    label("3.0", LABELS_COUNT, 1);
    label("0.25", LABELS_COUNT, 1);
    label("1e3", LABELS_COUNT, 1);
    label("-1", LABELS_COUNT, NEITHER);
    label("", LABELS_COUNT, NEITHER);
    label("nan", LABELS_COUNT, NEITHER);
    label("2", LABELS_FUNNEL, 2);
    label("1.0", LABELS_FUNNEL, 1);
    label("0", LABELS_FUNNEL, 0);
    label("3", LABELS_FUNNEL, NEITHER);
    label("true", LABELS_FUNNEL, NEITHER);
}

/* --- logs ------------------------------------------------------------------------------------- */

#define ROWS 20000u

static char schema[160];

/* A log of ROWS rows, half of them clicked, one in 200 converted; `positive` is what stands in
 * their three cells: conversion, its time, the price. */
static void write_log(const char *positive) {
    struct buf text = BUF_EMPTY;
    assert_int_equal(buf_printf(&text, "click,buy,buy_time,price,time,item\n"), OK);
    for (unsigned i = 0; i < ROWS; i++) {
        if (i % 200 == 0) {
            assert_int_equal(buf_printf(&text, "1,%s,1700000000,i%u\n", positive, i % 7), OK);
        } else {
            assert_int_equal(buf_printf(&text, "%u,0,,9.5,1700000000,i%u\n", i % 2, i % 7), OK);
        }
    }
    assert_int_equal(file_write_atomic(skeleton, text.data, text.len), OK);
    buf_fini(&text);
}

static enum status prep_log(const char *positive, const char *more, const char *bad_max) {
    char text[512];
    write_log(positive);
    snprintf(schema, sizeof schema, "%s/schema", dir);
    snprintf(text, sizeof text,
             "[log]\nclick = click\nconversion = buy\nitem = item, price\n"
             "time = time\nconversion_time = buy_time\n%s\n"
             "[column.price]\nkind = numeric\nbounds = 5, 10\n",
             more);
    write_text(schema, text);
    return prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out,
                "--max-bad", bad_max, NULL);
}

static void converts(const char *positive, const char *more) {
    struct dataset d;
    const enum status status = prep_log(positive, more, "1");
    if (status != OK) {
        fail_msg("'%s': %s", positive, fail_text());
    }
    assert_int_equal(dataset_read(&d, out), OK);
    assert_int_equal(d.conversions, ROWS / 200);
    assert_int_equal(d.rejected, 0);
    assert_int_equal(d.labels[1].lines, ROWS / 200);
    dataset_free(&d);
    clean();
}

static void stops(const char *positive, const char *says) {
    refused(prep_log(positive, "", "1"), ERR_LIMIT, says);
    refused(prep_log(positive, "", "1"), ERR_LIMIT,
            "100 of the 100 lines that look like a conversion were rejected (100 %), of the 19900 "
            "others 0 (0 %)");
}

static void test_converts(void **state) {
    (void)state;
    converts("1,1700000009,9.5", "");
    converts("1.0,1700000009,9.5", "");
    converts("true,1700000009,9.5", "");
    converts(" T,1700000009,9.5", "");
    converts("2,1700000009,9.5", "labels = count");
    converts("3.0,1700000009,9.5", "labels = count");
    converts("1,1700000009,NULL", "missing = NULL");
}

static void test_stops(void **state) {
    (void)state;
    stops("2,1700000009,9.5", "label is not 0 or 1: buy is '2'\t1,2,1700000009");
    stops("2,1700000009,9.5", "log.labels = count takes numbers");
    stops("yes,1700000009,9.5", "buy is 'yes'");
    stops("1,1700000009000,9.5", "buy_time is '1700000009000'");
    stops("1,1699999999,9.5", "buy_time is '1699999999'");
    stops("1,,9.5", "buy_time is empty");
    stops("1,1700000009,NULL", "a value is not a number: price is 'NULL'");
    stops("1,1700000009,NULL", "missing = TEXT");
}

/* 100 asks for all that can be had, and the counts say what it is. */
static void test_counts(void **state) {
    struct dataset d;
    (void)state;
    assert_int_equal(prep_log("2,1700000009,9.5", "", "100"), OK);
    assert_int_equal(dataset_read(&d, out), OK);
    assert_int_equal(d.conversions, 0);
    assert_int_equal(d.rejected, 100);
    assert_int_equal(d.labels[0].lines, ROWS / 2 + 100);
    assert_int_equal(d.labels[0].rejected, 100);
    assert_int_equal(d.labels[1].lines, 100);
    assert_int_equal(d.labels[1].rejected, 100);
    dataset_free(&d);
    clean();
}

/* A cell too many moves the labels: what stands in their place then is no label. Texts that mean no
 * value are none either; nor are nine rows enough. */
static void test_goes_on(void **state) {
    (void)state;
    assert_int_equal(prep_log("0,,9.5,more", "", "1"), OK);
    clean();
    assert_int_equal(prep_log("NULL,,9.5", "missing = NULL\nclick_time = time", "1"), ERR_LIMIT);
    assert_non_null(strstr(fail_text(), "look like a click")); /* and not like a conversion */
    struct buf text = BUF_EMPTY;
    assert_int_equal(buf_printf(&text, "click,buy,buy_time,price,time,item\n"), OK);
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(
            buf_printf(&text, i < 9 ? "1,2,,1,1700000000,x\n" : "%u,0,,1,1700000000,x\n", i % 2),
            OK);
    }
    assert_int_equal(file_write_atomic(skeleton, text.data, text.len), OK);
    assert_int_equal(
        prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out, NULL), OK);
    buf_fini(&text);
    clean();
}

/* Of 5 % of positives among 0.5 % of others, seven times their share, with --max-bad 6. */
static void test_times_others(void **state) {
    struct buf text = BUF_EMPTY;
    (void)state;
    write_log("1,1700000009,9.5"); /* for the schema */
    assert_int_equal(prep_log("1,1700000009,9.5", "", "6"), OK);
    clean();
    assert_int_equal(buf_printf(&text, "click,buy,buy_time,price,time,item\n"), OK);
    for (unsigned i = 0; i < 20000; i++) {
        const bool positive = i % 10 == 0;
        const char *price = i % 200 == 0 || i % 143 == 1 ? "?" : "1";
        assert_int_equal(buf_printf(&text, "%u,0,,%s,1700000000,x\n", positive, price), OK);
    }
    assert_int_equal(file_write_atomic(skeleton, text.data, text.len), OK);
    refused(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out,
                 "--max-bad", "6", NULL),
            ERR_LIMIT, "lines that look like a click");
    buf_clear(&text); /* of nearly all lines a few are no wonder */
    assert_int_equal(buf_printf(&text, "click,buy,buy_time,price,time,item\n"), OK);
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(
            buf_printf(&text, "%u,0,,%s,1700000000,x\n", i % 20 != 0, i % 1601 == 1 ? "?" : "1"),
            OK);
    }
    assert_int_equal(file_write_atomic(skeleton, text.data, text.len), OK);
    assert_int_equal(
        prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out, NULL), OK);
    buf_fini(&text);
    clean();
}

/* Ali-CCP's format too: labels of floats are read; rows without a common row are counted. */
static void test_aliccp(void **state) {
    struct buf text = BUF_EMPTY;
    struct dataset d;
    (void)state;
    write_text(common, "k,1,u\x02"
                       "1\x03"
                       "1.0\n");
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(
            buf_printf(&text, "%u,%u.0,%s,k,0,\n", i, i % 2, i % 200 == 1 ? "true" : "false"), OK);
    }
    assert_int_equal(file_write_atomic(skeleton, text.data, text.len), OK);
    assert_int_equal(prep(ALICCP, out, NULL), OK);
    assert_int_equal(dataset_read(&d, out), OK);
    assert_int_equal(d.clicks, 1000);
    assert_int_equal(d.conversions, 10);
    dataset_free(&d);
    clean();
    buf_clear(&text);
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(buf_printf(&text, "%u,1,%s,0,\n", i, i % 200 == 1 ? "1,q" : "0,k"), OK);
    }
    assert_int_equal(file_write_atomic(skeleton, text.data, text.len), OK);
    refused(prep(ALICCP, out, NULL), ERR_LIMIT, "10 of the 10 lines that look like a conversion");
    refused(prep(ALICCP, out, NULL), ERR_LIMIT, "The common file lacks their rows");
    buf_fini(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),  cmocka_unit_test(test_converts),
        cmocka_unit_test(test_stops),   cmocka_unit_test(test_counts),
        cmocka_unit_test(test_goes_on), cmocka_unit_test(test_times_others),
        cmocka_unit_test(test_aliccp),
    };
    return cmocka_run_group_tests(tests, prep_setup, prep_teardown);
}
