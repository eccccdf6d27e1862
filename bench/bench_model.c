/* bench_model.c - how fast one core trains, where the time goes, and how far that is from the
 * limit.
 *
 *     bench_model [impressions] [seconds]      default 2048 and 2
 *
 * The batch has Ali-CCP's shape: 14 user fields with 37 values each, 58 impressions a group, 9 item
 * fields with 1.5 values, dim 18; towers 360, 200, 80. The limit is sgemm alone on 256 x 414 x 720,
 * the first layer without sharing. The twin is the naive model on a few impressions of the same
 * batch. The last line, "bench=model key=value ...", is for machines.
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "tests/sample.h"
#include "worker/model.h"
#include "worker/pool.h"

#define USER_FIELDS       14
#define ITEM_FIELDS       9
#define GROUP_IMPRESSIONS 58
#define NAIVE_IMPRESSIONS 16
#define CUT_BATCHES       8 /* the shard holds so many batches */

struct work {
    struct layout layout;
    struct shard shard;
    uint32_t *order;
    struct batch_cutter *cutter;
    struct batch batch, small;
    float *rows[FIELDS_MAX], *drows[FIELDS_MAX];
    float *dense, *ddense, *a, *b, *xu, *xi;
    double *store; /* of the twin */
    struct model *model;
    uint32_t impressions;
};

static void need(enum status status) {
    if (status != OK) {
        fprintf(stderr, "bench_model: %s: %s\n", status_text(status), fail_text());
        exit(1);
    }
}

/* User bags hold 37 values, item bags 1 or 2: two samples, joined. */
static void make_shard(struct work *w) {
    uint32_t groups = (w->impressions * CUT_BATCHES + GROUP_IMPRESSIONS - 1) / GROUP_IMPRESSIONS;
    struct sample s = {.seed = 5,
                       .groups = groups + 1,
                       .group_impressions_max = 1,
                       .user_fields = USER_FIELDS,
                       .values_min = 37,
                       .values_max = 37,
                       .dict = 20000,
                       .empty_field = -1};
    sample_shard(&s, &w->shard);
    for (uint32_t g = 0; g <= w->shard.groups; g++) {
        w->shard.group_start[g] = g * GROUP_IMPRESSIONS;
    }
    struct shard items;
    struct sample t = {.seed = 6,
                       .groups = w->shard.groups * GROUP_IMPRESSIONS,
                       .group_impressions_max = 1,
                       .item_fields = ITEM_FIELDS,
                       .values_min = 1,
                       .values_max = 2,
                       .dict = 20000,
                       .empty_field = -1};
    sample_shard(&t, &items);
    for (uint32_t f = 0; f < ITEM_FIELDS; f++) {
        w->shard.column[USER_FIELDS + f] = items.column[f];
    }
    w->shard.columns += ITEM_FIELDS;
    w->shard.impressions = items.impressions;
    mem_free(&w->shard.impression_id);
    mem_free(&w->shard.labels);
    w->shard.impression_id = items.impression_id;
    w->shard.labels = items.labels;
    items.columns = 0;
    items.impression_id = NULL;
    items.labels = NULL;
    sample_shard_free(&items);
    w->order = sample_order(&s, &w->shard);
}

