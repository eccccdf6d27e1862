#include "common/base/mem.h"

#include <pthread.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HUGE_BYTES ((size_t)2 << 20)

static int fails_off(void **state) {
    (void)state;
    mem_fail_after(0);
    return 0;
}

static bool all_are(const void *p, size_t bytes, uint8_t value) {
    const uint8_t *at = p;
    for (size_t i = 0; i < bytes; i++) {
        if (at[i] != value) {
            return false;
        }
    }
    return true;
}

static void alloc_is_aligned_and_zeroed(void **state) {
    (void)state;
    for (size_t bytes = 1; bytes < 5000; bytes = bytes * 3 / 2 + 1) {
        void *p = NULL;
        assert_int_equal(mem_alloc(&p, bytes), OK);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true(all_are(p, bytes, 0));
        memset(p, 0xa5, bytes); /* so that a later one of this size would show what is left */
        mem_free(&p);
        assert_null(p);
    }
}

static void nothing_is_null(void **state) {
    (void)state;
    void *p = (void *)1;
    assert_int_equal(mem_alloc(&p, 0), OK);
    assert_null(p);
    p = (void *)1;
    assert_int_equal(mem_array_of(&p, 0, 8), OK);
    assert_null(p);
    p = (void *)1;
    assert_int_equal(mem_pages_alloc(&p, 0), OK);
    assert_null(p);
    mem_free(&p);
    mem_pages_free(&p, 0);
    assert_null(p);
}

static void too_much_is_refused(void **state) {
    (void)state;
    void *p = (void *)1;
    assert_int_equal(mem_alloc(&p, SIZE_MAX), ERR_MEMORY);
    assert_null(p);
    assert_int_equal(mem_alloc(&p, SIZE_MAX - 63), ERR_MEMORY);
    assert_int_equal(mem_alloc(&p, SIZE_MAX / 2), ERR_MEMORY);
    p = (void *)1;
    assert_int_equal(mem_array_of(&p, SIZE_MAX / 8 + 1, 8), ERR_MEMORY);
    assert_null(p);
    assert_int_equal(mem_pages_alloc(&p, SIZE_MAX), ERR_MEMORY);
    assert_int_equal(mem_pages_alloc(&p, SIZE_MAX - HUGE_BYTES), ERR_MEMORY);
    assert_null(p);
}

static void grow_keeps_the_head_and_clears_the_tail(void **state) {
    (void)state;
    void *p = NULL;
    size_t bytes = 0;
    for (size_t next = 10; next < 3000; next = next * 2 + 7) {
        assert_int_equal(mem_resize(&p, bytes, next), OK);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true(all_are(p, bytes, 0x5a));
        assert_true(all_are((uint8_t *)p + bytes, next - bytes, 0));
        memset(p, 0x5a, next);
        bytes = next;
    }
    assert_int_equal(mem_resize(&p, bytes, 3), OK);
    assert_true(all_are(p, 3, 0x5a));
    mem_free(&p);
}

static void a_failed_grow_changes_nothing(void **state) {
    (void)state;
    void *p = NULL;
    assert_int_equal(mem_alloc(&p, 100), OK);
    memset(p, 7, 100);
    void *before = p;
    mem_fail_after(1);
    assert_int_equal(mem_resize(&p, 100, 200), ERR_MEMORY);
    mem_fail_after(0);
    assert_ptr_equal(p, before);
    assert_true(all_are(p, 100, 7));
    mem_free(&p);
}

static void pages_are_aligned_and_zeroed(void **state) {
    (void)state;
    const size_t sizes[] = {1, 4096, HUGE_BYTES, HUGE_BYTES + 1, 3 * HUGE_BYTES};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *p = NULL;
        assert_int_equal(mem_pages_alloc(&p, sizes[i]), OK);
        assert_int_equal((uintptr_t)p % HUGE_BYTES, 0);
        assert_true(all_are(p, sizes[i], 0));
        memset(p, 1, (sizes[i] + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES); /* all is usable */
        mem_pages_free(&p, sizes[i]);
        assert_null(p);
    }
}

static void strdup_copies(void **state) {
    (void)state;
    char *copy = NULL;
    const char *text = "field 205";
    assert_int_equal(mem_strdup(&copy, text), OK);
    assert_string_equal(copy, text);
    assert_ptr_not_equal(copy, text);
    mem_free(&copy);
    assert_int_equal(mem_strdup(&copy, ""), OK);
    assert_string_equal(copy, "");
    mem_free(&copy);
}

