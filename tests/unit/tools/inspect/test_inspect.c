#include "tools/inspect/inspect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/job_sample.h"
#include "common/checkpoint/scan.h"
#include "tools/score/scorer.h"
#include "tools/common/tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED  20260207u
#define ROOMY ((uint64_t)1 << 30)

/* --- helpers ---------------------------------------------------------------------------------- */

static struct scan *open_scan(const struct small_job *j, const char *name) {
    char dir[PATH_BYTES_MAX];
    struct scan *scan = NULL;
    job_path(j, name, dir);
    JOB_MUST(scan_create(&scan, dir));
    return scan;
}

/* A report as a string. */
static const char *text_of(struct buf *report) {
    JOB_MUST(buf_put_u8(report, 0));
    report->len--;
    return (const char *)report->data;
}

/* The number after the n-th "key": of a report. */
static double number(struct buf *json, const char *key, unsigned n) {
    char quoted[64];
    const char *at = text_of(json);
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    for (unsigned i = 0; i <= n; i++) {
        at = strstr(at, quoted);
        if (at == NULL) {
            fprintf(stderr, "no \"%s\" number %u in: %s\n", key, n, text_of(json));
            abort();
        }
        at += strlen(quoted);
    }
    return strtod(at, NULL);
}

static unsigned occurrences(struct buf *text, const char *what) {
    unsigned n = 0;
    for (const char *at = text_of(text); (at = strstr(at, what)) != NULL; at++) {
        n++;
    }
    return n;
}

static double sum(struct buf *json, const char *key) {
    char quoted[64];
    double total = 0;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const unsigned n = occurrences(json, quoted);
    for (unsigned i = 0; i < n; i++) {
        total += number(json, key, i);
    }
    return total;
}

/* --- summary ---------------------------------------------------------------------------------- */

static void test_summary(void **state) {
    static const char *const admit[] = {"table.admit_after=2", NULL};
    struct small_job j;
    struct buf out = BUF_EMPTY;
    struct partition_stats stats;
    (void)state;
    job_init(&j, SEED, admit);
    job_start(&j, 1);
    job_push(&j, 40);
    job_save(&j, "c");
    partition_stats(j.part[0], &stats);
    struct scan *scan = open_scan(&j, "c");
    assert_int_equal(inspect_summary(scan, true, &out), OK);
    assert_int_equal(number(&out, "step", 0), 40);
    assert_int_equal(number(&out, "impressions", 0), 40 * 64);
    assert_int_equal(number(&out, "epochs_complete", 0), 0);
    assert_int_equal(number(&out, "batches_beyond", 0), 40);
    assert_int_equal(number(&out, "batches_per_epoch", 0), JOB_SHARDS * JOB_BATCHES);
    /* "rows" of tables come first, in slot order; dense arrays have "rows" too. */
    for (uint32_t t = 0; t < j.schema.count; t++) {
        assert_true(stats.rows[t] > 0);
        assert_int_equal(number(&out, "rows", t), stats.rows[t]);
    }
    assert_true(sum(&out, "unadmitted") > 0);
    assert_int_equal(occurrences(&out, "\"side\":\"user\""), 2);
    buf_clear(&out);
    assert_int_equal(inspect_summary(scan, false, &out), OK);
    assert_int_equal(occurrences(&out, "ctr.w1"), 1);
    assert_int_equal(occurrences(&out, "age/group"), 1);
    assert_int_equal(occurrences(&out, "0 epochs complete, then 40 of 192 batches"), 1);
    scan_destroy(&scan);
    buf_fini(&out);
    job_fini(&j);
}

/* An epoch and a bit: the cursor says so. */
static void test_cursor_counts_epochs(void **state) {
    struct small_job j;
    struct buf out = BUF_EMPTY;
    (void)state;
    job_init(&j, SEED + 1, NULL);
    job_start(&j, 2);
    job_push(&j, JOB_SHARDS * JOB_BATCHES + 5);
    job_save(&j, "c");
    struct scan *scan = open_scan(&j, "c");
    assert_int_equal(inspect_summary(scan, true, &out), OK);
    assert_int_equal(number(&out, "epochs_complete", 0), 1);
    assert_int_equal(number(&out, "batches_beyond", 0), 5);
    scan_destroy(&scan);
    buf_fini(&out);
    job_fini(&j);
}

