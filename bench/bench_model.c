/* bench_model.c - how fast one core trains, where the time goes, and how far that is from the
 * limit.
 *
 *     bench_model [impressions] [repetitions]      default 2048 and 5
 *
 * The batch has Ali-CCP's shape: 13 user fields with 40 values each, 58 impressions a group, 10
 * item fields with 1.5 values, dim 18; towers 360, 200, 80; both inputs, `concat` (234 + 180
 * columns) and `sides` (18 + 18). Each is trained with OpenBLAS, with the best float32 kernel, with
 * the bf16 kernel, and with the AVX2 kernel where it is not the best. The limit is the time of a
 * step's matrix products alone, with the same shapes, in the buffers of a tower: by OpenBLAS's
 * sgemm, and by the kernel itself.
 *
 * Times are CPU time of the thread, so that a busy machine disturbs less. One number is the mean
 * over about 50 ms; all kinds take turns. The median of `repetitions` is printed, with the raw
 * numbers after it. The twin is the naive model on a few impressions of the same batch. Lines
 * "bench=model key=value ..." are for programs to read.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/sample.h"
#include "worker/kernel/blas.h"
#include "worker/model/model.h"
#include "worker/model/pool.h"
#include "worker/model/tower.h"
#include "tests/naive/pool_naive.h"
#include "tests/naive/model_naive.h"

#define USER_FIELDS       13
#define USER_VALUES       40
#define ITEM_FIELDS       10
#define GROUP_IMPRESSIONS 58
#define NAIVE_IMPRESSIONS 16
#define CUT_BATCHES       8    /* batches in the shard */
#define SAMPLE_S          0.05 /* one measurement */
#define REPETITIONS_MAX   99
#define KINDS             4

struct work {
    struct layout layout;
    struct shard shard;
    struct run *runs;
    struct batch_cutter *cutter;
    struct batch batch, small;
    float *rows[FIELDS_MAX], *drows[FIELDS_MAX];
    float *dense, *ddense, *a, *b, *xu, *xi;
    double *store, *pooled;     /* of the twins */
    struct model *model[KINDS]; /* NULL: the CPU lacks the kernel */
    struct tower tower[KINDS];  /* for the products alone */
    float *dw, *zeros;
    uint32_t impressions;
};

static const char *const kind_name[KINDS] = {"f32 OpenBLAS", "f32 kernel", "bf16 kernel",
                                             "f32 AVX2"};
static const char *const kind_word[KINDS] = {"blas", "f32", "bf16", "avx2"};

static const struct kernel *kind_kernel(uint32_t kind) {
    const struct kernel *avx2 = kernel_avx2() != kernel_f32() ? kernel_avx2() : NULL;
    const struct kernel *const all[KINDS] = {NULL, kernel_f32(), kernel_bf16(), avx2};
    return all[kind];
}

static bool kind_here(uint32_t kind) {
    return kind == 0 || kind_kernel(kind) != NULL;
}

static void need(enum status status) {
    if (status != OK) {
        fprintf(stderr, "bench_model: %s: %s\n", status_text(status), fail_text());
        exit(1);
    }
}

