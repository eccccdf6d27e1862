/* What esmm prep doubts: labels that seem to be swapped, a field that is a row number, times to
 * come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdint.h>

#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/metric/evaluation.h"

#include <cmocka.h>

#include "tests/prep_case.h"

static char schema[160], log_path[160];

/* 3,000 rows: half of them clicked, of those one in ten converted. */
static void write_rows(void) {
    struct buf text = BUF_EMPTY;
    assert_int_equal(buf_printf(&text, "id,user,click,buy,item\n"), OK);
    for (unsigned i = 0; i < 3000; i++) {
        assert_int_equal(buf_printf(&text, "r%u,u%u,%d,%d,i%u\n", i, i / 3, i % 2 == 0, i % 20 == 0,
                                    i * 7 % 500),
                         OK);
    }
    assert_int_equal(file_write_atomic(skeleton, text.data, text.len), OK);
    buf_fini(&text);
}

/* What was logged, by prep with this schema; to be freed. */
static char *doubts(const char *keys, const char *orphans) {
    char *text = NULL;
    size_t n = 0;
    snprintf(schema, sizeof schema, "%s/schema", dir);
    snprintf(log_path, sizeof log_path, "%s/log", dir);
    write_text(schema, keys);
    write_text(log_path, "");
    assert_int_equal(log_open(log_path, "test"), OK);
    assert_int_equal(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out,
                          "--orphans", orphans, "--threads", "2", "--shard-impressions", "500",
                          NULL),
                     OK);
    log_close();
    assert_int_equal(file_read_all(log_path, 1u << 20, &text, &n), OK);
    clean();
    return text;
}

static void says(const char *keys, const char *orphans, const char *want) {
    char *text = doubts(keys, orphans);
    if (want == NULL ? text[0] != '\0' : strstr(text, want) == NULL) {
        fail_msg("it says '%s', expected '%s'", text, want == NULL ? "" : want);
    }
    mem_free(&text);
}

static void test_labels(void **state) {
    (void)state;
    write_rows();
    says("[log]\nclick = click\nconversion = buy\nuser = user\nitem = item\n", "zero", NULL);
    says(
        "[log]\nclick = buy\nconversion = click\nuser = user\nitem = item\n", "zero",
        "1350 of 1500 conversions have no click, and there are more of them than clicks: are the columns "
        "of clicks and conversions swapped? The rows count as no conversion");
    says("[log]\nclick = buy\nconversion = click\nuser = user\nitem = item\n", "drop",
         "The rows were dropped");
    says(
        "[log]\nclick = click\nconversion_from = buy\nconversion_none = 0, 1\nuser = user\nitem = item\n",
        "zero", "no row of 3000 has a conversion");
    says("[log]\nclick = click\nconversion = none\nuser = user\nitem = item\n", "zero", NULL);
    says("[log]\nclick_from = click\nclick_none = 0, 1\nconversion = none\nuser = user\n", "zero",
         "no row of 3000 has a click");
    says("[log]\nclick_from = click\nconversion = buy\nuser = user\n", "zero",
         "every one of 3000 rows has a click: is the column of that label the right one?");
    says("[log]\nclick = all\nconversion_from = buy\nuser = user\n", "zero",
         "every one of 3000 clicks has a conversion: is the column of that label the right one?");
    says("[log]\nclick = all\nconversion = buy\nuser = user\n", "zero", NULL);
}

static void test_ids(void **state) {
    (void)state;
    write_rows();
    says("[log]\nimpression = id\nclick = click\nconversion = buy\nuser = user\nitem = item, id\n",
         "zero", "field 'id' has a value of its own in nearly every row (about ");
    says("[log]\nclick = click\nconversion = buy\nuser = user, id\nitem = item\n", "zero",
         "field 'id'");
}

static void test_times(void **state) {
    (void)state;
    static const char keys[] = "[log]\nclick = click\nconversion = buy\nuser = user\nitem = item\n"
                               "time = at\nconversion_time = at\n";
    char relative[sizeof keys + 40];
    write_text(skeleton, "user,click,buy,item,at\nu1,1,1,i1,1400000000\nu2,0,0,i2,1400000600\n");
    says(keys, "zero", NULL);
    snprintf(relative, sizeof relative, "%stime_origin = 2070-01-01\ntime_unit = s\n", keys);
    write_text(skeleton, "user,click,buy,item,at\nu1,1,1,i1,0\nu2,0,0,i2,600\n");
    says(relative, "zero", "the last time is 2070-01-01 00:10:00, which is yet to come");
}

static void test_auc(void **state) {
    (void)state;
    assert_false(evaluation_doubt(0.99999, 0.5, NAN));
    assert_false(evaluation_doubt(NAN, NAN, NAN));
    assert_true(evaluation_doubt(0.7, 0.999996, 0.8));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_labels), cmocka_unit_test(test_ids),
                                       cmocka_unit_test(test_times), cmocka_unit_test(test_auc)};
    return cmocka_run_group_tests(tests, prep_setup, prep_teardown);
}