/* --- one row ---------------------------------------------------------------------------------- */

static void test_key(void **state) {
    struct small_job j;
    struct buf out = BUF_EMPTY;
    (void)state;
    job_init(&j, SEED + 2, NULL);
    job_start(&j, 3);
    job_push(&j, 30);
    job_save(&j, "c");
    struct scan *scan = open_scan(&j, "c");
    uint32_t counts[FIELDS_MAX];
    uint64_t ids[FIELDS_MAX * JOB_PUSH_IDS];
    job_keys(&j, 29, 0, BUCKETS, counts, ids);
    char key[128];
    snprintf(key, sizeof key, "%s:%llu", j.schema.fields[0].name, (unsigned long long)ids[0]);
    assert_int_equal(inspect_key(scan, key, true, &out), OK);
    assert_non_null(strstr(text_of(&out), "\"found\":true"));
    assert_int_equal(number(&out, "last", 0), 30);
    assert_true(number(&out, "step", 0) >= 1);
    /* Its first weight is what a partition that is restored from the files answers. */
    job_restore(&j, "c", 1);
    uint32_t one[FIELDS_MAX] = {1};
    float w[256];
    struct pull_result result;
    const struct key_list keys = {.counts = one, .ids = ids, .total = 1};
    JOB_MUST(partition_pull(j.part[0], &keys, false, w, &result));
    assert_true((float)strtod(strstr(text_of(&out), "\"w\":[") + 5, NULL) == w[0]);

    /* An id without a row: the report has its initial value, and the status says so. */
    buf_clear(&out);
    snprintf(key, sizeof key, "%s:0xffffffffffff", j.schema.fields[0].name);
    assert_int_equal(inspect_key(scan, key, true, &out), ERR_NOT_FOUND);
    assert_non_null(strstr(text_of(&out), "\"found\":false"));
    assert_int_equal(number(&out, "id", 0), 0xffffffffffff);
    const uint64_t missing = 0xffffffffffff;
    const struct key_list absent = {.counts = one, .ids = &missing, .total = 1};
    JOB_MUST(partition_pull(j.part[0], &absent, false, w, &result));
    assert_true((float)strtod(strstr(text_of(&out), "\"w\":[") + 5, NULL) == w[0]);

    static const char *const bad[] = {"101",    "101:",   "101:x",
                                      "101:-1", "101:1 ", "101:18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(inspect_key(scan, bad[i], true, &out), ERR_USAGE);
    }
    assert_int_equal(inspect_key(scan, "nofield:1", true, &out), ERR_NOT_FOUND);
    scan_destroy(&scan);
    buf_fini(&out);
    job_fini(&j);
}

/* --- the largest, and all of them ------------------------------------------------------------- */

/* The best n by both orders are what sorting every row gives; parts do not matter. */
static void test_top(void **state) {
    struct small_job j;
    struct buf all = BUF_EMPTY, ten = BUF_EMPTY, again = BUF_EMPTY;
    (void)state;
    job_init(&j, SEED + 3, NULL);
    for (uint32_t parts = 1; parts <= 4; parts += 3) {
        j.pushes = 0;
        job_start(&j, parts);
        job_push(&j, 12);
        job_save(&j, parts == 1 ? "one" : "four");
    }
    struct scan *one = open_scan(&j, "one"), *four = open_scan(&j, "four");
    for (int by_count = 0; by_count < 2; by_count++) {
        buf_clear(&all);
        buf_clear(&ten);
        buf_clear(&again);
        const char *key = by_count ? "step" : "norm";
        assert_int_equal(inspect_top(one, 1000000, by_count, -1, true, &all), OK);
        assert_int_equal(inspect_top(one, 10, by_count, -1, true, &ten), OK);
        assert_int_equal(inspect_top(four, 10, by_count, -1, true, &again), OK);
        assert_int_equal(ten.len, again.len);
        assert_memory_equal(ten.data, again.data, ten.len);
        const unsigned rows = occurrences(&all, "\"id\":");
        assert_int_equal(rows, one->manifest.parts[0].rows);
        for (unsigned i = 1; i < rows; i++) {
            assert_true(number(&all, key, i - 1) >= number(&all, key, i));
        }
        assert_int_equal(occurrences(&ten, "\"id\":"), 10);
        for (unsigned i = 0; i < 10; i++) {
            assert_true(number(&all, key, i) == number(&ten, key, i));
            assert_true(number(&all, "id", i) == number(&ten, "id", i));
        }
    }
    const int shop = schema_find(&j.schema, "shop");
    buf_clear(&ten);
    assert_int_equal(inspect_top(four, 5, false, shop, true, &ten), OK);
    assert_int_equal(occurrences(&ten, "\"field\":\"shop\""), 5);
    assert_int_equal(occurrences(&ten, "\"field\":"), 5);
    scan_destroy(&one);
    scan_destroy(&four);
    buf_fini(&all);
    buf_fini(&ten);
    buf_fini(&again);
    job_fini(&j);
}

