/* Cells and rows of a delimited log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tools/log/csv_row.h"
#include "tools/log/csv_schema_file.h"

#include <cmocka.h>

/* --- cells ------------------------------------------------------------------------------------ */

/* The cells of a record, joined by '#'; "bad" if the quotes are. */
static void cells(const char *text, char quote, const char *want) {
    struct csv_cells c = {0};
    struct buf out = BUF_EMPTY;
    bool good = false;
    const size_t n = strlen(text);
    char *record = malloc(n + 1); /* no byte beyond: reads past the end are found */
    assert_non_null(record);
    memcpy(record, text, n + 1);
    assert_int_equal(csv_cells_split(&c, (struct span){record, n}, ',', quote, &good), OK);
    for (size_t k = 0; good && k < c.count; k++) {
        assert_int_equal(
            buf_printf(&out, "%s%.*s", k > 0 ? "#" : "", (int)c.cell[k].n, c.cell[k].at), OK);
    }
    assert_string_equal(good ? (const char *)out.data : "bad", want);
    free(record);
    buf_fini(&out);
    csv_cells_fini(&c);
}

static void test_cells(void **state) {
    (void)state;
    cells("a", '"', "a");
    cells("", '"', "");
    cells("a,b,", '"', "a#b#");
    cells(",", '"', "#");
    cells("\"a,b\",c", '"', "a,b#c");
    cells("\"a,b\",c", 0, "\"a#b\"#c");
    cells("\"\",\"\"\"\",x", '"', "#\"#x");
    cells("\"a\"\"b\"\"\",\"c\"\"d\"", '"', "a\"b\"#c\"d");
    cells("\"two\nlines\"", '"', "two\nlines");
    cells("a\"b,c", '"', "a\"b#c");
    cells("\"a", '"', "bad");
    cells("\"a\"b,c", '"', "bad");
    cells("a,\"", '"', "bad");
    cells("a,\"\"\"", '"', "bad");
}

/* --- rows ------------------------------------------------------------------------------------- */

static const char schema_text[] =
    "[log]\nheader=no\ncolumns=id,g,c,b,age,tags,item,cat,price\n"
    "missing=NULL, \\N\nimpression=id\ngroup=g\nclick=c\nconversion=b\n"
    "user=age,tags\nitem=item,cat,price\n"
    "[column.age]\nkind=numeric\nbounds=18,25,35\nmissing=-1\nmissing=?\n"
    "[column.tags]\nmulti=|\nweight=:\n"
    "[column.item]\nkind=id\n"
    "[column.price]\nkind=numeric\nuniform=0,10,5\n";

struct world {
    struct csv_schema schema;
    struct log_fields fields;
    struct csv_row row;
    /* of the row that was read last */
    uint32_t classes;
    bool groups;
};

static int setup(void **state) {
    struct world *w = calloc(1, sizeof *w);
    *state = w;
    return w != NULL && csv_schema_parse(&w->schema, "t", schema_text) == OK &&
                   csv_schema_bind(&w->schema, "t", NULL, 0) == OK &&
                   csv_row_init(&w->row, &w->schema, &w->fields) == OK
               ? 0
               : -1;
}

static int teardown(void **state) {
    struct world *w = *state;
    csv_row_fini(&w->row);
    csv_schema_free(&w->schema);
    free(w);
    return 0;
}

static enum reject read_row(struct world *w, const char *text) {
    enum reject why = REJECT_NONE;
    const size_t n = strlen(text);
    char *record = calloc(1, n + 16);
    assert_non_null(record);
    memcpy(record, text, n);
    assert_int_equal(csv_row_read(&w->row, (struct span){record, n}, &why), OK);
    if (why == REJECT_NONE) {
        assert_int_equal(csv_row_user(&w->row, &why), OK);
    }
    w->classes = csv_row_classes(&w->row);
    w->groups = why == REJECT_NONE && w->row.groups;
    free(record);
    return why;
}

