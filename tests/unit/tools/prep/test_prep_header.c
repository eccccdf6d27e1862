/* What prep says of a file that is not the text it expects, or a header that does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"

#include <cmocka.h>

#include "tests/prep_case.h"

static char schema[128], input[128];

#define CSV    "--format", "csv", "--schema", schema, "--input", input, "--out", out
#define LABELS "click = click\nconversion = conv\n"

static void says(const char *ini, const char *log, enum status want, const char *text) {
    clean();
    write_text(schema, ini);
    write_text(input, log);
    refused(prep(CSV, NULL), want, text);
    for (const char *at = fail_text(); *at != '\0'; at++) { /* nothing that a terminal obeys */
        assert_true(((unsigned char)*at >= 0x20 && *at != 0x7f) || *at == '\t');
    }
}

static void test_delimiter(void **state) {
    static const char ini[] = "[log]\n" LABELS "item = x\n";
    (void)state;
    says(ini, "x\tclick\tconv\n1\t0\t0\n", ERR_CONFIG, "separated by tabs: delimiter = tab");
    says(ini, "x;click;conv\n1;0;0\n", ERR_CONFIG, "by semicolons: delimiter = semicolon");
    says(ini, "x|click|conv\n1|0|0\n", ERR_CONFIG, "by pipes: delimiter = pipe");
    says(ini, "x click conv\n1 0 0\n", ERR_CONFIG, "by spaces: delimiter = space");
    says(ini,
         "x\x01"
         "click\x01"
         "conv\n",
         ERR_CONFIG, "delimiter = \\x01");
    says("[log]\ndelimiter = tab\n" LABELS "item = x\n", "x,click,conv\n", ERR_CONFIG,
         "by commas: delimiter = comma");
    says(ini, "x,click,conv\r1,0,0\r", ERR_CONFIG, "lines seem to end with \\r alone");
    says("[log]\n" LABELS "item = my item\n", "our item,click,conv\n1,0,0\n", ERR_CONFIG,
         "no column 'my item'; the nearest is 'our item'");
    assert_null(strstr(fail_text(), "seems")); /* blanks in names are no delimiters */
}

static void test_names(void **state) {
    static const char log[] =
        "click,conv,\"new \",\"a, b\",\"say \"\"x\"\"\"\n1,0,p,q,r\n0,0,s,t,u\n";
    (void)state;
    says("[log]\n" LABELS "item = Price\n", "click,conv,p, i, price\n", ERR_CONFIG,
         "no column 'Price'; the nearest is \" price\"");
    says("[log]\n" LABELS "item = P\n", "click,conv,x,p\n", ERR_CONFIG, "the nearest is 'p'");
    says("[log]\nclick = click\nconversion_from = click\nitem = x\n", "click,conv,x\n", ERR_CONFIG,
         "column 'click' is the label of clicks and that of conversions");
    says("[log]\n" LABELS "item = new\n", log, ERR_CONFIG,
         "no column 'new'; the nearest is \"new \"");
    says("[log]\n" LABELS "item = \"a,b\"\n", log, ERR_CONFIG,
         "no column \"a,b\"; the nearest is \"a, b\"");
    clean();
    write_text(schema, "[log]\n" LABELS "item = \"new \", \"a, b\", \"say \"\"x\"\"\"\n"
                       "[column.\"new \"]\nkind = hash\n");
    write_text(input, log);
    assert_int_equal(prep(CSV, NULL), OK);
}

static void test_escapes(void **state) {
    (void)state;
    says("[log]\n" LABELS "item = 2Jx\n", "\x1b[2Jx\x07,click,conv\n", ERR_CONFIG,
         "the nearest is '\\x1b[2Jx\\x07'");
    says("[log]\n" LABELS "item = x\n", "\"x\ny\",click,conv,z\n", ERR_FORMAT, "header: quotes");
    says("[log]\n" LABELS "item = x error\n", "click,conv,\"x\nerrors\"\n", ERR_CONFIG,
         "the nearest is 'x\\x0aerrors'");
    says("[log]\n\x1b[2J = 1\n", "click,conv\n", ERR_CONFIG, "unknown key '\\x1b[2J'");
    says("[log\x1b]\n", "click,conv\n", ERR_CONFIG, "[log\\x1b]");
    says("[log]\n" LABELS "item = \xff\xfe\n", "click,conv,x\n", ERR_CONFIG, "\\xff\\xfe");
}

static void test_foreign(void **state) {
    static const char zstd[] = "\x28\xb5\x2f\xfd\x24\x1a", parquet[] = "PAR1\x15\x04\x15";
    (void)state;
    says("[log]\n" LABELS "item = x\n", zstd, ERR_FORMAT,
         "compressed (zstd), expected plain text; unpack it, or pipe it: zstdcat FILE |");
    says("[log]\n" LABELS "item = x\n", parquet, ERR_FORMAT, "is a Parquet file, expected");
    says(parquet, "click,conv,x\n", ERR_FORMAT, "schema: is a Parquet file");
    says(
        "[log]\nheader = no\ncolumns = x, click, conv, t, u\ntime = t\nconversion_time = u\n" LABELS
        "item = x\n",
        zstd, ERR_FORMAT, "is compressed (zstd)"); /* before the unit of times is asked */
    write_text(common, zstd);
    write_text(skeleton, "1,0,0,k,0,\n");
    refused(prep(ALICCP, out, NULL), ERR_FORMAT, "common.csv: is compressed (zstd)");
    assert_null(strstr(fail_text(), "pipe")); /* it is read at random places */
    write_text(common, "k,0,\n");
    write_text(skeleton, parquet);
    refused(prep(ALICCP, out, NULL), ERR_FORMAT, "skeleton.csv: is a Parquet file");
}

static void test_directory(void **state) {
    (void)state;
    clean();
    write_text(schema, "[log]\n" LABELS "item = x\n");
    write_text(input, "click,conv,x\n1,0,a\n");
    assert_int_equal(prep(CSV, NULL), OK);
    assert_int_equal(
        prep("--format", "csv", "--schema", schema, "--input", out, "--out", out2, NULL),
        ERR_FORMAT);
    assert_non_null(strstr(fail_text(), "is a directory of shards, as prep makes them"));
    snprintf(input, sizeof input, "%s/shard-00000.bin", out);
    assert_int_equal(
        prep("--format", "csv", "--schema", schema, "--input", input, "--out", out2, NULL),
        ERR_FORMAT);
    assert_non_null(
        strstr(fail_text(), "is a file of esmm's own, expected plain text; esmm inspect"));
}

static int setup(void **state) {
    const int made = prep_setup(state);
    snprintf(schema, sizeof schema, "%s/schema", dir);
    snprintf(input, sizeof input, "%s/log.csv", dir);
    return made;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delimiter), cmocka_unit_test(test_names),
        cmocka_unit_test(test_escapes),   cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_directory),
    };
    return cmocka_run_group_tests(tests, setup, prep_teardown);
}
