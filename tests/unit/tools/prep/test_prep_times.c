/* A log's times through esmm prep as a whole: the unit is decided once a log, nothing passes for
 * seconds that is none, and the first and the last time are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/bytes.h"
#include "common/data/dataset.h"
#include "common/data/shard.h"

#include <cmocka.h>

#include "tests/prep_case.h"

static char schema[160];

static void write_schema(const char *more) {
    char text[512];
    snprintf(schema, sizeof schema, "%s/schema", dir);
    snprintf(text, sizeof text,
             "[log]\nclick = c\nconversion = b\nitem = i\ntime = t\n"
             "conversion_time = bt\n%s",
             more);
    write_text(schema, text);
}

static enum status prep_threads(const char *threads, const char *to) {
    return prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", to,
                "--threads", threads, "--shard-impressions", "64", NULL);
}

/* 300 rows, times by `format`, one row in five converted a step later. */
static void write_rows(const char *format, uint64_t first, uint64_t step, const char *extra) {
    struct buf text = BUF_EMPTY;
    char time[64];
    assert_int_equal(buf_printf(&text, "c,b,i,t,bt\n"), OK);
    for (unsigned k = 0; k < 300; k++) {
        snprintf(time, sizeof time, format, (unsigned long long)(first + k * step));
        assert_int_equal(buf_printf(&text, "1,%d,%u,%s,", k % 5 == 0, k % 7, time), OK);
        snprintf(time, sizeof time, format, (unsigned long long)(first + (k + 1) * step));
        assert_int_equal(buf_printf(&text, "%s\n", k % 5 == 0 ? time : ""), OK);
    }
    assert_int_equal(buf_printf(&text, "%s", extra), OK);
    assert_int_equal(file_write_atomic(skeleton, text.data, text.len), OK);
    buf_fini(&text);
}

/* With one thread and with three; the times are first and last. */
static void gives(uint64_t first, uint64_t last, const char *says) {
    struct dataset d;
    struct shard s;
    for (int k = 0; k < 2; k++) {
        const enum status status = prep_threads(k == 0 ? "1" : "3", out);
        if (status != OK) {
            fail_msg("%s", fail_text());
        }
        assert_int_equal(dataset_read(&d, out), OK);
        assert_int_equal(d.impressions, 300);
        assert_int_equal(d.conversions, 60);
        assert_int_equal(d.first_time, first);
        assert_int_equal(d.last_time, last);
        assert_string_equal(d.fields.times, says);
        assert_int_equal(shard_read(&s, out, d.shards[0].name, &d.schema), OK);
        assert_int_equal(s.time[0], first);
        assert_true(s.conversion_time[0] == s.time[1]);
        shard_free(&s);
        dataset_free(&d);
        clean();
    }
}

static void test_units(void **state) {
    (void)state;
    write_schema("");
    write_rows("%llu", 1650610800, 2, "");
    gives(1650610800, 1650611398, "time_unit = s");
    write_rows("%llu", 1650610800000, 2000, "");
    gives(1650610800, 1650611398, "time_unit = ms");
    write_rows("%llu.0", 1650610800000000, 2000000, "");
    gives(1650610800, 1650611398, "time_unit = us");
    write_schema("time_unit = ms\n");
    write_rows("%llu", 1650610800000, 2000, "");
    gives(1650610800, 1650611398, "time_unit = ms");
    write_schema("time_origin = 2022-04-22 07:00:00Z\n");
    write_rows("%llu", 0, 2, "");
    gives(1650610800, 1650611398, "time_unit = s, time_origin = 2022-04-22 07:00:00Z");
}

static void test_texts(void **state) {
    (void)state;
    write_schema("time_format = iso\ntimezone = +08:00\n");
    write_rows("2022-04-22T15:00:00.%03llu", 0, 1, "");
    gives(1650610800, 1650610800, "time_format = iso, timezone = +08:00");
    write_schema("time_format = %y%m%d%H%M\n");
    write_rows("220422%04llu", 700, 0, "");
    gives(1650610800, 1650610800, "time_format = %y%m%d%H%M");
    write_schema("time_format = %d%H%M\ntime_origin = 2022-04-01\n");
    write_rows("22%04llu", 700, 0, "");
    gives(1650610800, 1650610800, "time_format = %d%H%M, time_origin = 2022-04-01");
}

/* What is no time in seconds does not pass for one, and the message says what it looks like. */
static void test_traps(void **state) {
    (void)state;
    static const struct {
        const char *format;
        uint64_t first, step;
        const char *says;
    } traps[] = {
        {"%llu", 14102100, 0, "looks like a date: time_format = %y%m%d%H"},
        {"%llu", 20140610, 0, "looks like a date: time_format = %Y%m%d"},
        {"%llu", 201406101230, 1, "looks like a date: time_format = %Y%m%d%H%M"},
        {"%llu", 2014061012, 0,
         "times such as 2014061012 may be dates: log.time_format = %Y%m%d%H"},
        {"%llu", 1406101230, 0,
         "times such as 1406101230 may be dates: log.time_format = %y%m%d%H%M"},
        {"2014-06-10 12:30:%02llu", 0, 0, "looks like a date: time_format = iso"},
        {"%llu", 5, 1, "needs time_origin"},
        {"day %llu", 5, 1, "t is 'day 5'\t1,1,0,day 5,"},
    };
    write_schema("");
    for (size_t k = 0; k < sizeof traps / sizeof *traps; k++) {
        write_rows(traps[k].format, traps[k].first, traps[k].step, "");
        refused(prep_threads("2", out), k == 3 || k == 4 ? ERR_FORMAT : ERR_LIMIT, traps[k].says);
    }
    write_schema("time_unit = s\n"); /* who says so is believed */
    write_rows("%llu", 1406101230, 0, "");
    gives(1406101230, 1406101230, "time_unit = s");
    write_rows("%llu", 1650610800000, 2000, "");
    refused(prep_threads("2", out), ERR_LIMIT, "looks like milliseconds: time_unit = ms");
}

/* Later times of another unit are rejects, whatever the number of threads. */
static void test_contradiction(void **state) {
    struct buf extra = BUF_EMPTY;
    (void)state;
    for (int k = 0; k < 20; k++) {
        assert_int_equal(buf_printf(&extra, "0,0,1,1650610800,\n"), OK);
    }
    write_schema("");
    write_rows("%llu", 1650610800000, 2000, (const char *)extra.data);
    refused(prep_threads("1", out), ERR_LIMIT, "looks like seconds: time_unit = s");
    refused(prep_threads("3", out), ERR_LIMIT, "20 of 321 lines rejected");
    buf_fini(&extra);
}

/* The head is looked at without a header too, and of a log that begins with what is no row. */
static void test_head(void **state) {
    struct dataset d;
    (void)state;
    write_schema("header = no\ncolumns = c, b, i, t, bt\n");
    write_text(skeleton, "\xef\xbb\xbf"
                         "1,0,1,,\nno row\n1,1,1,1650610800000,1650610801000\n");
    assert_int_equal(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out,
                          "--max-bad", "100", NULL),
                     OK);
    assert_int_equal(dataset_read(&d, out), OK);
    assert_int_equal(d.impressions, 1);
    assert_int_equal(d.first_time, 1650610800);
    dataset_free(&d);
    clean();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_traps), cmocka_unit_test(test_contradiction),
        cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests(tests, prep_setup, prep_teardown);
}