/* The n-th feature of the field, or NULL. */
static const struct feature *feature(const struct world *w, const struct feature_list *l,
                                     const char *field, size_t n) {
    for (size_t k = 0; k < l->count; k++) {
        if (strcmp(w->fields.schema.fields[l->features[k].field].name, field) == 0 && n-- == 0) {
            return &l->features[k];
        }
    }
    return NULL;
}

static void test_row(void **state) {
    struct world *w = *state;
    assert_int_equal(read_row(w, "7,u1,1,0,25,a:0.5|b||c:d:2,42,x,9.99"), REJECT_NONE);
    assert_int_equal(w->row.impression_id, 7);
    assert_true(w->row.click && !w->row.conversion);
    assert_true(w->groups);
    assert_int_equal(feature(w, &w->row.user, "age", 0)->id, 2);
    assert_int_equal(w->row.user.count, 4);
    assert_true(feature(w, &w->row.user, "tags", 0)->id == hash_bytes("a", 1));
    assert_true(feature(w, &w->row.user, "tags", 0)->weight == 0.5f);
    assert_true(feature(w, &w->row.user, "tags", 1)->weight == 1.0f);
    assert_true(feature(w, &w->row.user, "tags", 2)->id == hash_bytes("c:d", 3));
    assert_int_equal(feature(w, &w->row.item, "item", 0)->id, 42);
    assert_true(feature(w, &w->row.item, "cat", 0)->id == hash_bytes("x", 1));
    assert_int_equal(feature(w, &w->row.item, "price", 0)->id, 5);
    assert_int_equal(read_row(w, "7,,0,0,-1,NULL,NULL,,-3"), REJECT_NONE);
    assert_false(w->groups);
    assert_int_equal(w->row.user.count, 0);
    assert_int_equal(w->row.item.count, 1);
    assert_int_equal(w->row.item.features[0].id, 0);
    assert_int_equal(read_row(w, "7,\\N,0,0,?,\\N|NULL,NULL,,\\N"), REJECT_NONE);
    assert_false(w->groups);
    assert_int_equal(w->row.user.count + w->row.item.count, 0);
    assert_int_equal(read_row(w, "x,u,0,0,17.9,,1,,10"), REJECT_NONE);
    assert_int_equal(feature(w, &w->row.user, "age", 0)->id, 0);
    assert_int_equal(feature(w, &w->row.item, "price", 0)->id, 6);
    assert_true(w->row.impression_id == hash_bytes("x", 1));
}

static void test_row_refused(void **state) {
    static const struct {
        const char *text;
        enum reject why;
    } rows[] = {{"", REJECT_COLUMNS},
                {"7,u,0,0,1,,1,x", REJECT_COLUMNS},
                {"7,u,0,0,1,,1,x,1,2", REJECT_COLUMNS},
                {"7,u,0,0,1,,1,\"x,1", REJECT_QUOTES},
                {"7,u,yes,0,1,,1,x,1", REJECT_LABEL},
                {"7,u,0,NULL,1,,1,x,1", REJECT_LABEL},
                {"NULL,u,0,0,1,,1,x,1", REJECT_IMPRESSION},
                {"7,u,0,0,1,,1.5,x,1", REJECT_ID},
                {"7,u,0,0,1,,-1,x,1", REJECT_ID},
                {"7,u,0,0,1,,1,x,cheap", REJECT_VALUE},
                {"7,u,0,0,1,,1,x,inf", REJECT_FINITE},
                {"7,u,0,0,old,,1,x,1", REJECT_VALUE},
                {"7,u,0,0,1,a:b,1,x,1", REJECT_VALUE},
                {"7,u,0,0,1,a:nan,1,x,1", REJECT_FINITE},
                {"7,u,0,0,1,a:1|b:1e99,1,x,1", REJECT_FINITE}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const enum reject why = read_row(*state, rows[k].text);
        if (why != rows[k].why) {
            fail_msg("row %zu: '%s', expected '%s'", k, reject_text(why), reject_text(rows[k].why));
        }
    }
}