/* Both histograms hold each row once, and the bins of counts have the right rows. */
static void test_histogram(void **state) {
    struct small_job j;
    struct buf out = BUF_EMPTY, top = BUF_EMPTY;
    (void)state;
    job_init(&j, SEED + 4, NULL);
    job_start(&j, 2);
    job_push(&j, 12);
    job_save(&j, "c");
    struct scan *scan = open_scan(&j, "c");
    const int slot = schema_find(&j.schema, "205");
    assert_int_equal(inspect_histogram(scan, -1, true, &out), OK);
    const double rows = (double)(scan->manifest.parts[0].rows + scan->manifest.parts[1].rows);
    assert_true(sum(&out, "rows") == 2 * rows);
    buf_clear(&out);
    assert_int_equal(inspect_histogram(scan, slot, true, &out), OK);
    assert_int_equal(inspect_top(scan, 1000000, true, slot, true, &top), OK);
    const unsigned count = occurrences(&top, "\"id\":");
    unsigned ones = 0;
    for (unsigned i = 0; i < count; i++) {
        ones += number(&top, "step", i) == 1;
    }
    const char *steps = strstr(text_of(&out), "\"step\":[");
    assert_non_null(steps);
    assert_non_null(strstr(steps, "{\"from\":1,\"below\":2,\"rows\":"));
    assert_true(ones > 0 && strtod(strstr(steps, "\"rows\":") + 7, NULL) == ones);
    scan_destroy(&scan);
    buf_fini(&out);
    buf_fini(&top);
    job_fini(&j);
}

/* --- diff ------------------------------------------------------------------------------------- */

static void diff_names(const struct small_job *j, const char *a, const char *b, uint64_t memory,
                       struct buf *out) {
    struct scan *x = open_scan(j, a), *y = open_scan(j, b);
    buf_clear(out);
    assert_int_equal(inspect_diff(x, y, memory, true, out), OK);
    scan_destroy(&x);
    scan_destroy(&y);
}

static bool equal(struct buf *out) {
    return strstr(text_of(out), "\"equal\":true") != NULL;
}

static void test_diff_same_state(void **state) {
    struct small_job j;
    struct buf out = BUF_EMPTY;
    (void)state;
    job_init(&j, SEED + 5, NULL);
    for (uint32_t parts = 1; parts <= 3; parts++) {
        char name[16];
        snprintf(name, sizeof name, "p%u", parts);
        j.pushes = 0;
        job_start(&j, parts);
        job_push(&j, 10);
        job_save(&j, name);
    }
    diff_names(&j, "p1", "p3", ROOMY, &out);
    assert_true(equal(&out));
    assert_int_equal(number(&out, "passes", 0), 1);
    assert_true(sum(&out, "both") > 100);
    diff_names(&j, "p3", "p2", 20000, &out);
    assert_true(equal(&out));
    assert_true(number(&out, "passes", 0) > 3);
    buf_fini(&out);
    job_fini(&j);
}

