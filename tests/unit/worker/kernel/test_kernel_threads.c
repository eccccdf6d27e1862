/* test_kernel_threads.c - products of many threads at once have the bits of one thread alone.
 *
 *   test_kernel_threads [PASSES [KERNEL]]      forward and backward passes with each kernel
 *                                              (2400), or with one: blas, avx2, avx512, neon,
 *                                              bf16, amx
 *
 * What may go wrong does so where threads, and a library's store of work buffers, are new. So a
 * trial is a process of its own: THREADS threads are started, pass through a tower together and
 * end, anew in each round; the right result is computed after that, alone. The shapes are small,
 * and one has a last layer of width 1024, whose product with one column needs a work buffer too
 * where a library makes it.
 */
#include "worker/model/tower.h"

#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { THREADS = 4, REPEATS = 2, ROUNDS = 3, ROUNDS_MAX = 50, SHAPES = 3, KERNELS = 6 };
static const char *const towers[SHAPES] = {"24,16", "40,24,8", "12,1024"};
static const char *const kernel_names[KERNELS] = {"blas", "avx2", "avx512", "neon", "bf16", "amx"};
static unsigned long passes_wanted = 2400;
static const char *only; /* a kernel's name; NULL: all */

/* NULL: OpenBLAS, or, for k > 0, that this machine lacks it. */
static const struct kernel *kernel_at(int k) {
    const struct kernel_set here = kernel_here();
    const struct kernel *const all[KERNELS] = {NULL,      here.avx2,        here.avx512,
                                               here.neon, here.avx512_bf16, here.amx};
    return all[k];
}

static void need(enum status status) {
    if (status != OK) {
        fprintf(stderr, "test_kernel_threads: %s\n", fail_text());
        exit(255);
    }
}

/* --- one pass --------------------------------------------------------------------------------- */

struct work {
    const struct kernel *kernel;
    struct layout layout;
    uint32_t n, groups;
    uint32_t group_of[TOWER_CHUNK];
    float *dense, *xu, *xi, *dlogit; /* inputs, shared by all threads */
    size_t results;                  /* floats that a pass leaves */
};

static float *normals(struct sample *s, size_t count) {
    float *x = sample_array(count, sizeof *x);
    for (size_t i = 0; i < count; i++) {
        x[i] = sample_normal(s);
    }
    return x;
}

static void work_init(struct work *w, const struct kernel *kernel, const char *tower) {
    struct sample s = {.seed = 3, .user_fields = 2, .item_fields = 2};
    struct schema schema;
    struct config config;
    char text[64];
    memset(w, 0, sizeof *w);
    w->kernel = kernel;
    w->n = 61;
    w->groups = 7;
    sample_schema(&s, &schema);
    config_default(&config);
    snprintf(text, sizeof text, "model.tower=%s", tower);
    need(config_set(&config, text));
    need(layout_init(&w->layout, &config, &schema, 0.1, 0.1));
    const struct layout *l = &w->layout;
    w->dense = sample_array(l->count, sizeof(float));
    sample_dense(&s, l, w->dense);
    w->xu = normals(&s, (size_t)w->groups * l->user_width);
    w->xi = normals(&s, (size_t)w->n * l->item_width);
    w->dlogit = normals(&s, (size_t)w->n * l->towers);
    for (uint32_t i = 0; i < w->n; i++) {
        w->group_of[i] = i * w->groups / w->n;
    }
    w->results = l->count + (size_t)w->n * (l->towers + l->item_width) +
                 (size_t)w->groups * (2 * l->first_width + l->user_width);
}

static void work_fini(struct work *w) {
    mem_free(&w->dense);
    mem_free(&w->xu);
    mem_free(&w->xi);
    mem_free(&w->dlogit);
}

/* Everything that a forward and a backward pass compute, side by side in out[w->results], which is
 * zero. */
static void pass(const struct work *w, struct tower *t, float *out) {
    const struct layout *l = &w->layout;
    const float *dlogit[TOWERS_MAX];
    float *logit[TOWERS_MAX], *ddense = out, *at = out + l->count;
    for (uint32_t k = 0; k < l->towers; k++, at += w->n) {
        dlogit[k] = w->dlogit + (size_t)k * w->n;
        logit[k] = at;
    }
    float *dxi = at, *hu = dxi + (size_t)w->n * l->item_width;
    float *dhu = hu + (size_t)w->groups * l->first_width;
    float *dxu = dhu + (size_t)w->groups * l->first_width;
    tower_load(t, w->dense, true);
    tower_users(t, w->xu, w->groups, hu);
    tower_forward(t, w->xi, hu, w->group_of, w->n, NULL, logit);
    tower_backward(t, w->xi, w->group_of, w->n, dlogit, ddense, dxi, dhu);
    tower_users_backward(t, w->xu, dhu, w->groups, ddense, dxu);
}

