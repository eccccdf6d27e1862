/* Unit tests of common/base/boot.h. */
#include "common/base/boot.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void one_start_has_one_id(void **state) {
    (void)state;
    char a[BOOT_ID_BYTES], b[BOOT_ID_BYTES];
    memset(a, 'x', sizeof a);
    memset(b, 'y', sizeof b);
    assert_int_equal(boot_id(a), OK);
    assert_int_equal(boot_id(b), OK);
    assert_int_equal(strlen(a), 36);
    assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
    assert_memory_equal(a, b, sizeof a); /* the end is zero in both */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_start_has_one_id)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