/* The counts follow from the pushes, whatever the memory. */
static void test_diff_counts(void **state) {
    struct small_job j;
    struct buf out = BUF_EMPTY, narrow = BUF_EMPTY;
    uint32_t counts[FIELDS_MAX];
    uint64_t ids[FIELDS_MAX * JOB_PUSH_IDS];
    (void)state;
    job_init(&j, SEED + 6, NULL);
    job_start(&j, 2);
    job_push(&j, 3);
    job_save(&j, "before");
    job_push(&j, 1);
    job_save(&j, "after");
    job_keys(&j, 3, 0, BUCKETS, counts, ids);
    diff_names(&j, "before", "after", ROOMY, &out);
    assert_false(equal(&out));
    for (uint32_t t = 0; t < j.schema.count; t++) {
        assert_int_equal(number(&out, "only_a", t), 0);
        /* Each id of the last push is either new or changed. */
        assert_int_equal(number(&out, "only_b", t) + number(&out, "changed", t), counts[t]);
        assert_true(number(&out, "only_b", t) > 0 && number(&out, "changed", t) > 0);
        assert_int_equal(number(&out, "touched", t), 0);
        /* Adam's steps are about lr each. */
        assert_true(number(&out, "max_abs", t) > 1e-4 && number(&out, "max_abs", t) < 1e-2);
        assert_true(number(&out, "mean_abs", t) < number(&out, "max_abs", t));
    }
    assert_int_equal(occurrences(&out, "\"state\":\"changed\""), j.layout.array_count);
    diff_names(&j, "before", "after", 3000, &narrow);
    assert_true(number(&narrow, "passes", 0) > 3);
    for (uint32_t t = 0; t < j.schema.count; t++) {
        static const char *const keys[] = {"only_b", "both", "changed", "max_abs"};
        for (size_t k = 0; k < 4; k++) {
            assert_true(number(&out, keys[k], t) == number(&narrow, keys[k], t));
        }
    }
    diff_names(&j, "after", "before", ROOMY, &narrow);
    for (uint32_t t = 0; t < j.schema.count; t++) {
        assert_true(number(&out, "only_b", t) == number(&narrow, "only_a", t));
        assert_true(number(&out, "max_abs", t) == number(&narrow, "max_abs", t));
    }
    buf_fini(&out);
    buf_fini(&narrow);
    job_fini(&j);
}

/* Another dim of one field, other towers, and a learning rate of nearly nothing: the weights stay,
 * only the state moves. */
static void test_diff_shapes(void **state) {
    static const char *const wide[] = {"field.shop.dim=4", "model.tower=9,6", NULL};
    struct small_job j, other;
    struct buf out = BUF_EMPTY;
    char here[PATH_BYTES_MAX], there[PATH_BYTES_MAX];
    (void)state;
    job_init(&j, SEED + 7, NULL);
    job_init(&other, SEED + 7, wide);
    job_start(&j, 1);
    job_push(&j, 2);
    job_save(&j, "c");
    job_start(&other, 1);
    job_push(&other, 2);
    job_save(&other, "c");
    job_path(&other, "c", here);
    job_path(&j, "other", there);
    assert_int_equal(rename(here, there), 0);
    diff_names(&j, "c", "other", ROOMY, &out);
    assert_int_equal(occurrences(&out, "\"dims_differ\":true"), 1);
    assert_true(occurrences(&out, "\"state\":\"shapes differ\"") > 0);
    buf_fini(&out);
    job_fini(&j);
    job_fini(&other);
}

static void test_diff_touched(void **state) {
    static const char *const slow[] = {"table.lr=1e-30", "dense.lr=1e-30", NULL};
    struct small_job j;
    struct buf out = BUF_EMPTY;
    (void)state;
    job_init(&j, SEED + 8, slow);
    job_start(&j, 1);
    job_push(&j, 3);
    job_save(&j, "before");
    job_push(&j, 1);
    job_save(&j, "after");
    diff_names(&j, "before", "after", ROOMY, &out);
    assert_false(equal(&out));
    assert_true(sum(&out, "touched") > 20);
    assert_true(sum(&out, "max_abs") < 1e-25);
    assert_true(occurrences(&out, "\"state\":\"state only\"") > 0);
    buf_fini(&out);
    job_fini(&j);
}

/* --- verify ----------------------------------------------------------------------------------- */

static void read_file(const char *path, uint8_t **data, size_t *bytes) {
    JOB_MUST(file_read_all(path, 1u << 28, (char **)data, bytes));
}

static void write_file(const char *path, const void *data, size_t bytes) {
    struct file file = FILE_CLOSED;
    JOB_MUST(file_open_write(&file, path));
    JOB_MUST(file_write(&file, data, bytes));
    JOB_MUST(file_close(&file));
}

