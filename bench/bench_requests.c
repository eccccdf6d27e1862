/* bench_requests.c - a partition in process, without sockets: requests of many distinct keys pulled
 * and pushed, as a server does for a worker, in rows a CPU second.
 *
 *     bench_requests [--rows N] [--dim N] [--optimizer NAME] [--state f32|bf16|u8]
 *                    [--weights f32|bf16] [--keys N] [--zipf S] [--seconds S] [--runs N]
 *                    [--write-keys FILE]
 *
 * First every row is created, in the order of ids. Then each list of keys is pulled and pushed at
 * once, in turn by the ticket of its pull (the handles are known) and by its keys (they are looked
 * up). The result is the median of the runs. The last line, "bench=requests key=value ...", is for
 * programs to read. --write-keys writes the lists instead, for another program to use the same
 * (bench/tables.py): of each list u64 count, then the keys as u64.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/keys.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/job/config.h"
#include "ps/partition.h"
#include "tools/common/options.h"

#define LISTS_MIN  24u
#define LISTS_MAX  512u
#define KEYS_LEAST 2400000u /* of all lists together: their rows do not fit the caches */
#define RUNS_MAX   64u
#define PUSHES_MAX (1u << 20)
#define FENCE      1u

enum kind { PULL, PUSH_TICKET, PUSH_KEYS, KINDS };

struct bench_line {
    uint64_t rows, dim, keys, runs;
    double zipf, seconds;
    const char *optimizer, *state, *weights, *write_keys;
};

struct bench {
    struct bench_line o;
    struct config config;
    struct schema schema;
    struct layout layout;
    uint32_t batches[1];
    struct partition *p;
    uint64_t *ids[LISTS_MAX];
    uint32_t count[LISTS_MAX];
    uint32_t lists;
    float *out, *gradient;
    uint32_t pushes;
};

static void set_to(struct bench *b, const char *key, const char *value) {
    char text[64];
    snprintf(text, sizeof text, "%s=%s", key, value);
    if (config_set(&b->config, text) != OK) {
        fprintf(stderr, "bench_requests: %s\n", fail_text());
        exit(2);
    }
}

static enum status make_partition(struct bench *b) {
    char dim[16];
    snprintf(dim, sizeof dim, "%u", (unsigned)b->o.dim);
    config_default(&b->config);
    set_to(b, "model.tower", "1");
    set_to(b, "server.ticket_bytes", "1G");
    set_to(b, "table.dim", dim);
    set_to(b, "table.optimizer", b->o.optimizer);
    set_to(b, "table.state", b->o.state);
    set_to(b, "table.weights", b->o.weights);
    TRY(schema_add(&b->schema, "item", SIDE_ITEM));
    schema_finish(&b->schema);
    TRY(layout_init(&b->layout, &b->config, &b->schema, 0.04, 0.01));
    b->batches[0] = PUSHES_MAX;
    const struct partition_spec spec = {.config = &b->config,
                                        .schema = &b->schema,
                                        .layout = &b->layout,
                                        .batches_per_shard = b->batches,
                                        .shards = 1,
                                        .bucket_end = BUCKETS};
    return partition_create(&b->p, &spec);
}

static enum status draw_lists(struct bench *b) {
    const uint64_t lists = KEYS_LEAST / b->o.keys;
    b->lists = lists > LISTS_MAX ? LISTS_MAX : lists < LISTS_MIN ? LISTS_MIN : (uint32_t)lists;
    for (uint32_t k = 0; k < b->lists; k++) {
        TRY(mem_array(&b->ids[k], b->o.keys));
        b->count[k] = keys_draw(b->o.rows, b->o.zipf, k, b->o.keys, b->ids[k]);
    }
    return OK;
}

static enum status write_lists(const struct bench *b) {
    FILE *f = fopen(b->o.write_keys, "wb");
    bool good = f != NULL;
    for (uint32_t k = 0; k < b->lists && good; k++) {
        const uint64_t n = b->count[k];
        good = fwrite(&n, sizeof n, 1, f) == 1 && fwrite(b->ids[k], sizeof n, n, f) == n;
    }
    good = f != NULL && fclose(f) == 0 && good;
    return good ? OK : fail(ERR_IO, "cannot write %s", b->o.write_keys);
}

/* CPU seconds of the process. */
static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Pulls and pushes one list; adds the CPU seconds of both. */
static enum status round_trip(struct bench *b, const uint64_t *ids, uint32_t n, bool by_ticket,
                              double *seconds) {
    const struct key_list keys = {.counts = &n, .ids = ids, .total = n};
    const struct batch_name name = {0, 0, b->pushes++};
    const size_t floats = partition_pull_floats(b->p, &keys, true);
    struct pull_result pulled;
    struct push_result pushed;
    const double start = cpu_s();
    TRY(partition_serve_pull(b->p, &keys, true, by_ticket, clock_mono_ms(), b->out, &pulled));
    const double middle = cpu_s();
    TRY(partition_push(b->p, name, FENCE, pulled.ticket, by_ticket ? NULL : &keys, b->gradient,
                       floats, &pushed));
    seconds[PULL] += middle - start;
    seconds[by_ticket ? PUSH_TICKET : PUSH_KEYS] += cpu_s() - middle;
    return OK;
}

static enum status create_rows(struct bench *b) {
    uint64_t *ids = NULL;
    double unused[KINDS] = {0};
    enum status status = mem_array(&ids, b->o.keys);
    for (uint64_t begin = 0; begin < b->o.rows && status == OK; begin += b->o.keys) {
        const uint64_t left = b->o.rows - begin;
        const uint32_t n = (uint32_t)(left < b->o.keys ? left : b->o.keys);
        for (uint32_t i = 0; i < n; i++) {
            ids[i] = begin + i;
        }
        status = round_trip(b, ids, n, true, unused);
    }
    mem_free(&ids);
    return status;
}

