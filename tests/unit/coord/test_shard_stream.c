/* Tests of coord/shard_stream.h and of shard_peek: a directory that is made to grow step by step,
 * in time and out of it. */
#include "common/data/shard_builder.h"
#include "coord/shard_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/job/applied.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* cmocka's; ours records a cause */

static char dir[64];

static void path_of(const char *name, char *out) {
    assert_int_equal(path_join(out, dir, name), OK);
}

static void put(const char *name, const char *text) {
    char path[PATH_BYTES_MAX];
    path_of(name, path);
    assert_int_equal(file_write_atomic(path, text, strlen(text)), OK);
}

/* A shard of n impressions in two groups: three of ten are clicked, one of them buys. */
static void produce(uint32_t number, uint32_t n) {
    struct shard_builder *b = NULL;
    struct schema schema = {0};
    struct shard_info info;
    char name[32];
    assert_int_equal(schema_add(&schema, "user", SIDE_USER), OK);
    assert_int_equal(schema_add(&schema, "item", SIDE_ITEM), OK);
    assert_int_equal(shard_builder_create(&b), OK);
    for (uint32_t i = 0; i < n; i++) {
        const struct feature user = {.field = 0, .weight = 1.0f, .id = i};
        const struct feature item = {.field = 1, .weight = 1.0f, .id = i % 7};
        const uint8_t labels = i % 10 == 0 ? 3 : i % 10 < 3 ? 1 : 0;
        if (i == 0 || i == n / 2) {
            assert_int_equal(shard_builder_group(b, i, &user, 1), OK);
        }
        assert_int_equal(shard_builder_impression(b, i, labels, &item, 1), OK);
    }
    shard_name(number, name);
    assert_int_equal(shard_builder_write(b, &schema, dir, name, &info), OK);
    struct shard_info peeked;
    assert_int_equal(shard_peek(dir, name, &peeked), OK);
    assert_string_equal(peeked.name, info.name);
    assert_int_equal(peeked.impressions, n);
    assert_int_equal(peeked.groups, info.groups);
    assert_int_equal(peeked.bytes, info.bytes);
    shard_builder_destroy(&b);
}

