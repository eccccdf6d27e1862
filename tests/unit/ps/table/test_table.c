#include "ps/table/table.h"

#include <math.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/job/row_initial.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 5u
#define SALT 0x1234567890abcdefu
#define IDS  3000u /* of the random test */
#define OPS  60000u

static struct table_config config_of(uint32_t dim, enum optimizer_kind kind) {
    return (struct table_config){
        .dim = dim,
        .init_scale = 0.01f,
        .opt = {.kind = kind, .lr = 0.1f, .adagrad_init = 0.5f, .ftrl_beta = 1.0f}};
}

static struct table *make(uint32_t dim, enum optimizer_kind kind) {
    struct table *t = NULL;
    const struct table_config c = config_of(dim, kind);
    assert_int_equal(table_create(&t, &c, SALT, SEED), OK);
    return t;
}

static uint32_t find(const struct table *t, uint64_t id) {
    uint32_t handle = 0;
    table_find(t, &id, 1, &handle);
    return handle;
}

static uint32_t insert(struct table *t, uint64_t id) {
    uint32_t handle = HANDLE_NONE;
    const uint64_t bytes = table_bytes(t), grows = table_grow_bytes(t);
    assert_int_equal(table_insert(t, id, &handle), OK);
    /* The directory of slabs is the only thing beyond the forecast. */
    assert_in_range(table_bytes(t), bytes + grows, bytes + grows + 4096);
    table_row(t, handle)->step = 1;
    return handle;
}

static void test_row_layout(void **state) {
    (void)state;
    const struct {
        uint32_t dim;
        enum optimizer_kind kind;
        uint32_t bytes;
    } cases[] = {{18, OPT_ADAM, 16 + 216},
                 {18, OPT_SGD, 16 + 72},
                 {1, OPT_SGD, 24},
                 {0, OPT_SGD, 16},
                 {256, OPT_FTRL, 3088},
                 {3, OPT_ROWWISE_ADAGRAD, 32},
                 {18, OPT_RMSPROP, 16 + 144},
                 {18, OPT_ROWWISE_RMSPROP, 96}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct table *t = make(cases[i].dim, cases[i].kind);
        assert_int_equal(table_row_bytes(t), cases[i].bytes);
        assert_true(table_bytes(t) < 1024); /* an empty table is nearly free */
        table_destroy(&t);
    }
}

/* A fresh row has initial weights and state; the same id reads alike with and without a row. */
static void test_initial_values(void **state) {
    (void)state;
    struct table *t = make(5, OPT_ADAGRAD);
    const uint64_t ids[2] = {77, 88};
    uint32_t handles[2] = {HANDLE_NONE, HANDLE_NONE};
    float before[10], after[10], want[5];
    table_read(t, ids, handles, 2, before);
    handles[0] = insert(t, 77);
    table_read(t, ids, handles, 2, after);
    assert_memory_equal(before, after, sizeof before);
    row_initial(SEED, hash_key(SALT, 77), 0.01f, 5, want);
    assert_memory_equal(before, want, sizeof want);
    for (int i = 0; i < 5; i++) {
        assert_true(table_row(t, handles[0])->data[5 + i] == 0.5f);
    }
    table_row(t, handles[0])->data[0] = 9.0f;
    table_remove(t, handles[0]);
    uint32_t again = HANDLE_NONE;
    assert_int_equal(table_insert(t, 77, &again), OK);
    assert_int_equal(again, handles[0]); /* a freed slot is used again */
    assert_memory_equal(table_row(t, again)->data, want, sizeof want);
    assert_int_equal(table_row(t, again)->step, 0);
    assert_int_equal(table_row(t, again)->last, 0);
    table_destroy(&t);
}