static void test_verify_whole(void **state) {
    struct small_job j;
    struct buf out = BUF_EMPTY;
    char dir[PATH_BYTES_MAX];
    (void)state;
    job_init(&j, SEED + 9, NULL);
    job_start(&j, 3);
    job_push(&j, 5);
    job_save(&j, "c");
    job_path(&j, "c", dir);
    assert_int_equal(inspect_verify(dir, true, &out), OK);
    assert_int_equal(occurrences(&out, "\"whole\":true"), 1);
    buf_fini(&out);
    job_fini(&j);
}

/* One flipped bit, anywhere in a part: found, and the file is named, with an offset at or before it
 * unless only the checksum of the whole file can tell. */
static void test_verify_finds_flipped_bits(void **state) {
    struct small_job j;
    struct buf out = BUF_EMPTY;
    char dir[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    uint8_t *data = NULL;
    size_t bytes = 0;
    (void)state;
    job_init(&j, SEED + 10, NULL);
    job_start(&j, 2);
    job_push(&j, 4);
    job_save(&j, "c");
    job_path(&j, "c", dir);
    job_path(&j, "c/part-00001-of-00002.bin", path);
    read_file(path, &data, &bytes);
    for (unsigned i = 0; i < 200; i++) {
        const size_t at = i < 30   ? i
                          : i < 80 ? bytes - 1 - (i - 30)
                                   : (size_t)rng_below(SEED, i, 0, bytes);
        const uint8_t bit = (uint8_t)(1u << rng_below(SEED, i, 1, 8));
        data[at] ^= bit;
        write_file(path, data, bytes);
        buf_clear(&out);
        if (inspect_verify(dir, true, &out) != ERR_CORRUPT) {
            fail_msg("a flipped bit at byte %zu of %zu was not found", at, bytes);
        }
        assert_non_null(strstr(fail_text(), "part-00001-of-00002.bin"));
        assert_int_equal(occurrences(&out, "\"whole\":false"), 1);
        assert_true(occurrences(&out, "part-00001-of-00002.bin") > 0);
        data[at] ^= bit;
    }
    write_file(path, data, bytes);
    assert_int_equal(inspect_verify(dir, true, &out), OK);
    mem_free(&data);
    buf_fini(&out);
    job_fini(&j);
}

static void test_verify_lists_all_damage(void **state) {
    struct small_job j;
    struct buf out = BUF_EMPTY;
    char dir[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    uint8_t *data = NULL;
    size_t bytes = 0;
    (void)state;
    job_init(&j, SEED + 11, NULL);
    job_start(&j, 4);
    job_push(&j, 4);
    job_save(&j, "c");
    job_path(&j, "c", dir);
    job_path(&j, "c/part-00000-of-00004.bin", path);
    JOB_MUST(file_remove(path));
    job_path(&j, "c/part-00001-of-00004.bin", path);
    read_file(path, &data, &bytes);
    write_file(path, data, bytes / 2);
    mem_free(&data);
    job_path(&j, "c/part-00002-of-00004.bin", path);
    read_file(path, &data, &bytes);
    data[bytes / 2] ^= 1;
    write_file(path, data, bytes);
    mem_free(&data);
    assert_int_equal(inspect_verify(dir, false, &out), ERR_CORRUPT);
    assert_int_equal(occurrences(&out, "damaged  "), 3);
    assert_true(occurrences(&out, "part-00000-of-00004.bin") >= 1);
    assert_true(occurrences(&out, "part-00001-of-00004.bin") >= 1);
    assert_true(occurrences(&out, "part-00002-of-00004.bin") >= 1);
    assert_int_equal(occurrences(&out, "part-00003-of-00004.bin"), 0);
    assert_true(occurrences(&out, "offset") >= 1);
    buf_fini(&out);
    job_fini(&j);
}

/* Two parts of different checkpoints swapped: every checksum inside is right, but not the
 * manifest's. */
static void test_verify_foreign_part(void **state) {
    struct small_job j;
    struct buf out = BUF_EMPTY;
    char dir[PATH_BYTES_MAX], from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    (void)state;
    job_init(&j, SEED + 12, NULL);
    job_start(&j, 2);
    job_push(&j, 4);
    job_save(&j, "a");
    job_push(&j, 1);
    job_save(&j, "b");
    job_path(&j, "a/part-00000-of-00002.bin", from);
    job_path(&j, "b/part-00000-of-00002.bin", to);
    assert_int_equal(rename(from, to), 0);
    job_path(&j, "b", dir);
    assert_int_equal(inspect_verify(dir, true, &out), ERR_CORRUPT);
    assert_int_equal(occurrences(&out, "\"whole\":false"), 1);
    buf_fini(&out);
    job_fini(&j);
}

static void expect_foreign(const char *dir, uint64_t its, uint64_t manifests) {
    struct scan *scan = NULL;
    struct scorer *scorer = NULL;
    char is[64], of[64];
    snprintf(is, sizeof is, "is of cut %016llx", (unsigned long long)its);
    snprintf(of, sizeof of, "manifest is of cut %016llx", (unsigned long long)manifests);
    assert_int_equal(scan_create(&scan, dir), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), is));
    assert_non_null(strstr(fail_text(), of));
    assert_non_null(strstr(fail_text(), "part-00000-of-00002.bin"));
    assert_int_equal(scorer_create(&scorer, dir, NULL), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), is));
}