static int begin(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test_stream.XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int end(void **state) {
    (void)state;
    return file_remove_tree(dir) != OK;
}

static bool look(struct shard_stream *s, struct shard_info *info) {
    bool found;
    assert_int_equal(shard_stream_look(s, info, &found), OK);
    return found;
}

static void says(enum status status, enum status expected, const char *what) {
    assert_int_equal(status, expected);
    if (strstr(fail_text(), what) == NULL) {
        print_error("the cause is \"%s\", expected \"%s\"\n", fail_text(), what);
        assert_true(false);
    }
}

static void test_names(void **state) {
    (void)state;
    char name[32];
    shard_name(0, name);
    assert_string_equal(name, "shard-00000.bin");
    shard_name(APPLIED_SHARDS_MAX, name);
    assert_string_equal(name, "shard-1048576.bin");
    shard_name(UINT32_MAX, name);
    assert_string_equal(name, "shard-4294967295.bin");
}

static void test_in_order(void **state) {
    (void)state;
    struct shard_stream s;
    struct shard_info info;
    shard_stream_init(&s, dir);
    assert_false(look(&s, &info));
    produce(1, 20); /* too early: the one before is waited for */
    assert_false(look(&s, &info));
    produce(0, 10);
    assert_true(look(&s, &info));
    assert_int_equal(info.impressions, 10);
    assert_string_equal(info.name, "shard-00000.bin");
    assert_true(look(&s, &info));
    assert_int_equal(info.impressions, 20);
    assert_false(look(&s, &info));
    put("shard-00002.bin.tmp", "half of it");
    assert_false(look(&s, &info));
    assert_false(s.ended);
    produce(2, 30);
    put("end", "");
    assert_true(look(&s, &info)); /* what came before the end is not lost */
    assert_false(s.ended);
    assert_false(look(&s, &info));
    assert_true(s.ended);
    assert_int_equal(s.next, 3);
}

static void test_damage(void **state) {
    (void)state;
    struct shard_stream s;
    struct shard_info info;
    char path[PATH_BYTES_MAX], *text;
    size_t bytes;
    bool found;
    shard_stream_init(&s, dir);
    produce(0, 500);
    path_of("shard-00000.bin", path);
    assert_int_equal(file_read_all(path, 1u << 20, &text, &bytes), OK);
    for (size_t n = 0; n < bytes; n += 1 + bytes / 50) { /* torn anywhere */
        assert_int_equal(file_write_atomic(path, text, n), OK);
        says(shard_stream_look(&s, &info, &found), ERR_CORRUPT, "shard-00000.bin");
        assert_int_equal(s.next, 0);
    }
    assert_int_equal(file_write_atomic(path, text, bytes), OK);
    assert_true(look(&s, &info)); /* mended */
    assert_int_equal(info.impressions, 500);
    assert_int_equal(shard_peek(dir, "shard-00001.bin", &info), ERR_NOT_FOUND);
    put("shard-00001.bin", "");
    says(shard_stream_look(&s, &info, &found), ERR_CORRUPT, "shard-00001.bin");
    mem_free(&text);
}

static void test_gap(void **state) {
    (void)state;
    struct shard_stream s;
    struct shard_info info;
    bool found;
    shard_stream_init(&s, dir);
    produce(0, 10);
    produce(2, 10);
    put("shard-00007.bin.tmp", "not a shard");
    put("end", "");
    assert_true(look(&s, &info));
    says(shard_stream_look(&s, &info, &found), ERR_CORRUPT,
         "shard-00002.bin is there, but shard-00001.bin is missing");
    assert_false(s.ended);
    produce(1, 10);
    assert_true(look(&s, &info));
    assert_true(look(&s, &info));
    assert_false(look(&s, &info));
    assert_true(s.ended);
}

static void test_too_many(void **state) {
    (void)state;
    struct shard_stream s;
    struct shard_info info;
    bool found;
    shard_stream_init(&s, dir);
    s.next = APPLIED_SHARDS_MAX - 1;
    produce(APPLIED_SHARDS_MAX - 1, 10);
    produce(APPLIED_SHARDS_MAX, 10);
    assert_true(look(&s, &info));
    says(shard_stream_look(&s, &info, &found), ERR_LIMIT, "at most 1048576 shards");
}

static void test_counts(void **state) {
    (void)state;
    struct shard_info info;
    produce(0, 50);
    assert_int_equal(shard_peek(dir, "shard-00000.bin", &info), OK);
    assert_int_equal(info.impressions, 50);
    assert_int_equal(info.groups, 2);
    assert_int_equal(info.clicks, 15);
    assert_int_equal(info.conversions, 5);
}

static enum status late_producer(void *arg) {
    (void)arg;
    clock_sleep_ms(150);
    produce(0, 10);
    return OK;
}

static void test_wait(void **state) {
    (void)state;
    struct thread t = {0};
    assert_int_equal(thread_start(&t, "producer", late_producer, NULL), OK);
    assert_int_equal(shard_stream_wait(dir), OK);
    assert_int_equal(thread_join(&t), OK);
    assert_int_equal(shard_stream_wait(dir), OK); /* there already */
    put("end", "");
    assert_int_equal(shard_stream_wait(dir), OK);
    char path[PATH_BYTES_MAX];
    path_of("shard-00000.bin", path);
    assert_int_equal(file_remove(path), OK);
    says(shard_stream_wait(dir), ERR_NOT_FOUND, "ended without a shard");
}

static void test_checksum(void **state) {
    (void)state;
    struct schema a = {0}, b = {0}, c = {0};
    schema_add(&a, "x", SIDE_USER);
    schema_add(&a, "y", SIDE_ITEM);
    schema_add(&b, "y", SIDE_ITEM);
    schema_add(&b, "x", SIDE_USER);
    schema_add(&c, "x", SIDE_ITEM);
    schema_add(&c, "y", SIDE_ITEM);
    schema_finish(&a);
    schema_finish(&b);
    schema_finish(&c);
    assert_true(shard_stream_checksum(&a) == shard_stream_checksum(&b));
    assert_true(shard_stream_checksum(&a) != shard_stream_checksum(&c));
    a.count = 1;
    assert_true(shard_stream_checksum(&a) != shard_stream_checksum(&b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, begin, end),
        cmocka_unit_test_setup_teardown(test_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_damage, begin, end),
        cmocka_unit_test_setup_teardown(test_gap, begin, end),
        cmocka_unit_test_setup_teardown(test_too_many, begin, end),
        cmocka_unit_test_setup_teardown(test_counts, begin, end),
        cmocka_unit_test_setup_teardown(test_wait, begin, end),
        cmocka_unit_test_setup_teardown(test_checksum, begin, end),
    };
    return cmocka_run_group_tests_name("shard_stream", tests, NULL, NULL);
}
