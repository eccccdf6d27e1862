/* bench_parts.c - the parts around the matrix products, each against its naive twin on one core:
 * key frames, bf16 values, optimizers, exact AUC, the stage timer, and reading a shard.
 *
 *     bench_parts [--shards DIR]
 *
 * Table and model have benches of their own. With --shards the first shard of a prepared directory
 * is read and cut into batches. Lines "bench=part name=... ..." are for programs to read.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/container.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/job/plan.h"
#include "common/base/rng.h"
#include "common/job/usage.h"
#include "common/net/wire.h"
#include "common/net/wire_keys.h"
#include "common/net/wire_values.h"
#include "ps/table/optimizer.h"
#include "tests/metric_of.h"
#include "tests/naive/optimizer_naive.h"
#include "common/data/batch.h"
#include "common/job/config.h"

#define RUNS       5
#define RUN_S      0.2
#define KEYS       40000u
#define FLOATS     (1u << 20)
#define DIM        18u
#define SCORES     200000u
#define BATCH      4096u
#define NAIVE_ROWS 2000u

static void need(enum status status) {
    if (status != OK) {
        fprintf(stderr, "bench_parts: %s: %s\n", status_text(status), fail_text());
        exit(1);
    }
}

static void *room(size_t count, size_t size) {
    void *p = NULL;
    need(mem_array_of(&p, count, size));
    return p;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Units a second of `call`, where one call does `units` of them: the median of RUNS runs. */
static double rate(void (*call)(void *), void *arg, double units) {
    double value[RUNS];
    for (int r = 0; r < RUNS; r++) {
        const uint64_t start_ns = clock_mono_ns();
        uint64_t end_ns = start_ns, calls = 0;
        while ((double)(end_ns - start_ns) < RUN_S * 1e9) {
            call(arg);
            calls++;
            end_ns = clock_mono_ns();
        }
        value[r] = (double)calls * units / ((double)(end_ns - start_ns) * 1e-9);
    }
    qsort(value, RUNS, sizeof *value, by_value);
    return value[RUNS / 2];
}

static void say(const char *name, const char *unit, double fast, double naive) {
    printf("%-18s %10.1f M %s/s, naive twin %10.1f: %.1f times\n", name, fast * 1e-6, unit,
           naive * 1e-6, fast / naive);
    printf("bench=part name=%s unit=%s rate=%.0f naive=%.0f\n", name, unit, fast, naive);
}

/* --- keys: packed, against eight bytes each --------------------------------------------------- */

struct keys {
    uint32_t count[1];
    uint64_t *ids, *out;
    uint8_t *frame;
    size_t bytes;
};

static void pack_keys(void *arg) {
    struct keys *k = arg;
    k->bytes = wire_keys_pack(k->count, 1, k->ids, k->frame);
}

static void unpack_keys(void *arg) {
    struct keys *k = arg;
    need(wire_keys_unpack(k->count, 1, k->frame, k->bytes, k->out));
}

/* The decoder of a hostile frame in its simplest form: one checked varint after the other. */
static void unpack_keys_naive(void *arg) {
    struct keys *k = arg;
    struct cursor c = cursor_of(k->frame + 1, k->bytes - 1);
    uint64_t id = 0;
    for (uint32_t i = 0; i < k->count[0]; i++) {
        id += cursor_varint(&c);
        k->out[i] = id;
    }
}

static void bench_keys(void) {
    struct keys k = {.count = {KEYS}};
    k.ids = room(KEYS, sizeof *k.ids);
    k.out = room(KEYS, sizeof *k.out);
    k.frame = room(wire_keys_bytes_max(KEYS, 1), 1);
    for (uint32_t i = 0; i < KEYS; i++) {
        k.ids[i] = (i == 0 ? 0 : k.ids[i - 1]) + 1 + rng_below(1, i, 0, 500);
    }
    const double pack = rate(pack_keys, &k, KEYS);
    const double unpack = rate(unpack_keys, &k, KEYS), naive = rate(unpack_keys_naive, &k, KEYS);
    say("keys-unpack", "ids", unpack, naive);
    printf("keys-pack          %10.1f M ids/s, %.2f bytes an id\n", pack * 1e-6,
           (double)k.bytes / KEYS);
    mem_free(&k.ids);
    mem_free(&k.out);
    mem_free(&k.frame);
}