static void prepare(struct work *w) {
    struct sample s = {.seed = 7, .user_fields = USER_FIELDS, .item_fields = ITEM_FIELDS};
    struct schema schema;
    struct config config;
    make_shard(w);
    sample_schema(&s, &schema);
    config_default(&config);
    need(layout_init(&w->layout, &config, &schema, 0.04, 0.005));
    need(batch_cutter_create(&w->cutter));
    need(batch_cutter_shard(w->cutter, &w->shard, w->order, USER_FIELDS, -1));
    need(batch_cut(w->cutter, 0, w->impressions, &w->batch));
    need(batch_cut(w->cutter, 0, NAIVE_IMPRESSIONS, &w->small));
    for (uint32_t f = 0; f < w->layout.fields; f++) {
        size_t floats = (size_t)w->batch.field[f].unique * w->layout.dim[f];
        w->rows[f] = sample_array(floats, sizeof(float));
        w->drows[f] = sample_array(floats, sizeof(float));
        for (size_t i = 0; i < floats; i++) {
            w->rows[f][i] = 0.01f * sample_normal(&s);
        }
    }
    w->dense = sample_array(w->layout.count, sizeof(float));
    w->ddense = sample_array(w->layout.count, sizeof(float));
    sample_dense(&s, &w->layout, w->dense);
    w->a = sample_array(w->impressions, sizeof(float));
    w->b = sample_array(w->impressions, sizeof(float));
    w->xu = sample_array((size_t)w->batch.groups * w->layout.user_width, sizeof(float));
    w->xi = sample_array((size_t)w->impressions * w->layout.item_width, sizeof(float));
    need(model_create(&w->model, &w->layout, 1.0f, getenv("K")==NULL?kernel_f32():getenv("K")[0]==98?kernel_bf16():NULL));
}

static void finish(struct work *w) {
    model_destroy(&w->model);
    batch_cutter_destroy(&w->cutter);
    batch_fini(&w->batch);
    batch_fini(&w->small);
    for (uint32_t f = 0; f < w->layout.fields; f++) {
        mem_free(&w->rows[f]);
        mem_free(&w->drows[f]);
    }
    mem_free(&w->dense);
    mem_free(&w->ddense);
    mem_free(&w->a);
    mem_free(&w->b);
    mem_free(&w->xu);
    mem_free(&w->xi);
    mem_free(&w->store);
    mem_free(&w->order);
    sample_shard_free(&w->shard);
}

/* --- what is timed ------------------------------------------------------------------------- */

static void do_train(struct work *w, uint32_t k) {
    (void)k;
    struct loss_sums sums = {0};
    need(model_train(w->model, &w->batch, (const float *const *)w->rows, w->dense, w->a, w->b,
                     w->drows, w->ddense, &sums));
}

static void do_forward(struct work *w, uint32_t k) {
    (void)k;
    need(model_forward(w->model, &w->batch, (const float *const *)w->rows, w->dense, w->a, w->b));
}

static void do_pool(struct work *w, uint32_t k) {
    (void)k;
    pool_forward(&w->layout, &w->batch, (const float *const *)w->rows, w->xu, w->xi);
}

static void do_unpool(struct work *w, uint32_t k) {
    (void)k;
    pool_backward(&w->layout, &w->batch, w->xu, w->xi, w->drows);
}

static void do_loss(struct work *w, uint32_t k) {
    (void)k;
    struct loss_sums sums = {0};
    loss_esmm(w->a, w->b, w->batch.labels, w->impressions, 1.0f, 1.0f / (float)w->impressions,
              w->xi, w->xi + w->impressions, &sums);
}

static void do_cut(struct work *w, uint32_t k) {
    uint32_t begin = (k % CUT_BATCHES) * w->impressions;
    need(batch_cut(w->cutter, begin, begin + w->impressions, &w->small));
}

static void do_naive(struct work *w, uint32_t k) {
    (void)k;
    double *drows[FIELDS_MAX], *at = w->store, loss;
    for (uint32_t f = 0; f < w->layout.fields; f++) {
        drows[f] = at;
        at += (size_t)w->small.field[f].unique * w->layout.dim[f];
    }
    need(model_train_naive(&w->layout, 1.0f, &w->small, (const float *const *)w->rows, w->dense,
                           at + w->layout.count, at + w->layout.count + NAIVE_IMPRESSIONS, drows,
                           at, &loss));
}

/* Seconds a call: the fastest of the calls that fit into `seconds`, at least three. */
static double fastest(struct work *w, void (*call)(struct work *, uint32_t), double seconds) {
    double best = INFINITY;
    uint64_t end = clock_mono_us() + (uint64_t)(seconds * 1e6);
    for (uint32_t k = 0; k < 3 || clock_mono_us() < end; k++) {
        uint64_t start = clock_mono_us();
        call(w, k);
        double took = (double)(clock_mono_us() - start) * 1e-6;
        best = took < best ? took : best;
    }
    return best;
}

