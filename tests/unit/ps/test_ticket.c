/* Unit tests of ps/ticket.h: what a ticket keeps, and when the oldest are dropped. */
#include "ps/ticket.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const uint32_t counts[2] = {1, 2};
static const uint64_t ids[3] = {7, 8, 9};

static struct ticket *open_one(struct tickets *t, uint64_t now_ms) {
    return tickets_open(t, counts, 2, ids, 3, now_ms);
}

static void kept_until_closed(void **state) {
    (void)state;
    struct tickets t;
    assert_int_equal(tickets_init(&t, 1 << 20, 1000, 5), OK);
    struct ticket *a = open_one(&t, 0), *b = open_one(&t, 0), *c = open_one(&t, 0);
    assert_memory_equal(a->ids, ids, sizeof ids);
    assert_memory_equal(a->counts, counts, sizeof counts);
    assert_int_equal(a->total, 3);
    uint64_t a_id = a->id, b_id = b->id;
    assert_ptr_equal(tickets_find(&t, b_id), b);
    tickets_close(&t, b); /* from the middle */
    assert_null(tickets_find(&t, b_id));
    assert_ptr_equal(tickets_find(&t, a_id), a);
    tickets_close(&t, a);
    tickets_close(&t, c);
    assert_int_equal(t.open, 0);
    assert_int_equal(t.bytes, 0);
    assert_null(tickets_find(&t, 0));
    assert_null(tickets_find(&t, UINT64_MAX));
    assert_null(tickets_find(&t, a_id + TICKETS_MAX));
    struct ticket *empty = tickets_open(&t, counts, 2, NULL, 0, 0);
    assert_non_null(empty);
    tickets_fini(&t);
}

static void dropped_by_time(void **state) {
    (void)state;
    struct tickets t;
    assert_int_equal(tickets_init(&t, 1 << 20, 1000, 5), OK);
    uint64_t a = open_one(&t, 0)->id, b = open_one(&t, 500)->id;
    tickets_expire(&t, 999);
    assert_non_null(tickets_find(&t, a));
    tickets_expire(&t, 1000);
    assert_null(tickets_find(&t, a));
    assert_non_null(tickets_find(&t, b));
    assert_int_equal(t.expired, 1);
    tickets_expire(&t, 5000);
    assert_int_equal(t.open, 0);
    tickets_fini(&t);
}

static void dropped_by_bytes_and_number(void **state) {
    (void)state;
    struct tickets t;
    assert_int_equal(tickets_init(&t, 1 << 20, 1000, 5), OK);
    size_t bytes = open_one(&t, 0)->bytes;
    tickets_fini(&t);
    assert_int_equal(tickets_init(&t, 3 * bytes, 1000, 5), OK);
    uint64_t first = open_one(&t, 0)->id;
    for (int i = 0; i < 5; i++) {
        assert_non_null(open_one(&t, 0));
        assert_true(t.bytes <= 3 * bytes);
    }
    assert_null(tickets_find(&t, first));
    assert_int_equal(t.open, 3);
    uint64_t many[400];
    memset(many, 0, sizeof many);
    assert_null(
        tickets_open(&t, counts, 2, many, 400, 0)); /* never fits: nobody is dropped for it */
    assert_int_equal(t.open, 3);
    tickets_fini(&t);
    assert_int_equal(tickets_init(&t, SIZE_MAX, 1000, 5), OK);
    first = open_one(&t, 0)->id;
    for (uint32_t i = 1; i < TICKETS_MAX; i++) {
        open_one(&t, 0);
    }
    assert_non_null(tickets_find(&t, first));
    open_one(&t, 0);
    assert_null(tickets_find(&t, first));
    assert_int_equal(t.open, TICKETS_MAX);
    tickets_fini(&t);
}

static void another_incarnation_has_other_ids(void **state) {
    (void)state;
    struct tickets a, b;
    assert_int_equal(tickets_init(&a, 1 << 20, 1000, 1), OK);
    assert_int_equal(tickets_init(&b, 1 << 20, 1000, 2), OK);
    uint64_t id = open_one(&a, 0)->id;
    for (int i = 0; i < 100; i++) {
        open_one(&b, 0);
    }
    assert_null(tickets_find(&b, id));
    tickets_fini(&a);
    tickets_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_until_closed),
        cmocka_unit_test(dropped_by_time),
        cmocka_unit_test(dropped_by_bytes_and_number),
        cmocka_unit_test(another_incarnation_has_other_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