static void the_nth_and_all_later_fail(void **state) {
    (void)state;
    void *p[5] = {NULL};
    mem_fail_after(3);
    assert_int_equal(mem_alloc(&p[0], 1), OK);
    assert_int_equal(mem_pages_alloc(&p[1], 1), OK);
    assert_int_equal(mem_alloc(&p[2], 1), ERR_MEMORY);
    assert_string_equal(fail_text(), "out of memory: 1 bytes wanted");
    assert_int_equal(mem_array_of(&p[2], 2, 2), ERR_MEMORY);
    assert_int_equal(mem_pages_alloc(&p[3], 1), ERR_MEMORY);
    assert_int_equal(mem_strdup((char **)&p[3], "x"), ERR_MEMORY);
    assert_int_equal(mem_alloc(&p[3], 0), OK); /* takes no memory */
    mem_fail_after(0);
    assert_int_equal(mem_alloc(&p[4], 1), OK);
    assert_null(p[2]);
    assert_null(p[3]);
    mem_free(&p[0]);
    mem_pages_free(&p[1], 1);
    mem_free(&p[4]);
}

static void *alloc_elsewhere(void *arg) {
    void *p = NULL;
    *(enum status *)arg = mem_alloc(&p, 8);
    mem_free(&p);
    return NULL;
}

static void failing_is_a_threads_own(void **state) {
    (void)state;
    pthread_t other;
    enum status there = ERR_CLOSED;
    void *p = NULL;
    mem_fail_after(1);
    const int created = pthread_create(&other, NULL, alloc_elsewhere, &there);
    const enum status here = mem_alloc(&p, 8);
    mem_fail_after(0);
    assert_int_equal(created, 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(there, OK);
    assert_int_equal(here, ERR_MEMORY);
}

/* The typed forms take their size from the pointer; a size that overflows is refused. */
static void typed_sizes_are_the_pointers(void **state) {
    (void)state;
    struct pair {
        uint64_t a, b;
    } * one, *many = NULL;
    assert_int_equal(mem_new(&one), OK);
    assert_int_equal(one->b, 0);
    mem_free(&one);
    assert_int_equal(mem_array(&many, 3), OK);
    many[2].b = 7;
    assert_int_equal(mem_grow(&many, 3, 100), OK);
    assert_int_equal(many[2].b, 7);
    assert_int_equal(many[99].b, 0);
    assert_int_equal(mem_grow(&many, 100, SIZE_MAX / sizeof *many + 1), ERR_MEMORY);
    assert_int_equal(many[2].b, 7);
    mem_free(&many);
}

static void room_grows_geometrically(void **state) {
    (void)state;
    uint32_t *list = NULL;
    size_t cap = 0, times = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        const size_t was = cap;
        assert_int_equal(mem_room(&list, &cap, i + 1), OK);
        times += cap != was;
        assert_int_equal(list[i], 0);
        list[i] = i;
    }
    assert_in_range(times, 1, 12);
    assert_int_equal(list[9999], 9999);
    mem_fail_after(1);
    assert_int_equal(mem_room(&list, &cap, cap + 1), ERR_MEMORY);
    mem_fail_after(0);
    assert_int_equal(mem_room(&list, &cap, SIZE_MAX), ERR_MEMORY);
    assert_int_equal(list[9999], 9999);
    mem_free(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(alloc_is_aligned_and_zeroed, fails_off),
        cmocka_unit_test_teardown(nothing_is_null, fails_off),
        cmocka_unit_test_teardown(too_much_is_refused, fails_off),
        cmocka_unit_test_teardown(grow_keeps_the_head_and_clears_the_tail, fails_off),
        cmocka_unit_test_teardown(a_failed_grow_changes_nothing, fails_off),
        cmocka_unit_test_teardown(pages_are_aligned_and_zeroed, fails_off),
        cmocka_unit_test_teardown(strdup_copies, fails_off),
        cmocka_unit_test_teardown(the_nth_and_all_later_fail, fails_off),
        cmocka_unit_test_teardown(failing_is_a_threads_own, fails_off),
        cmocka_unit_test_teardown(typed_sizes_are_the_pointers, fails_off),
        cmocka_unit_test_teardown(room_grows_geometrically, fails_off),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
