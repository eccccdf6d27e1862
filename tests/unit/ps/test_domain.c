/* Unit tests of ps/domain.h: finding, merging, versions. */
#include "ps/domain.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const uint32_t batches[1] = {100};

/* A domain of buckets that has seen the batches [0, seen). */
static void add(struct domains *d, uint32_t begin, uint32_t end, uint32_t seen,
                uint64_t dense_step) {
    struct applied *a = NULL;
    assert_int_equal(applied_create(&a, batches, 1), OK);
    for (uint32_t i = 0; i < seen; i++) {
        assert_int_equal(applied_add(a, (struct batch_name){0, 0, i}), OK);
    }
    assert_int_equal(domains_add(d, begin, end, &a, dense_step), OK);
    assert_null(a);
}

static void finds_and_versions(void **state) {
    (void)state;
    struct domains d = {0};
    assert_int_equal(domains_version(&d), 0);
    add(&d, 10, 20, 5, 5);
    assert_ptr_equal(domains_find(&d, 15), &d.list[0]);
    add(&d, 20, 21, 3, 3);
    add(&d, 21, 100, 9, 9);
    assert_int_equal(domains_version(&d), 3);
    for (uint32_t b = 10; b < 100; b++) {
        assert_int_equal(domains_find(&d, b) - d.list, b < 20 ? 0 : b < 21 ? 1 : 2);
    }
    domains_fini(&d);
}

static void neighbours_that_agree_are_joined(void **state) {
    (void)state;
    struct domains d = {0};
    domains_merge(&d);
    assert_int_equal(d.count, 0);
    add(&d, 0, 10, 5, 5);
    add(&d, 10, 20, 5, 4); /* one dense gradient was dropped there */
    add(&d, 20, 30, 6, 6);
    add(&d, 30, 40, 5, 5); /* no neighbour of the first */
    add(&d, 50, 60, 5, 5); /* a gap */
    domains_merge(&d);
    assert_int_equal(d.count, 4);
    assert_int_equal(d.list[0].bucket_end, 20);
    assert_int_equal(d.list[0].dense_step, 5);
    assert_int_equal(d.list[1].bucket_begin, 20);
    assert_int_equal(d.list[2].bucket_end, 40);
    assert_int_equal(d.list[3].bucket_begin, 50);
    domains_fini(&d);
}

/* The same number of batches is not the same batches. */
static void sets_are_compared_not_sizes(void **state) {
    (void)state;
    struct domains d = {0};
    struct applied *other = NULL;
    add(&d, 0, 10, 1, 1);
    assert_int_equal(applied_create(&other, batches, 1), OK);
    assert_int_equal(applied_add(other, (struct batch_name){0, 0, 7}), OK);
    assert_int_equal(domains_add(&d, 10, 20, &other, 1), OK);
    domains_merge(&d);
    assert_int_equal(d.count, 2);
    domains_fini(&d);
}

static void memory_fails(void **state) {
    (void)state;
    struct domains d = {0};
    struct applied *a = NULL;
    assert_int_equal(applied_create(&a, batches, 1), OK);
    mem_fail_after(1);
    assert_int_equal(domains_add(&d, 0, 10, &a, 0), ERR_MEMORY);
    mem_fail_after(0);
    assert_non_null(a); /* nothing taken */
    assert_int_equal(d.count, 0);
    applied_destroy(&a);
    domains_fini(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_and_versions),
        cmocka_unit_test(neighbours_that_agree_are_joined),
        cmocka_unit_test(sets_are_compared_not_sizes),
        cmocka_unit_test(memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
