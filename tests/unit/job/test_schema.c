#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/job/schema.h"

#include <cmocka.h>

static void test_slots(void **state) {
    (void)state;
    static const char *const slots[] = {"a", "zz", "110_14", "b", "c"};
    struct schema s = {0};
    assert_int_equal(schema_add(&s, "b", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&s, "zz", SIDE_USER), OK);
    assert_int_equal(schema_add(&s, "c", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&s, "a", SIDE_USER), OK);
    assert_int_equal(schema_add(&s, "110_14", SIDE_ITEM), OK);
    schema_finish(&s);
    assert_int_equal(s.count, 5);
    assert_int_equal(s.user_count, 2);
    for (uint32_t f = 0; f < 5; f++) {
        assert_string_equal(s.fields[f].name, slots[f]);
        assert_int_equal(s.fields[f].side, f < 2 ? SIDE_USER : SIDE_ITEM);
        assert_int_equal(s.fields[f].salt, hash_bytes(slots[f], strlen(slots[f])));
        assert_int_equal(schema_find(&s, slots[f]), f);
    }
    assert_int_equal(schema_find(&s, "110"), -1);
    assert_int_equal(schema_find(&s, ""), -1);
}

static void test_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",   " ",   "a=b",  "[a",          "a]",  " a",
                                      "a ", "a\n", "\x7f", "caf\xc3\xa9", "a\tb"};
    struct schema s = {0};
    char name[FIELD_NAME_MAX + 1];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(schema_add(&s, bad[i], SIDE_USER), ERR_FORMAT);
    }
    memset(name, 'x', sizeof name);
    name[FIELD_NAME_MAX] = '\0';
    assert_int_equal(schema_add(&s, name, SIDE_USER), ERR_FORMAT);
    assert_int_equal(s.count, 0);
    name[FIELD_NAME_MAX - 1] = '\0';
    assert_int_equal(schema_add(&s, name, SIDE_USER), OK);
    assert_int_equal(schema_add(&s, "age group", SIDE_USER), OK);
    assert_int_equal(schema_add(&s, "age group", SIDE_USER), ERR_EXISTS);
    assert_int_equal(schema_add(&s, "age group", SIDE_ITEM), ERR_EXISTS);
    assert_int_equal(s.count, 2);
}

static void test_full(void **state) {
    (void)state;
    struct schema s = {0};
    char name[16];
    for (int f = 0; f < FIELDS_MAX; f++) {
        snprintf(name, sizeof name, "f%d", f);
        assert_int_equal(schema_add(&s, name, f % 2 == 0 ? SIDE_USER : SIDE_ITEM), OK);
    }
    assert_int_equal(schema_add(&s, "more", SIDE_USER), ERR_LIMIT);
    schema_finish(&s);
    assert_int_equal(s.count, FIELDS_MAX);
    assert_int_equal(s.user_count, FIELDS_MAX / 2);
}

static void test_map(void **state) {
    (void)state;
    struct schema from = {0}, to = {0};
    int map[FIELDS_MAX];
    assert_int_equal(schema_add(&from, "a", SIDE_USER), OK);
    assert_int_equal(schema_add(&from, "b", SIDE_USER), OK);
    assert_int_equal(schema_add(&from, "c", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&from, "d", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&to, "a0", SIDE_USER), OK);
    assert_int_equal(schema_add(&to, "b", SIDE_USER), OK);
    assert_int_equal(schema_add(&to, "c", SIDE_USER), OK); /* other side */
    assert_int_equal(schema_add(&to, "d", SIDE_ITEM), OK);
    schema_finish(&from);
    schema_finish(&to);
    schema_map(&from, &to, map);
    assert_int_equal(map[0], -1);
    assert_int_equal(map[1], 1);
    assert_int_equal(map[2], -1);
    assert_int_equal(map[3], 3);
    for (uint32_t f = from.count; f < FIELDS_MAX; f++) {
        assert_int_equal(map[f], -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
