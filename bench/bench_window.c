/* bench_window.c - what a window costs the processor: reading shards, putting slices together,
 * dealing, and cutting batches of runs.
 *
 *     bench_window DIR [PARTS]
 *
 * DIR is a prepared directory. A window takes one of PARTS (1) slices of each shard, all of which
 * are read before; so it is a window of impressions / PARTS. Times are CPU time of this thread, so
 * that a busy machine changes little: the least of RUNS. Lines "bench=window ..." are for programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/data/deal.h"
#include "common/data/window.h"
#include "common/job/plan.h"

#define RUNS  5
#define BATCH 2048u

static void need(enum status status) {
    if (status != OK) {
        fprintf(stderr, "bench_window: %s: %s\n", status_text(status), fail_text());
        exit(1);
    }
}

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct work {
    struct dataset data;
    struct shard *shard; /* [shard_count] */
    uint32_t **order;    /* [shard_count] */
    uint32_t parts;
    struct shard window;
    struct batch_cutter *cutter;
    struct batch batch;
};

static void read_all(struct work *w) {
    for (uint32_t k = 0; k < w->data.shard_count; k++) {
        const struct shard_info *info = &w->data.shards[k];
        shard_free(&w->shard[k]);
        need(shard_read(&w->shard[k], dataset_dir(&w->data, info), info->name, &w->data.schema));
    }
}

static void order_all(struct work *w) {
    for (uint32_t k = 0; k < w->data.shard_count; k++) {
        need(mem_array(&w->order[k], w->shard[k].groups));
        plan_groups(1, true, 0, k, w->shard[k].groups, w->order[k]);
    }
}

static void make_window(struct work *w) {
    struct window_builder *b = NULL;
    shard_free(&w->window);
    need(window_begin(&b, &w->data.schema, 1));
    for (uint32_t k = 0; k < w->data.shard_count; k++) {
        const uint32_t n = w->shard[k].impressions, part = k % w->parts;
        need(window_add(b, &w->shard[k], w->order[k], plan_begin(n, w->parts, part),
                        plan_begin(n, w->parts, part + 1)));
    }
    need(window_finish(b, &w->window));
    window_destroy(&b);
}

/* The least CPU seconds of a call. */
static double least(void (*call)(struct work *), struct work *w) {
    double best = 0;
    for (int r = 0; r < RUNS; r++) {
        const double start = cpu_s();
        call(w);
        const double took = cpu_s() - start;
        best = r == 0 || took < best ? took : best;
    }
    return best;
}

/* Deals with runs of `run` and cuts all batches. */
static void deal_and_cut(struct work *w, uint32_t run) {
    const uint32_t n = w->window.impressions, batches = plan_batches(n, BATCH);
    const struct deal_spec spec = {.seed = 1, .run = run, .batches = batches, .blocks = 1};
    double dealt = 0, cut = 0, groups = 0;
    uint32_t count = 0;
    for (int r = 0; r < RUNS; r++) {
        struct run *runs = NULL;
        const double start = cpu_s();
        need(deal(&w->window, &spec, &runs, &count));
        const double middle = cpu_s();
        need(batch_cutter_runs(w->cutter, &w->window, runs, count, w->data.schema.user_count, -1));
        groups = 0;
        for (uint32_t k = 0; k < batches; k++) {
            need(batch_cut(w->cutter, plan_begin(n, batches, k), plan_begin(n, batches, k + 1),
                           &w->batch));
            groups += w->batch.groups;
        }
        const double end = cpu_s();
        dealt = r == 0 || middle - start < dealt ? middle - start : dealt;
        cut = r == 0 || end - middle < cut ? end - middle : cut;
        mem_free(&runs);
    }
    printf(
        "bench=window run=%u runs=%u deal_s_per_m=%.4f cut_s_per_m=%.4f impressions_per_group=%.2f"
        "\n",
        run, count, dealt * 1e6 / n, cut * 1e6 / n, n / groups);
}

int main(int argc, char **argv) {
    static struct work w;
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: bench_window DIR [PARTS]\n");
        return 2;
    }
    need(dataset_read(&w.data, argv[1]));
    w.parts = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;
    w.parts = w.parts == 0 ? 1 : w.parts;
    need(mem_array(&w.shard, w.data.shard_count));
    need(mem_array(&w.order, w.data.shard_count));
    need(batch_cutter_create(&w.cutter));
    const double read = least(read_all, &w);
    order_all(&w);
    const double window = least(make_window, &w);
    uint64_t values = 0;
    for (uint32_t f = 0; f < w.window.columns; f++) {
        values += w.window.column[f].values;
    }
    printf("bench=window impressions=%u groups=%u values=%llu read_s_per_m=%.4f "
           "window_s_per_m=%.4f\n",
           w.window.impressions, w.window.groups, (unsigned long long)values,
           read * 1e6 / (double)w.data.impressions, window * 1e6 / w.window.impressions);
    static const uint32_t run[] = {0, 1, 2, 4};
    for (uint32_t k = 0; k < sizeof run / sizeof *run; k++) {
        deal_and_cut(&w, run[k]);
    }
    for (uint32_t k = 0; k < w.data.shard_count; k++) {
        shard_free(&w.shard[k]);
        mem_free(&w.order[k]);
    }
    mem_free(&w.shard);
    mem_free(&w.order);
    shard_free(&w.window);
    batch_cutter_destroy(&w.cutter);
    batch_fini(&w.batch);
    dataset_free(&w.data);
    return 0;
}
