/* The schema of a delimited log: every key, and what is said of a wrong one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tools/log/csv_schema_file.h"

#include <cmocka.h>

static const char whole[] = "; a comment\n"
                            "[log]\n"
                            "delimiter = semicolon\n"
                            "quotes = no\n"
                            "missing = NULL\n"
                            "impression = id\n"
                            "group = g\n"
                            "click = c\n"
                            "conversion = b\n"
                            "decimal = comma\n"
                            "thousands = .\n"
                            "labels = count\n"
                            "time_unit = ms\n"
                            "time_origin = 2020-01-01\n"
                            "time = t\n"
                            "click_time = ct\n"
                            "conversion_time = bt\n"
                            "user = age, city\n"
                            "  user = tags\n"
                            "item = price\n"
                            "[column.age]\n"
                            "kind = numeric\n"
                            "bounds = 18, 25.5\n"
                            "missing = -1\n"
                            "[column.price]\n"
                            "kind = numeric\n"
                            "log = 1, 1000, 3\n"
                            "[column.tags]\n"
                            "multi = |\n"
                            "weight = colon\n"
                            "field = labels\n";

static void test_whole(void **state) {
    struct csv_schema s;
    (void)state;
    assert_int_equal(csv_schema_parse(&s, "t", whole), OK);
    assert_int_equal(s.delimiter, ';');
    assert_int_equal(s.quote, 0);
    assert_true(s.header);
    assert_true(s.missing.count == 1 && strcmp(s.missing.text[0], "NULL") == 0);
    assert_string_equal(s.impression.name, "id");
    assert_string_equal(s.group.name, "g");
    assert_int_equal(s.count, 4);
    assert_string_equal(s.columns[0].name, "age");
    assert_int_equal(s.columns[0].rule.bound_count, 2);
    assert_true(s.columns[0].rule.bounds[1] == 25.5);
    assert_string_equal(s.columns[0].missing.text[0], "-1");
    assert_string_equal(s.columns[2].field, "labels");
    assert_int_equal(s.columns[2].multi, '|');
    assert_int_equal(s.columns[2].weight, ':');
    assert_int_equal(s.columns[3].side, SIDE_ITEM);
    assert_int_equal(s.columns[3].rule.bound_count, 4);
    assert_true(s.columns[3].rule.bounds[0] == 1 && s.columns[3].rule.bounds[3] == 1000);
    const struct span header[] = {{"price", 5}, {"id", 2},  {"g", 1},    {"c", 1},
                                  {"b", 1},     {"ct", 2},  {"t", 1},    {"x", 1},
                                  {"bt", 2},    {"age", 3}, {"city", 4}, {"tags", 4}};
    assert_int_equal(csv_schema_bind(&s, "f", header, 12), OK);
    assert_int_equal(s.columns[3].place, 0);
    assert_int_equal(s.columns[2].place, 11);
    assert_int_equal(s.click_time.place, 5);
    assert_int_equal(s.time.place, 6);
    assert_int_equal(s.conversion_time.place, 8);
    assert_int_equal(s.click.role.place, 3);
    assert_int_equal(csv_schema_bind(&s, "f", header, 11), ERR_CONFIG);
    assert_non_null(strstr(fail_text(), "no column 'tags'; the nearest is '"));
    csv_schema_free(&s);
    csv_schema_free(&s);
}

#define LOG "[log]\nclick=c\nconversion=b\nuser=u\n"

#define TIMED "time = t\nconversion_time = ct\n"

static void test_refuses(void **state) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "log.click is missing"},
        {"click = c\n", "t:1: click stands before the first section"},
        {"[log]\nclick = c\nuser = a\n", "log.conversion is missing"},
        {"[log]\nclick = c\nconversion = b\n", "log.user and log.item are missing"},
        {"[log]\nclik = c\n", "t:2: unknown key 'clik' in [log]; the nearest is 'click'"},
        {"[log]\nclick\n", "t:2: expected key = value"},
        {"[lg]\n", "t:1: unknown section [lg]; the nearest is [log]"},
        {"[columns.a]\n", "the nearest is [column.NAME]"},
        {"[log\n", "t:1: '[log' lacks its ']'"},
        {LOG "[column.u]\nkid = hash\n", "unknown key 'kid' in [column.u]; the nearest is 'kind'"},
        {LOG "[column.u]\nkind = hsh\n", "kind: 'hsh'; the nearest is 'hash'"},
        {LOG "[column.v]\nkind = id\n", "[column.v]: log.user and log.item do not have that "
                                        "column; the nearest is 'u'"},
        {LOG "item = u\n", "column 'u' comes twice"},
        {LOG "item = c\n", "column 'c' is a label (or its time) and a field"},
        {LOG "item = x\ntime=t\nconversion_time=x\n", "'x' is a label (or its time) and a field"},
        {LOG "item = x\nbehaviours = y, x\n", "'x' is a label (or its time) and a field"},
        {LOG "item = x\nweight = x\n", "'x' is the rows' weight and a field"},
        {LOG "sample_rate = 0\n", "sample_rate: '0': expected the share of the unclicked"},
        {LOG "sample_rate = 10\n", "sample_rate: '10': expected the share of the unclicked"},
        {LOG "sample_rate = nan\n", "sample_rate: 'nan'"},
        {LOG "sample_rate = col\n", "sample_rate: 'col' is not a number"},
        {LOG "behaviours = a, b, c, d, e\n", "behaviours: more than 4 behaviours"},
        {LOG "click = d\n", "t:5: log.click is given twice in this file: first in line 2"},
        {LOG "click = c\n", "t:5: log.click is given twice in this file: first in line 2"},
        {LOG "[column.u]\nkind = id\n[log]\nclick = d\n",
         "t:8: log.click is given twice in this file: first in line 2"},
        {LOG "[column.u]\nkind = id\n[column.u]\nkind = id\n",
         "t:8: column.u.kind is given twice in this file: first in line 6"},
        {LOG "[column.u]\nuniform = 0, 1, 2\nuniform = 0, 1, 2\n",
         "column.u.uniform is given twice in this file: first in line 6"},
        {LOG "missing = \"a\n", "missing: \"a: the quote is not closed"},
        {LOG "missing = \"a\" b\n", "missing: 'b' behind a closing quote"},
        {LOG "missing = a, , b\n", "missing: an empty text in a list"},
        {LOG "missing = a,b,c,d,e,f,g,h,i\n", "missing: more than 8 texts"},
        {LOG "item = \"\"\n", "item: a column's name is empty"},
        {LOG "impression =\n", "impression: '': a name of 0 bytes"},
        {"[log]\nclick = c\nconversion_from = t\nconversion = t\n",
         "conversion: where that label is was "
         "said already"},
        {LOG "conversion_none = -1\n", "log.conversion_none needs log.conversion_from"},
        {"[log]\nclick = c\nconversion = none\nuser = u\nbehaviours = b\n",
         "log.conversion = none"},
        {"[log]\nclick = c\nconversion = none\nuser = u\ntime = t\nconversion_time = ct\n",
         "log.conversion_time, and log.conversion = none"},
        {"[log]\nclick_from = c\nconversion = none\nuser = c\n", "'c' is a label"},
        {LOG "decimal = 1\n", "log.decimal: '1' is another part of a number"},
        {LOG "thousands = -\n", "log.thousands: '-' is another part of a number"},
        {LOG "thousands = .\n", "log.thousands is what parts decimals; log.decimal is '.'"},
        {LOG "decimal = comma\nthousands = ,\n", "log.thousands is what parts decimals"},
        {LOG "labels = cont\n", "labels: 'cont'; the nearest is 'count'"},
        {LOG "label = c\n", "log.label needs log.labels = funnel"},
        {LOG "labels = funnel\n", "log.labels = funnel needs log.label"},
        {LOG "labels = funnel\nlabel = c\n", "log.click and log.conversion do not go with it"},
        {LOG "time = t\n", "log.conversion_time is missing"},
        {LOG "conversion_time = t\n", "log.time is missing"},
        {LOG "click_time = t\n", "log.time is missing"},
        {LOG "time_unit = ms\n", "log.time is missing"},
        {LOG TIMED "time_unit = min\n", "time_unit: 'min'; the nearest is '"},
        {LOG TIMED "time_format = ISO 8601\n", "log.time_format: 'ISO 8601': expected iso"},
        {LOG TIMED "time_format = %Y-%Q\n", "log.time_format: '%Q' in '%Y-%Q': known are"},
        {LOG TIMED "time_format = %\n", "log.time_format: '%'"},
        {LOG TIMED "time_format = %d%H%M\n", "log.time_format names no year: log.time_origin"},
        {LOG TIMED "time_format = iso\ntime_origin = 2020-01-01\n", "log.time_origin has nothing"},
        {LOG TIMED "time_format = iso\ntime_unit = ms\n", "log.time_unit is for numbers"},
        {LOG TIMED "time_origin = soon\n", "log.time_origin: 'soon': expected a date"},
        {LOG TIMED "time_origin = 1900-01-01\n", "log.time_origin: '1900-01-01' is not from 1990"},
        {LOG TIMED "timezone = UTC\n", "log.timezone needs log.time_format"},
        {LOG TIMED "time_format = iso\ntimezone = Europe/Berlim\n",
         "log.timezone: 'Europe/Berlim' is "
         "not in"},
        {LOG TIMED "time_format = iso\ntimezone = ../passwd\n",
         "log.timezone: '../passwd' is not in"},
        {LOG TIMED "time_format = iso\ntimezone = +25:00\n", "log.timezone: '+25:00' is not in"},
        {LOG "item = a=b\n", "[column.a=b]: field name 'a=b'"},
        {LOG "delimiter = ab\n", "delimiter: 'ab': expected one character"},
        {LOG "delimiter = \"\n", "log.delimiter is the quote"},
        {LOG "header = maybe\n", "header: 'maybe': expected yes or no"},
        {LOG "header = no\n", "log.header = no needs log.columns"},
        {LOG "columns = a\n", "log.columns needs log.header = no"},
        {LOG "[column.u]\nkind = numeric\n", "kind = numeric needs bounds"},
        {LOG "[column.u]\nbounds = 1\n", "need kind = numeric"},
        {LOG "[column.u]\nbounds = 1, 1\n", "numbers that ascend"},
        {LOG "[column.u]\nbounds = 1, x\n", "'x' is not a number"},
        {LOG "[column.u]\nuniform = 1, 2\n", "expected from, to, steps"},
        {LOG "[column.u]\nuniform = 1, 2, 2.5\n", "expected from, to, steps"},
        {LOG "[column.u]\nuniform = 1, 2, 1e9\n", "expected from, to, steps"},
        {LOG "[column.u]\nlog = 0, 2, 2\n", "with 0 < from < to"},
        {LOG "[column.u]\nmulti = comma\n", "delimiter, multi and weight must differ"},
        {LOG "[column.u]\nmulti = |\nweight = pipe\n", "delimiter, multi and weight must differ"},
        {LOG "[column.u]\nfield = a]b\n", "field name 'a]b'"},
        {LOG "item = i\n[column.u]\nfield = i\n", "field 'i' comes twice"},
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct csv_schema s;
        assert_int_equal(csv_schema_parse(&s, "t", cases[k].text), ERR_CONFIG);
        if (strstr(fail_text(), cases[k].says) == NULL) {
            fail_msg("case %zu says '%s', expected '%s'", k, fail_text(), cases[k].says);
        }
    }
}

static void test_no_header(void **state) {
    struct csv_schema s;
    (void)state;
    assert_int_equal(csv_schema_parse(&s, "t", LOG "header=no\ncolumns=b,c\ncolumns=u\n"), OK);
    assert_int_equal(s.name_count, 3);
    assert_int_equal(csv_schema_bind(&s, "t", NULL, 0), OK);
    assert_int_equal(s.click.role.place, 1);
    assert_int_equal(s.columns[0].place, 2);
    csv_schema_free(&s);
    assert_int_equal(csv_schema_parse(&s, "t", LOG "header=no\ncolumns=b,c,u,b\n"), OK);
    assert_int_equal(csv_schema_bind(&s, "t", NULL, 0), ERR_CONFIG);
    assert_non_null(strstr(fail_text(), "column 'b' is there 2 times"));
    csv_schema_free(&s);
}

/* Lists go on in a second line of their key; texts with commas, quotes and blanks are quoted. */
static void test_one_label(void **state) {
    struct csv_schema s;
    (void)state;
    assert_int_equal(csv_schema_parse(&s, "t",
                                      "[log]\nclick = c\nconversion = none\nuser = u\n"
                                      "time = t\n"),
                     OK);
    assert_int_equal(s.conversion.source, LABEL_NEVER);
    csv_schema_free(&s);
    assert_int_equal(csv_schema_parse(&s, "t",
                                      "[log]\nclick = \"all\"\nconversion = \"none\"\n"
                                      "user = u\n"),
                     OK); /* columns of these names */
    assert_string_equal(s.click.role.name, "all");
    assert_string_equal(s.conversion.role.name, "none");
    csv_schema_free(&s);
}

