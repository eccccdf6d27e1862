#include "common/base/clock.h"

#include "common/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S_NS  UINT64_C(1000000000)
#define MS_NS UINT64_C(1000000)

/* A clock that stands still but for what sleeps on it, and jumps when it is told to. */
static uint64_t mono_ns, wall_ns;

static uint64_t read_mono(void) {
    return mono_ns;
}

static uint64_t read_wall(void) {
    return wall_ns;
}

static void sleep_at_once(uint64_t ms) {
    mono_ns += ms * MS_NS;
    wall_ns += ms * MS_NS;
}

static const struct clock_ops jumping = {read_mono, read_wall, sleep_at_once};

static int jump_in(void **state) {
    (void)state;
    mono_ns = 5 * S_NS;
    wall_ns = 1700000000 * S_NS;
    clock_ops_set(&jumping);
    return 0;
}

static int jump_out(void **state) {
    (void)state;
    clock_ops_set(NULL);
    return 0;
}

static void the_systems_clock_goes_on(void **state) {
    (void)state;
    const uint64_t before = clock_mono_ns();
    clock_sleep_ms(3);
    assert_true(clock_mono_ns() >= before + 3 * MS_NS);
    assert_true(clock_wall_s() > 1.6e9);
    assert_true(clock_wall_ns() / S_NS >= (uint64_t)clock_wall_s() - 1);
}

static void units_are_cut(void **state) {
    (void)state;
    mono_ns = 7 * MS_NS - 1;
    wall_ns = 3 * S_NS / 2;
    assert_int_equal(clock_mono_us(), 6999);
    assert_int_equal(clock_mono_ms(), 6);
    assert_true(clock_wall_s() == 1.5);
}

/* An hour's deadline is over at once after a jump, and a sleep of a day takes none. */
static void a_deadline_follows_the_table(void **state) {
    (void)state;
    const uint64_t deadline_ms = clock_mono_ms() + 3600000;
    assert_int_equal(clock_left_ms(deadline_ms), 3600000);
    clock_sleep_ms(86400000);
    assert_int_equal(clock_left_ms(deadline_ms), 0);
}

/* Who holds lines back looks at the monotonic clock: a wall clock set back by a year is no matter.
 */
static void a_wall_clock_set_back_moves_no_deadline(void **state) {
    (void)state;
    struct log_limit limit = {0};
    assert_int_equal(log_open("/dev/null", "test"), OK);
    for (uint32_t i = 0; i < LOG_LIMIT_LINES + 3; i++) {
        log_limited(&limit, LOG_WARN, "again");
    }
    assert_int_equal(limit.held, 3);
    wall_ns -= 365 * 86400 * S_NS;
    log_limit_step(&limit);
    assert_int_equal(limit.held, 3);
    mono_ns += LOG_LIMIT_MS * MS_NS;
    log_limit_step(&limit);
    assert_int_equal(limit.held, 0);
    log_close();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_systems_clock_goes_on),
        cmocka_unit_test_setup_teardown(units_are_cut, jump_in, jump_out),
        cmocka_unit_test_setup_teardown(a_deadline_follows_the_table, jump_in, jump_out),
        cmocka_unit_test_setup_teardown(a_wall_clock_set_back_moves_no_deadline, jump_in, jump_out),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