static void do_gemm(struct work *w, uint32_t k) {
    (void)w;
    (void)k;
    enum { M = 256, N = 720, K = 414, TIMES = 10 };
    static float x[M * K], y[N * K], z[M * N];
    for (int i = 0; i < TIMES; i++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, M, N, K, 1.0f, x, K, y, K, 0.0f, z, N);
    }
}
#define GEMM_GFLOP (10 * 2.0 * 256 * 720 * 414 * 1e-9)

/* Multiplications and additions of a step, sharing counted. */
static double train_gflop(const struct work *w) {
    const struct layout *l = &w->layout;
    double n = w->impressions, g = w->batch.groups;
    double products = 2.0 * l->hidden[0] * (g * l->user_width + n * l->item_width);
    for (uint32_t k = 1; k < l->layers; k++) {
        products += n * 2.0 * l->hidden[k] * l->hidden[k - 1];
    }
    products += n * 2.0 * l->hidden[l->layers - 1];
    return 3.0 * 2.0 * products * 1e-9;
}

int main(int argc, char **argv) {
    static struct work w;
    w.impressions = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2048;
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 2.0;
    if (w.impressions < NAIVE_IMPRESSIONS) {
        fprintf(stderr, "usage: bench_model [impressions >= %d] [seconds]\n", NAIVE_IMPRESSIONS);
        return 2;
    }
    prepare(&w);
    double gemm = GEMM_GFLOP / fastest(&w, do_gemm, seconds / 4);
    size_t twin = w.layout.count + 2 * NAIVE_IMPRESSIONS;
    for (uint32_t f = 0; f < w.layout.fields; f++) {
        twin += (size_t)w.small.field[f].unique * w.layout.dim[f];
    }
    w.store = sample_array(twin, sizeof *w.store);
    double naive = NAIVE_IMPRESSIONS / fastest(&w, do_naive, 0.0);
    double train = fastest(&w, do_train, seconds), forward = fastest(&w, do_forward, seconds / 4);
    double pool = fastest(&w, do_pool, 0.1), unpool = fastest(&w, do_unpool, 0.1);
    double loss = fastest(&w, do_loss, 0.1), cut = fastest(&w, do_cut, 0.2);
    double n = w.impressions, rate = n / train, gflops = train_gflop(&w) / train;
    printf("batch %u impressions in %u groups, input %u + %u columns\n", w.impressions,
           w.batch.groups, w.layout.user_width, w.layout.item_width);
    printf("train   %8.2f ms %9.0f impressions/s %6.1f GFLOP/s, %.0f %% of sgemm's %.1f\n",
           train * 1e3, rate, gflops, 100 * gflops / gemm, gemm);
    printf("forward %8.2f ms %9.0f impressions/s\n", forward * 1e3, n / forward);
    printf("  of train: pool %.2f ms, un-pool %.2f ms, loss %.2f ms\n", pool * 1e3, unpool * 1e3,
           loss * 1e3);
    printf("cut     %8.2f ms, %.1f %% of train\n", cut * 1e3, 100 * cut / train);
    printf("naive twin %.0f impressions/s: %.0f times slower\n", naive, rate / naive);
    printf("bench=model impressions=%u groups=%u train_ips=%.0f gflops=%.2f sgemm_gflops=%.2f "
           "share=%.3f forward_ips=%.0f pool_ms=%.3f unpool_ms=%.3f loss_ms=%.3f cut_ms=%.3f "
           "naive_ips=%.1f\n",
           w.impressions, w.batch.groups, rate, gflops, gemm, gflops / gemm, n / forward,
           pool * 1e3, unpool * 1e3, loss * 1e3, cut * 1e3, naive);
    finish(&w);
    return 0;
}
