/* Unit tests of ps/table/index.h against a plain list: puts, deletes, growth, colliding tags,
 * wrapping. */
#include "ps/table/index.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "ps/table/slab_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* What a look-up does: from the tag's home until an empty entry. */
static bool found(const struct index *x, uint32_t tag, uint32_t handle) {
    const struct index_side *s = index_side(x, tag);
    if (s->entries == NULL) {
        return false;
    }
    for (uint64_t i = side_home(s, tag); s->entries[i] != 0; i = side_next(s, i)) {
        if (entry_tag(s->entries[i]) == tag && entry_handle(s->entries[i]) == handle) {
            return true;
        }
    }
    return false;
}

static bool moving(const struct index *x) {
    return x->side[1].entries != NULL;
}

static uint64_t capacity(const struct index *x) {
    return x->side[moving(x)].size / 4 * 3;
}

static void check(const struct index *x, const uint32_t *tags, const bool *there, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (found(x, tags[i], i) != there[i]) {
            fail_msg("entry %u of %u, tag %08x, %s", i, count, tags[i],
                     moving(x) ? "while entries move" : "at rest");
        }
    }
}

/* `spread`: of how many different tags; few make long runs. */
static void churn(uint64_t seed, uint64_t spread, uint32_t base, uint32_t steps) {
    struct index x = {0};
    uint32_t *tags = NULL;
    bool *there = NULL;
    uint64_t count = 0, seen_moving = 0;
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
        seen_moving += moving(&x);
        if (moving(&x) && rng_below(seed, i, 3, 16) == 0) {
            check(&x, tags, there, i + 1);
        }
        uint32_t victim = (uint32_t)rng_below(seed, i, 1, (uint64_t)i + 1);
        if (there[victim] && rng_below(seed, i, 2, 3) == 0) {
            index_delete(&x, tags[victim], victim);
            there[victim] = false;
            count--;
        }
    }
    assert_int_equal(x.used, count);
    assert_true(x.used <= capacity(&x));
    assert_true(seen_moving > 0);
    check(&x, tags, there, steps);
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

/* On huge pages: a put moves few entries at any size, the arrays move often enough never to be
 * full, and both arrays together hold little more than the larger one. */
static void grows_in_small_steps(void **state) {
    (void)state;
    const uint32_t n = 2000000;
    struct index x = {0};
    uint64_t moves = 0, longest = 0;
    for (uint32_t i = 0; i < n; i++) {
        const bool before = moving(&x);
        const uint64_t cursor = x.cursor;
        assert_int_equal(index_reserve(&x), OK);
        if (before && moving(&x)) {
            longest = x.cursor - cursor > longest ? x.cursor - cursor : longest;
            assert_true(x.cursor > cursor || i % 4 != 0);
        }
        moves += before && !moving(&x);
        if (moving(&x) && x.cursor > 0) {
            const uint64_t page = SLAB_PAGE_BYTES / sizeof(uint64_t);
            assert_true(x.side[0].size < page || x.cursor - x.released * page < 2 * page);
        }
        index_put(&x, (uint32_t)rng_u64(5, i, 0), i);
        assert_true(x.used <= capacity(&x));
    }
    for (uint32_t i = 0; i < n; i++) {
        assert_true(found(&x, (uint32_t)rng_u64(5, i, 0), i));
    }
    assert_true(moves > 20);
    assert_true(longest < 1000); /* 64 homes and one run */
    assert_true(index_bytes(&x) < n * 17);
    index_fini(&x);
}

/* Six of seven entries go, and the index follows; some come back while it does. */
static void shrinks_in_small_steps(void **state) {
    (void)state;
    const uint32_t n = 1500000;
    struct index x = {0};
    uint32_t shrunk = 0;
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(index_reserve(&x), OK);
        index_put(&x, (uint32_t)rng_u64(6, i, 0), i);
    }
    const size_t full = index_bytes(&x);
    for (uint32_t i = 0; i < n; i++) {
        if (i % 7 != 0) {
            index_delete(&x, (uint32_t)rng_u64(6, i, 0), i);
        }
        if (i % 70 == 1) { /* one comes back */
            assert_int_equal(index_reserve(&x), OK);
            index_put(&x, (uint32_t)rng_u64(6, i, 0), i);
            index_replace(&x, (uint32_t)rng_u64(6, i, 0), i, i + n);
        }
        const bool before = moving(&x);
        shrunk += index_tidy(&x, 8) && !before;
        assert_true(x.used <= capacity(&x));
    }
    while (index_tidy(&x, 1000)) {
    }
    assert_in_range(shrunk, 2, 12);
    assert_true(index_bytes(&x) < full / 3);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t tag = (uint32_t)rng_u64(6, i, 0);
        assert_int_equal(found(&x, tag, i), i % 7 == 0);
        assert_int_equal(found(&x, tag, i + n), i % 70 == 1);
    }
    index_fini(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_a_list),
        cmocka_unit_test(memory_fails),
        cmocka_unit_test(grows_in_small_steps),
        cmocka_unit_test(shrinks_in_small_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
