/* bench_kernel.c - each product of a tower by each kernel, beside the most that this core can do.
 *
 *     bench_kernel [impressions] [repetitions] [kernel]      default 2048, 9 and all: blas, avx2,
 *                                                            avx512, bf16, neon
 *
 * The products are those of docs/model.md: towers 360, 200, 80 on `sides` (18 item columns) and
 * `concat` (180), as tower.c asks for them: in chunks of TOWER_CHUNK rows, both towers' outputs
 * side by side. "together" is the time of a step's products of one input. The peak is a loop of
 * multiply-adds on registers, with the vectors of the kernel: 12 sums of 8 floats for AVX2, 12 of
 * 16 for AVX-512, 12 of 4 for NEON; vdpbf16ps for bf16. OpenBLAS is held against the widest
 * vectors of float32 that its kernel has: against AVX2's if OPENBLAS_CORETYPE is Haswell or Zen.
 *
 * A machine is not equally fast all the time, so every sample stands between two of its peak, and
 * a share is the median of such samples. Times are CPU time of the thread. Lines
 * "bench=kernel key=value ..." are for programs to read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sample.h"
#include "worker/kernel/blas.h"
#include "worker/kernel/linear.h"
#include "worker/model/tower.h"

#include "peak.h"

#define KINDS           5
#define SHAPES          4
#define PRODUCTS        3
#define REPETITIONS_MAX 99
#define SAMPLE_S        0.02 /* one measurement */
#define PEAK_S          0.005

static const char *const product_name[PRODUCTS] = {"forward", "dx", "dW"};

/* A weight matrix, and how many of it stand side by side. */
struct shape {
    uint32_t out, in, towers;
};

/* sides: the first, third and fourth; concat: from the second. */
static const struct shape shapes[SHAPES] = {
    {720, 18, 1}, {720, 180, 1}, {200, 360, 2}, {80, 200, 2}};

struct bench {
    const struct kernel *kernel;
    const char *word;
    enum peak peak;
    uint32_t impressions;
    struct linear linear[SHAPES];
    struct linear_work work;
    float *w[SHAPES], *x[SHAPES], *y[SHAPES], *dw[SHAPES];
};

static void need(enum status status) {
    if (status != OK) {
        fprintf(stderr, "bench_kernel: %s: %s\n", status_text(status), fail_text());
        exit(1);
    }
}

static void prepare(struct bench *b) {
    need(linear_work_init(&b->work, b->kernel, 720));
    for (int i = 0; i < SHAPES; i++) {
        const struct shape *s = &shapes[i];
        b->w[i] = sample_array((size_t)s->out * s->in, sizeof(float));
        b->dw[i] = sample_array((size_t)s->out * s->in, sizeof(float));
        b->x[i] = sample_array((size_t)TOWER_CHUNK * s->in * s->towers, sizeof(float));
        b->y[i] = sample_array((size_t)TOWER_CHUNK * s->out * s->towers, sizeof(float));
        need(linear_init(&b->linear[i], b->kernel, s->out, s->in));
        linear_load(&b->linear[i], (struct matrix){b->w[i], s->in}, true);
    }
}

static void finish(struct bench *b) {
    for (int i = 0; i < SHAPES; i++) {
        linear_fini(&b->linear[i]);
        mem_free(&b->w[i]);
        mem_free(&b->dw[i]);
        mem_free(&b->x[i]);
        mem_free(&b->y[i]);
    }
    linear_work_fini(&b->work);
}

/* One product of one shape, of all towers, on a batch in chunks. Everything is zero: speed does
 * not depend on the values. */
static void product(struct bench *b, int shape, int which) {
    const struct shape *s = &shapes[shape];
    const struct linear *l = &b->linear[shape];
    for (uint32_t i = 0; i < b->impressions; i += TOWER_CHUNK) {
        uint32_t n = b->impressions - i < TOWER_CHUNK ? b->impressions - i : TOWER_CHUNK;
        for (uint32_t t = 0; t < s->towers; t++) {
            size_t xs = (size_t)s->in * s->towers, ys = (size_t)s->out * s->towers;
            struct matrix x = {b->x[shape] + (size_t)t * s->in, xs};
            struct matrix y = {b->y[shape] + (size_t)t * s->out, ys};
            if (which == 0) {
                linear_forward(l, &b->work, x, n, false, b->y[shape] + (size_t)t * s->out, ys);
            } else if (which == 1) {
                linear_input(l, &b->work, y, n, false, b->x[shape] + (size_t)t * s->in, xs);
            } else {
                linear_weight(l, &b->work, y, x, n, b->dw[shape], s->in);
            }
        }
    }
}

static double gflop(const struct bench *b, int shape) {
    const struct shape *s = &shapes[shape];
    return 2e-9 * b->impressions * s->out * s->in * s->towers;
}

/* --- timing ----------------------------------------------------------------------------------- */

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak_rate(enum peak peak) {
    double start = cpu_s(), took, done = 0;
    do {
        done += peak_loop(peak);
        took = cpu_s() - start;
    } while (took < PEAK_S);
    return 1e-9 * done / took;
}