/* --- a trial: one process --------------------------------------------------------------------- */

struct runner {
    const struct work *work;
    pthread_barrier_t *all;
    pthread_t thread;
    float *out; /* [REPEATS][results] */
};

static void *run(void *arg) {
    struct runner *r = arg;
    struct tower tower;
    need(tower_init(&tower, &r->work->layout, r->work->kernel));
    pthread_barrier_wait(r->all);
    for (int p = 0; p < REPEATS; p++) {
        pass(r->work, &tower, r->out + (size_t)p * r->work->results);
    }
    tower_fini(&tower);
    return NULL;
}

static void round_of_threads(const struct work *w, float *out) {
    pthread_barrier_t all;
    struct runner runner[THREADS];
    pthread_barrier_init(&all, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        runner[i] =
            (struct runner){.work = w, .all = &all, .out = out + (size_t)i * REPEATS * w->results};
        if (pthread_create(&runner[i].thread, NULL, run, &runner[i]) != 0) {
            exit(255);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(runner[i].thread, NULL);
    }
    pthread_barrier_destroy(&all);
}

/* Exit code: passes that went wrong, up to 250; 255: it could not be tried. */
static int trial(int kernel, int shape, int rounds) {
    static struct work w;
    int wrong = 0;
    work_init(&w, kernel_at(kernel), towers[shape]);
    const size_t passes = (size_t)rounds * THREADS * REPEATS;
    float *out = sample_array(passes * w.results, sizeof *out);
    float *want = sample_array(w.results, sizeof *want);
    for (int r = 0; r < rounds; r++) {
        round_of_threads(&w, out + (size_t)r * THREADS * REPEATS * w.results);
    }
    struct tower tower;
    need(tower_init(&tower, &w.layout, w.kernel));
    pass(&w, &tower, want);
    for (size_t p = 0; p < passes; p++) {
        wrong += memcmp(out + p * w.results, want, w.results * sizeof *out) != 0;
    }
    tower_fini(&tower);
    mem_free(&out);
    mem_free(&want);
    work_fini(&w);
    return wrong > 250 ? 250 : wrong;
}

/* --- the tests -------------------------------------------------------------------------------- */

static int spawn_trial(int kernel, int shape, int rounds) {
    char self[] = "/proc/self/exe", word[] = "--trial", text[3][16];
    snprintf(text[0], sizeof text[0], "%d", kernel);
    snprintf(text[1], sizeof text[1], "%d", shape);
    snprintf(text[2], sizeof text[2], "%d", rounds);
    char *const argv[] = {self, word, text[0], text[1], text[2], NULL};
    pid_t pid;
    int status = 0;
    assert_int_equal(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 255);
    return WEXITSTATUS(status);
}

static void check_kernel(int kernel) {
    unsigned long passes = 0, wrong = 0;
    int processes = 0, bad = 0;
    if ((kernel > 0 && kernel_at(kernel) == NULL) ||
        (only != NULL && strcmp(only, kernel_names[kernel]) != 0)) {
        skip();
    }
    /* Long forms have longer processes, as long as one pass more of them is worth little. */
    const unsigned long rounds_wanted = passes_wanted / (SHAPES * 100 * THREADS * REPEATS);
    const int rounds = rounds_wanted < ROUNDS       ? ROUNDS
                       : rounds_wanted > ROUNDS_MAX ? ROUNDS_MAX
                                                    : (int)rounds_wanted;
    for (; passes < passes_wanted;
         passes += (unsigned long)rounds * THREADS * REPEATS, processes++) {
        const int count = spawn_trial(kernel, processes % SHAPES, rounds);
        wrong += (unsigned long)count;
        bad += count > 0;
    }
    printf("%s: %lu of %lu passes wrong, in %d of %d processes\n", kernel_names[kernel], wrong,
           passes, bad, processes);
    assert_int_equal(wrong, 0);
}

static void test_blas(void **state) {
    (void)state;
    check_kernel(0);
}

static void test_avx2(void **state) {
    (void)state;
    check_kernel(1);
}

static void test_avx512(void **state) {
    (void)state;
    check_kernel(2);
}

static void test_neon(void **state) {
    (void)state;
    check_kernel(3);
}

static void test_bf16(void **state) {
    (void)state;
    check_kernel(4);
}

static void test_amx(void **state) {
    (void)state;
    check_kernel(5);
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "--trial") == 0) {
        return trial(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
    }
    if (argc > 1) {
        passes_wanted = strtoul(argv[1], NULL, 10);
    }
    only = argc > 2 ? argv[2] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blas), cmocka_unit_test(test_avx2), cmocka_unit_test(test_avx512),
        cmocka_unit_test(test_neon), cmocka_unit_test(test_bf16), cmocka_unit_test(test_amx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