/* --- optimizers ------------------------------------------------------------------------------- */

struct update {
    struct optimizer_config opt;
    float *rows, *g;
    uint32_t stride, count;
    bool naive;
};

static void update_rows(void *arg) {
    const struct update *u = arg;
    const struct optimizer_rules *rules = optimizer_rules_at(cpu_level());
    for (uint32_t i = 0; i < u->count; i++) {
        float *w = u->rows + (size_t)i * u->stride;
        (u->naive ? optimizer_apply_naive : rules->apply)(&u->opt, DIM, 1e-3f, 5, w, w + DIM, u->g);
    }
}

static void bench_optimizers(void) {
    static const enum optimizer_kind kinds[] = {
        OPT_ADAM, OPT_ADAGRAD, OPT_ROWWISE_ADAGRAD, OPT_FTRL,
        OPT_SGD,  OPT_RMSPROP, OPT_ROWWISE_RMSPROP};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char name[32];
        struct config c;
        config_default(&c);
        struct update u = {.opt = c.table.opt, .stride = 3 * DIM, .count = NAIVE_ROWS};
        u.opt.kind = kinds[i];
        u.rows = room((size_t)u.count * u.stride, sizeof(float));
        u.g = room(DIM, sizeof(float));
        for (uint32_t d = 0; d < DIM; d++) {
            u.g[d] = 1e-3f * (float)(d + 1);
        }
        const double fast = rate(update_rows, &u, u.count);
        u.naive = true;
        snprintf(name, sizeof name, "%s", optimizer_name(kinds[i]));
        say(name, "rows", fast, rate(update_rows, &u, u.count));
        mem_free(&u.rows);
        mem_free(&u.g);
    }
}

/* --- values as bf16 --------------------------------------------------------------------------- */

struct values {
    float *f;
    uint8_t *bytes;
};

static void pack_values(void *arg) {
    const struct values *v = arg;
    wire_values_pack(VALUE_BF16, v->f, FLOATS, v->bytes);
}

static void copy_values(void *arg) {
    const struct values *v = arg;
    wire_values_pack(VALUE_F32, v->f, FLOATS, v->bytes);
}

static void bench_values(void) {
    struct values v = {.f = room(FLOATS, sizeof(float)), .bytes = room(FLOATS, sizeof(float))};
    for (uint32_t i = 0; i < FLOATS; i++) {
        v.f[i] = (float)rng_unit(2, i, 0);
    }
    say("bf16-pack", "floats", rate(pack_values, &v, FLOATS), rate(copy_values, &v, FLOATS));
    mem_free(&v.f);
    mem_free(&v.bytes);
}

/* --- AUC: radix sort against qsort ------------------------------------------------------------ */

struct scores {
    float *score;
    uint8_t *label;
    double auc;
};

static void auc_radix(void *arg) {
    struct scores *s = arg;
    uint64_t p, n;
    need(metric_auc_labels(s->score, s->label, SCORES, &s->auc, &p, &n));
}