/* Millions of rows a CPU second, of each kind. */
static enum status measure(struct bench *b, double *rate) {
    double seconds[KINDS] = {0};
    uint64_t rows[KINDS] = {0};
    const double end = cpu_s() + b->o.seconds;
    for (uint32_t i = 0; cpu_s() < end || i < 2 * b->lists; i++) {
        const uint32_t k = i / 2 % b->lists;
        const bool by_ticket = (i + i / (2 * b->lists)) % 2 == 0;
        TRY(round_trip(b, b->ids[k], b->count[k], by_ticket, seconds));
        rows[PULL] += b->count[k];
        rows[by_ticket ? PUSH_TICKET : PUSH_KEYS] += b->count[k];
    }
    for (int k = 0; k < KINDS; k++) {
        rate[k] = (double)rows[k] / seconds[k] * 1e-6;
    }
    return OK;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum status measure_all(struct bench *b) {
    double rate[RUNS_MAX][KINDS], of_kind[RUNS_MAX], median[KINDS];
    for (uint64_t i = 0; i < b->o.runs; i++) {
        TRY(measure(b, rate[i]));
        printf("M rows a CPU second: pull %.2f, push by ticket %.2f, push by key %.2f\n",
               rate[i][PULL], rate[i][PUSH_TICKET], rate[i][PUSH_KEYS]);
    }
    for (int k = 0; k < KINDS; k++) {
        for (uint64_t i = 0; i < b->o.runs; i++) {
            of_kind[i] = rate[i][k];
        }
        qsort(of_kind, b->o.runs, sizeof *of_kind, by_value);
        median[k] = of_kind[b->o.runs / 2];
    }
    struct partition_stats s;
    partition_stats(b->p, &s);
    printf("bench=requests rows=%llu dim=%llu optimizer=%s state=%s weights=%s keys=%llu zipf=%.2f "
           "pull=%.3f push_ticket=%.3f push_key=%.3f row_bytes=%.1f\n",
           (unsigned long long)b->o.rows, (unsigned long long)b->o.dim, b->o.optimizer, b->o.state,
           b->o.weights, (unsigned long long)b->o.keys, b->o.zipf, median[PULL],
           median[PUSH_TICKET], median[PUSH_KEYS], (double)s.table_bytes / (double)s.rows_total);
    return OK;
}

static enum status run(struct bench *b) {
    TRY(draw_lists(b));
    if (b->o.write_keys != NULL) {
        return write_lists(b);
    }
    TRY(make_partition(b));
    const size_t floats = b->o.keys * b->o.dim + b->layout.count;
    TRY(mem_array(&b->out, floats));
    TRY(mem_array(&b->gradient, floats));
    for (size_t i = 0; i < floats; i++) {
        b->gradient[i] = (float)(rng_unit(3, i, 0) - 0.5) * 1e-3f;
    }
    TRY(create_rows(b));
    return measure_all(b);
}

static void bench_fini(struct bench *b) {
    for (uint32_t k = 0; k < b->lists; k++) {
        mem_free(&b->ids[k]);
    }
    mem_free(&b->out);
    mem_free(&b->gradient);
    partition_destroy(&b->p);
}

static enum status bench_start(void *line) {
    struct bench *b = NULL;
    TRY(mem_new(&b));
    b->o = *(const struct bench_line *)line;
    const enum status status = run(b);
    bench_fini(b);
    mem_free(&b);
    return status;
}

#define AT(member) OPTION_AT(struct bench_line, member)
static const struct option_row bench_rows[] = {
    {"rows", "N", OPTION_WHOLE, AT(rows), .preset = "1M", .least = 1, .most = 1000000000,
     .help = "of the table"},
    {"dim", "N", OPTION_WHOLE, AT(dim), .preset = "18", .least = 1, .most = DIM_MAX,
     .help = "floats of a row"},
    {"optimizer", "NAME", OPTION_TEXT, AT(optimizer), .preset = "adam", .help = "of the rows"},
    {"state", "KIND", OPTION_TEXT, AT(state), .preset = "f32", .help = "f32, bf16 or u8"},
    {"weights", "KIND", OPTION_TEXT, AT(weights), .preset = "f32", .help = "f32 or bf16"},
    {"keys", "N", OPTION_WHOLE, AT(keys), .preset = "100K", .least = 1, .most = 10000000,
     .help = "of a request"},
    {"zipf", "S", OPTION_REAL, AT(zipf), .preset = "0", .high = 100,
     .help = "exponent of the keys; 0: uniform"},
    {"seconds", "S", OPTION_REAL, AT(seconds), .preset = "1.5", .high = 3600,
     .help = "of CPU, of a run"},
    {"runs", "N", OPTION_WHOLE, AT(runs), .preset = "5", .least = 1, .most = RUNS_MAX,
     .help = "medians count"},
    {"write-keys", "FILE", OPTION_TEXT, AT(write_keys), .help = "write the lists of keys and end"},
    {NULL}};

int main(int argc, char **argv) {
    const struct command bench = {.name = "bench_requests",
                                  .alone = true,
                                  .about = "A partition in process: see the head of "
                                           "bench/bench_requests.c.",
                                  .groups = (const struct option_group[]){{NULL, bench_rows}, {0}},
                                  .line_bytes = sizeof(struct bench_line),
                                  .run = bench_start};
    int exit_code = 0;
    if (command_run(&bench, argc, argv, stdout, &exit_code) != OK) {
        fprintf(stderr, "bench_requests: %s\n", fail_text());
        return 1;
    }
    return exit_code;
}