/* Alike in range, clock and number of rows: only the cut's id tells, without reading the file. */
static void test_part_of_another_cut(void **state) {
    struct small_job a, b;
    struct buf out = BUF_EMPTY;
    struct manifest m = {0};
    char dir[PATH_BYTES_MAX], from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    (void)state;
    job_init(&a, SEED + 12, NULL);
    job_init(&b, SEED + 13, NULL);
    job_start(&a, 2);
    job_start(&b, 2);
    job_push(&a, 4);
    job_push(&b, 4);
    job_save(&a, "x");
    job_save(&b, "x");
    job_path(&a, "x/part-00000-of-00002.bin", from);
    job_path(&b, "x/part-00000-of-00002.bin", to);
    job_path(&b, "x", dir);
    assert_int_equal(manifest_read(&m, dir), OK);
    assert_true(m.cut == (b.seed ^ 4));
    assert_int_equal(rename(from, to), 0);
    struct manifest other = {0};
    char other_dir[PATH_BYTES_MAX];
    job_path(&a, "x", other_dir);
    assert_int_equal(manifest_read(&other, other_dir), OK);
    m.parts[0] = other.parts[0]; /* even size and checksum are right */
    assert_int_equal(manifest_write(&m, dir), OK);
    expect_foreign(dir, a.seed ^ 4, b.seed ^ 4);
    assert_int_equal(inspect_verify(dir, true, &out), ERR_CORRUPT);
    m.cut = 0; /* an older manifest: nothing is known, and nothing refused */
    assert_int_equal(manifest_write(&m, dir), OK);
    buf_clear(&out);
    assert_int_equal(inspect_verify(dir, true, &out), OK);
    manifest_free(&m);
    manifest_free(&other);
    buf_fini(&out);
    job_fini(&a);
    job_fini(&b);
}

/* --- the command ------------------------------------------------------------------------------ */

static enum status command(const char *a, const char *b, const char *c, const char *d) {
    char *argv[] = {(char *)(uintptr_t) "inspect", (char *)(uintptr_t)a, (char *)(uintptr_t)b,
                    (char *)(uintptr_t)c,          (char *)(uintptr_t)d, NULL};
    int argc = 1;
    while (argv[argc] != NULL) {
        argc++;
    }
    int exit_code;
    return command_run(&command_inspect, argc, argv, stdout, &exit_code);
}

static void test_usage(void **state) {
    (void)state;
    assert_int_equal(command(NULL, NULL, NULL, NULL), ERR_USAGE);
    assert_int_equal(command("--wrong", "x", NULL, NULL), ERR_USAGE);
    assert_int_equal(command("x", "y", NULL, NULL), ERR_USAGE);
    assert_int_equal(command("x", "--top", NULL, NULL), ERR_USAGE);
    assert_int_equal(command("x", "--top", "0", NULL), ERR_USAGE);
    assert_int_equal(command("x", "--verify", "--histogram", NULL), ERR_USAGE);
    assert_int_equal(command("x", "--by", "count", NULL), ERR_USAGE);
    assert_int_equal(command("x", "--by", "size", NULL), ERR_USAGE);
    assert_int_equal(command("x", "--field", "101", NULL), ERR_USAGE);
    assert_int_equal(command("x", "--memory", "1G", NULL), ERR_USAGE);
    assert_int_equal(command("--help", NULL, NULL, NULL), OK);
}

/* What a directory of shards carries: a log without times, then as if one shard could not be read.
 */
