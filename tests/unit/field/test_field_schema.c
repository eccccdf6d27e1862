/* How texts became ids, in manifests of shards and of checkpoints: there and back, hostile bytes,
 * manifests from before there were any, and what is said of two that differ. */
#include "common/field/field_schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/container.h"
#include "common/base/file.h"
#include "common/checkpoint/manifest.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char dir[64];

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-fields-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    return file_remove_tree(dir) == OK ? 0 : -1;
}

static struct field_schema *add(struct field_schemas *s, const char *name, enum field_kind kind) {
    struct field_schema *f = NULL;
    assert_int_equal(field_schemas_add(s, name, &f), OK);
    f->kind = kind;
    if (kind == FIELD_HASH_TEXT) {
        memcpy(f->hash, FIELD_HASH, sizeof FIELD_HASH);
    }
    return f;
}

static const double ages[] = {18, 25, 35};
static const double odd[] = {-0.0, 4.9406564584124654e-324, 0.1, 0.1 + 1e-17 + 2e-17,
                             1.7976931348623157e308};

/* One of each kind. */
static void fill(struct field_schemas *s) {
    struct field_schema *f = add(s, "tags", FIELD_HASH_TEXT);
    f->multi = '|';
    f->weight = '\xff';
    assert_int_equal(field_schema_missing(f, "NULL", 4), OK);
    assert_int_equal(field_schema_missing(f, "-1", 2), OK);
    assert_int_equal(field_schema_missing(f, "NULL", 4), OK);
    add(s, "item", FIELD_ID);
    f = add(s, "age", FIELD_NUMERIC);
    assert_int_equal(field_schema_bounds(f, odd, 3), OK);
    add(s, "206", FIELD_ALICCP);
    add(s, "old", FIELD_UNKNOWN);
    memcpy(s->times, "time_unit = ms", sizeof "time_unit = ms");
}

static void fill_schema(struct schema *s) {
    static const char *const names[] = {"tags", "item", "age", "206", "old"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        assert_int_equal(schema_add(s, names[k], k % 2 == 0 ? SIDE_USER : SIDE_ITEM), OK);
    }
}

static void same_field(const struct field_schema *a, const struct field_schema *b) {
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->hash, b->hash);
    assert_true(a->multi == b->multi && a->weight == b->weight);
    assert_int_equal(a->bound_count, b->bound_count);
    if (a->bound_count > 0) { /* to the bit */
        assert_memory_equal(a->bounds, b->bounds, a->bound_count * sizeof *a->bounds);
    }
    assert_int_equal(a->missing_count, b->missing_count);
    for (uint32_t k = 0; k < a->missing_count; k++) {
        assert_string_equal(a->missing[k], b->missing[k]);
    }
}

static void same(const struct field_schemas *a, const struct field_schemas *b) {
    assert_int_equal(a->count, b->count);
    assert_string_equal(a->times, b->times);
    for (uint32_t k = 0; k < a->count; k++) {
        same_field(&a->list[k], field_schemas_find(b, a->list[k].name));
    }
}

static void test_shards(void **state) {
    (void)state;
    struct dataset d = {0}, back;
    fill_schema(&d.schema);
    fill(&d.fields);
    d.field_values[0] = 7; /* of "tags", the last of the user side when written */
    assert_int_equal(dataset_write(&d, dir), OK);
    assert_int_equal(dataset_read(&back, dir), OK);
    same(&d.fields, &back.fields);
    assert_int_equal(back.field_values[schema_find(&back.schema, "tags")], 7);
    assert_int_equal(back.field_values[schema_find(&back.schema, "age")], 0);
    dataset_free(&back);
    field_schemas_free(&d.fields);
}

static uint32_t plan[1] = {3};
static struct manifest_part part = {.name = "part-0", .bucket_end = 4096};

static struct manifest checkpoint(void) {
    static char config[] = "";
    struct manifest m = {.config_text = config,
                         .batches_per_shard = plan,
                         .shards = 1,
                         .parts = &part,
                         .part_count = 1};
    fill_schema(&m.schema);
    schema_finish(&m.schema);
    fill(&m.fields);
    return m;
}

