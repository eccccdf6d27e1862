/* Unit tests of common/data/dataset_dirs.c: several shard directories as one data set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/data/record.h"
#include "common/data/shard_builder.h"
#include "common/data/shard_info.h"
#include "tests/dirs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char root[64], a[96], b[96], c[96];

static int setup(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/esmm-test-dirs-XXXXXX");
    if (mkdtemp(root) == NULL) {
        return -1;
    }
    snprintf(a, sizeof a, "%s/a", root);
    snprintf(b, sizeof b, "%s/b", root);
    snprintf(c, sizeof c, "%s/c", root);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return file_remove_tree(root) == OK ? 0 : -1;
}

struct what {
    const char *field; /* beside the item's field "item" */
    enum side side;
    uint32_t impressions, clicks;
    const char *stream;
    double sample_rate;
    bool numeric; /* field: buckets at 18, else hashed texts */
    bool no_conversion;
    uint64_t first_time, last_time;
    struct line_counts lines;
};

/* A directory of one shard. */
static void make(const char *dir, const struct what *w) {
    static struct dataset d;
    struct shard_builder *builder = NULL;
    struct shard_info info;
    d = (struct dataset){.source = "csv",
                         .sample_rate = w->sample_rate,
                         .shard_count = 1,
                         .no_conversion = w->no_conversion,
                         .first_time = w->first_time,
                         .last_time = w->last_time,
                         .log_lines = w->lines};
    d.labels[0] = (struct label_lines){.lines = w->clicks + 1, .rejected = 1};
    assert_int_equal(file_remove_tree(dir), OK);
    assert_int_equal(file_mkdirs(dir), OK);
    assert_int_equal(schema_add(&d.schema, "item", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&d.schema, w->field, w->side), OK);
    assert_int_equal(shard_builder_create(&builder), OK);
    for (uint32_t i = 0; i < w->impressions; i++) {
        const struct feature features[] = {{.field = 0, .weight = 1, .id = i},
                                           {.field = 1, .weight = 1, .id = 7}};
        const bool user = w->side == SIDE_USER;
        assert_int_equal(shard_builder_group(builder, i, features + 1, user), OK);
        assert_int_equal(shard_builder_impression(builder, i, i < w->clicks ? LABEL_CLICK : 0,
                                                  features, user ? 1 : 2),
                         OK);
    }
    assert_int_equal(shard_builder_write(builder, &d.schema, dir, "shard-00000.bin", &info), OK);
    shard_builder_destroy(&builder);
    struct field_schema *f = NULL;
    assert_int_equal(field_schemas_add(&d.fields, w->field, &f), OK);
    f->kind = w->numeric ? FIELD_NUMERIC : FIELD_HASH_TEXT;
    snprintf(f->hash, sizeof f->hash, "%s", w->numeric ? "" : FIELD_HASH);
    if (w->numeric) {
        assert_int_equal(field_schema_bounds(f, (const double[]){18}, 1), OK);
    }
    d.field_values[0] = d.field_values[1] = w->impressions;
    d.shards = &info;
    snprintf(d.stream, sizeof d.stream, "%s", w->stream);
    assert_int_equal(dataset_write(&d, dir), OK);
    field_schemas_free(&d.fields);
}

static const struct what age = {"age", SIDE_USER, 3, 1, "", 1, true, false, 0, 0, {0}};
static const struct what city = {"city", SIDE_USER, 5, 2, "", 1, false, false, 0, 0, {0}};

static void in_order_with_all_fields(void **state) {
    (void)state;
    struct dataset d;
    make(a, &age);
    make(b, &city);
    make(c, &age);
    const struct file_list dirs = DIRS(b, a, c);
    char name[PATH_BYTES_MAX], says[256];
    assert_int_equal(dataset_read_all(&d, &dirs, NULL), OK);
    assert_int_equal(d.shard_count, 3);
    assert_int_equal(d.shards[0].impressions, 5);
    assert_string_equal(dataset_dir(&d, &d.shards[0]), b);
    assert_string_equal(dataset_dir(&d, &d.shards[1]), a);
    assert_string_equal(dataset_dir(&d, &d.shards[2]), c);
    assert_int_equal(d.impressions, 11);
    assert_int_equal(d.clicks, 4);
    assert_true(d.weights.all == 11.0 && d.weights.clicked == 4.0);
    assert_int_equal(d.schema.count, 3);
    assert_int_equal(d.schema.user_count, 2);
    assert_int_equal(d.field_values[schema_find(&d.schema, "item")], 11);
    assert_int_equal(d.field_values[schema_find(&d.schema, "age")], 6);
    assert_int_equal(d.field_values[schema_find(&d.schema, "city")], 5);
    assert_int_equal(field_schemas_find(&d.fields, "age")->kind, FIELD_NUMERIC);
    assert_int_equal(field_schemas_find(&d.fields, "city")->kind, FIELD_HASH_TEXT);
    assert_int_equal(dataset_verify(&d), OK);
    snprintf(says, sizeof says, "%s and 2 more", b);
    assert_string_equal(dataset_name(&dirs, name), says);
    dataset_free(&d);
}