/* User bags hold 40 values, item bags 1 or 2: two samples are joined. */
static void make_shard(struct work *w) {
    uint32_t groups = (w->impressions * CUT_BATCHES + GROUP_IMPRESSIONS - 1) / GROUP_IMPRESSIONS;
    struct sample s = {.seed = 5,
                       .groups = groups + 1,
                       .group_impressions_max = 1,
                       .user_fields = USER_FIELDS,
                       .values_min = USER_VALUES,
                       .values_max = USER_VALUES,
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
    uint32_t *order = sample_order(&s, &w->shard);
    w->runs = sample_runs(order, &w->shard);
    mem_free(&order);
}

static void prepare(struct work *w, enum model_input input) {
    struct sample s = {.seed = 7, .user_fields = USER_FIELDS, .item_fields = ITEM_FIELDS};
    struct schema schema;
    struct config config;
    make_shard(w);
    sample_schema(&s, &schema);
    config_default(&config);
    config.input = input;
    need(layout_init(&w->layout, &config, &schema, 0.04, 0.005));
    need(batch_cutter_create(&w->cutter));
    need(batch_cutter_runs(w->cutter, &w->shard, w->runs, w->shard.groups, USER_FIELDS, -1));
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
    w->pooled = sample_array((size_t)w->impressions * w->layout.input_width, sizeof(double));
    w->xu = sample_array((size_t)w->batch.groups * w->layout.user_width, sizeof(float));
    w->xi = sample_array((size_t)w->impressions * w->layout.item_width, sizeof(float));
    w->dw = sample_array(w->layout.count, sizeof(float));
    w->zeros = sample_array((size_t)TOWER_CHUNK * w->layout.input_width, sizeof(float));
    for (uint32_t k = 0; k < KINDS; k++) {
        if (kind_here(k)) {
            const struct loss_spec loss = loss_spec_of(&config);
            need(model_create(&w->model[k], &w->layout, &loss, kind_kernel(k)));
            need(tower_init(&w->tower[k], &w->layout, kind_kernel(k)));
            tower_load(&w->tower[k], w->dense, true);
        }
    }
}

static void finish(struct work *w) {
    for (uint32_t k = 0; k < KINDS; k++) {
        model_destroy(&w->model[k]);
        tower_fini(&w->tower[k]);
    }
    mem_free(&w->dw);
    mem_free(&w->zeros);
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
    mem_free(&w->pooled);
    mem_free(&w->runs);
    sample_shard_free(&w->shard);
}

/* --- what is timed: call(w, k), k the kind or a counter --------------------------------------- */

static void do_train(struct work *w, uint32_t k) {
    struct loss_sums sums = {0};
    need(model_train(w->model[k], &w->batch, (const float *const *)w->rows, w->dense, w->a, w->b,
                     w->drows, w->ddense, &sums));
}

static void do_forward(struct work *w, uint32_t k) {
    need(
        model_forward(w->model[k], &w->batch, (const float *const *)w->rows, w->dense, w->a, w->b));
}

/* The three products of one matrix on m rows of x and dy, whatever values these hold. */
static void products(const struct tower *t, const struct linear *l, uint32_t m, float *x,
                     size_t x_stride, float *dy, size_t y_stride, float *dw, size_t w_stride) {
    if (l->in > 0) {
        linear_forward(l, &t->work, (struct matrix){x, x_stride}, m, false, dy, y_stride);
        linear_weight(l, &t->work, (struct matrix){dy, y_stride}, (struct matrix){x, x_stride}, m,
                      dw, w_stride);
        linear_input(l, &t->work, (struct matrix){dy, y_stride}, m, false, x, x_stride);
    }
}

/* The products of a training step and nothing else. Inputs are zeros: speed does not depend on the
 * values, and zeros stay finite. */
static void do_products(struct work *w, uint32_t kind) {
    struct tower *t = &w->tower[kind];
    const struct layout *l = &w->layout;
    size_t wide = (size_t)l->towers * l->hidden[0];
    float *x = w->zeros;
    for (uint32_t i = 0; i < w->impressions; i += TOWER_CHUNK) {
        uint32_t n = w->impressions - i < TOWER_CHUNK ? w->impressions - i : TOWER_CHUNK;
        products(t, &t->item, n, x, l->item_width, t->h[0], wide, w->dw + l->user_width,
                 l->input_width);
        for (uint32_t k = 1; k < l->layers; k++) {
            for (uint32_t tower = 0; tower < l->towers; tower++) {
                size_t in = l->hidden[k - 1], out = l->hidden[k];
                products(t, &t->hidden[k][tower], n, t->h[k - 1] + tower * in, l->towers * in,
                         t->h[k] + tower * out, l->towers * out,
                         w->dw + layout_weight(l, k, tower)->offset, in);
            }
        }
    }
    for (uint32_t i = 0; i < w->batch.groups; i += TOWER_CHUNK) {
        uint32_t n = w->batch.groups - i < TOWER_CHUNK ? w->batch.groups - i : TOWER_CHUNK;
        products(t, &t->user, n, x, l->user_width, t->h[0], wide, w->dw, l->input_width);
    }
}

static void do_pool(struct work *w, uint32_t k) {
    (void)k;
    pool_forward(&w->layout, &w->batch, (const float *const *)w->rows, w->xu, w->xi);
}

static void do_unpool(struct work *w, uint32_t k) {
    (void)k;
    pool_backward(&w->layout, &w->batch, w->xu, w->xi, w->drows);
}

static void do_load(struct work *w, uint32_t k) {
    tower_load(&w->tower[k], w->dense, true);
}

static void do_loss(struct work *w, uint32_t k) {
    (void)k;
    struct loss_sums sums = {0};
    loss_esmm(w->a, w->b, w->batch.labels, NULL, w->impressions, 1.0f, 1.0f / (float)w->impressions,
              w->xi, w->xi + w->impressions, &sums);
}

static void do_pool_naive(struct work *w, uint32_t k) {
    (void)k;
    pool_forward_naive(&w->layout, &w->batch, (const float *const *)w->rows, w->pooled);
}

static void do_loss_naive(struct work *w, uint32_t k) {
    (void)k;
    for (uint32_t i = 0; i < w->impressions; i++) {
        double loss, da, db;
        loss_esmm_one((double)w->a[i], (double)w->b[i], w->batch.labels[i] & LABEL_CLICK,
                      w->batch.labels[i] & LABEL_CONVERSION, 1.0, &loss, &da, &db);
        w->xi[i] = (float)(loss + da + db);
    }
}

static void do_cut(struct work *w, uint32_t k) {
    uint32_t begin = (k % CUT_BATCHES) * w->impressions;
    need(batch_cut(w->cutter, begin, begin + w->impressions, &w->small));
}

static void do_naive(struct work *w, uint32_t k) {
    (void)k;
    const struct loss_spec spec = {.w = 1.0f};
    double *drows[FIELDS_MAX], *at = w->store, loss;
    for (uint32_t f = 0; f < w->layout.fields; f++) {
        drows[f] = at;
        at += (size_t)w->small.field[f].unique * w->layout.dim[f];
    }
    double *logit[] = {at + w->layout.count, at + w->layout.count + NAIVE_IMPRESSIONS};
    need(model_train_naive(&w->layout, PRECISION_F32, &spec, NULL, &w->small,
                           (const float *const *)w->rows, w->dense, logit, drows, at, &loss));
}

/* --- timing ----------------------------------------------------------------------------------- */

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* CPU seconds of one call: the mean over SAMPLE_S. */
static double sample_call(struct work *w, void (*call)(struct work *, uint32_t), uint32_t k) {
    double start = cpu_s(), took;
    uint32_t calls = 0;
    do {
        call(w, k);
        calls++;
        took = cpu_s() - start;
    } while (took < SAMPLE_S);
    return took / calls;
}

struct series {
    double v[REPETITIONS_MAX], sorted[REPETITIONS_MAX];
    int n;
};

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(struct series *s) {
    memcpy(s->sorted, s->v, sizeof s->v);
    qsort(s->sorted, (size_t)s->n, sizeof *s->sorted, compare);
    return s->sorted[s->n / 2];
}

static void print_raw(const char *what, const struct series *s) {
    printf("      raw %s ms:", what);
    for (int i = 0; i < s->n; i++) {
        printf(" %.2f", s->v[i] * 1e3);
    }
    printf("\n");
}

/* The multiplications and additions of a step's products; shared work counts once. */
static double train_gflop(const struct work *w) {
    const struct layout *l = &w->layout;
    double n = w->impressions, g = w->batch.groups;
    double products = 2.0 * l->hidden[0] * (g * l->user_width + n * l->item_width);
    for (uint32_t k = 1; k < l->layers; k++) {
        products += n * 2.0 * l->hidden[k] * l->hidden[k - 1];
    }
    return 3.0 * 2.0 * products * 1e-9;
}

static void print_machine(void) {
    char line[256], model[200] = "unknown";
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "model name : %199[^\n]", model) == 1) {
            break;
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    printf("machine: %s, %ld cores; kernels: f32 is %s%s; OpenBLAS %s\n", model,
           sysconf(_SC_NPROCESSORS_ONLN), kernel_f32() != NULL ? kernel_f32()->name : "none",
           kernel_bf16() != NULL ? ", and bf16" : "", blas_core());
}

