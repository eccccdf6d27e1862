/* Unit tests of worker/book.h: when a lease is complete, and the scores of evaluation leases. */
#include "worker/book.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct wire_lease lease(enum lease_kind kind, uint32_t shard, uint64_t fence) {
    return (struct wire_lease){.kind = kind, .epoch = 1, .shard = shard, .fence = fence};
}

static void complete_in_any_order(void **state) {
    (void)state;
    struct book b;
    struct batch none = {0};
    struct wire_lease one = lease(LEASE_TRAIN, 1, 10), two = lease(LEASE_TRAIN, 2, 11);
    book_init(&b);
    assert_null(book_take_complete(&b));
    assert_int_equal(book_open(&b, &one), OK);
    assert_int_equal(book_open(&b, &two), OK);
    assert_int_equal(book_finish(&b, &one, &none, NULL, NULL), OK);
    assert_null(book_take_complete(&b)); /* all that is known of is finished, but more may come */
    book_end(&b, &one, 2);
    assert_null(book_take_complete(&b));
    book_end(&b, &two, 0); /* everything of it was done before */
    struct book_lease *l = book_take_complete(&b);
    assert_int_equal(l->lease.shard, 2);
    book_lease_free(&l);
    assert_null(l);
    assert_int_equal(book_finish(&b, &one, &none, NULL, NULL), OK);
    l = book_take_complete(&b);
    assert_int_equal(l->lease.fence, 10);
    book_lease_free(&l);
    assert_null(book_take_complete(&b));
    book_fini(&b);
}

/* The same shard under a newer fence is another lease. */
static void fences_tell_leases_apart(void **state) {
    (void)state;
    struct book b;
    struct batch none = {0};
    struct wire_lease old = lease(LEASE_TRAIN, 1, 10), new = lease(LEASE_TRAIN, 1, 20);
    book_init(&b);
    assert_int_equal(book_open(&b, &new), OK);
    book_end(&b, &old, 0);
    assert_int_equal(book_finish(&b, &old, &none, NULL, NULL), OK); /* unknown: ignored */
    assert_null(book_take_complete(&b));
    book_end(&b, &new, 0);
    struct book_lease *l = book_take_complete(&b);
    assert_non_null(l);
    book_lease_free(&l);
    book_fini(&b);
}

/* A lease that is another's now: its batches end like others, and its shard's newer lease is not
 * it. */
static void a_lost_lease_is_told_once(void **state) {
    (void)state;
    struct book b;
    struct batch none = {0};
    struct wire_lease old = lease(LEASE_TRAIN, 1, 10), new = lease(LEASE_TRAIN, 1, 20);
    bool first = true;
    book_init(&b);
    book_lose(&b, &old, &first); /* not known */
    assert_false(first);
    assert_int_equal(book_open(&b, &old), OK);
    assert_int_equal(book_open(&b, &new), OK);
    assert_false(book_lost(&b, &old));
    book_lose(&b, &old, &first);
    assert_true(first);
    book_lose(&b, &old, &first);
    assert_false(first);
    assert_true(book_lost(&b, &old));
    assert_false(book_lost(&b, &new));
    book_end(&b, &old, 1);
    assert_int_equal(book_finish(&b, &old, &none, NULL, NULL), OK);
    struct book_lease *l = book_take_complete(&b);
    assert_int_equal(l->lease.fence, 10);
    book_lease_free(&l);
    book_fini(&b);
}

static void scores_are_gathered(void **state) {
    (void)state;
    struct book b;
    struct wire_lease exam = lease(LEASE_EVAL, 3, 5);
    uint64_t id[3] = {100, 101, 102}, user[3] = {7, 7, 8};
    uint8_t labels[3] = {0, 1, 3};
    const float logit_a[3] = {-1, 0, 1}, logit_b[3] = {4, 5, 6};
    struct batch batch = {.impressions = 3, .impression_id = id, .user = user, .labels = labels};
    book_init(&b);
    assert_int_equal(book_open(&b, &exam), OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(book_finish(&b, &exam, &batch, logit_a, logit_b), OK);
    }
    mem_fail_after(1);
    enum status status = OK;
    for (int i = 0; i < 40 && status == OK; i++) {
        status = book_finish(&b, &exam, &batch, logit_a, logit_b);
    }
    mem_fail_after(0);
    assert_int_equal(status, ERR_MEMORY);
    book_fini(&b); /* frees what was not taken */
    book_init(&b);
    assert_int_equal(book_open(&b, &exam), OK);
    assert_int_equal(book_finish(&b, &exam, &batch, logit_a, logit_b), OK);
    book_end(&b, &exam, 1);
    struct book_lease *l = book_take_complete(&b);
    assert_int_equal(l->score_count, 3);
    assert_int_equal(l->scores[2].impression_id, 102);
    assert_int_equal(l->scores[2].user, 8);
    assert_int_equal(l->scores[2].labels, 3);
    assert_true(l->scores[1].a == 0 && l->scores[1].b == 5);
    book_lease_free(&l);
    book_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complete_in_any_order),
        cmocka_unit_test(fences_tell_leases_apart),
        cmocka_unit_test(a_lost_lease_is_told_once),
        cmocka_unit_test(scores_are_gathered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
