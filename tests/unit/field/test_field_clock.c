/* Times as logs write them: dates, zones, units, and what a text looks like that was not
 * understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/field/field_clock.h"

#include <cmocka.h>

#define REFUSED INT64_MIN

/* --- dates ------------------------------------------------------------------------------------ */

static int64_t read_civil(const char *format, const char *text) {
    struct civil c = {.year = 2017, .month = 3, .day = 1};
    const size_t n = strlen(text);
    char *copy = malloc(n + 1); /* no byte beyond: reads past the end are found */
    assert_non_null(copy);
    memcpy(copy, text, n);
    const bool good = civil_read(format, (struct span){copy, n}, &c);
    free(copy);
    return good ? civil_seconds(&c) - c.offset : REFUSED;
}

static void test_formats(void **state) {
    static const struct {
        const char *format, *text;
        int64_t want;
    } cases[] = {
        {"iso", "1970-01-01", 0},
        {"iso", "2014-10-21", 1413849600},
        {"iso", "2014-10-21 00:30", 1413851400},
        {"iso", "2014-10-21T00:30:05", 1413851405},
        {"iso", "2014-10-21T00:30:05Z", 1413851405},
        {"iso", "2014-10-21T00:30:05.123456789Z", 1413851405},
        {"iso", "2014-10-21 00:30:05,5 +08:00", 1413851405 - 28800},
        {"iso", "2014-10-21T00:30:05-0330", 1413851405 + 12600},
        {"iso", "2014-10-21T00:30:05+08", 1413851405 - 28800},
        {"iso", "2016-02-29", 1456704000},
        {"iso", "2015-02-29", REFUSED},
        {"iso", "2014-13-01", REFUSED},
        {"iso", "2014-00-01", REFUSED},
        {"iso", "2014-10-32", REFUSED},
        {"iso", "2014-10-21T24:00", REFUSED},
        {"iso", "2014-10-21T", REFUSED},
        {"iso", "2014-10-21T00", REFUSED},
        {"iso", "2014-10-21 00:30:05.", REFUSED},
        {"iso", "2014-10-21 00:30 CET", REFUSED},
        {"iso", "2014-1-2", REFUSED},
        {"iso", "20141021", REFUSED},
        {"iso", "", REFUSED},
        {"%y%m%d%H", "14102100", 1413849600},
        {"%y%m%d%H", "14102123", 1413849600 + 23 * 3600},
        {"%y%m%d%H", "1410210", REFUSED},
        {"%y%m%d%H", "141021000", REFUSED},
        {"%y%m%d%H", "20141021", REFUSED}, /* month 14 */
        {"%Y%m%d", "20141021", 1413849600},
        {"%Y%m%d%H%M", "201410210030", 1413851400},
        {"%Y-%m-%d %H:%M:%S.%f", "2014-10-21 00:30:05.25", 1413851405},
        {"%d/%b/%Y:%H:%M:%S %z", "21/Oct/2014:00:30:05 +0000", 1413851405},
        {"%d/%m/%Y %H:%M", "21/10/2014 0:30", 1413851400},
        {"%m/%d/%Y", "1/2/2014", 1388620800},
        {"%Y-%j", "2014-294", 1413849600},
        {"%Y%j", "2015366", REFUSED},
        {"%d%H%M", "170000", 1489708800}, /* of March 2017 */
        {"%d%H%M", "320000", REFUSED},
        {"%d%H%M", "0000", REFUSED},
        {"100%%%Y", "100%1970", 5097600}, /* 1 March, by the base */
        {"%Y", "70", REFUSED},
        {"%S", "60", 1488326460},
        {"%S", "61", REFUSED},
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const int64_t got = read_civil(cases[k].format, cases[k].text);
        if (got != cases[k].want) {
            fail_msg("'%s' by '%s' is %lld, expected %lld", cases[k].text, cases[k].format,
                     (long long)got, (long long)cases[k].want);
        }
    }
}

/* Every day from 1969 to 2101 there and back, against the C library. */
static void test_days(void **state) {
    (void)state;
    for (int64_t t = -86400 * 365; t < INT64_C(4133980800); t += 86400 * 3 + 12345) {
        struct civil c;
        const time_t as_time = (time_t)t;
        struct tm tm;
        civil_of(t, &c);
        gmtime_r(&as_time, &tm);
        assert_int_equal(civil_seconds(&c), t);
        assert_true(c.year == tm.tm_year + 1900 && c.month == tm.tm_mon + 1 &&
                    c.day == tm.tm_mday && c.hour == tm.tm_hour && c.minute == tm.tm_min &&
                    c.second == tm.tm_sec);
    }
}

