/* What esmm prep writes into the manifest of its fields: how texts became ids, how many values
 * there are, and the fields that have none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "common/data/dataset.h"
#include "common/data/shard.h"

#include <cmocka.h>

#include "tests/prep_case.h"

static const char schema[] = "[log]\nmissing = NULL\nimpression = id\nclick = c\nconversion = b\n"
                             "user = u, tags\nitem = item, price, never, nil\n"
                             "[column.tags]\nmulti = |\nweight = :\nmissing = -\n"
                             "[column.item]\nkind = id\nfield = shop\n"
                             "[column.price]\nkind = numeric\nlog = 0.5, 8, 4\n";
static const char rows[] = "id,c,b,u,tags,item,price,never,nil\n"
                           "1,1,0,u1,a:2|b,7,3.5,,NULL\n"
                           "2,0,0,u1,a:2|b,8,NULL,,NULL\n"
                           "3,1,1,u2,-,7,3,,\n";

static void read_prepared(struct dataset *d) {
    char path[160];
    snprintf(path, sizeof path, "%s/schema.ini", dir);
    write_text(path, schema);
    write_text(skeleton, rows);
    assert_int_equal(
        prep("--format", "csv", "--schema", path, "--input", skeleton, "--out", out, NULL), OK);
    assert_int_equal(dataset_read(d, out), OK);
}

static void described(const struct dataset *d, const char *field, const char *want,
                      uint32_t missing, uint64_t values) {
    struct buf text = BUF_EMPTY;
    const struct field_schema *f = field_schemas_find(&d->fields, field);
    assert_non_null(f);
    assert_int_equal(field_schema_describe(f, &text), OK);
    assert_string_equal((const char *)text.data, want);
    assert_int_equal(f->missing_count, missing);
    assert_int_equal(d->field_values[schema_find(&d->schema, field)], values);
    buf_fini(&text);
}

static void test_csv(void **state) {
    (void)state;
    struct dataset d;
    read_prepared(&d);
    described(&d, "u", "kind = hash", 1, 2); /* once a group */
    described(&d, "tags", "kind = hash, multi = |, weight = :", 2, 2);
    described(&d, "shop", "kind = id", 1, 3);
    described(&d, "price", "kind = numeric, bounds 0.5, 1, 2, 4, 8", 1, 2);
    dataset_free(&d);
    clean();
}

/* A column without a value is a field all the same, with empty bags in every shard. */
static void test_empty_column(void **state) {
    (void)state;
    struct dataset d;
    struct shard s;
    read_prepared(&d);
    described(&d, "never", "kind = hash", 1, 0);
    described(&d, "nil", "kind = hash", 1, 0);
    assert_int_equal(d.schema.count, 6);
    assert_int_equal(shard_read(&s, out, d.shards[0].name, &d.schema), OK);
    const struct column *c = &s.column[schema_find(&d.schema, "never")];
    assert_int_equal(c->n, 3);
    assert_int_equal(c->values, 0);
    assert_int_equal(c->start[3], 0);
    shard_free(&s);
    assert_int_equal(dataset_verify(&d), OK);
    dataset_free(&d);
    clean();
}

static void test_aliccp(void **state) {
    (void)state;
    struct dataset d;
    write_text(common, "u1,1,101\002"
                       "5\003"
                       "1.0\n");
    write_text(skeleton, "1,1,0,u1,1,205\002"
                         "9\003"
                         "1.0\n");
    assert_int_equal(prep(ALICCP, out, NULL), OK);
    assert_int_equal(dataset_read(&d, out), OK);
    described(&d, "101", "kind = aliccp", 0, 1);
    described(&d, "205", "kind = aliccp", 0, 1);
    dataset_free(&d);
    clean();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_csv),
                                       cmocka_unit_test(test_empty_column),
                                       cmocka_unit_test(test_aliccp)};
    return cmocka_run_group_tests_name("csv_schema_fields", tests, prep_setup, prep_teardown);
}
