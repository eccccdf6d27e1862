#include "tools/export/export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "tests/job_sample.h"
#include "tools/export/export_name.h"
#include "tools/export/export_rows.h"
#include "tools/export/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED   20260131u
#define WINDOW ((size_t)1 << 20)

/* --- sorting ---------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return x < y ? -1 : x > y;
}

/* Sizes around the switch to insertion sort, narrow and wide ranges, many equal values. */
static void test_sort_ids(void **state) {
    static const size_t sizes[] = {0, 1, 2, 31, 32, 33, 1000, 20000};
    static const uint64_t ranges[] = {1, 2, 300, 1u << 20, UINT64_MAX};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
            uint64_t *a = calloc(sizes[s] + 1, 8), *b = calloc(sizes[s] + 1, 8);
            for (size_t i = 0; i < sizes[s]; i++) {
                a[i] = b[i] = rng_u64(SEED, s * 10 + r, i) % ranges[r];
            }
            sort_ids(a, sizes[s]);
            qsort(b, sizes[s], 8, ascending);
            assert_memory_equal(a, b, sizes[s] * 8 + 1);
            free(a);
            free(b);
        }
    }
}

/* --- npy -------------------------------------------------------------------------------------- */

static void test_npy_header(void **state) {
    char header[NPY_HEADER_MAX];
    size_t bytes = 0;
    uint16_t dict;
    (void)state;
    const uint64_t shape[] = {123456789012u, 18};
    assert_int_equal(npy_header("'<f4'", shape, 2, header, &bytes), OK);
    assert_int_equal(bytes % 64, 0);
    assert_memory_equal(header, "\x93NUMPY\x01\x00", 8);
    memcpy(&dict, header + 8, 2);
    assert_int_equal(dict + 10, bytes);
    assert_int_equal(header[bytes - 1], '\n');
    const char want[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (123456789012, 18), }";
    assert_memory_equal(header + 10, want, sizeof want - 1);
    assert_int_equal(npy_header("'<u8'", shape, 1, header, &bytes), OK);
    header[bytes - 1] = '\0';
    assert_non_null(strstr(header + 10, "'shape': (123456789012,), }"));
    /* Every length of the type: the padding is right at each. */
    char type[128];
    for (size_t n = 1; n < sizeof type; n++) {
        memset(type, 'x', n);
        type[n] = '\0';
        assert_int_equal(npy_header(type, shape, 1, header, &bytes), OK);
        assert_int_equal(bytes % 64, 0);
        assert_int_equal(header[bytes - 1], '\n');
    }
}

static void test_npy_header_too_long(void **state) {
    static char type[NPY_HEADER_MAX];
    char header[NPY_HEADER_MAX];
    size_t bytes = 0;
    (void)state;
    memset(type, 'x', sizeof type - 1);
    assert_int_equal(npy_header(type, (uint64_t[]){1}, 1, header, &bytes), ERR_LIMIT);
}

/* --- names ------------------------------------------------------------------------------------ */