/* Random inserts, removals and look-ups against a plain array. */
static void test_against_array(void **state) {
    (void)state;
    struct table *t = make(2, OPT_SGD);
    static uint32_t oracle[IDS];
    uint64_t rows = 0;
    memset(oracle, 0xff, sizeof oracle);
    for (uint64_t op = 0; op < OPS; op++) {
        const uint64_t id = rng_below(SEED, op, 0, IDS);
        const bool remove = rng_below(SEED, op, 1, 100) < (op < OPS / 2 ? 20 : 60);
        assert_int_equal(find(t, id), oracle[id]);
        if (oracle[id] == HANDLE_NONE) {
            oracle[id] = insert(t, id);
            table_row(t, oracle[id])->data[0] = (float)id;
            rows++;
        } else if (remove) {
            table_remove(t, oracle[id]);
            oracle[id] = HANDLE_NONE;
            rows--;
        }
        assert_int_equal(table_rows(t), rows);
    }
    for (uint64_t id = 0; id < IDS; id++) {
        assert_int_equal(find(t, id), oracle[id]);
        if (oracle[id] != HANDLE_NONE) {
            assert_true(table_row(t, oracle[id])->id == id);
            assert_true(table_row(t, oracle[id])->data[0] == (float)id);
        }
    }
    assert_true(table_slots(t) <= IDS); /* freed slots are reused */
    table_destroy(&t);
}

/* Across several slabs and index doublings; handles stay valid; bulk look-ups of mixed ids. */
static void test_many_rows(void **state) {
    (void)state;
    const uint32_t n = 600000;            /* more than two slabs */
    struct table *t = make(30, OPT_ADAM); /* 376 bytes */
    uint64_t *ids = NULL;
    uint32_t *handles = NULL;
    assert_int_equal(mem_array(&ids, 2 * n), OK);
    assert_int_equal(mem_array(&handles, 2 * n), OK);
    for (uint32_t i = 0; i < 2 * n; i++) {
        ids[i] = rng_u64(SEED, i, 2);
    }
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(insert(t, ids[i]), i);
    }
    table_find(t, ids, 2 * n, handles);
    for (uint32_t i = 0; i < 2 * n; i++) {
        assert_int_equal(handles[i], i < n ? i : HANDLE_NONE);
        assert_true(i >= n || table_row(t, i)->id == ids[i]);
    }
    /* Rows and index, and no more than one page and one slab's rounding. */
    const uint64_t least = (uint64_t)n * (table_row_bytes(t) + 8);
    assert_in_range(table_bytes(t), least, least + (uint64_t)n * 14 + (8u << 20));
    mem_free(&ids);
    mem_free(&handles);
    table_destroy(&t);
}

static void test_load(void **state) {
    (void)state;
    struct table *from = make(3, OPT_ADAM), *to = make(3, OPT_ADAM), *light = make(3, OPT_SGD);
    const uint32_t handle = insert(from, 42);
    uint32_t loaded, bare;
    struct row *row = table_row(from, handle);
    row->step = 7;
    row->last = 9;
    row->data[8] = 3.5f;
    assert_int_equal(table_load(to, table_layout(from), row, &loaded), OK);
    assert_memory_equal(table_row(to, loaded), row, table_row_bytes(from));
    assert_int_equal(find(to, 42), loaded);
    assert_int_equal(table_load(light, table_layout(from), row, &bare), OK);
    assert_memory_equal(table_row(light, bare)->data, row->data, 3 * sizeof(float));
    table_destroy(&from);
    table_destroy(&to);
    table_destroy(&light);
}

static struct table *make_cells(uint32_t dim, enum optimizer_kind kind, enum cell_kind weights,
                                enum cell_kind cells) {
    struct table *t = NULL;
    struct table_config c = config_of(dim, kind);
    c.weights = weights;
    c.state = cells;
    c.opt.beta1 = 0.9f;
    c.opt.beta2 = 0.999f;
    c.opt.eps = 1e-8f;
    c.opt.lr = 0.01f;
    assert_int_equal(table_create(&t, &c, SALT, SEED), OK);
    return t;
}

/* Pulls g = w + 1/2 + noise down to its minimum, w = -1/2: every kind of cells finds it, twice with
 * the same bytes. */