static void test_mutations(void **state) {
    static const char *const formats[] = {"iso", "%d/%b/%Y:%H:%M:%S %z", "%y%m%d%H", "%Y%j%f"};
    static const char *const good[] = {"2014-10-21T00:30:05.25+08:00", "21/Oct/2014:00:30:05 +0000",
                                       "14102100", "2014294123"};
    static const char alphabet[] = "0123456789:-+/ TZ.%\xff";
    (void)state;
    for (uint64_t round = 0; round < 100000; round++) {
        char text[64];
        snprintf(text, sizeof text, "%s", good[round % 4]);
        const size_t n = strlen(text);
        for (uint64_t k = 0; k < 1 + round % 4; k++) {
            text[rng_below(3, round, k, n)] =
                alphabet[rng_below(3, round, k + 10, sizeof alphabet - 1)];
        }
        const int64_t got = read_civil(formats[round % 4], text);
        assert_true(got == REFUSED || (got > -INT64_C(62200000000) && got < INT64_C(253500000000)));
    }
}

/* --- zones ------------------------------------------------------------------------------------ */

static int64_t at_zone(const char *name, const char *wall, enum zone_fit *fit) {
    struct zone z;
    const enum status status = zone_find(&z, name);
    if (status != OK) {
        return REFUSED;
    }
    return zone_utc(&z, read_civil("iso", wall), fit);
}

static void test_zones(void **state) {
    static const struct {
        const char *zone, *wall, *utc;
        enum zone_fit fit;
    } cases[] = {
        {"UTC", "2014-10-21 00:00", "2014-10-21 00:00", ZONE_ONCE},
        {"+08:00", "2014-10-21 00:00", "2014-10-20 16:00", ZONE_ONCE},
        {"-0330", "2014-10-21 00:00", "2014-10-21 03:30", ZONE_ONCE},
        {"Asia/Shanghai", "2022-04-22 00:00", "2022-04-21 16:00", ZONE_ONCE},
        {"Asia/Shanghai", "1991-07-01 00:00", "1991-06-30 15:00", ZONE_ONCE},
        {"Europe/Berlin", "2014-01-01 12:00", "2014-01-01 11:00", ZONE_ONCE},
        {"Europe/Berlin", "2014-07-01 12:00", "2014-07-01 10:00", ZONE_ONCE},
        {"Europe/Berlin", "2080-07-01 12:00", "2080-07-01 10:00", ZONE_ONCE},
        {"Europe/Berlin", "2014-03-30 01:59:59", "2014-03-30 00:59:59", ZONE_ONCE},
        {"Europe/Berlin", "2014-03-30 02:00", "2014-03-30 01:00", ZONE_NEVER},
        {"Europe/Berlin", "2014-03-30 02:59:59", "2014-03-30 01:59:59", ZONE_NEVER},
        {"Europe/Berlin", "2014-03-30 03:00", "2014-03-30 01:00", ZONE_ONCE},
        {"Europe/Berlin", "2014-10-26 01:59:59", "2014-10-25 23:59:59", ZONE_ONCE},
        {"Europe/Berlin", "2014-10-26 02:30", "2014-10-26 00:30", ZONE_TWICE},
        {"Europe/Berlin", "2014-10-26 03:00", "2014-10-26 02:00", ZONE_ONCE},
        {"America/New_York", "2014-11-02 01:30", "2014-11-02 05:30", ZONE_TWICE},
        {"America/New_York", "2014-03-09 02:30", "2014-03-09 07:30", ZONE_NEVER},
    };
    enum zone_fit fit;
    struct zone z;
    (void)state;
    setenv("TZ", "Asia/Tokyo", 1);
    const bool names = file_exists("/usr/share/zoneinfo/Europe/Berlin");
    for (size_t k = 0; k < (names ? sizeof cases / sizeof *cases : 3); k++) {
        const int64_t got = at_zone(cases[k].zone, cases[k].wall, &fit);
        if (got == REFUSED) {
            fail_msg("%s", fail_text());
        }
        if (got != read_civil("iso", cases[k].utc) || fit != cases[k].fit) {
            fail_msg("%s in %s is %lld, fit %d", cases[k].wall, cases[k].zone, (long long)got,
                     (int)fit);
        }
    }
    assert_string_equal(getenv("TZ"), "Asia/Tokyo"); /* as it was */
    unsetenv("TZ");
    assert_int_equal(zone_find(&z, "Europe/Berlim"), ERR_CONFIG);
    assert_int_equal(zone_find(&z, "Europe"), ERR_CONFIG);
    assert_int_equal(zone_find(&z, "/etc/passwd"), ERR_CONFIG);
    assert_int_equal(zone_find(&z, ""), ERR_CONFIG);
    assert_int_equal(zone_find(&z, "+8"), ERR_CONFIG);
    assert_int_equal(zone_find(&z, "+08:60"), ERR_CONFIG);
    assert_null(getenv("TZ"));
}

