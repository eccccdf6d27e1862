/* Unit tests of common/base/rank.h against qsort: order, stability, keys of floats. */
#include "common/base/rank.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* By key, then by tag: what a stable sort of rows tagged in order gives. */
static int compare(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return x->tag < y->tag ? -1 : x->tag > y->tag;
}

static void check(uint64_t seed, size_t n, uint64_t mask, unsigned shift) {
    struct ranked *rows = NULL, *want = NULL;
    assert_int_equal(mem_array(&rows, n + 1), OK);
    assert_int_equal(mem_array(&want, n + 1), OK);
    for (size_t i = 0; i < n; i++) {
        rows[i] = want[i] = (struct ranked){.key = (rng_u64(seed, i, 0) & mask) << shift, .tag = i};
    }
    qsort(want, n, sizeof *want, compare);
    assert_int_equal(rank_sort(rows, n), OK);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].key != want[i].key || rows[i].tag != want[i].tag) {
            fail_msg("seed %llu, %zu rows: row %zu differs", (unsigned long long)seed, n, i);
        }
    }
    mem_free(&rows);
    mem_free(&want);
}

static void as_qsort(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 2, 3, 100, 2048, 20000};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        check(k + 1, sizes[k], UINT64_MAX, 0);
        check(k + 1, sizes[k], 7, 0);           /* nearly all tied */
        check(k + 1, sizes[k], 0xffff, 48);     /* only the highest digit */
        check(k + 1, sizes[k], 0xffffffff, 11); /* some digits are shared */
        check(k + 1, sizes[k], 0, 0);
    }
}

static void keys_have_the_order_of_floats(void **state) {
    (void)state;
    const double ascending[] = {-INFINITY, -1e30, -1.5, -1e-40, 0, 1e-40, 1, 1.5, 1e30, INFINITY};
    for (size_t i = 1; i < sizeof ascending / sizeof ascending[0]; i++) {
        assert_true(rank_key_f64(ascending[i - 1]) < rank_key_f64(ascending[i]));
        assert_true(rank_key_f32((float)ascending[i - 1]) < rank_key_f32((float)ascending[i]));
    }
    assert_true(rank_key_f32(-0.0f) == rank_key_f32(0.0f));
    assert_true(rank_key_f64(-0.0) == rank_key_f64(0.0));
}

static void memory_fails(void **state) {
    (void)state;
    for (size_t nth = 1; nth <= 2; nth++) {
        struct ranked rows[2] = {{2, 0}, {1, 1}};
        mem_fail_after(nth);
        assert_int_equal(rank_sort(rows, 2), ERR_MEMORY);
        mem_fail_after(0);
        assert_int_equal(rows[0].key, 2); /* untouched */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_qsort),
        cmocka_unit_test(keys_have_the_order_of_floats),
        cmocka_unit_test(memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