static void test_checkpoint(void **state) {
    (void)state;
    struct manifest m = checkpoint(), back;
    struct buf bytes = BUF_EMPTY;
    m.field_values[2] = UINT64_MAX;
    assert_int_equal(manifest_encode(&m, &bytes), OK);
    assert_int_equal(manifest_decode(&back, bytes.data, bytes.len), OK);
    same(&m.fields, &back.fields);
    assert_memory_equal(m.field_values, back.field_values, sizeof m.field_values);
    manifest_free(&back);
    field_schemas_free(&m.fields);
    buf_fini(&bytes);
}

static void test_copy(void **state) {
    (void)state;
    struct field_schemas a = {0}, b = {0};
    fill(&a);
    assert_int_equal(field_schemas_unite(&b, &a), OK);
    memcpy(b.times, a.times, sizeof b.times);
    same(&a, &b);
    field_schemas_free(&b);
    for (size_t n = 1; n < 8; n++) { /* all that there is is freed (the leak checker's to say) */
        mem_fail_after(n);
        const enum status status = field_schemas_unite(&b, &a);
        mem_fail_after(0);
        assert_int_equal(status, ERR_MEMORY);
        field_schemas_free(&b);
    }
    field_schemas_free(&a);
    field_schemas_free(&a);
}

/* --- hostile ---------------------------------------------------------------------------------- */

static void spoil(struct field_schemas *s, int how) {
    static double bounds[5000];
    struct field_schema *tags = &s->list[0], *age = &s->list[2];
    assert_string_equal(age->name, "age");
    for (uint32_t k = 0; k < 5000; k++) {
        bounds[k] = k;
    }
    switch (how) {
    case 0: age->bounds[1] = NAN; break;
    case 1: age->bounds[2] = INFINITY; break;
    case 2: age->bounds[1] = age->bounds[0]; break;
    case 3: age->bounds[2] = -1; break;
    case 4: age->bound_count = 0; break;
    case 5: age->kind = FIELD_ID; break;
    case 6: tags->kind = FIELD_ID; break; /* has a hash */
    case 7: tags->hash[0] = '\0'; break;
    case 8: tags->hash[1] = '\n'; break;
    case 9: tags->missing[0][0] = 'z'; break; /* no longer ascending */
    case 10: memcpy(tags->missing[0], tags->missing[1], FIELD_TEXT_MAX); break;
    case 11: tags->missing[0][0] = '\0'; break;
    case 12: s->times[3] = '\n'; break;
    case 13: assert_int_equal(field_schema_bounds(age, bounds, 4097), OK); break;
    }
}

static void test_hostile(void **state) {
    (void)state;
    for (int how = 0; how < 14; how++) {
        struct manifest m = checkpoint(), back;
        struct buf bytes = BUF_EMPTY;
        spoil(&m.fields, how);
        assert_int_equal(manifest_encode(&m, &bytes), OK);
        assert_int_equal(manifest_decode(&back, bytes.data, bytes.len), ERR_CORRUPT);
        struct dataset d = {.schema = m.schema, .fields = m.fields};
        assert_int_equal(dataset_write(&d, dir), OK);
        assert_int_equal(dataset_read(&d, dir), ERR_CORRUPT);
        assert_non_null(strstr(fail_text(), dir));
        field_schemas_free(&m.fields);
        buf_fini(&bytes);
    }
}