/* With times: what a label asks for must be there, the rest is ignored. */
static void test_times(void **state) {
    static const char timed[] = "[log]\nheader=no\ncolumns=c,b,u,t,ct,bt\nclick=c\nconversion=b\n"
                                "user=u\ntime=t\nconversion_time=bt\n";
    static const struct {
        const char *text;
        bool own; /* clicks have a column of their own */
        enum reject why;
        uint64_t click_time, conversion_time;
    } rows[] = {
        {"0,0,u,1700000000,,", true, REJECT_NONE, 0, 0},
        {"0,0,u,1700000000.75,x,-1", true, REJECT_NONE, 0, 0},
        {"0,1,u,1700000000,,", true, REJECT_NONE, 0, 0}, /* an orphan is no conversion */
        {"1,0,u,1700000000,1700000009.9,", true, REJECT_NONE, 1700000009, 0},
        {"1,1,u,1700000000,1700000009,1700000009", true, REJECT_NONE, 1700000009, 1700000009},
        {"1,1,u,1700000000,,1800000000", false, REJECT_NONE, 1700000000, 1800000000},
        {"1,0,u,1700000000,,", true, REJECT_TIME, 0, 0},
        {"1,1,u,1700000000,1700000009,1700000008", true, REJECT_ORDER, 0, 0},
        {"1,1,u,1700000000,1700000009,", true, REJECT_TIME, 0, 0},
        {"1,1,u,1700000000,1700000009,soon", true, REJECT_TIME, 0, 0},
        {"0,0,u,1700000000000,,", true, REJECT_TIME, 0, 0},
        {"0,0,u,0,,", true, REJECT_TIME, 0, 0},
        {"0,0,u,-5,,", true, REJECT_TIME, 0, 0},
        {"0,0,u,nan,,", true, REJECT_TIME, 0, 0},
        {"0,0,u,,,", true, REJECT_TIME, 0, 0}};
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        struct world w = {0};
        char text[256];
        snprintf(text, sizeof text, "%s%s", timed, rows[k].own ? "click_time=ct\n" : "");
        assert_int_equal(csv_schema_parse(&w.schema, "t", text), OK);
        assert_int_equal(csv_schema_bind(&w.schema, "t", NULL, 0), OK);
        assert_int_equal(csv_row_init(&w.row, &w.schema, &w.fields), OK);
        const enum reject why = read_row(&w, rows[k].text);
        if (why != rows[k].why) {
            fail_msg("row %zu: '%s', expected '%s'", k, reject_text(why), reject_text(rows[k].why));
        }
        if (why == REJECT_NONE) {
            assert_int_equal(w.row.when.time, 1700000000);
            assert_int_equal(w.row.when.click_time, rows[k].click_time);
            assert_int_equal(w.row.when.conversion_time, rows[k].conversion_time);
        }
        csv_row_fini(&w.row);
        csv_schema_free(&w.schema);
    }
}

/* What a row counts; what is no such number is not taken for 1. */
static void test_weight(void **state) {
    static const char schema[] = "[log]\nheader=no\ncolumns=c,b,u,w\nclick=c\nconversion=b\n"
                                 "user=u\nweight=w\nmissing=NULL\n";
    static const struct {
        const char *text;
        float weight; /* below 0: rejected */
    } rows[] = {{"1,0,u,1", 1.0f},     {"0,0,u,0.25", 0.25f},     {"0,0,u,0", 0.0f},
                {"0,0,u,1e6", 1e6f},   {"0,0,u,2.5e-3", 2.5e-3f}, {"0,0,u,-1", -1.0f},
                {"0,0,u,1000001", -1}, {"0,0,u,nan", -1},         {"0,0,u,inf", -1},
                {"0,0,u,", -1},        {"0,0,u,NULL", -1},        {"0,0,u,1 ", 1},
                {"0,0,u,1 2", -1}};
    struct world w = {0};
    (void)state;
    assert_int_equal(csv_schema_parse(&w.schema, "t", schema), OK);
    assert_int_equal(csv_schema_bind(&w.schema, "t", NULL, 0), OK);
    assert_int_equal(csv_row_init(&w.row, &w.schema, &w.fields), OK);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const enum reject why = read_row(&w, rows[k].text);
        if (why != (rows[k].weight < 0 ? REJECT_WEIGHT : REJECT_NONE) ||
            (why == REJECT_NONE && w.row.weight != rows[k].weight)) {
            fail_msg("row '%s': '%s', weight %g", rows[k].text, reject_text(why),
                     (double)w.row.weight);
        }
    }
    csv_row_fini(&w.row);
    csv_schema_free(&w.schema);
}

