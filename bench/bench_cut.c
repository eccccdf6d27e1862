/* bench_cut.c - what a checkpoint of a partition costs: N rows of one field (18 floats, Adam), a
 * full cut, then deltas after 1, 10 and 100 % of the rows were pushed, drawn evenly or the oldest
 * ones. Printed are the bytes written, the CPU time of the partition's thread and of the whole
 * process (the writer's thread too), the time until the part is durable, and the share of 600 s
 * that the CPU time is.
 *
 *     bench_cut [rows = 1000000] [directory = /tmp] [full_every = 64]
 *
 * With full_every = 1 the rate of pushes is that of a partition which keeps no marks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/job/config.h"
#include "ps/snapshot.h"
#include "ps/snapshot_writer.h"

#define PUSH_ROWS 10000u
#define CUTS_S    600.0

struct bench {
    struct config config;
    struct schema schema;
    struct layout layout;
    struct partition *p;
    struct snapshot_writer *writer;
    const char *root;
    uint32_t batches, pushes;
    uint64_t rows, ids[PUSH_ROWS];
    uint64_t cut; /* the newest */
    float *floats;
    double push_s;
    uint64_t pushed;
};

static void must(enum status status) {
    if (status != OK) {
        fprintf(stderr, "bench_cut: %s\n", fail_text());
        exit(1);
    }
}

static double cpu_s(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double peak_bytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024;
}

static void set_up(struct bench *b, const char *full_every) {
    char every[64];
    b->batches = (uint32_t)(16 * b->rows / PUSH_ROWS);
    config_default(&b->config);
    snprintf(every, sizeof every, "checkpoint.full_every=%.20s", full_every);
    must(config_set(&b->config, every));
    must(config_set(&b->config, "model.tower=1"));
    must(schema_add(&b->schema, "item", SIDE_ITEM));
    schema_finish(&b->schema);
    must(layout_init(&b->layout, &b->config, &b->schema, 0.04, 0.01));
    const struct partition_spec spec = {.config = &b->config,
                                        .schema = &b->schema,
                                        .layout = &b->layout,
                                        .batches_per_shard = &b->batches,
                                        .shards = 1,
                                        .bucket_end = BUCKETS};
    must(partition_create(&b->p, &spec));
    must(mem_array(&b->floats, PUSH_ROWS * (size_t)b->layout.dim[0] + (size_t)b->layout.count));
    must(snapshot_writer_start(&b->writer));
}

static void push(struct bench *b) {
    const uint32_t n = PUSH_ROWS;
    const struct key_list keys = {.counts = &n, .ids = b->ids, .total = n};
    const size_t floats = partition_pull_floats(b->p, &keys, true);
    struct push_result result;
    for (size_t i = 0; i < floats; i++) {
        b->floats[i] = 1e-3f;
    }
    const double from = cpu_s(CLOCK_THREAD_CPUTIME_ID);
    must(partition_push(b->p, (struct batch_name){.batch = b->pushes++}, 1, 0, &keys, b->floats,
                        floats, &result));
    b->push_s += cpu_s(CLOCK_THREAD_CPUTIME_ID) - from;
    b->pushed += n;
}

/* Each of `rows` rows once: the first ones, or every so many, in an order that jumps about. */
static void push_rows(struct bench *b, uint64_t rows, bool spread) {
    const uint64_t space = spread ? b->rows : rows, stride = space / rows, prime = 1000003;
    for (uint64_t i = 0; i < rows; i++) {
        b->ids[i % PUSH_ROWS] = (i * prime % rows) * stride;
        if ((i + 1) % PUSH_ROWS == 0) {
            push(b);
        }
    }
}

static void make_rows(struct bench *b) {
    for (uint64_t id = 0; id < b->rows; id++) {
        b->ids[id % PUSH_ROWS] = id;
        if ((id + 1) % PUSH_ROWS == 0) {
            push(b);
        }
    }
}

static void cut(struct bench *b, const char *what, bool delta) {
    char dir[PATH_BYTES_MAX];
    struct part_info info;
    enum status status;
    bool busy;
    must(path_join(dir, b->root, "bench-cut"));
    must(file_remove_tree(dir));
    must(file_mkdirs(dir));
    const struct cut_order order = {.dir = dir,
                                    .count = 1,
                                    .cut = 2 * (uint64_t)b->pushes + 1,
                                    .committed = b->cut,
                                    .delta = delta && b->config.full_every > 1};
    const double peak = peak_bytes();
    const double cpu = cpu_s(CLOCK_PROCESS_CPUTIME_ID), own = cpu_s(CLOCK_THREAD_CPUTIME_ID);
    const uint64_t from = clock_mono_us();
    must(partition_cut_since(b->p, b->writer, &order));
    while (!partition_cut_done(b->p, &status, &info)) {
        must(partition_tick(b->p, clock_mono_ms(), &busy));
        if (!busy) {
            clock_sleep_ms(1);
        }
    }
    const double all = cpu_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    must(status);
    printf("%-22s %10" PRIu64 " rows %9.1f MB  CPU %7.3f s (%6.3f s of the partition's thread) "
           "%7.2f s  %5.2f %% of %.0f s, peak +%.1f MB\n",
           what, info.rows, (double)info.bytes * 1e-6, all, cpu_s(CLOCK_THREAD_CPUTIME_ID) - own,
           (double)(clock_mono_us() - from) * 1e-6, 100 * all / CUTS_S, CUTS_S,
           (peak_bytes() - peak) * 1e-6);
    fflush(stdout);
    b->cut = order.cut;
    buf_fini(&info.applied);
    must(file_remove_tree(dir));
}

static void print_rate(struct bench *b, const char *what) {
    printf("%-22s %10.2f M rows/s\n", what, (double)b->pushed / b->push_s * 1e-6);
    b->push_s = 0;
    b->pushed = 0;
}

int main(int argc, char **argv) {
    static struct bench b;
    static const uint32_t shares[] = {1, 10, 100};
    char what[64];
    b.rows = argc > 1 ? strtoull(argv[1], NULL, 10) / (100 * PUSH_ROWS) * (100 * PUSH_ROWS)
                      : 100 * PUSH_ROWS;
    b.root = argc > 2 ? argv[2] : "/tmp";
    if (b.rows == 0) {
        fprintf(stderr, "usage: bench_cut [rows, 1000000 at least] [directory] [full_every]\n");
        return 2;
    }
    set_up(&b, argc > 3 ? argv[3] : "64");
    make_rows(&b);
    print_rate(&b, "new rows");
    cut(&b, "full", false);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        for (int spread = 0; spread < 2; spread++) {
            snprintf(what, sizeof what, "%u %%, %s", shares[i], spread ? "spread" : "the oldest");
            push_rows(&b, b.rows * shares[i] / 100, spread);
            cut(&b, what, true);
        }
    }
    print_rate(&b, "pushes");
    cut(&b, "nothing", true);
    cut(&b, "full", false);
    partition_destroy(&b.p);
    snapshot_writer_stop(&b.writer);
    mem_free(&b.floats);
    return 0;
}