/* --- one input -------------------------------------------------------------------------------- */

struct figures {
    struct series train, forward, products, load;
};

/* How many times as fast as OpenBLAS a step is: the median over pairs of neighbours. */
static double against_blas(const struct figures *f, const struct figures *blas) {
    struct series ratio = {.n = f->train.n};
    for (int i = 0; i < ratio.n; i++) {
        ratio.v[i] = blas->train.v[i] / f->train.v[i];
    }
    return median(&ratio);
}

static void report(struct work *w, const char *input, uint32_t k, struct figures *f,
                   const struct figures *blas, double sgemm) {
    double n = w->impressions, train = median(&f->train), forward = median(&f->forward);
    double products = median(&f->products), gflop = train_gflop(w), times = against_blas(f, blas);
    printf("  %-12s train %7.2f ms %8.0f impressions/s %6.1f GFLOP/s; forward %6.2f ms; "
           "its products %6.2f ms (%.1f GFLOP/s): %.1f %%; sgemm's %6.2f ms: %.1f %%; step %.2f x "
           "OpenBLAS's\n",
           kind_name[k], train * 1e3, n / train, gflop / train, forward * 1e3, products * 1e3,
           gflop / products, 100 * products / train, sgemm * 1e3, 100 * sgemm / train, times);
    print_raw("train", &f->train);
    print_raw("products", &f->products);
    printf("bench=model input=%s compute=%s impressions=%u groups=%u train_ips=%.0f gflops=%.2f "
           "product_gflops=%.2f share=%.3f sgemm_share=%.3f forward_ips=%.0f load_ms=%.3f "
           "times_blas=%.3f\n",
           input, kind_word[k], w->impressions, w->batch.groups, n / train, gflop / train,
           gflop / products, products / train, sgemm / train, n / forward, median(&f->load) * 1e3,
           times);
}

