/* Unit tests of common/checkpoint/judged.h: figures beside a checkpoint are read back, or refused
 * whatever bit of them is flipped. */
#include "common/checkpoint/judged.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void every_bit(void **state) {
    (void)state;
    char dir[] = "/tmp/test_judged.XXXXXX", path[PATH_BYTES_MAX];
    const struct judged was = {
        .step = 12, .impressions = 3400, .auc_ctr = 0.61, .auc_cvr = NAN, .auc_ctcvr = 0.7};
    struct judged now;
    char *bytes = NULL;
    size_t n = 0, same = 0;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(judged_read(&now, dir), ERR_NOT_FOUND);
    assert_int_equal(judged_write(&was, dir), OK);
    assert_int_equal(judged_read(&now, dir), OK);
    assert_int_equal(now.step, 12);
    assert_int_equal(now.impressions, 3400);
    assert_true(now.auc_ctr == 0.61 && isnan(now.auc_cvr) && now.auc_ctcvr == 0.7);
    assert_true(judged_figure(&now, BEST_CTR) == 0.61);
    assert_true(judged_figure(&now, BEST_CTCVR) == 0.7);
    assert_true(isnan(judged_figure(&now, BEST_CVR)) && isnan(judged_figure(&now, BEST_OFF)));
    assert_int_equal(path_join(path, dir, "evaluation"), OK);
    assert_int_equal(file_read_all(path, 1000, &bytes, &n), OK);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(file_write_atomic(path, bytes, n), OK);
        const enum status status = judged_read(&now, dir);
        if (status == OK) { /* of packed bytes some have another form with the same content */
            same++;
            assert_true(now.step == was.step && now.impressions == was.impressions &&
                        now.auc_ctr == was.auc_ctr && isnan(now.auc_cvr) &&
                        now.auc_ctcvr == was.auc_ctcvr);
        }
        assert_true(status == OK || status == ERR_CORRUPT);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    assert_true(same < n / 8);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(file_write_atomic(path, bytes, cut), OK);
        assert_int_equal(judged_read(&now, dir), ERR_CORRUPT);
    }
    mem_free(&bytes);
    assert_int_equal(judged_decode(&now, "", 0), ERR_CORRUPT);
    assert_int_equal(file_remove_tree(dir), OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_bit)};
    return cmocka_run_group_tests_name("judged", tests, NULL, NULL);
}