static int by_score(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

struct scored {
    float score;
    uint8_t label;
};

static void auc_qsort(void *arg) {
    const struct scores *s = arg;
    struct scored *rows = room(SCORES, sizeof *rows);
    for (uint32_t i = 0; i < SCORES; i++) {
        rows[i] = (struct scored){s->score[i], s->label[i]};
    }
    qsort(rows, SCORES, sizeof *rows, by_score);
    mem_free(&rows);
}

static void bench_auc(void) {
    struct scores s = {.score = room(SCORES, sizeof(float)), .label = room(SCORES, 1)};
    for (uint32_t i = 0; i < SCORES; i++) {
        s.score[i] = (float)rng_normal(3, i, 0);
        s.label[i] = rng_unit(3, i, 1) < 0.04;
    }
    say("auc", "scores", rate(auc_radix, &s, SCORES), rate(auc_qsort, &s, SCORES));
    mem_free(&s.score);
    mem_free(&s.label);
}

/* --- a shard: read, then cut into batches ----------------------------------------------------- */

struct shard_work {
    const char *dir;
    struct dataset data;
    struct shard shard;
    struct batch_cutter *cutter;
    struct batch batch;
    struct run *runs;
};

static void read_shard(void *arg) {
    struct shard_work *w = arg;
    shard_free(&w->shard);
    need(shard_read(&w->shard, w->dir, w->data.shards[0].name, &w->data.schema));
}

static void cut_shard(void *arg) {
    struct shard_work *w = arg;
    const uint32_t n = w->shard.impressions, batches = plan_batches(n, BATCH);
    need(batch_cutter_runs(w->cutter, &w->shard, w->runs, w->shard.groups,
                           w->data.schema.user_count, -1));
    for (uint32_t k = 0; k < batches; k++) {
        need(batch_cut(w->cutter, plan_begin(n, batches, k), plan_begin(n, batches, k + 1),
                       &w->batch));
    }
}

/* Distinct features of all batches, per impression: these are the rows pulled and pushed. */
static double rows_per_impression(struct shard_work *w) {
    const uint32_t n = w->shard.impressions, batches = plan_batches(n, BATCH);
    uint64_t rows = 0;
    for (uint32_t k = 0; k < batches; k++) {
        need(batch_cut(w->cutter, plan_begin(n, batches, k), plan_begin(n, batches, k + 1),
                       &w->batch));
        for (uint32_t f = 0; f < w->batch.fields; f++) {
            rows += w->batch.field[f].unique;
        }
    }
    return (double)rows / n;
}

static void bench_shard(const char *dir) {
    struct shard_work w = {.dir = dir};
    need(dataset_read(&w.data, dir));
    read_shard(&w);
    uint32_t *order = room(w.shard.groups, sizeof *order);
    w.runs = room(w.shard.groups, sizeof *w.runs);
    plan_groups(1, true, 0, 0, w.shard.groups, order);
    runs_of_groups(&w.shard, order, w.runs);
    need(batch_cutter_create(&w.cutter));
    const double n = w.shard.impressions;
    const double read = rate(read_shard, &w, n), cut = rate(cut_shard, &w, n);
    printf(
        "shard: %.2f M impressions/s read (%.0f MB/s of the file), %.2f M/s cut; %.2f distinct rows "
        "an impression in batches of %u\n",
        read * 1e-6, read / n * (double)w.data.shards[0].bytes * 1e-6, cut * 1e-6,
        rows_per_impression(&w), BATCH);
    printf("bench=shard read_ips=%.0f cut_ips=%.0f rows_per_impression=%.3f\n", read, cut,
           rows_per_impression(&w));
    batch_fini(&w.batch);
    batch_cutter_destroy(&w.cutter);
    shard_free(&w.shard);
    mem_free(&order);
    mem_free(&w.runs);
    dataset_free(&w.data);
}

/* --- the stage timer -------------------------------------------------------------------------- */

#define LAPS 1000u

static void time_laps(void *arg) {
    struct laps *laps = arg;
    for (uint32_t i = 0; i < LAPS; i++) {
        lap(laps, STAGE_POOL);
    }
}

static void bench_timer(void) {
    struct laps laps = {0};
    laps_start(&laps);
    const double ns = 1e9 / rate(time_laps, &laps, LAPS);
    printf("stage timer        %10.1f ns a lap\n", ns);
    printf("bench=timer lap_ns=%.2f\n", ns);
}

int main(int argc, char **argv) {
    if (argc != 1 && !(argc == 3 && strcmp(argv[1], "--shards") == 0)) {
        fprintf(stderr, "usage: bench_parts [--shards DIR]\n");
        return 2;
    }
    bench_keys();
    bench_values();
    bench_optimizers();
    bench_auc();
    bench_timer();
    if (argc == 3) {
        bench_shard(argv[2]);
    }
    return 0;
}