/* Behaviours are labels of their own, in the order of the list; another value is no label. */
static void test_behaviours(void **state) {
    static const char schema[] = "[log]\nheader=no\ncolumns=c,b,u,cart,fav\nclick=c\nconversion=b\n"
                                 "user=u\nbehaviours=fav, cart\n";
    struct world w = {0};
    (void)state;
    assert_int_equal(csv_schema_parse(&w.schema, "t", schema), OK);
    assert_int_equal(csv_schema_bind(&w.schema, "t", NULL, 0), OK);
    assert_int_equal(csv_row_init(&w.row, &w.schema, &w.fields), OK);
    assert_int_equal(read_row(&w, "1,1,u,1,0"), REJECT_NONE);
    assert_int_equal(w.row.behaviours, LABEL_BEHAVIOUR(2));
    assert_int_equal(read_row(&w, "1,0,u,1,1"), REJECT_NONE);
    assert_int_equal(w.row.behaviours, LABEL_BEHAVIOUR(1) | LABEL_BEHAVIOUR(2));
    assert_int_equal(read_row(&w, "1,0,u,0,0"), REJECT_NONE);
    assert_int_equal(w.row.behaviours, 0);
    assert_int_equal(read_row(&w, "1,0,u,2,0"), REJECT_LABEL);
    assert_int_equal(read_row(&w, "1,0,u,0,"), REJECT_LABEL);
    csv_row_fini(&w.row);
    csv_schema_free(&w.schema);
}

static uint32_t labels_by(const char *keys, const char *row) {
    char schema[256];
    struct world w = {0};
    snprintf(schema, sizeof schema, "[log]\nheader=no\ncolumns=c,b,u\nuser=u\nmissing=NULL\n%s",
             keys);
    if (csv_schema_parse(&w.schema, "t", schema) != OK) {
        fail_msg("%s", fail_text());
    }
    assert_int_equal(csv_schema_bind(&w.schema, "t", NULL, 0), OK);
    assert_int_equal(csv_row_init(&w.row, &w.schema, &w.fields), OK);
    assert_int_equal(read_row(&w, row), REJECT_NONE);
    const uint32_t labels =
        (uint32_t)w.row.click | (uint32_t)w.row.conversion << 1 | w.classes << 2;
    csv_row_fini(&w.row);
    csv_schema_free(&w.schema);
    return labels;
}

/* Labels that lie in whether a cell has a value, are always there, or never: bit 0 click, bit 1
 * conversion, above them the classes. */
static void test_sources(void **state) {
    (void)state;
    assert_int_equal(labels_by("click=c\nconversion_from=b\n", "1,1600000000,u"), 15);
    assert_int_equal(labels_by("click=c\nconversion_from=b\n", "1,,u"), 5);
    assert_int_equal(labels_by("click=c\nconversion_from=b\n", "1,NULL,u"), 5);
    assert_int_equal(labels_by("click=c\nconversion_from=b\n", "1, ,u"), 5);
    assert_int_equal(labels_by("click=c\nconversion_from=b\n", "1,-1,u"), 15);
    assert_int_equal(labels_by("click=c\nconversion_from=b\nconversion_none=-1, x\n", "1,-1,u"), 5);
    assert_int_equal(labels_by("click=c\nconversion_from=b\nconversion_none=-1, x\n", "1,0,u"), 15);
    assert_int_equal(labels_by("click_from=c\nclick_none=0\nconversion=b\n", "0,0,u"), 0);
    assert_int_equal(labels_by("click_from=c\nclick_none=0\nconversion=b\n", "5,0,u"), 5);
    assert_int_equal(labels_by("click=all\nconversion=b\n", "x,1,u"),
                     3 + 8); /* no class of clicks */
    assert_int_equal(labels_by("click=c\nconversion=none\n", "1,x,u"), 5);
    assert_int_equal(labels_by("labels=count\nclick=c\nconversion=b\n", "3,0.0,u"), 5);
}