/* The most that a schema can say fits both manifests. */
static void test_largest(void **state) {
    (void)state;
    struct dataset *d = NULL, *back = NULL;
    double *bounds = NULL;
    char name[32];
    assert_int_equal(mem_new(&d), OK);
    assert_int_equal(mem_new(&back), OK);
    assert_int_equal(mem_array(&bounds, FIELD_BOUNDS_MAX), OK);
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        for (uint32_t k = 0; k < FIELD_BOUNDS_MAX; k++) {
            bounds[k] = pow(1.0001, k + 1e-3 * f); /* nothing for LZ4 */
        }
        snprintf(name, sizeof name, "field-%u", f);
        assert_int_equal(schema_add(&d->schema, name, SIDE_ITEM), OK);
        struct field_schema *s = add(&d->fields, name, FIELD_NUMERIC);
        assert_int_equal(field_schema_bounds(s, bounds, FIELD_BOUNDS_MAX), OK);
        for (uint32_t k = 0; k < FIELD_MISSING_MAX; k++) {
            char text[FIELD_TEXT_MAX];
            memset(text, 'x', sizeof text);
            snprintf(text, sizeof text, "%03u", k);
            text[3] = 'x';
            assert_int_equal(field_schema_missing(s, text, FIELD_TEXT_MAX - 1), OK);
        }
    }
    assert_int_equal(dataset_write(d, dir), OK);
    assert_int_equal(dataset_read(back, dir), OK);
    same(&d->fields, &back->fields);
    dataset_free(back);
    dataset_free(d);
    mem_free(&back);
    mem_free(&d);
    mem_free(&bounds);
}

/* --- from before ------------------------------------------------------------------------------ */

static void copy_file(const char *name, const char *to) {
    char path[PATH_BYTES_MAX], *bytes = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/golden/%s", TESTS_DIR, name);
    assert_int_equal(file_read_all(path, 1 << 16, &bytes, &n), OK);
    assert_int_equal(file_write_atomic(to, bytes, n), OK);
    mem_free(&bytes);
}

/* Manifests of the version before there was anything to read. */
static void test_older(void **state) {
    (void)state;
    struct dataset d;
    struct manifest m;
    char path[PATH_BYTES_MAX];
    struct buf doubts = BUF_EMPTY;
    assert_int_equal(path_join(path, dir, "manifest"), OK);
    copy_file("old_shards.manifest", path);
    assert_int_equal(dataset_read(&d, dir), OK);
    copy_file("old_checkpoint.manifest", path);
    assert_int_equal(manifest_read(&m, dir), OK);
    assert_int_equal(d.fields.count, 3);
    assert_int_equal(m.fields.count, 3);
    for (uint32_t f = 0; f < 3; f++) {
        assert_int_equal(d.fields.list[f].kind, FIELD_UNKNOWN);
        assert_int_equal(m.fields.list[f].kind, FIELD_UNKNOWN);
    }
    assert_int_equal(field_schemas_match(&m.fields, "the checkpoint run was trained with",
                                         &d.fields, "shards has", &doubts),
                     OK);
    assert_string_equal(
        (const char *)doubts.data,
        "field 'u' (and 2 more): the checkpoint run was trained with kind = unknown; shards "
        "has kind = unknown: an older version or another program does not say how texts "
        "became ids; whether both agree is not checked\n");
    buf_fini(&doubts);
    dataset_free(&d);
    manifest_free(&m);
}

/* --- two sides -------------------------------------------------------------------------------- */

/* Fields `x` of a and b differ as `says` has it; "": they agree. */
static void matches(const struct field_schemas *a, const struct field_schemas *b, const char *says,
                    const char *doubts) {
    struct buf got = BUF_EMPTY;
    assert_int_equal(buf_printf(&got, "%s", ""), OK);
    const enum status status = field_schemas_match(a, "A has", b, "B has", &got);
    assert_int_equal(status, says[0] == '\0' ? OK : ERR_CONFIG);
    if (status != OK) {
        assert_non_null(strstr(fail_text(), says));
    }
    if (strstr((const char *)got.data, doubts) == NULL || (got.len > 0) != (doubts[0] != '\0')) {
        fail_msg("it doubts '%s', expected '%s'", (const char *)got.data, doubts);
    }
    buf_fini(&got);
}

