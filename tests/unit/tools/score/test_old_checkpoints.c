/* Checkpoints that older versions wrote score what they scored then; those of a later version are
 * refused, both versions named. */
#include "tests/old.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/checkpoint/part.h"
#include "common/job/applied.h"
#include "tests/dirs.h"
#include "tools/score/predict.h"

#define LINES 48

static char dir[] = "/tmp/esmm-old-XXXXXX";

/* The cells of two files of predictions; kernels differ in the last digits. */
static void same_predictions(const char *a, const char *b) {
    FILE *x = fopen(a, "r"), *y = fopen(b, "r");
    char line[2][256];
    assert_true(x != NULL && y != NULL);
    for (int k = 0; k <= LINES; k++) {
        double v[2][4];
        assert_non_null(fgets(line[0], sizeof line[0], x));
        assert_non_null(fgets(line[1], sizeof line[1], y));
        for (int side = 0; side < 2 && k > 0; side++) {
            double *p = v[side];
            assert_int_equal(sscanf(line[side], "%lf,%lf,%lf,%lf", p, p + 1, p + 2, p + 3), 4);
        }
        for (int c = 0; c < 4 && k > 0; c++) {
            assert_true(fabs(v[0][c] - v[1][c]) <= 1e-5 * v[1][c]);
        }
    }
    assert_true(fgets(line[0], sizeof line[0], x) == NULL);
    fclose(x);
    fclose(y);
}

static void expect_scores(const char *name, uint64_t step, uint64_t cut) {
    char checkpoint[PATH_BYTES_MAX], data[PATH_BYTES_MAX], golden[PATH_BYTES_MAX];
    char out[PATH_BYTES_MAX], part[64];
    struct scorer *s = NULL;
    uint64_t lines = 0;
    snprintf(part, sizeof part, "%s/checkpoint", name);
    old_path(checkpoint, part);
    snprintf(part, sizeof part, "%s/shards", name);
    old_path(data, part);
    snprintf(part, sizeof part, "%s/predict.csv", name);
    old_path(golden, part);
    assert_int_equal(path_join(out, dir, "p.csv"), OK);
    assert_int_equal(scorer_create(&s, checkpoint, NULL), OK);
    assert_int_equal(scorer_manifest(s)->step, step);
    assert_int_equal(scorer_manifest(s)->cut != 0, cut);
    assert_int_equal(predict_csv(s, &DIRS(data), 1, out, &lines), OK);
    assert_int_equal(lines, LINES);
    same_predictions(out, golden);
    scorer_destroy(&s);
    unlink(out);
}

/* Parts of version 1, a manifest of fourteen fields, and a key that has another name now. */
static void test_first(void **state) {
    (void)state;
    expect_scores("first", 18, false);
}

/* Names of a stream's batches, version 2 of their set. */
static void test_stream(void **state) {
    (void)state;
    expect_scores("stream", 10, false);
}

/* Parts of version 2, which bear the id of their cut; fields that say how texts became ids. */
static void test_last(void **state) {
    (void)state;
    expect_scores("last", 18, true);
}

/* Parts of version 3: weights of bf16, moments of u8. */
static void test_bits(void **state) {
    (void)state;
    expect_scores("bits", 18, true);
}

/* Parts of version 4: a delta, and the full one that it is made against. */
static void test_delta(void **state) {
    (void)state;
    expect_scores("delta", 12, true);
}

/* Both hold impressions 1000 to 1047. */
static void test_ids_twice(void **state) {
    (void)state;
    char checkpoint[PATH_BYTES_MAX], a[PATH_BYTES_MAX], b[PATH_BYTES_MAX], out[PATH_BYTES_MAX];
    struct scorer *s = NULL;
    uint64_t lines = 0;
    assert_int_equal(path_join(out, dir, "p.csv"), OK);
    assert_int_equal(scorer_create(&s, old_path(checkpoint, "last/checkpoint"), NULL), OK);
    const struct file_list both = DIRS(a, b);
    old_path(a, "first/shards");
    old_path(b, "stream/shards");
    assert_int_equal(predict_csv(s, &both, 1, out, &lines), ERR_CONFIG);
    assert_non_null(strstr(fail_text(), "impression 1000 is in "));
    assert_non_null(strstr(fail_text(), "first/shards and in "));
    assert_int_equal(access(out, F_OK), -1);
    scorer_destroy(&s);
}

/* --- of a version that is yet to come --------------------------------------------------------- */

static void test_later_manifest(void **state) {
    (void)state;
    char path[PATH_BYTES_MAX];
    struct manifest m;
    assert_int_equal(path_join(path, dir, "manifest"), OK);
    old_changed("last/checkpoint/manifest", CONTAINER_MANIFEST, 0, 1, 3, path);
    old_refused(manifest_read(&m, dir), path,
                "format of a checkpoint's manifest 3, this program (esmm " ESMM_VERSION
                ") reads 1 to 2");
    unlink(path);
}

static void test_later_part(void **state) {
    (void)state;
    char path[PATH_BYTES_MAX], checkpoint[PATH_BYTES_MAX];
    struct manifest m;
    struct part_reader r;
    struct stat stat_of;
    assert_int_equal(manifest_read(&m, old_path(checkpoint, "last/checkpoint")), OK);
    struct manifest_part *part = &m.parts[0];
    assert_int_equal(path_join(path, dir, part->name), OK);
    old_changed("last/checkpoint/part-00000-of-00002.bin", CONTAINER_CHECKPOINT_PART, 0, 0, 5,
                path);
    assert_int_equal(stat(path, &stat_of), 0);
    part->bytes = (uint64_t)stat_of.st_size;
    old_refused(part_open(&r, dir, part, m.cut), path,
                "version of a checkpoint's part 5, this program (esmm " ESMM_VERSION
                ") reads 1 to 4");
    part_close(&r);
    manifest_free(&m);
    unlink(path);
}

static void test_later_names(void **state) {
    (void)state;
    char checkpoint[PATH_BYTES_MAX];
    struct manifest m;
    struct applied *a = NULL;
    assert_int_equal(manifest_read(&m, old_path(checkpoint, "first/checkpoint")), OK);
    assert_int_equal(applied_decode(&a, m.applied, m.applied_bytes, m.batches_per_shard, m.shards),
                     OK);
    assert_int_equal(applied_base(a), 3);
    applied_destroy(&a);
    m.applied[0] = 3;
    old_refused(applied_decode(&a, m.applied, m.applied_bytes, m.batches_per_shard, m.shards), "",
                "version of a set of applied batches 3, this program (esmm " ESMM_VERSION
                ") reads 1 to 2");
    manifest_free(&m);
}

static int make_dir(void **state) {
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state) {
    (void)state;
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first),          cmocka_unit_test(test_stream),
        cmocka_unit_test(test_last),           cmocka_unit_test(test_bits),
        cmocka_unit_test(test_delta),          cmocka_unit_test(test_ids_twice),
        cmocka_unit_test(test_later_manifest), cmocka_unit_test(test_later_part),
        cmocka_unit_test(test_later_names),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
