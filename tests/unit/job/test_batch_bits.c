/* A plan made whole and one that grows, shard by shard in any order, place their bits alike. */
#include "common/job/batch_bits.h"

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const uint32_t batches[] = {3, 8, 0, 9, 1};

static void test_places(void **state) {
    struct batch_bits whole, grown;
    (void)state;
    assert_int_equal(batch_bits_init(&whole, batches, 5), OK);
    assert_int_equal(whole.total, 21);
    assert_int_equal(batch_bits_bytes(&whole), 1 + 1 + 0 + 2 + 1);
    assert_int_equal(whole.offset[4], 4);

    assert_int_equal(batch_bits_init(&grown, NULL, 0), OK);
    assert_int_equal(batch_bits_bytes(&grown), 0);
    assert_int_equal(batch_bits_hash(&grown), 0);
    const uint32_t order[] = {3, 0, 4, 1};
    for (int i = 0; i < 4; i++) {
        assert_false(batch_bits_equal(&whole, &grown));
        assert_int_equal(batch_bits_extend(&grown, order[i] + 1), OK);
        batch_bits_fill(&grown, order[i], batches[order[i]]);
    }
    assert_true(batch_bits_equal(&whole, &grown));
    assert_int_equal(batch_bits_hash(&whole), batch_bits_hash(&grown));
    assert_int_equal(grown.total, whole.total);
    assert_memory_equal(grown.offset, whole.offset, 6 * sizeof *whole.offset);
    batch_bits_fini(&whole);
    batch_bits_fini(&grown);
}

static void test_memory_fails(void **state) {
    enum status status = ERR_MEMORY;
    (void)state;
    for (size_t nth = 1; status == ERR_MEMORY; nth++) {
        struct batch_bits p;
        assert_int_equal(batch_bits_init(&p, batches, 2), OK);
        mem_fail_after(nth);
        status = batch_bits_extend(&p, 1000);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
        assert_int_equal(p.shards, status == OK ? 1000 : 2);
        assert_int_equal(batch_bits_bytes(&p), 2);
        batch_bits_fini(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