static void learn(struct table *t, uint32_t dim, uint32_t updates) {
    const uint64_t id = 11;
    uint32_t handle = find(t, id);
    handle = handle == HANDLE_NONE ? insert(t, id) : handle;
    for (uint32_t u = 0; u < updates; u++) {
        float w[40], g[40];
        table_read(t, &id, &handle, 1, w);
        for (uint32_t i = 0; i < dim; i++) {
            g[i] = w[i] + 0.5f + (float)rng_normal(SEED, u, i) * 0.1f;
        }
        struct row *row = table_row(t, handle);
        row->step++;
        table_update(t, row, 0.01f, row->step, g);
    }
}

static void test_kinds_learn(void **state) {
    (void)state;
    const enum optimizer_kind rules[] = {OPT_SGD, OPT_ADAM, OPT_ADAGRAD, OPT_ROWWISE_ADAGRAD,
                                         OPT_FTRL};
    const enum cell_kind kinds[] = {CELLS_F32, CELLS_BF16, CELLS_U8};
    const uint64_t id = 11;
    for (size_t n = 0; n < 5 * 2 * 3; n++) {
        const enum optimizer_kind rule = rules[n % 5];
        const enum cell_kind weights = kinds[n / 5 % 2], cells = kinds[n / 10];
        const uint32_t dim = (uint32_t)(3 + 8 * (n % 3));
        if (rule == OPT_FTRL && cells == CELLS_U8) {
            continue; /* config_check refuses it */
        }
        struct table *t = make_cells(dim, rule, weights, cells);
        struct table *again = make_cells(dim, rule, weights, cells);
        uint32_t handle;
        float w[40];
        double mean = 0;
        learn(t, dim, 3000);
        learn(again, dim, 3000);
        handle = find(t, id);
        table_read(t, &id, &handle, 1, w);
        for (uint32_t i = 0; i < dim; i++) {
            mean += (double)w[i] / dim;
        }
        assert_true(mean > -0.56 && mean < -0.40);
        assert_memory_equal(table_row(t, handle), table_row(again, handle), table_row_bytes(t));
        table_destroy(&t);
        table_destroy(&again);
    }
}

/* A cell with a gradient far below its row's largest keeps a v under its m: its steps stay of the
 * size of the rate. */
static void test_small_beside_large(void **state) {
    (void)state;
    struct table *t = make_cells(18, OPT_ADAM, CELLS_F32, CELLS_U8);
    const uint64_t id = 5;
    uint32_t handle = insert(t, id);
    float g[18], before[18], after[18];
    for (uint32_t u = 0; u < 2000; u++) {
        for (uint32_t i = 0; i < 18; i++) {
            g[i] = (float)rng_normal(SEED, u, i) * powf(10.0f, -(float)i);
        }
        struct row *row = table_row(t, handle);
        table_read(t, &id, &handle, 1, before);
        row->step++;
        table_update(t, row, 0.01f, row->step, g);
        table_read(t, &id, &handle, 1, after);
        for (uint32_t i = 0; i < 18; i++) {
            assert_true(fabsf(after[i] - before[i]) < 0.2f); /* f32: 0.07 */
        }
    }
    table_destroy(&t);
}

/* Records of other kinds are converted, here and back, and keep what they can. */
static void test_load_other_kinds(void **state) {
    (void)state;
    struct table *f32 = make_cells(18, OPT_ADAM, CELLS_F32, CELLS_F32);
    struct table *low = make_cells(18, OPT_ADAM, CELLS_BF16, CELLS_U8);
    struct table *twin = make_cells(18, OPT_ADAM, CELLS_BF16, CELLS_U8);
    struct table *back = make_cells(18, OPT_ADAM, CELLS_F32, CELLS_F32);
    const uint64_t id = 11;
    uint32_t a, b, c, d;
    float w[18], v[18];
    learn(f32, 18, 100);
    a = find(f32, id);
    assert_int_equal(table_load(low, table_layout(f32), table_row(f32, a), &b), OK);
    assert_int_equal(table_load(twin, table_layout(f32), table_row(f32, a), &c), OK);
    assert_memory_equal(table_row(low, b), table_row(twin, c), 92);
    assert_int_equal(table_load(back, table_layout(low), table_row(low, b), &d), OK);
    assert_int_equal(table_row(back, d)->step, 101);
    table_read(low, &id, &b, 1, w);
    table_read(back, &id, &d, 1, v);
    assert_memory_equal(w, v, sizeof w);
    for (uint32_t i = 0; i < 18; i++) {
        const float *was = table_row(f32, a)->data, *is = table_row(back, d)->data;
        assert_true(fabsf(was[i] - is[i]) <= fabsf(was[i]) / 128);
        assert_true(fabsf(was[36 + i] - is[36 + i]) <= was[36 + i] / 8);
    }
    table_destroy(&f32);
    table_destroy(&low);
    table_destroy(&twin);
    table_destroy(&back);
}

