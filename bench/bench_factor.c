/* bench_factor.c - what the user side of the first layer costs per field, as bags and as factored
 * rows: where the constants of worker/model/factor.c come from.
 *
 *     bench_factor [groups]      default 1024
 *
 * A user side of 24 fields, each with one value in every bag and U distinct features, dim 18, two
 * towers 360 wide; forward and backward, with pooling. Times are CPU microseconds of a field, the
 * best of 9, of which each is a mean over some 20 ms. "bags" has nothing factored, "rows" all. With
 * many groups T of 24 fields is larger than caches are, which a batch's fields seldom are together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/sample.h"
#include "worker/model/pool.h"
#include "worker/model/tower.h"

#define FIELDS   24
#define DIM      18
#define BEST_OF  9
#define SAMPLE_S 0.02

struct work {
    struct layout layout;
    struct batch batch;
    struct tower tower;
    float *rows[FIELDS_MAX], *drows[FIELDS_MAX];
    float *dense, *ddense, *xu, *dxu, *hu, *dhu;
};

static void need(enum status status) {
    if (status != OK) {
        fprintf(stderr, "bench_factor: %s: %s\n", status_text(status), fail_text());
        exit(1);
    }
}

static void prepare(struct work *w, uint32_t groups, uint32_t unique, const struct kernel *kernel) {
    struct sample s = {.seed = 3, .user_fields = FIELDS, .item_fields = 1};
    struct schema schema;
    struct config config;
    memset(w, 0, sizeof *w);
    sample_schema(&s, &schema);
    config_default(&config);
    config.table.dim = DIM;
    need(layout_init(&w->layout, &config, &schema, 0.1, 0.1));
    need(tower_init(&w->tower, &w->layout, kernel));
    w->batch.groups = groups;
    for (uint32_t f = 0; f < FIELDS; f++) {
        struct batch_field *field = &w->batch.field[f];
        field->bags = field->values = groups;
        field->unique = unique;
        field->start = sample_array(groups + 1, sizeof *field->start);
        field->index = sample_array(groups, sizeof *field->index);
        for (uint32_t g = 0; g < groups; g++) {
            field->start[g + 1] = g + 1;
            field->index[g] = sample_below(&s, unique);
        }
        w->rows[f] = sample_array((size_t)unique * DIM, sizeof(float));
        w->drows[f] = sample_array((size_t)unique * DIM, sizeof(float));
        for (uint32_t i = 0; i < unique * DIM; i++) {
            w->rows[f][i] = sample_normal(&s);
        }
    }
    w->dense = sample_array(w->layout.count, sizeof(float));
    w->ddense = sample_array(w->layout.count, sizeof(float));
    sample_dense(&s, &w->layout, w->dense);
    w->xu = sample_array((size_t)groups * w->layout.user_width, sizeof(float));
    w->dxu = sample_array((size_t)groups * w->layout.user_width, sizeof(float));
    w->hu = sample_array((size_t)groups * w->layout.first_width, sizeof(float));
    w->dhu = sample_array((size_t)groups * w->layout.first_width, sizeof(float));
}

static void finish(struct work *w) {
    for (uint32_t f = 0; f < FIELDS; f++) {
        mem_free(&w->rows[f]);
        mem_free(&w->drows[f]);
    }
    tower_fini(&w->tower);
    batch_fini(&w->batch);
    mem_free(&w->dense);
    mem_free(&w->ddense);
    mem_free(&w->xu);
    mem_free(&w->dxu);
    mem_free(&w->hu);
    mem_free(&w->dhu);
}

/* The user side of a step, in the order of model.c. */
static void pass(struct work *w) {
    struct tower *t = &w->tower;
    const struct batch *b = &w->batch;
    const struct layout *l = &w->layout;
    const float *const *rows = (const float *const *)w->rows;
    tower_load(t, w->dense, true);
    pool_users(l, &t->users.columns, b, rows, w->xu);
    tower_users(t, w->xu, b->groups, w->hu);
    factor_begin(&t->users, &t->work, b, w->dense, rows);
    factor_add(&t->users, b, 0, b->groups, w->hu);
    tower_users_backward(t, w->xu, w->dhu, b->groups, w->ddense, w->dxu);
    factor_spread(&t->users, b, 0, b->groups, w->dhu);
    factor_end(&t->users, &t->work, b, w->dense, rows, w->ddense, w->drows);
    pool_users_backward(l, &t->users.columns, b, w->dxu, w->drows);
}

/* Chooses all fields, whether it pays or not: as for a batch of many more bags. */
static void choose_all(struct work *w) {
    for (uint32_t f = 0; f < FIELDS; f++) {
        w->batch.field[f].bags *= 1000;
    }
    need(factor_choose(&w->tower.users, &w->batch));
}

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Microseconds of a field. */
static double time_pass(struct work *w) {
    double best = 1e9;
    for (int i = 0; i < BEST_OF; i++) {
        const double start = cpu_s();
        int calls = 0;
        double took;
        do {
            pass(w);
            calls++;
            took = cpu_s() - start;
        } while (took < SAMPLE_S);
        best = took / calls < best ? took / calls : best;
    }
    return best * 1e6 / FIELDS;
}

static void bench_kernel(const char *name, const struct kernel *kernel, uint32_t groups) {
    static const uint32_t unique[] = {2, 8, 32, 128, 512};
    const size_t n = sizeof unique / sizeof *unique;
    double bags = 0, rows[sizeof unique / sizeof *unique];
    for (size_t k = 0; k < n; k++) {
        struct work w;
        prepare(&w, groups, unique[k], kernel);
        need(factor_choose(&w.tower.users, NULL));
        bags = time_pass(&w);
        choose_all(&w);
        rows[k] = time_pass(&w);
        printf("bench=factor kernel=%s groups=%u unique=%u bags_us=%.1f rows_us=%.1f\n", name,
               groups, unique[k], bags, rows[k]);
        finish(&w);
    }
}

int main(int argc, char **argv) {
    const uint32_t groups = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1024;
    bench_kernel("blas", NULL, groups);
    if (kernel_f32() != NULL) {
        bench_kernel("f32", kernel_f32(), groups);
    }
    if (kernel_bf16() != NULL) {
        bench_kernel("bf16", kernel_bf16(), groups);
    }
    return 0;
}
