/* What esmm prep rejects, refuses, and says of it; a delimited log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/data/shard.h"

#include <cmocka.h>

#include "tests/prep_case.h"

#define F(field, id)                                                                               \
    field "\x02" id "\x03"                                                                         \
          "1.0"

/* `rejects` is what rejects.tsv holds below its head, with S and C for the two files. */
static void expect_rejects(const char *skeleton_text, const char *common_text, const char *want) {
    char path[PATH_BYTES_MAX], *got = NULL;
    size_t n = 0;
    struct buf full = BUF_EMPTY;
    write_text(skeleton, skeleton_text);
    write_text(common, common_text);
    assert_int_equal(prep(ALICCP, out, "--max-bad", "100", NULL), OK);
    assert_int_equal(buf_printf(&full, "file\tline\treason\thead of the line\n"), OK);
    for (const char *at = want; *at != '\0'; at += strcspn(at, "\n") + 1) {
        assert_int_equal(buf_printf(&full, "%s%.*s\n", *at == 'S' ? skeleton : common,
                                    (int)strcspn(at, "\n") - 1, at + 1),
                         OK);
    }
    assert_int_equal(path_join(path, out, "rejects.tsv"), OK);
    assert_int_equal(file_read_all(path, 1u << 20, &got, &n), OK);
    assert_string_equal(got, (const char *)full.data);
    mem_free(&got);
    buf_fini(&full);
    clean();
}

static void test_rejects(void **state) {
    (void)state;
    expect_rejects(
        "1,0,0,k,1," F("i", "5") "\n"
                                 "\n"
                                 "2,0,0,missing,1," F("i", "5") "\n"
                                                                "3,0,0,broken,1," F(
                                                                    "i", "5") "\n"
                                                                              "4,0,2,k,1," F(
                                                                                  "i\t\\",
                                                                                  "5") "\n"
                                                                                       "5,1,1,k,0,",
        "k,1," F("u", "1") "\n"
                           "broken,2," F("u", "2") "\n"
                                                   "k,1," F("u", "3") "\n",
        "C\t2\tfeature_num disagrees with the features\tbroken,2,u\\x022\\x031.0\n"
        "C\t3\tcommon index came before\tk,1,u\\x023\\x031.0\n"
        "S\t3\tno common row\t2,0,0,missing,1,i\\x025\\x031.0\n"
        "S\t4\tno common row\t3,0,0,broken,1,i\\x025\\x031.0\n"
        "S\t5\tlabel is not 0 or 1\t4,0,2,k,1,i\\t\\\\\\x025\\x031.0\n");
}

static void test_long_line(void **state) {
    const size_t n = (1u << 20) + 100;
    char *text = malloc(n + 100);
    struct dataset d;
    (void)state;
    assert_non_null(text);
    memset(text, 'x', n);
    memcpy(text + n, "\n1,0,0,k,0,\n", 13);
    write_text(skeleton, text);
    memcpy(text + n,
           "\nk,1,u\x02"
           "1\x03"
           "1.0\n",
           14);
    write_text(common, text);
    free(text);
    assert_int_equal(prep(ALICCP, out, "--max-bad", "60", NULL), OK);
    assert_int_equal(dataset_read(&d, out), OK);
    assert_int_equal(d.impressions, 1);
    assert_int_equal(d.rejected, 2);
    assert_int_equal(d.values, 1); /* the common row behind the long line was found */
    dataset_free(&d);
    clean();
}

static void test_refuses(void **state) {
    (void)state;
    write_text(common, "k,1," F("u", "1") "\n");
    write_text(skeleton, "");
    refused(prep(ALICCP, out, NULL), ERR_FORMAT, "is empty");
    write_text(skeleton, "\n\n");
    refused(prep(ALICCP, out, NULL), ERR_FORMAT, "is empty");
    write_text(skeleton, "x\ny\n");
    refused(prep(ALICCP, out, NULL), ERR_LIMIT, "2 of 2 lines rejected, more than --max-bad 1 %");
    refused(prep(ALICCP, out, NULL), ERR_LIMIT, "\t1\twrong number of columns\tx\n");
    refused(prep(ALICCP, out, "--max-bad", "100", NULL), ERR_FORMAT,
            "all 2 lines with rows were rejected; nothing was written. The first:");
    write_text(skeleton, "1,0,0,k,2," F("i", "1") "\x01" F("u", "1") "\n");
    refused(prep(ALICCP, out, NULL), ERR_FORMAT, "field 'u' is on both sides");
    write_text(skeleton, "1,0,0,k,1," F("i", "1") "\n");
    write_text(common, "");
    refused(prep(ALICCP, out, NULL), ERR_FORMAT, "is empty");
    write_text(common, "k,2," F("u", "1") "\n");
    refused(prep(ALICCP, out, NULL), ERR_LIMIT, "1 of 1 lines rejected");
    write_text(common, "k,1," F("u", "1") "\nk,1," F("u", "1") "\n");
    refused(prep(ALICCP, out, NULL), ERR_LIMIT, "common index came before");
}