static void test_contents(void **state) {
    struct small_job j;
    struct buf out = BUF_EMPTY;
    struct dataset d;
    char path[PATH_BYTES_MAX], shard[PATH_BYTES_MAX];
    (void)state;
    job_init(&j, SEED + 14, NULL);
    job_shards(&j, "data", 2, false);
    job_path(&j, "data", path);
    assert_int_equal(inspect_data(path, false, false, &out), OK);
    assert_non_null(strstr(text_of(&out), "\nstream       not said\ntimes        none\n"
                                          "kinds        none\nbehaviours   none\n"));
    assert_int_equal(dataset_read(&d, path), OK);
    snprintf(d.stream, sizeof d.stream, "defer");
    assert_int_equal(dataset_write(&d, path), OK);
    dataset_free(&d);
    buf_clear(&out);
    assert_int_equal(inspect_data(path, false, true, &out), OK);
    assert_non_null(strstr(text_of(&out), "\"stream\":\"defer\""));
    assert_int_equal(number(&out, "shards_with_times", 0), 0);
    assert_int_equal(number(&out, "shards_with_kinds", 0), 0);
    assert_non_null(strstr(text_of(&out), "\"behaviours\":[]"));
    job_path(&j, "data/shard-00001.bin", shard);
    assert_int_equal(file_write_atomic(shard, "torn", 4), OK);
    buf_clear(&out);
    assert_int_equal(inspect_data(path, false, false, &out), OK);
    assert_non_null(strstr(text_of(&out), "behaviours are unknown: "));
    assert_non_null(strstr(text_of(&out), "shard-00001.bin"));
    buf_clear(&out);
    assert_int_equal(inspect_data(path, false, true, &out), OK);
    assert_non_null(strstr(text_of(&out), "\"unknown_contents\":"));
    assert_int_equal(occurrences(&out, "\"shards_with_times\""), 0);
    buf_fini(&out);
    job_fini(&j);
}

static void test_kinds_of_directory(void **state) {
    struct small_job j;
    char path[PATH_BYTES_MAX];
    (void)state;
    job_init(&j, SEED + 13, NULL);
    job_start(&j, 1);
    job_push(&j, 2);
    job_save(&j, "c");
    job_shards(&j, "data", 2, false);
    job_path(&j, "c", path);
    assert_int_equal(command(path, NULL, NULL, NULL), OK);
    assert_int_equal(command(path, "--verify", "--json", NULL), OK);
    assert_int_equal(command(path, "--top", "3", NULL), OK);
    assert_int_equal(command(path, "--diff", path, "--json"), OK);
    assert_int_equal(command(path, "--histogram", NULL, NULL), OK);
    job_path(&j, "data", path);
    assert_int_equal(command(path, NULL, NULL, NULL), OK);
    assert_int_equal(command(path, "--json", "--verify", NULL), OK);
    assert_int_equal(command(path, "--top", "3", NULL), ERR_USAGE);
    /* Damage in a shard is reported by its name. */
    job_path(&j, "data/shard-00001.bin", path);
    uint8_t *data = NULL;
    size_t bytes = 0;
    read_file(path, &data, &bytes);
    data[bytes / 2] ^= 4;
    write_file(path, data, bytes);
    mem_free(&data);
    job_path(&j, "data", path);
    assert_int_equal(command(path, "--verify", NULL, NULL), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "shard-00001.bin"));
    assert_int_equal(command(path, NULL, NULL, NULL), OK);
    /* Neither, and nothing. */
    assert_int_equal(command("/tmp", NULL, NULL, NULL), ERR_NOT_FOUND);
    assert_non_null(strstr(fail_text(), "neither"));
    assert_int_equal(command("/nowhere/at/all", NULL, NULL, NULL), ERR_NOT_FOUND);
    job_fini(&j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_cursor_counts_epochs),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_top),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_diff_same_state),
        cmocka_unit_test(test_diff_counts),
        cmocka_unit_test(test_diff_shapes),
        cmocka_unit_test(test_diff_touched),
        cmocka_unit_test(test_verify_whole),
        cmocka_unit_test(test_verify_finds_flipped_bits),
        cmocka_unit_test(test_verify_lists_all_damage),
        cmocka_unit_test(test_verify_foreign_part),
        cmocka_unit_test(test_part_of_another_cut),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_kinds_of_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
