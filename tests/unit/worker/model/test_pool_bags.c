/* Unit tests of worker/model/pool_bags.h: every level of this CPU gives the bits of sums that are
 * made one by one, for each dim. test_pool.c has what the sums mean. */
#include "worker/model/pool_bags.h"

#include <string.h>

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED   20261201u
#define BAGS   9u
#define UNIQUE 5u
#define VALUES 40u
#define WIDEST 70u
#define STRIDE (WIDEST + 3)

struct bag_arrays {
    uint32_t start[BAGS + 1], index[VALUES];
    float weight[VALUES];
    float rows[UNIQUE * WIDEST], x[BAGS * STRIDE];
};

static void draw(struct bag_arrays *t, uint32_t dim) {
    for (uint32_t i = 0; i < BAGS; i++) {
        t->start[i + 1] = t->start[i] + (uint32_t)(rng_u64(SEED, dim, i) % 5); /* some are empty */
    }
    for (uint32_t v = 0; v < VALUES; v++) {
        t->index[v] = (uint32_t)(rng_u64(SEED, dim, 100 + v) % UNIQUE);
        t->weight[v] = (float)rng_normal(SEED, dim, 1000 + v);
    }
    for (uint32_t i = 0; i < UNIQUE * WIDEST; i++) {
        t->rows[i] = (float)rng_normal(SEED, dim, 10000 + i);
    }
    for (uint32_t i = 0; i < BAGS * STRIDE; i++) {
        t->x[i] = (float)rng_normal(SEED, dim, 20000 + i);
    }
}

/* One addition at a time; `volatile`: nothing is fused. */
static void add(float *to, float x, const float *weight) {
    volatile float term = weight == NULL ? x : x * *weight;
    volatile float s = *to + term;
    *to = s;
}

/* Both ways, for bags [2, BAGS): x += rows, or rows += x. */
static void by_hand(const struct batch_field *f, bool forward, uint32_t dim, float *x,
                    float *rows) {
    for (uint32_t i = 2; i < f->bags; i++, x += STRIDE) {
        for (uint32_t v = f->start[i]; v < f->start[i + 1]; v++) {
            for (uint32_t d = 0; d < dim; d++) {
                float *row = &rows[f->index[v] * dim + d];
                add(forward ? &x[d] : row, forward ? *row : x[d],
                    f->weight == NULL ? NULL : &f->weight[v]);
            }
        }
    }
}

static void check(enum cpu_level level, struct bag_arrays *t, uint32_t dim, bool weighted) {
    static struct bag_arrays got, want;
    const struct batch_field field = {.bags = BAGS,
                                      .unique = UNIQUE,
                                      .values = t->start[BAGS],
                                      .start = t->start,
                                      .index = t->index,
                                      .weight = weighted ? t->weight : NULL};
    const struct bags in = {&field, 2, BAGS, STRIDE};
    got = want = *t;
    pool_bags_at(level)->forward(in, got.rows, got.x, dim);
    by_hand(&field, true, dim, want.x, want.rows);
    assert_memory_equal(&got, &want, sizeof got);
    pool_bags_at(level)->backward(in, got.x, got.rows, dim);
    by_hand(&field, false, dim, want.x, want.rows);
    assert_memory_equal(&got, &want, sizeof got);
}

static void test_levels(void **state) {
    (void)state;
    for (uint32_t dim = 1; dim <= WIDEST; dim++) {
        static struct bag_arrays t;
        memset(&t, 0, sizeof t);
        draw(&t, dim);
        for (enum cpu_level level = CPU_LOWEST; level <= cpu_level_found(); level++) {
            check(level, &t, dim, false);
            check(level, &t, dim, true);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