/* --- cells ------------------------------------------------------------------------------------ */

static struct field_clock settings(enum clock_unit unit, const char *format, const char *zone,
                                   const char *origin) {
    struct field_clock c = {.unit = unit};
    snprintf(c.format, sizeof c.format, "%s", format);
    snprintf(c.zone_name, sizeof c.zone_name, "%s", zone);
    snprintf(c.origin_text, sizeof c.origin_text, "%s", origin);
    assert_int_equal(field_clock_finish(&c), OK);
    return c;
}

static void reads(const struct field_clock *c, const char *text, uint64_t want) {
    uint64_t got = 0;
    enum zone_fit fit;
    const bool good = field_clock_read(c, (struct span){text, strlen(text)}, &got, &fit);
    if (good != (want > 0) || got != want) {
        fail_msg("'%s' is %llu, expected %llu", text, (unsigned long long)got,
                 (unsigned long long)want);
    }
}

static void test_cells(void **state) {
    (void)state;
    struct field_clock c = settings(CLOCK_AUTO, "", "", "");
    reads(&c, "1700000000", 1700000000);
    reads(&c, " 1700000000.9 ", 1700000000);
    reads(&c, "1.7e9", 1700000000);
    reads(&c, "631152000", 631152000);
    reads(&c, "631151999", 0);
    reads(&c, "4102444799.9", 4102444799);
    reads(&c, "4102444800", 0);
    reads(&c, "1700000000000", 0);
    reads(&c, "14102100", 0);
    reads(&c, "20140610", 0);
    reads(&c, "201406101230", 0);
    reads(&c, "0", 0);
    reads(&c, "-1700000000", 0);
    reads(&c, "2014-10-21", 0);
    c = settings(CLOCK_MS, "", "", "");
    reads(&c, "1650610800999", 1650610800);
    reads(&c, "1650610800", 0);
    c = settings(CLOCK_US, "", "", "");
    reads(&c, "1650610800999999", 1650610800);
    c = settings(CLOCK_S, "", "", "2020-01-01");
    reads(&c, "0", 1577836800);
    reads(&c, "86400.5", 1577923200);
    reads(&c, "-1", 0);
    c = settings(CLOCK_MS, "", "", "1577836800");
    reads(&c, "1500", 1577836801);
    c = settings(CLOCK_AUTO, "%y%m%d%H", "", "");
    reads(&c, "14102100", 1413849600);
    reads(&c, "14102100.0", 1413849600);
    c = settings(CLOCK_AUTO, "%d%H%M", "+08:00", "2017-03-01");
    reads(&c, "170000", 1489708800 - 28800);
    c = settings(CLOCK_AUTO, "iso", "+08:00", "");
    reads(&c, "2022-04-22 00:00:00", 1650556800);
    reads(&c, "2022-04-22 00:00:00Z", 1650585600);
    reads(&c, "1969-04-22", 0);
}

static void guesses(const char *format, const char *text, const char *want) {
    const struct field_clock c = settings(CLOCK_AUTO, format, "", "");
    char got[CLOCK_GUESS];
    field_clock_guess(&c, (struct span){text, strlen(text)}, got);
    if (strcmp(got, want) != 0) {
        fail_msg("'%s': '%s', expected '%s'", text, got, want);
    }
}

static void test_guesses(void **state) {
    (void)state;
    guesses("", "1700000000000", "looks like milliseconds: time_unit = ms");
    guesses("", "1700000000000000", "looks like microseconds: time_unit = us");
    guesses("", "1700000000000000000", "looks like nanoseconds: divide by 1000 for time_unit = us");
    guesses("", "14102100", "looks like a date: time_format = %y%m%d%H");
    guesses("", "20140610", "looks like a date: time_format = %Y%m%d");
    guesses("", "201406101230", "looks like a date: time_format = %Y%m%d%H%M");
    guesses("", "20140610123000", "looks like a date: time_format = %Y%m%d%H%M%S");
    guesses("", "2014-06-10T12:30:00Z", "looks like a date: time_format = iso");
    guesses("", "21/Oct/2014:00:30:05 +0000",
            "looks like a date: time_format = %d/%b/%Y:%H:%M:%S %z");
    guesses("", "123", "before 1990: a clock that does not begin in 1970 needs time_origin");
    guesses("", "soon", "");
    guesses("", "", "");
    guesses("iso", "1700000000", "looks like seconds: time_unit = s");
    guesses("%Y%m%d", "14102100", "looks like a date: time_format = %y%m%d%H");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),   cmocka_unit_test(test_days),
        cmocka_unit_test(test_mutations), cmocka_unit_test(test_zones),
        cmocka_unit_test(test_cells),     cmocka_unit_test(test_guesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