static void test_match_kinds(void **state) {
    (void)state;
    struct field_schemas a = {0}, b = {0};
    struct field_schema *x = add(&a, "x", FIELD_NUMERIC), *y = add(&b, "x", FIELD_HASH_TEXT);
    assert_int_equal(field_schema_bounds(x, ages, 3), OK);
    matches(&a, &b, "field 'x': A has kind = numeric, bounds 18, 25, 35; B has kind = hash: ", "");
    y->kind = FIELD_NUMERIC;
    y->hash[0] = '\0';
    assert_int_equal(field_schema_bounds(y, ages, 2), OK);
    matches(&a, &b, "bounds 18, 25, 35; B has kind = numeric, bounds 18, 25", "");
    assert_int_equal(field_schema_bounds(y, ages, 3), OK);
    matches(&a, &b, "", "");
    y->bounds[1] = nextafter(25, 26);
    matches(&a, &b, "bounds 18, 25.000000000000004, 35", "");
    x->kind = FIELD_ID;
    y->kind = FIELD_ALICCP;
    x->bound_count = y->bound_count = 0;
    x->multi = '|';
    matches(&a, &b, "", "");
    y->kind = FIELD_ID;
    matches(&a, &b, "field 'x': A has kind = id, multi = |; B has kind = id: ", "");
    y->multi = '|';
    y->weight = '\t';
    matches(&a, &b, "B has kind = id, multi = |, weight = \\t", "");
    x->weight = '\t';
    x->kind = y->kind = FIELD_HASH_TEXT;
    memcpy(x->hash, FIELD_HASH, sizeof FIELD_HASH);
    memcpy(y->hash, "siphash", 8);
    matches(&a, &b, "A has kind = hash, multi = |, weight = \\t; B has kind = hash (siphash)", "");
    x->bound_count = y->bound_count = 3;
    field_schemas_free(&a);
    field_schemas_free(&b);
}

/* Two long lists that begin and end alike. */
static void test_match_many_bounds(void **state) {
    (void)state;
    struct field_schemas a = {0}, b = {0};
    struct field_schema *x = add(&a, "x", FIELD_NUMERIC), *y = add(&b, "x", FIELD_NUMERIC);
    double bounds[40];
    for (int k = 0; k < 40; k++) {
        bounds[k] = k * 0.5;
    }
    assert_int_equal(field_schema_bounds(x, bounds, 40), OK);
    bounds[20] = 10.25;
    assert_int_equal(field_schema_bounds(y, bounds, 40), OK);
    matches(
        &a, &b,
        "A has kind = numeric, 40 bounds from 0 to 19.5; B has kind = numeric, 40 bounds from 0 to "
        "19.5 (bound 21 is 10 and 10.25): ",
        "");
    field_schemas_free(&a);
    field_schemas_free(&b);
}

static void test_doubts(void **state) {
    (void)state;
    struct field_schemas a = {0}, b = {0};
    add(&a, "x", FIELD_ID);
    add(&a, "y", FIELD_ID);
    add(&b, "y", FIELD_ID);
    add(&b, "x", FIELD_ID);
    add(&b, "only here", FIELD_ID);
    matches(&a, &b, "", "");
    assert_int_equal(field_schema_missing(&a.list[0], "NULL", 4), OK);
    assert_int_equal(field_schema_missing(&a.list[0], "\xc3\xa9", 2), OK);
    matches(&a, &b, "",
            "field 'x': A has missing = 'NULL', '\\xc3\\xa9'; B has no missing texts: what is");
    assert_int_equal(field_schema_missing(&b.list[0], "-", 1), OK);
    matches(&a, &b, "", "field 'x' (and 1 more): ");
    memcpy(a.times, "time_unit = s", 14);
    matches(&a, &b, "", "field 'x' (and 1 more): ");
    memcpy(b.times, "time_unit = ms", 15);
    matches(&a, &b, "", "times: A has time_unit = s; B has time_unit = ms\n");
    field_schemas_free(&a);
    field_schemas_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shards),      cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_copy),        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_largest),     cmocka_unit_test(test_older),
        cmocka_unit_test(test_match_kinds), cmocka_unit_test(test_match_many_bounds),
        cmocka_unit_test(test_doubts),
    };
    return cmocka_run_group_tests_name("field_schema", tests, setup, teardown);
}