static void refused(const struct file_list *dirs, const char *x, const char *y, const char *z) {
    struct dataset d;
    assert_int_equal(dataset_read_all(&d, dirs, NULL), ERR_CONFIG);
    if (strstr(fail_text(), x) == NULL || strstr(fail_text(), y) == NULL ||
        strstr(fail_text(), z) == NULL) {
        fail_msg("'%s' has not all of '%s', '%s', '%s'", fail_text(), x, y, z);
    }
}

static void what_cannot_be_one(void **state) {
    (void)state;
    struct what other = age;
    make(a, &age);
    other.side = SIDE_ITEM;
    make(b, &other);
    refused(&DIRS(a, b), "field 'age' is on the user side in", a, b);
    other = age;
    other.stream = "es-dfm";
    make(b, &other);
    refused(&DIRS(a, b), "es-dfm", a, b);
    other = age;
    other.sample_rate = 0.5;
    make(b, &other);
    refused(&DIRS(a, b), "sample_rate of 1", a, b);
    other = age;
    other.no_conversion = true;
    make(b, &other);
    refused(&DIRS(a, b), "has no label of conversions", a, b);
    other = age;
    other.numeric = false;
    make(b, &other);
    refused(&DIRS(a, b), "age", a, b);
    make(b, &age);
    char dot[128];
    snprintf(dot, sizeof dot, "%s/../a", b);
    refused(&DIRS(a, dot), "same directory", a, dot);
    struct dataset d;
    char absent[] = "/nowhere";
    assert_int_equal(dataset_read_all(&d, &DIRS(a, absent), NULL), ERR_NOT_FOUND);
}

/* From the first to the last of all, and the sums of all lines, unless one does not say; lines of
 * labels are added up. */
static void times_and_lines(void **state) {
    (void)state;
    struct dataset d;
    struct what early = age, late = age;
    early.first_time = 1600000000;
    early.last_time = 1600000100;
    late.first_time = 1600000050;
    late.last_time = 1600000200;
    early.lines = (struct line_counts){10, 1, 1, 1, 1, 3, 3};
    late.lines = (struct line_counts){4, 1, 0, 0, 0, 3, 0};
    make(a, &late);
    make(b, &early);
    assert_int_equal(dataset_read_all(&d, &DIRS(a, b), NULL), OK);
    assert_int_equal(d.first_time, 1600000000);
    assert_int_equal(d.last_time, 1600000200);
    assert_int_equal(d.labels[0].lines, 4);
    assert_int_equal(d.labels[0].rejected, 2);
    const struct line_counts sum = {14, 2, 1, 1, 1, 6, 3};
    assert_memory_equal(&d.log_lines, &sum, sizeof sum);
    dataset_free(&d);
    make(b, &age);
    assert_int_equal(dataset_read_all(&d, &DIRS(a, b), NULL), OK);
    assert_int_equal(d.first_time, 0);
    assert_int_equal(d.last_time, 0);
    assert_int_equal(d.log_lines.lines, 0);
    assert_int_equal(d.log_lines.rows, 0);
    dataset_free(&d);
}

static void identity(void **state) {
    (void)state;
    uint64_t of_a = 0, of_b = 0, both = 0, turned = 0;
    char path[PATH_BYTES_MAX], *text = NULL;
    size_t bytes = 0;
    make(a, &age);
    make(b, &city);
    assert_int_equal(path_join(path, a, "manifest"), OK);
    assert_int_equal(file_read_all(path, 1 << 20, &text, &bytes), OK);
    assert_int_equal(dataset_identity(&DIRS(a), &of_a), OK);
    assert_true(of_a == hash_bytes(text, bytes)); /* what old checkpoints hold */
    mem_free(&text);
    assert_int_equal(dataset_identity(&DIRS(b), &of_b), OK);
    assert_int_equal(dataset_identity(&DIRS(a, b), &both), OK);
    assert_int_equal(dataset_identity(&DIRS(b, a), &turned), OK);
    assert_true(both != turned && both != of_a && both != of_b);
    const uint64_t hashes[] = {of_a, of_b};
    assert_true(both == hash_bytes(hashes, sizeof hashes));
}

static void memory_fails(void **state) {
    (void)state;
    struct dataset d;
    make(a, &age);
    make(b, &city);
    size_t n = 1;
    for (enum status status = ERR_MEMORY; status != OK; n++) {
        mem_fail_after(n);
        status = dataset_read_all(&d, &DIRS(a, b), NULL);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
    }
    assert_true(n > 10);
    dataset_free(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_order_with_all_fields),
                                       cmocka_unit_test(what_cannot_be_one),
                                       cmocka_unit_test(times_and_lines),
                                       cmocka_unit_test(identity), cmocka_unit_test(memory_fails)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