static void test_command_line(void **state) {
    (void)state;
    write_text(common, "k,1," F("u", "1") "\n");
    refused(prep("--out", out, NULL), ERR_USAGE, "--format is missing");
    refused(prep("--format", "parquet", "--out", out, NULL), ERR_USAGE, "expected aliccp or csv");
    refused(prep("--format", "aliccp", "--out", out, NULL), ERR_USAGE, "--skeleton is missing");
    refused(prep(ALICCP, out, "--input", "x", NULL), ERR_USAGE, "--input does not belong");
    refused(prep(ALICCP, out, "--max-bad", "101", NULL), ERR_USAGE, "--max-bad");
    refused(prep(ALICCP, out, "--max-bad", "nan", NULL), ERR_USAGE, "--max-bad");
    refused(prep(ALICCP, out, "--orphans", "keep", NULL), ERR_USAGE, "--orphans");
    refused(prep(ALICCP, out, "--threads", "0", NULL), ERR_USAGE, "--threads");
    refused(prep(ALICCP, out, "more", NULL), ERR_USAGE, "unexpected argument 'more'");
    refused(prep(ALICCP, out, "--nothing", NULL), ERR_USAGE, "unknown option");
    refused(prep("--format", "aliccp", "--skeleton", "/nonexistent", "--common", common, "--out",
                 out, NULL),
            ERR_NOT_FOUND, "/nonexistent");
    assert_int_equal(prep("--help", NULL), OK);
}

/* An existing directory is left as it is, also an empty one. */
static void test_existing(void **state) {
    char path[PATH_BYTES_MAX];
    (void)state;
    write_text(common, "k,1," F("u", "1") "\n");
    write_text(skeleton, "1,0,0,k,1," F("i", "1") "\n");
    assert_int_equal(file_mkdirs(out), OK);
    assert_int_equal(prep(ALICCP, out, NULL), ERR_EXISTS);
    assert_int_equal(path_join(path, out, "precious"), OK);
    write_text(path, "x");
    assert_int_equal(prep(ALICCP, out, NULL), ERR_EXISTS);
    assert_true(file_exists(path));
    clean();
    snprintf(path, sizeof path, "%s.tmp", out); /* what a killed run leaves is no obstacle */
    assert_int_equal(file_mkdirs(path), OK);
    assert_int_equal(prep(ALICCP, out, NULL), OK);
    assert_false(file_exists(path));
    clean();
}

static void test_csv(void **state) {
    static const char *const rows = "id,g,c,b,age,item\r\n"
                                    "1,a,1,0,20,x\r\n"
                                    "2,a,0,1,20,\"y,\n\"\r\n"
                                    "3,a,1,1,30,x\r\n" /* the user side changes: a new group */
                                    "4,,0,0,30,x\r\n"
                                    "5,,0,0,30,x\r\n" /* without a value: groups of their own */
                                    "6,b,0,0,30\r\n"
                                    "7,b,0,0,30,z";
    char schema[160], *rejects = NULL, path[PATH_BYTES_MAX];
    struct dataset d;
    struct shard *s = calloc(1, sizeof *s);
    size_t n = 0;
    (void)state;
    assert_non_null(s);
    snprintf(schema, sizeof schema, "%s/schema", dir);
    write_text(schema, "[log]\nimpression=id\ngroup=g\nclick=c\nconversion=b\nuser=age\nitem=item\n"
                       "[column.age]\nkind=id\n");
    write_text(skeleton, rows);
    assert_int_equal(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out,
                          "--max-bad", "20", NULL),
                     OK);
    assert_int_equal(dataset_read(&d, out), OK);
    assert_string_equal(d.source, "csv");
    assert_int_equal(d.impressions, 6);
    assert_int_equal(d.groups, 5);
    assert_int_equal(d.orphans, 1);
    assert_int_equal(d.rejected, 1);
    assert_int_equal(shard_read(s, out, d.shards[0].name, &d.schema), OK);
    assert_int_equal(s->group_start[1], 2);
    assert_true(s->group_key[0] == hash_bytes("a", 1) && s->group_key[1] == s->group_key[0]);
    assert_int_equal(s->group_key[2], 4);
    const struct column *item = &s->column[schema_find(&d.schema, "item")];
    assert_true(item->dict[item->code[1]] == hash_bytes("y,\n", 3));
    shard_free(s);
    free(s);
    dataset_free(&d);
    assert_int_equal(path_join(path, out, "rejects.tsv"), OK);
    assert_int_equal(file_read_all(path, 1u << 20, &rejects, &n), OK);
    assert_non_null(strstr(rejects, "\t8\twrong number of columns: 5, expected 6\t6,b,0,0,30\n"));
    mem_free(&rejects);
    clean();
    write_text(skeleton, "id,g,clck,b,age,item\n");
    refused(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out, NULL),
            ERR_CONFIG, "no column 'c'; the nearest is '");
    write_text(skeleton, "id,g,c,b,age,item\n");
    refused(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out, NULL),
            ERR_FORMAT, "there is no row below the header");
    write_text(skeleton, "");
    refused(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out, NULL),
            ERR_FORMAT, "is empty");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rejects),  cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_refuses),  cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_existing), cmocka_unit_test(test_csv),
    };
    return cmocka_run_group_tests(tests, prep_setup, prep_teardown);
}