static void bench_input(struct work *w, enum model_input input, int repetitions) {
    static struct figures f[KINDS];
    static struct series pool, unpool, loss, pool_naive, loss_naive;
    const char *name = input == INPUT_SIDES ? "sides" : "concat";
    memset(f, 0, sizeof f);
    pool.n = unpool.n = loss.n = pool_naive.n = loss_naive.n = 0;
    prepare(w, input);
    for (int r = 0; r < repetitions; r++) {
        for (uint32_t k = 0; k < KINDS; k++) {
            if (kind_here(k)) {
                f[k].train.v[f[k].train.n++] = sample_call(w, do_train, k);
                f[k].products.v[f[k].products.n++] = sample_call(w, do_products, k);
                f[k].forward.v[f[k].forward.n++] = sample_call(w, do_forward, k);
                f[k].load.v[f[k].load.n++] = sample_call(w, do_load, k);
            }
        }
        pool.v[pool.n++] = sample_call(w, do_pool, 0);
        unpool.v[unpool.n++] = sample_call(w, do_unpool, 0);
        loss.v[loss.n++] = sample_call(w, do_loss, 0);
        pool_naive.v[pool_naive.n++] = sample_call(w, do_pool_naive, 0);
        loss_naive.v[loss_naive.n++] = sample_call(w, do_loss_naive, 0);
    }
    printf("%s: batch %u impressions in %u groups, input %u + %u columns\n", name, w->impressions,
           w->batch.groups, w->layout.user_width, w->layout.item_width);
    for (uint32_t k = 0; k < KINDS; k++) {
        if (kind_here(k)) {
            report(w, name, k, &f[k], &f[0], median(&f[0].products));
        }
    }
    printf("  of every train: pool %.2f ms, un-pool %.2f ms, loss %.2f ms\n", median(&pool) * 1e3,
           median(&unpool) * 1e3, median(&loss) * 1e3);
    printf("bench=model input=%s impressions=%u pool_ms=%.3f unpool_ms=%.3f loss_ms=%.3f "
           "pool_naive_ms=%.3f loss_naive_ms=%.3f\n",
           name, w->impressions, median(&pool) * 1e3, median(&unpool) * 1e3, median(&loss) * 1e3,
           median(&pool_naive) * 1e3, median(&loss_naive) * 1e3);
}

static void bench_rest(struct work *w) {
    size_t twin = w->layout.count + 2 * NAIVE_IMPRESSIONS;
    for (uint32_t f = 0; f < w->layout.fields; f++) {
        twin += (size_t)w->small.field[f].unique * w->layout.dim[f];
    }
    w->store = sample_array(twin, sizeof *w->store);
    double naive = NAIVE_IMPRESSIONS / sample_call(w, do_naive, 0);
    double cut = sample_call(w, do_cut, 0);
    printf("  cutting the batch %.2f ms; naive twin %.0f impressions/s\n", cut * 1e3, naive);
    printf("bench=model cut_ms=%.3f naive_ips=%.1f\n", cut * 1e3, naive);
}

int main(int argc, char **argv) {
    static struct work w;
    uint32_t impressions = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2048;
    int repetitions = argc > 2 ? atoi(argv[2]) : 5;
    if (impressions < NAIVE_IMPRESSIONS || repetitions < 1 || repetitions > REPETITIONS_MAX) {
        fprintf(stderr, "usage: bench_model [impressions >= %d] [repetitions 1..%d]\n",
                NAIVE_IMPRESSIONS, REPETITIONS_MAX);
        return 2;
    }
    print_machine();
    static const enum model_input inputs[] = {INPUT_SIDES, INPUT_CONCAT};
    for (int i = 0; i < 2; i++) {
        memset(&w, 0, sizeof w);
        w.impressions = impressions;
        bench_input(&w, inputs[i], repetitions);
        if (i == 1) {
            bench_rest(&w);
        }
        finish(&w);
    }
    return 0;
}