static void test_export_name(void **state) {
    static const char *const names[][2] = {
        {"205", "205"},         {"109_14", "109_14"},     {"a.b-c", "a.b-c"},
        {"dense", "%64ense"},   {"..", "%2E."},           {"../x", "%2E.%2Fx"},
        {"a/b", "a%2Fb"},       {"100%", "100%25"},       {"manifest.json", "%6Danifest.json"},
        {"a b:c", "a%20b%3Ac"}, {".hidden", "%2Ehidden"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char out[EXPORT_NAME_BYTES];
        export_name(names[i][0], out);
        assert_string_equal(out, names[i][1]);
    }
    char longest[FIELD_NAME_MAX], out[EXPORT_NAME_BYTES];
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    export_name(longest, out);
    assert_int_equal(strlen(out), 3 * (FIELD_NAME_MAX - 1));
}

/* --- exports ---------------------------------------------------------------------------------- */

static const char *const admit[] = {"table.admit_after=3", NULL};

typedef enum status exporter(const struct scan *, const char *, size_t);

static enum status run(const struct small_job *j, const char *checkpoint, exporter *export_fn,
                       const char *out, size_t window) {
    char dir[PATH_BYTES_MAX], target[PATH_BYTES_MAX];
    struct scan *scan = NULL;
    job_path(j, checkpoint, dir);
    job_path(j, out, target);
    JOB_MUST(scan_create(&scan, dir));
    JOB_MUST(file_mkdirs(target));
    const enum status status = export_fn(scan, target, window);
    scan_destroy(&scan);
    return status;
}

static void assert_same(const struct small_job *j, const char *a, const char *b) {
    char x[PATH_BYTES_MAX], y[PATH_BYTES_MAX];
    job_path(j, a, x);
    job_path(j, b, y);
    assert_true(job_same_tree(x, y));
}

/* The same pushes through 1 and 3 partitions, windows of a row and of everything. */
static void test_same_bytes_whatever_servers(void **state) {
    struct small_job j;
    (void)state;
    job_init(&j, SEED, admit);
    for (uint32_t parts = 1; parts <= 3; parts += 2) {
        j.pushes = 0;
        job_start(&j, parts);
        job_push(&j, 30);
        job_save(&j, parts == 1 ? "one" : "three");
    }
    assert_int_equal(run(&j, "one", export_npy, "npy-one", WINDOW), OK);
    assert_int_equal(run(&j, "three", export_npy, "npy-three", WINDOW), OK);
    assert_int_equal(run(&j, "three", export_npy, "npy-narrow", 1000), OK);
    assert_same(&j, "npy-one", "npy-three");
    assert_same(&j, "npy-one", "npy-narrow");
    assert_int_equal(run(&j, "one", export_dump, "dump-one", WINDOW), OK);
    assert_int_equal(run(&j, "three", export_dump, "dump-three", 5000), OK);
    assert_same(&j, "dump-one", "dump-three");
    job_fini(&j);
}

/* Saved by 3, loaded by 2, saved again: rows, state, counters, clocks and names are the same. */
static void test_dump_survives_resharding(void **state) {
    struct small_job j;
    (void)state;
    job_init(&j, SEED + 1, admit);
    job_start(&j, 3);
    job_push(&j, 25);
    job_save(&j, "three");
    job_restore(&j, "three", 2);
    job_save(&j, "two");
    assert_int_equal(run(&j, "three", export_dump, "dump-three", WINDOW), OK);
    assert_int_equal(run(&j, "two", export_dump, "dump-two", WINDOW), OK);
    assert_same(&j, "dump-three", "dump-two");
    /* One more push must show. */
    job_push(&j, 1);
    job_save(&j, "later");
    assert_int_equal(run(&j, "later", export_dump, "dump-later", WINDOW), OK);
    char x[PATH_BYTES_MAX], y[PATH_BYTES_MAX];
    job_path(&j, "dump-two/applied.tsv", x);
    job_path(&j, "dump-later/applied.tsv", y);
    assert_false(job_same_file(x, y));
    job_path(&j, "dump-two/205/rows.npy", x);
    job_path(&j, "dump-later/205/rows.npy", y);
    assert_false(job_same_file(x, y));
    job_fini(&j);
}

/* What the files hold is what a partition with the same pushes answers. */
static void test_npy_holds_the_rows(void **state) {
    struct small_job j;
    char path[PATH_BYTES_MAX];
    const void *ids = NULL, *emb = NULL;
    size_t ids_bytes = 0, emb_bytes = 0;
    (void)state;
    job_init(&j, SEED + 2, NULL);
    job_start(&j, 1);
    job_push(&j, 20);
    job_save(&j, "c");
    assert_int_equal(run(&j, "c", export_npy, "out", 4000), OK);
    const int slot = schema_find(&j.schema, "dense");
    const uint32_t dim = j.layout.dim[slot];
    job_path(&j, "out/%64ense/ids.npy", path);
    assert_int_equal(file_map(path, &ids, &ids_bytes), OK);
    job_path(&j, "out/%64ense/emb.npy", path);
    assert_int_equal(file_map(path, &emb, &emb_bytes), OK);
    struct partition_stats stats;
    partition_stats(j.part[0], &stats);
    const size_t rows = (size_t)stats.rows[slot];
    assert_true(rows > 100);
    const size_t head = ids_bytes - 8 * rows, emb_head = emb_bytes - 4 * dim * rows;
    assert_int_equal(head % 64, 0);
    assert_int_equal(emb_head % 64, 0);
    uint64_t before = 0;
    for (size_t i = 0; i < rows; i++) {
        const uint64_t id = load_u64((const uint8_t *)ids + head + 8 * i);
        uint32_t counts[FIELDS_MAX] = {0};
        counts[slot] = 1;
        const struct key_list keys = {.counts = counts, .ids = &id, .total = 1};
        struct pull_result result;
        float want[256];
        assert_true(id > before);
        before = id;
        assert_int_equal(partition_pull(j.part[0], &keys, false, want, &result), OK);
        assert_memory_equal((const uint8_t *)emb + emb_head + 4 * dim * i, want, 4 * dim);
    }
    partition_stats(j.part[0], &stats);
    assert_int_equal(stats.missing_keys, 0);
    file_unmap(ids, ids_bytes);
    file_unmap(emb, emb_bytes);
    job_fini(&j);
}

/* A checkpoint saved before any push: no rows, the dense parameters are the initial ones. */
static void test_empty_tables(void **state) {
    struct small_job j;
    char path[PATH_BYTES_MAX];
    (void)state;
    job_init(&j, SEED + 3, NULL);
    job_start(&j, 2);
    job_save(&j, "c");
    assert_int_equal(run(&j, "c", export_npy, "npy", WINDOW), OK);
    assert_int_equal(run(&j, "c", export_dump, "dump", WINDOW), OK);
    job_path(&j, "npy/205/emb.npy", path);
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read_all(path, 4096, &text, &bytes), OK);
    assert_int_equal(bytes % 64, 0);
    assert_non_null(strstr(text + 10, "'shape': (0, 6), }"));
    mem_free(&text);
    job_fini(&j);
}