/* Numbers with commas for decimals, points for thousands; ids as columns of floats have them. */
static void test_styles(void **state) {
    static const char schema[] = "[log]\ndelimiter=semicolon\nheader=no\ncolumns=c,p,i,t\n"
                                 "decimal=,\nthousands=.\nlabels=count\nclick=c\nconversion=none\n"
                                 "item=p,i,t\n[column.p]\nkind=numeric\nbounds=10,20,1000\n"
                                 "[column.i]\nkind=id\n[column.t]\nmulti=|\nweight=:\nkind=id\n";
    struct world w = {0};
    (void)state;
    assert_int_equal(csv_schema_parse(&w.schema, "t", schema), OK);
    assert_int_equal(csv_schema_bind(&w.schema, "t", NULL, 0), OK);
    assert_int_equal(csv_row_init(&w.row, &w.schema, &w.fields), OK);
    assert_int_equal(read_row(&w, "1,0;19,90; 000376 ;7:0,5|8,0:1,25"), REJECT_NONE);
    assert_true(w.row.click);
    assert_int_equal(feature(&w, &w.row.item, "p", 0)->id, 1);
    assert_int_equal(feature(&w, &w.row.item, "i", 0)->id, 376);
    assert_true(feature(&w, &w.row.item, "t", 0)->weight == 0.5f);
    assert_true(feature(&w, &w.row.item, "t", 1)->weight == 1.25f);
    assert_int_equal(feature(&w, &w.row.item, "t", 1)->id, 8);
    assert_int_equal(w.fields.plain_ids[schema_find(&w.fields.schema, "i")], 1);
    assert_int_equal(w.fields.plain_ids[schema_find(&w.fields.schema, "t")], 1);
    assert_int_equal(read_row(&w, "0;1.234,5;376,0;1"), REJECT_NONE);
    assert_int_equal(feature(&w, &w.row.item, "p", 0)->id, 3);
    assert_int_equal(feature(&w, &w.row.item, "i", 0)->id, 376);
    assert_int_equal(read_row(&w, "0;19.90;376;1"), REJECT_VALUE);
    assert_int_equal(read_row(&w, "0;1,2,3;376;1"), REJECT_VALUE);
    assert_int_equal(read_row(&w, "0;1;376,5;1"), REJECT_ID);
    assert_int_equal(read_row(&w, "0;1;18446744073709551616;1"), REJECT_ID);
    assert_int_equal(read_row(&w, "0;1;0018446744073709551615,0;1"), REJECT_NONE);
    assert_true(feature(&w, &w.row.item, "i", 0)->id == UINT64_MAX);
    csv_row_fini(&w.row);
    csv_schema_free(&w.schema);
}

/* One column says how far a user went. */
static void test_funnel(void **state) {
    static const char schema[] = "[log]\nheader=no\ncolumns=stage,u\nlabels=funnel\nlabel=stage\n"
                                 "user=u\n";
    struct world w = {0};
    (void)state;
    assert_int_equal(csv_schema_parse(&w.schema, "t", schema), OK);
    assert_int_equal(csv_schema_bind(&w.schema, "t", NULL, 0), OK);
    assert_int_equal(csv_row_init(&w.row, &w.schema, &w.fields), OK);
    assert_int_equal(read_row(&w, "0,u"), REJECT_NONE);
    assert_true(!w.row.click && !w.row.conversion);
    assert_int_equal(read_row(&w, "1.0,u"), REJECT_NONE);
    assert_true(w.row.click && !w.row.conversion);
    assert_int_equal(read_row(&w, "2,u"), REJECT_NONE);
    assert_true(w.row.click && w.row.conversion);
    assert_int_equal(w.classes, 3);
    assert_int_equal(read_row(&w, "3,u"), REJECT_LABEL);
    assert_int_equal(w.classes, 3);
    assert_int_equal(read_row(&w, ",u"), REJECT_LABEL);
    assert_string_equal(w.row.seen, "stage is empty");
    assert_int_equal(w.classes, 0);
    csv_row_fini(&w.row);
    csv_schema_free(&w.schema);
}