/* GFLOP/s of a product, and those of the peak around it. */
static double product_rate(struct bench *b, int shape, int which, double *peak) {
    double before = peak_rate(b->peak), start = cpu_s(), took, done = 0;
    do {
        product(b, shape, which);
        done += gflop(b, shape);
        took = cpu_s() - start;
    } while (took < SAMPLE_S);
    *peak = (before + peak_rate(b->peak)) / 2;
    return done / took;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *v, int n) {
    double sorted[REPETITIONS_MAX];
    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *sorted, compare);
    return sorted[n / 2];
}

/* --- the report ------------------------------------------------------------------------------- */

struct figures {
    double rate[SHAPES][PRODUCTS][REPETITIONS_MAX], share[SHAPES][PRODUCTS][REPETITIONS_MAX];
    double peak[REPETITIONS_MAX];
};

static void measure(struct bench *b, struct figures *f, int repetition) {
    for (int s = 0; s < SHAPES; s++) {
        for (int p = 0; p < PRODUCTS; p++) {
            double peak, rate = product_rate(b, s, p, &peak);
            f->rate[s][p][repetition] = rate;
            f->share[s][p][repetition] = rate / peak;
            f->peak[repetition] = peak;
        }
    }
}

/* The share of the peak that all products of an input reach: `without` is not one of them. */
static double together(const struct bench *b, const struct figures *f, int without, int n) {
    double work = 0, time = 0;
    for (int s = 0; s < SHAPES; s++) {
        for (int p = 0; p < PRODUCTS && s != without; p++) {
            work += gflop(b, s);
            time += gflop(b, s) / median(f->share[s][p], n);
        }
    }
    return work / time;
}

static void report(const struct bench *b, const struct figures *f, int n) {
    char name[KERNEL_NAME_MAX];
    kernel_describe(b->kernel, name);
    printf("%s: peak %.1f GFLOP/s; of the peak together: sides %.2f, concat %.2f\n", name,
           median(f->peak, n), together(b, f, 1, n), together(b, f, 0, n));
    for (int s = 0; s < SHAPES; s++) {
        for (int p = 0; p < PRODUCTS; p++) {
            printf("  %-8s out %3u in %3u %7.1f GFLOP/s %6.2f of the peak\n", product_name[p],
                   shapes[s].out, shapes[s].in, median(f->rate[s][p], n),
                   median(f->share[s][p], n));
            printf("bench=kernel compute=%s product=%s out=%u in=%u gflops=%.2f share=%.3f\n",
                   b->word, product_name[p], shapes[s].out, shapes[s].in, median(f->rate[s][p], n),
                   median(f->share[s][p], n));
        }
    }
    printf("bench=kernel compute=%s peak_gflops=%.2f sides_share=%.3f concat_share=%.3f\n", b->word,
           median(f->peak, n), together(b, f, 1, n), together(b, f, 0, n));
}

/* The vectors that OpenBLAS multiplies with. */
static enum peak blas_peak(void) {
    const char *core = blas_core();
    bool narrow = strcmp(core, "Haswell") == 0 || strcmp(core, "Zen") == 0;
    return !narrow && peak_here(PEAK_AVX512) ? PEAK_AVX512
           : narrow && peak_here(PEAK_AVX2)  ? PEAK_AVX2
                                             : PEAK_NEON;
}

static bool here_and_wanted(const struct bench *b, const char *only) {
    bool here = (b->kernel != NULL || strcmp(b->word, "blas") == 0) && peak_here(b->peak);
    return here && (only == NULL || strcmp(only, b->word) == 0);
}

int main(int argc, char **argv) {
    static struct figures figures[KINDS];
    const struct kernel_set here = kernel_here();
    uint32_t impressions = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2048;
    int n = argc > 2 ? atoi(argv[2]) : 9;
    const char *only = argc > 3 ? argv[3] : NULL;
    struct bench all[KINDS] = {
        {.word = "blas", .peak = blas_peak()},
        {.word = "avx2", .kernel = here.avx2, .peak = PEAK_AVX2},
        {.word = "avx512", .kernel = here.avx512, .peak = PEAK_AVX512},
        {.word = "bf16", .kernel = here.avx512_bf16, .peak = PEAK_AVX512_BF16},
        {.word = "neon", .kernel = here.neon, .peak = PEAK_NEON},
    };
    if (impressions < 1 || n < 1 || n > REPETITIONS_MAX) {
        fprintf(stderr, "usage: bench_kernel [impressions >= 1] [repetitions 1..%d] [kernel]\n",
                REPETITIONS_MAX);
        return 2;
    }
    for (int i = 0; i < n * KINDS; i++) {
        struct bench *b = &all[i % KINDS];
        b->impressions = impressions;
        if (here_and_wanted(b, only)) {
            prepare(b);
            measure(b, &figures[i % KINDS], i / KINDS);
            finish(b);
        }
    }
    for (int k = 0; k < KINDS; k++) {
        if (here_and_wanted(&all[k], only)) {
            report(&all[k], &figures[k], n);
        }
    }
    return 0;
}