/* A manifest that lists a part twice under other names would double its rows. */
static void test_duplicate_id_is_damage(void **state) {
    struct small_job j;
    char dir[PATH_BYTES_MAX];
    struct manifest m = {0};
    (void)state;
    job_init(&j, SEED + 4, NULL);
    job_start(&j, 1);
    job_push(&j, 3);
    job_save(&j, "c");
    job_path(&j, "c", dir);
    JOB_MUST(manifest_read(&m, dir));
    struct scan *scan = NULL;
    JOB_MUST(scan_create(&scan, dir));
    struct manifest_part twice[2] = {m.parts[0], m.parts[0]};
    struct manifest_part *kept = scan->manifest.parts;
    scan->manifest.parts = twice;
    scan->manifest.part_count = 2;
    char out[PATH_BYTES_MAX];
    job_path(&j, "out", out);
    assert_int_equal(export_npy(scan, out, WINDOW), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "twice"));
    scan->manifest.parts = kept;
    scan->manifest.part_count = 1;
    scan_destroy(&scan);
    manifest_free(&m);
    job_fini(&j);
}

static void test_out_of_memory(void **state) {
    struct small_job j;
    char dir[PATH_BYTES_MAX];
    (void)state;
    job_init(&j, SEED + 5, NULL);
    job_start(&j, 1);
    job_push(&j, 3);
    job_save(&j, "c");
    job_path(&j, "c", dir);
    enum status status = ERR_MEMORY;
    for (size_t n = 1; status != OK; n++) {
        struct scan *scan = NULL;
        char out[PATH_BYTES_MAX];
        job_path(&j, "out", out);
        assert_true(n < 5000);
        JOB_MUST(file_remove_tree(out));
        JOB_MUST(file_mkdirs(out));
        mem_fail_after(n);
        status = scan_create(&scan, dir);
        if (status == OK) {
            status = export_dump(scan, out, WINDOW);
        }
        mem_fail_after(0);
        /* Protobuf's decoder has one answer for short memory and bad bytes. */
        const bool decoder =
            status == ERR_CORRUPT && strstr(fail_text(), "memory is short") != NULL;
        if (status != OK && status != ERR_MEMORY && !decoder) {
            fail_msg("allocation %zu: %s (%s)", n, status_text(status), fail_text());
        }
        scan_destroy(&scan);
    }
    job_fini(&j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sort_ids),
        cmocka_unit_test(test_npy_header),
        cmocka_unit_test(test_npy_header_too_long),
        cmocka_unit_test(test_export_name),
        cmocka_unit_test(test_same_bytes_whatever_servers),
        cmocka_unit_test(test_dump_survives_resharding),
        cmocka_unit_test(test_npy_holds_the_rows),
        cmocka_unit_test(test_empty_tables),
        cmocka_unit_test(test_duplicate_id_is_damage),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
