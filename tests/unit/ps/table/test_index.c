/* Unit tests of ps/table/index.h against a plain list: puts, deletes, growth, colliding tags,
 * wrapping. */
#include "ps/table/index.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* What a look-up does: from the tag's home until an empty entry. */
static bool found(const struct index *x, uint32_t tag, uint32_t handle) {
    if (x->entries == NULL) {
        return false;
    }
    for (uint64_t i = tag & x->mask; x->entries[i] != 0; i = (i + 1) & x->mask) {
        if (entry_tag(x->entries[i]) == tag && entry_handle(x->entries[i]) == handle) {
            return true;
        }
    }
    return false;
}

/* `spread`: of how many different tags; few make long runs. */
static void churn(uint64_t seed, uint64_t spread, uint32_t base, uint32_t steps) {
    struct index x = {0};
    uint32_t *tags = NULL;
    bool *there = NULL;
    uint64_t count = 0;
    assert_int_equal(mem_array(&tags, steps), OK);
    assert_int_equal(mem_array(&there, steps), OK);
    for (uint32_t i = 0; i < steps; i++) {
        tags[i] = base + (uint32_t)rng_below(seed, i, 0, spread);
        size_t before = index_bytes(&x), grows = index_grow_bytes(&x);
        assert_int_equal(index_reserve(&x), OK);
        assert_int_equal(index_bytes(&x), before + grows);
        index_put(&x, tags[i], i);
        there[i] = true;
        count++;
        uint32_t victim = (uint32_t)rng_below(seed, i, 1, (uint64_t)i + 1);
        if (there[victim] && rng_below(seed, i, 2, 3) == 0) {
            index_delete(&x, tags[victim], victim);
            there[victim] = false;
            count--;
        }
    }
    assert_int_equal(x.used, count);
    assert_true(x.used <= (x.mask + 1) / 4 * 3);
    for (uint32_t i = 0; i < steps; i++) {
        if (found(&x, tags[i], i) != there[i]) {
            fail_msg("seed %llu: entry %u of tag %08x", (unsigned long long)seed, i, tags[i]);
        }
    }
    index_fini(&x);
    mem_free(&tags);
    mem_free(&there);
}

static void as_a_list(void **state) {
    (void)state;
    churn(1, UINT32_MAX, 0, 20000);
    churn(2, 50, 0, 2000);                 /* long runs of equal homes */
    churn(3, 300, UINT32_MAX - 299, 1000); /* homes at the end: runs wrap around */
    churn(4, 1, 5, 300);
}

static void memory_fails(void **state) {
    (void)state;
    struct index x = {0};
    for (uint32_t i = 0; i < 48; i++) { /* three quarters of the least size */
        assert_int_equal(index_reserve(&x), OK);
        index_put(&x, i * 77, i);
    }
    mem_fail_after(1);
    enum status status = index_reserve(&x);
    mem_fail_after(0);
    assert_int_equal(status, ERR_MEMORY);
    for (uint32_t i = 0; i < 48; i++) {
        assert_true(found(&x, i * 77, i));
    }
    assert_int_equal(index_reserve(&x), OK);
    index_put(&x, 1, 1);
    assert_true(found(&x, 1, 1) && found(&x, 77, 1));
    index_fini(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_list),
        cmocka_unit_test(memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
