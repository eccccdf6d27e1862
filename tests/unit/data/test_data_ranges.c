/* test_data_ranges.c - which fields a data set's ranges share. */
#include "common/data/data_ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct config config;
static struct dataset data;

/* 1000 groups: a user id, two histories, a profile; an item. */
static void begin(uint64_t first_history) {
    static const uint64_t values[] = {1000, 0, 60000, 2000, 90000};
    memset(&data, 0, sizeof data);
    config_default(&config);
    config.window = 100000;
    config.run = 2;
    data.groups = 1000;
    data.impressions = 50000;
    data.schema.count = 5;
    data.schema.user_count = 4;
    memcpy(data.field_values, values, sizeof values);
    data.field_values[1] = first_history;
}

static void test_fields(void **state) {
    (void)state;
    begin(40000);
    struct shared_fields s = data_ranges_shared(&config, &data);
    assert_int_equal(s.count, 2); /* 103 values a group: more than 100 */
    assert_true(s.field[1] && s.field[2]);
    assert_false(s.field[0] || s.field[3] || s.field[4]); /* two a group are not many */
    begin(37000);
    assert_int_equal(data_ranges_shared(&config, &data).count, 0); /* 100 values */
    config.share_bags = SHARE_ALWAYS;
    assert_int_equal(data_ranges_shared(&config, &data).count, 2);
}

static void test_never(void **state) {
    (void)state;
    begin(90000);
    config.share_bags = SHARE_NEVER;
    assert_int_equal(data_ranges_shared(&config, &data).count, 0);
    for (int i = 0; i < 4; i++) { /* no window, no run, or an unknown number of values */
        begin(90000);
        config.share_bags = SHARE_ALWAYS;
        config.window = i == 0 ? 0 : config.window;
        config.run = i == 1 ? 0 : config.run;
        config.shuffle = i != 2;
        memset(data.field_values, 0, i == 3 ? sizeof data.field_values : 0);
        assert_int_equal(data_ranges_shared(&config, &data).count, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fields), cmocka_unit_test(test_never)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