/* A failing allocation leaves the table as it was, whichever it is. */
static void test_memory_fails(void **state) {
    (void)state;
    for (size_t nth = 1; nth <= 4; nth++) {
        struct table *t = make(2, OPT_SGD);
        uint32_t handle;
        uint64_t id = 0;
        mem_fail_after(nth);
        while (table_insert(t, id, &handle) == OK) {
            table_row(t, handle)->step = 1;
            id++;
        }
        mem_fail_after(0);
        assert_int_equal(table_rows(t), id);
        assert_int_equal(find(t, id), HANDLE_NONE);
        for (uint64_t i = 0; i < id; i++) {
            assert_true(find(t, i) != HANDLE_NONE);
        }
        insert(t, id);
        assert_true(find(t, id) != HANDLE_NONE);
        table_destroy(&t);
    }
}

/* Most of many rows go: the others move down, and slabs and index give their memory back. Then rows
 * come again. */
static void test_shrinks(void **state) {
    (void)state;
    const uint32_t n = 1500000;
    struct table *t = make(2, OPT_SGD); /* 24 bytes: three slabs */
    for (uint32_t id = 0; id < n; id++) {
        table_row(t, insert(t, id))->data[0] = (float)id;
    }
    while (table_tidy_index(t, 4096)) {
    }
    const uint64_t full = table_bytes(t);
    assert_false(table_shrinks(t));
    for (uint32_t id = 0; id < n; id++) {
        if (id % 8 != 3) {
            table_remove(t, find(t, id));
        }
    }
    assert_int_equal(table_bytes(t), full);
    uint32_t moved = 0;
    while (table_shrinks(t)) {
        const uint32_t last = table_slots(t) - 1;
        if (table_row(t, last)->step != 0) {
            assert_in_range(table_next_free(t), 0, last - 1);
            moved++;
        }
        table_drop_last(t);
        assert_int_equal(table_slots(t), last);
    }
    while (table_tidy_index(t, 64)) {
    }
    assert_in_range(moved, n / 16, n / 2); /* within the first slab some move often */
    assert_in_range(table_slots(t), n / 8, n / 8 + n / 64);
    assert_true(table_bytes(t) < full / 4);
    table_prefetch(t, n - 1); /* a stale handle */
    for (uint32_t id = 0; id < n; id++) {
        const uint32_t handle = find(t, id);
        assert_int_equal(handle != HANDLE_NONE, id % 8 == 3);
        assert_true(handle == HANDLE_NONE || table_row(t, handle)->data[0] == (float)id);
    }
    for (uint32_t id = 0; id < n; id++) {
        if (id % 8 != 3) {
            table_row(t, insert(t, id))->data[0] = (float)id;
        }
    }
    assert_int_equal(table_slots(t), n);
    for (uint32_t id = 0; id < n; id++) {
        assert_true(table_row(t, find(t, id))->data[0] == (float)id);
    }
    table_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_layout),
        cmocka_unit_test(test_initial_values),
        cmocka_unit_test(test_against_array),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_kinds_learn),
        cmocka_unit_test(test_small_beside_large),
        cmocka_unit_test(test_load_other_kinds),
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