static void test_lists(void **state) {
    static const char *const texts[] = {"NULL", "\\N", "a, b", "say \"x\"", " "};
    struct csv_schema s;
    (void)state;
    assert_int_equal(csv_schema_parse(&s, "t",
                                      LOG "item = \"a, b\", \"class \" ,x]\n"
                                          "missing = NULL , \\N\n"
                                          "missing = \"a, b\",\"say \"\"x\"\"\",\" \"\n"
                                          "[column.\"class \"]\nfield = class\nmissing = -1\n"
                                          "missing = \"\"\n"
                                          "[column.\"a, b\"]\nfield = ab\n"
                                          "[column.x]]\nfield = x\n"),
                     OK);
    assert_int_equal(s.missing.count, 5);
    for (uint32_t k = 0; k < 5; k++) {
        assert_string_equal(s.missing.text[k], texts[k]);
        assert_true(text_list_has(&s.missing, (struct span){texts[k], strlen(texts[k])}));
    }
    assert_false(text_list_has(&s.missing, (struct span){"NUL", 3}));
    assert_false(text_list_has(&s.missing, (struct span){"NULL ", 5}));
    assert_string_equal(s.columns[1].name, "a, b");
    assert_string_equal(s.columns[1].field, "ab");
    assert_string_equal(s.columns[2].name, "class ");
    assert_string_equal(s.columns[3].field, "x");
    assert_int_equal(s.columns[2].missing.count, 2);
    assert_string_equal(s.columns[2].missing.text[0], "-1");
    csv_schema_free(&s);
}

static void test_mutations(void **state) {
    (void)state;
    for (uint64_t round = 0; round < 20000; round++) {
        char text[sizeof whole];
        struct csv_schema s;
        memcpy(text, whole, sizeof text);
        for (uint64_t k = 0; k < 1 + round % 4; k++) {
            text[rng_below(5, round, k, sizeof text - 1)] =
                (char)(1 + rng_below(5, round, k + 10, 126));
        }
        const enum status status = csv_schema_parse(&s, "t", text);
        assert_true(status == OK || status == ERR_CONFIG);
        csv_schema_free(&s);
    }
}

static void test_memory_fails(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        struct csv_schema s;
        mem_fail_after(n);
        const enum status status = csv_schema_parse(&s, "t", whole);
        mem_fail_after(0);
        csv_schema_free(&s);
        if (status == OK) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_no_header),    cmocka_unit_test(test_lists),
        cmocka_unit_test(test_one_label),    cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
