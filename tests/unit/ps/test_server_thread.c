/* Unit tests of ps/server_thread.h: what its queues own. The threads at work are tested by whole
 * jobs. */
#include "ps/server_thread.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* cmocka's; ours records a cause */

static struct server_report a_part(void) {
    struct server_report r = {.kind = SERVER_REPORT_PART, .cut = 3};
    assert_int_equal(buf_put(&r.info.applied, "names", 5), OK);
    return r;
}

static void names_go_with_the_report(void **state) {
    (void)state;
    struct queue q;
    void *item = NULL;
    assert_int_equal(queue_init(&q, 1), OK);
    struct server_report r = a_part();
    assert_int_equal(server_report_put(&q, &r, 0), OK);
    assert_null(r.info.applied.data);
    assert_int_equal(queue_take(&q, &item, 0), OK);
    struct server_report *taken = item;
    assert_int_equal(taken->cut, 3);
    assert_memory_equal(taken->info.applied.data, "names", 5);
    server_report_free(&taken);
    queue_fini(&q);
}

/* Names that nobody takes do not stay behind (with the sanitizer a leak would fail this test). */
static void names_are_freed_where_nobody_takes_them(void **state) {
    (void)state;
    struct queue q;
    assert_int_equal(queue_init(&q, 1), OK);
    struct server_report r = a_part(), full = {.kind = SERVER_REPORT_READY};
    mem_fail_after(1);
    assert_int_equal(server_report_put(&q, &r, 0), ERR_MEMORY);
    mem_fail_after(0);
    assert_null(r.info.applied.data);
    assert_int_equal(server_report_put(&q, &full, 0), OK);
    r = a_part();
    assert_int_equal(server_report_put(&q, &r, 0), ERR_TIMEOUT);
    assert_null(r.info.applied.data);
    assert_string_equal(fail_text(), "the server's control thread does not take reports");
    queue_close(&q);
    r = a_part();
    assert_int_equal(server_report_put(&q, &r, 0), ERR_CLOSED);
    assert_null(r.info.applied.data);
    void *item = NULL;
    assert_int_equal(queue_take(&q, &item, 0), OK);
    struct server_report *taken = item;
    server_report_free(&taken);
    queue_fini(&q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_with_the_report),
        cmocka_unit_test(names_are_freed_where_nobody_takes_them),
    };
    return cmocka_run_group_tests_name("server_thread", tests, NULL, NULL);
}
