/* Unit tests of esmm prep on many files: one log, whichever way it is cut into files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/data/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/prep_case.h"

static char schema[128], in[128], all[160];

#define HEAD "user,item,click,buy\n"

static void put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", in, name);
    write_text(path, text);
}

static int setup(void **state) {
    if (prep_setup(state) != 0) {
        return -1;
    }
    snprintf(schema, sizeof schema, "%s/log.schema", dir);
    snprintf(in, sizeof in, "%s/in", dir);
    snprintf(all, sizeof all, "%s/all.csv", dir);
    write_text(schema,
               "[log]\nclick = click\nconversion = buy\ngroup = user\nuser = user\nitem = item\n");
    return file_mkdirs(in) == OK ? 0 : -1;
}

static void assert_same_shards(void) {
    struct dataset a, b;
    assert_int_equal(dataset_read(&a, out), OK);
    assert_int_equal(dataset_read(&b, out2), OK);
    assert_int_equal(a.shard_count, b.shard_count);
    for (uint32_t s = 0; s < a.shard_count; s++) {
        assert_true(a.shards[s].checksum == b.shards[s].checksum);
    }
    assert_int_equal(a.log_lines.rows, b.log_lines.rows);
    assert_int_equal(a.rejected, b.rejected);
    const struct line_counts *l = &b.log_lines;
    assert_int_equal(l->lines,
                     l->header + l->blank + l->rejected + l->dropped + l->rows + l->continued);
    assert_int_equal(l->header, 3);
    dataset_free(&a);
    dataset_free(&b);
}

/* u2's group goes on over the border of two files. */
static void one_log(void **state) {
    (void)state;
    clean();
    put("a.csv", HEAD "u1,1,0,0\nu1,2,1,0\nu2,1,1,1\n");
    put("b.csv", HEAD "\nu2,3,0,0\nu2,4,x,0");
    put("c.csv", "\xef\xbb\xbf" HEAD "u3,1,0,0\n");
    put("d.csv", "");
    put("_SUCCESS", "");
    put(".c.csv.crc", "junk");
    assert_int_equal(prep("--format", "csv", "--schema", schema, "--input", in, "--out", out,
                          "--max-bad", "50", NULL),
                     OK);
    struct dataset d;
    assert_int_equal(dataset_read(&d, out), OK);
    assert_int_equal(d.impressions, 5);
    assert_int_equal(d.groups, 3); /* u2's is one */
    assert_int_equal(d.log_lines.lines, 10);
    assert_int_equal(d.log_lines.header, 3);
    assert_int_equal(d.log_lines.blank, 1);
    assert_int_equal(d.log_lines.rejected, 1);
    dataset_free(&d);
    char path[256], want[400], *text = NULL;
    size_t bytes = 0;
    snprintf(path, sizeof path, "%s/rejects.tsv", out);
    assert_int_equal(file_read_all(path, 1 << 16, &text, &bytes), OK);
    snprintf(want, sizeof want, "%s/b.csv\t4\tlabel is not 0 or 1", in);
    if (strstr(text, want) == NULL) {
        fail_msg("rejects.tsv has no '%s': %s", want, text);
    }
    mem_free(&text);
}

/* With ids the shards are the same bytes as those of the log in one file, in which headers are
 * skipped. */
static void same_shards(void **state) {
    (void)state;
    char a[256], b[256], c[256];
    clean();
    write_text(
        schema,
        "[log]\nclick = click\nconversion = buy\nimpression = id\ngroup = user\nuser = user\n"
        "item = item\nrepeated_headers = skip\n");
    static char texts[3][1 << 16], whole[3 << 16];
    whole[0] = '\0';
    for (int k = 0; k < 3; k++) {
        size_t n = (size_t)snprintf(texts[k], sizeof texts[k], "id,%s", HEAD);
        for (int i = 0; i < 700; i++) {
            const int row = k * 700 + i;
            n += (size_t)snprintf(texts[k] + n, sizeof texts[k] - n, "%d,u%d,%d,%d,0\n", row,
                                  row / 9, row % 31, row % 4 == 0);
        }
        strcat(whole, texts[k]);
    }
    put("1", texts[0]);
    put("2", texts[1]);
    put("3", texts[2]);
    write_text(all, whole);
    snprintf(a, sizeof a, "%s/1", in);
    snprintf(b, sizeof b, "%s/2", in);
    snprintf(c, sizeof c, "%s/3", in);
    assert_int_equal(prep("--format", "csv", "--schema", schema, "--input", all, "--out", out,
                          "--shard-impressions", "500", NULL),
                     OK);
    assert_int_equal(prep("--format", "csv", "--schema", schema, "--input", a, "--input", b,
                          "--input", c, "--out", out2, "--shard-impressions", "500", "--threads",
                          "3", NULL),
                     OK);
    assert_same_shards();
}

static void refusals(void **state) {
    (void)state;
    char a[256], b[256], c[256];
    clean();
    assert_int_equal(file_remove_tree(in), OK);
    assert_int_equal(file_mkdirs(in), OK);
    write_text(schema, "[log]\nclick = click\nconversion = buy\nuser = user\nitem = item\n");
    put("a", HEAD "u1,1,0,0\n");
    put("b", "user,item,buy,click\nu1,1,0,0\n");
    put("c", "");
    snprintf(a, sizeof a, "%s/a", in);
    snprintf(b, sizeof b, "%s/b", in);
    snprintf(c, sizeof c, "%s/../in/a", in);
    refused(
        prep("--format", "csv", "--schema", schema, "--input", a, "--input", b, "--out", out, NULL),
        ERR_FORMAT, "/in/b: its first line is not the header of ");
    refused(
        prep("--format", "csv", "--schema", schema, "--input", a, "--input", c, "--out", out, NULL),
        ERR_USAGE, "are the same file: its rows would count twice");
    refused(prep("--format", "csv", "--schema", schema, "--input", a, "--input", "-", "--out", out,
                 NULL),
            ERR_USAGE, "standard input, which stands alone");
    refused(prep("--format", "csv", "--schema", schema, "--input", a, "--input", "/nowhere",
                 "--out", out, NULL),
            ERR_NOT_FOUND, "/nowhere");
    snprintf(b, sizeof b, "%s/c", in);
    refused(prep("--format", "csv", "--schema", schema, "--input", b, "--out", out, NULL),
            ERR_FORMAT, "is empty");
}

/* A skeleton may be many files, too. */
static void aliccp(void **state) {
    (void)state;
    char more[160];
    clean();
    snprintf(more, sizeof more, "%s/skeleton-2.csv", dir);
    write_text(common, "u1,1,101\x02"
                       "1\x03"
                       "1.0\n");
    write_text(skeleton, "1,0,0,u1,1,205\x02"
                         "7\x03"
                         "1.0");
    write_text(more, "2,1,0,u1,1,205\x02"
                     "7\x03"
                     "1.0\n");
    assert_int_equal(prep(ALICCP, out, "--skeleton", more, NULL), OK);
    struct dataset d;
    assert_int_equal(dataset_read(&d, out), OK);
    assert_int_equal(d.impressions, 2);
    assert_int_equal(d.groups, 1);
    dataset_free(&d);
    assert_int_equal(prep(ALICCP, out2, "--common", common, NULL), ERR_USAGE);
    assert_non_null(strstr(fail_text(), "--common is given twice"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_log), cmocka_unit_test(same_shards),
                                       cmocka_unit_test(refusals), cmocka_unit_test(aliccp)};
    return cmocka_run_group_tests(tests, setup, prep_teardown);
}