/* A rejected row with cells too many or too few has a label if it looks so from both ends; of one
 * with bad quotes the cells are taken as if they were letters. */
static void test_classes(void **state) {
    static const struct {
        const char *text;
        uint32_t classes;
    } rows[] = {{"7,u,1,0,1,,1,x,1", 1},
                {"7,u,1,1,1,,1,x,cheap", 3},
                {"7,u,2,0,1,,1,x,1", 1},
                {"7,u,0,0,1,,1,x,cheap", 0},
                {"7,u,NULL,0,1,,1,x,1", 0},
                {"7,u,,true,1,,1,x,1", 2},
                {"7,u,1,1,,,1,x,y,1", 1},
                {"7,u,1,0,1,,1,x,y,1", 0},
                {"7,u,1", 0},
                {"7,u,1,1,1,\"", 2},
                {"7,u,1,1,1,,1,x,\"a", 3},
                {"\"7\",u,\"0\",\"1\",1,,1,x,\"a", 2}};
    struct world *w = *state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        read_row(w, rows[k].text);
        if (w->classes != rows[k].classes) {
            fail_msg("row %zu: %u", k, w->classes);
        }
    }
}

static void test_identity(void **state) {
    struct world *w = *state;
    struct buf first = BUF_EMPTY;
    assert_int_equal(read_row(w, "7,u1,1,0,25,ab,42,x,1"), REJECT_NONE);
    assert_int_equal(buf_put(&first, w->row.identity.data, w->row.identity.len), OK);
    assert_int_equal(read_row(w, "8,u1,0,0,25,ab,43,y,2"), REJECT_NONE);
    assert_true(first.len == w->row.identity.len);
    assert_memory_equal(first.data, w->row.identity.data, first.len);
    assert_int_equal(read_row(w, "8,u1,0,0,2,5ab,43,y,2"), REJECT_NONE);
    assert_true(first.len != w->row.identity.len ||
                memcmp(first.data, w->row.identity.data, first.len) != 0);
    buf_fini(&first);
}

static void test_mutations(void **state) {
    static const char good[] = "7,u1,1,0,25,a:0.5|b||\"c:d:2\",42,\"x\"\"y\",9.99";
    static const char alphabet[] = ",\"|:.01-NULe\n\r\x01\xff";
    for (uint64_t round = 0; round < 100000; round++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        for (uint64_t k = 0; k < 1 + round % 5; k++) {
            text[rng_below(9, round, k, sizeof good - 1)] =
                alphabet[rng_below(9, round, k + 10, sizeof alphabet - 1)];
        }
        assert_true(read_row(*state, text) < REJECTS);
    }
}

static void test_memory_fails(void **state) {
    struct world *w = *state;
    for (size_t n = 1;; n++) {
        struct csv_row row;
        enum reject why = REJECT_NONE;
        static const char text[] = "7,u1,1,0,25,a|b,42,x,9.99\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_int_equal(csv_row_init(&row, &w->schema, &w->fields), OK);
        mem_fail_after(n);
        enum status status = csv_row_read(&row, (struct span){text, strlen(text)}, &why);
        status = status == OK ? csv_row_user(&row, &why) : status;
        mem_fail_after(0);
        csv_row_fini(&row);
        if (status == OK) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells),        cmocka_unit_test(test_row),
        cmocka_unit_test(test_row_refused),  cmocka_unit_test(test_behaviours),
        cmocka_unit_test(test_times),        cmocka_unit_test(test_weight),
        cmocka_unit_test(test_funnel),       cmocka_unit_test(test_sources),
        cmocka_unit_test(test_styles),       cmocka_unit_test(test_classes),
        cmocka_unit_test(test_identity),     cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
