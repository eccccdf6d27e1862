/* bench_snapshot.c - how fast a partition writes a cut, beside dd on the same disk in the same run,
 * and how long its requests take meanwhile.
 *
 *     bench_snapshot [--rows N] [--keys N] [--zipf S] [--limit BYTES] [--runs N] [--dir DIR]
 *
 * Each run: dd writes as many bytes and syncs them; a cut is written while nothing else happens;
 * another one while lists of keys are pulled and pushed without a pause, each with the housekeeping
 * after it. --limit is checkpoint.bytes_per_s. The last lines, "bench=snapshot key=value ...", are
 * for programs to read.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/keys.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/job/usage.h"
#include "ps/snapshot.h"
#include "ps/snapshot_writer.h"
#include "tools/common/options.h"

#define PUSHES_MAX (1u << 22)
#define FENCE      1u

struct bench_line {
    uint64_t rows, keys, runs, limit;
    double zipf;
    const char *dir;
};
struct bench {
    struct bench_line o;
    struct config config;
    struct schema schema;
    struct layout layout;
    uint32_t batches[1];
    struct partition *p;
    struct snapshot_writer *writer;
    uint64_t *ids;
    float *out, *gradient;
    uint32_t pushes;
};

static enum status make_partition(struct bench *b) {
    config_default(&b->config);
    TRY(config_set(&b->config, "model.tower=1"));
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
    TRY(mem_array(&b->ids, b->o.keys));
    TRY(mem_array(&b->out, (b->o.keys + 1) * 32 + b->layout.count));
    TRY(mem_array(&b->gradient, (b->o.keys + 1) * 32 + b->layout.count));
    TRY(snapshot_writer_start(&b->writer));
    snapshot_writer_limit(b->writer, b->o.limit);
    return partition_create(&b->p, &spec);
}

/* One pull and its push, each noted in `l` (NULL: not). */
static enum status round_trip(struct bench *b, uint32_t n, struct latency *l) {
    const struct key_list keys = {.counts = &n, .ids = b->ids, .total = n};
    const struct batch_name name = {0, 0, b->pushes++};
    const size_t floats = partition_pull_floats(b->p, &keys, true);
    struct pull_result pulled;
    struct push_result pushed;
    bool busy;
    for (int push = 0; push < 2; push++) { /* as server_thread.c counts: housekeeping goes first */
        const uint64_t from_us = clock_mono_us();
        TRY(partition_tick(b->p, from_us / 1000, &busy));
        TRY(push ? partition_push(b->p, name, FENCE, pulled.ticket, NULL, b->gradient, floats,
                                  &pushed)
                 : partition_serve_pull(b->p, &keys, true, true, from_us / 1000, b->out, &pulled));
        if (l != NULL) {
            latency_note(l, clock_mono_us() - from_us);
        }
    }
    return OK;
}

static enum status create_rows(struct bench *b) {
    for (uint64_t begin = 0; begin < b->o.rows; begin += b->o.keys) {
        const uint64_t left = b->o.rows - begin;
        const uint32_t n = (uint32_t)(left < b->o.keys ? left : b->o.keys);
        for (uint32_t i = 0; i < n; i++) {
            b->ids[i] = begin + i;
        }
        TRY(round_trip(b, n, NULL));
    }
    return OK;
}

/* Writes a cut, with requests meanwhile if `l` is given. */
static enum status write_cut(struct bench *b, struct latency *l, uint64_t *bytes, double *seconds) {
    struct part_info info = {.applied = BUF_EMPTY};
    enum status status = OK;
    bool busy;
    const uint64_t from_us = clock_mono_us();
    TRY(partition_cut(b->p, b->writer, b->o.dir, 0, 1, 1));
    while (!partition_cut_done(b->p, &status, &info)) {
        if (l != NULL) {
            const uint32_t n = keys_draw(b->o.rows, b->o.zipf, b->pushes, b->o.keys, b->ids);
            TRY(round_trip(b, n, l));
        } else {
            TRY(partition_tick(b->p, clock_mono_ms(), &busy));
            clock_sleep_ms(busy ? 0 : 1); /* as a server's thread waits for requests */
        }
    }
    *seconds = (double)(clock_mono_us() - from_us) / 1e6;
    *bytes = info.bytes;
    buf_fini(&info.applied);
    return status;
}

static enum status run_dd(const struct bench *b, uint64_t bytes, double *seconds) {
    char command[PATH_BYTES_MAX + 128];
    snprintf(command, sizeof command,
             "dd if=/dev/zero of='%s/dd' bs=1M count=%llu conv=fsync status=none && rm '%s/dd'",
             b->o.dir, (unsigned long long)(bytes >> 20), b->o.dir);
    const uint64_t from_us = clock_mono_us();
    if (system(command) != 0) {
        return fail(ERR_IO, "dd failed");
    }
    *seconds = (double)(clock_mono_us() - from_us) / 1e6;
    return OK;
}

static void say_latency(const char *when, const struct latency *l) {
    printf("%s: %llu requests, p50 %.2f, p99 %.2f, longest %.2f ms\n", when,
           (unsigned long long)latency_total(l), (double)latency_quantile_us(l, 0.5) / 1e3,
           (double)latency_quantile_us(l, 0.99) / 1e3, (double)l->max_us / 1e3);
}

static enum status one_run(struct bench *b) {
    struct latency quiet = {0}, cutting = {0};
    uint64_t bytes = 0;
    double dd_s = 0, idle_s = 0, busy_s = 0;
    TRY(write_cut(b, NULL, &bytes, &idle_s)); /* warms nothing that counts: dd goes first */
    TRY(run_dd(b, bytes, &dd_s));
    TRY(write_cut(b, NULL, &bytes, &idle_s));
    for (uint32_t k = 0; k < 300; k++) {
        TRY(round_trip(b, keys_draw(b->o.rows, b->o.zipf, k, b->o.keys, b->ids), &quiet));
    }
    TRY(write_cut(b, &cutting, &bytes, &busy_s));
    const double mb = (double)bytes / 1e6;
    printf("%.0f MB: dd %.0f MB/s, a cut %.0f MB/s, a cut under requests %.0f MB/s\n", mb,
           mb / dd_s, mb / idle_s, mb / busy_s);
    say_latency("without a cut", &quiet);
    say_latency("during a cut ", &cutting);
    printf("bench=snapshot mb=%.1f dd_mb_s=%.1f cut_mb_s=%.1f busy_mb_s=%.1f of_dd=%.3f "
           "max_ms=%.2f max_ms_quiet=%.2f\n",
           mb, mb / dd_s, mb / idle_s, mb / busy_s, dd_s / idle_s, (double)cutting.max_us / 1e3,
           (double)quiet.max_us / 1e3);
    return OK;
}

static enum status bench_start(void *line) {
    struct bench *b = NULL;
    enum status status;
    TRY(mem_new(&b));
    b->o = *(const struct bench_line *)line;
    TRY_OUT(make_partition(b));
    TRY_OUT(create_rows(b));
    for (uint64_t k = 0; k < b->o.runs; k++) {
        TRY_OUT(one_run(b));
    }
out:
    partition_destroy(&b->p);
    snapshot_writer_stop(&b->writer);
    mem_free(&b->ids);
    mem_free(&b->out);
    mem_free(&b->gradient);
    mem_free(&b);
    return status;
}

#define AT(member) OPTION_AT(struct bench_line, member)
static const struct option_row bench_rows[] = {
    {"rows", "N", OPTION_WHOLE, AT(rows), .preset = "3M", .least = 1, .most = 100000000,
     .help = "of the table"},
    {"keys", "N", OPTION_WHOLE, AT(keys), .preset = "6000", .least = 1, .most = 1000000,
     .help = "of a request"},
    {"runs", "N", OPTION_WHOLE, AT(runs), .preset = "1", .least = 1, .most = 100},
    {"limit", "BYTES", OPTION_BYTES, AT(limit), .preset = "0", .most = 1000000000000,
     .help = "checkpoint.bytes_per_s; 0: none"},
    {"zipf", "S", OPTION_REAL, AT(zipf), .preset = "0", .high = 100,
     .help = "exponent of the keys; 0: uniform"},
    {"dir", "DIR", OPTION_TEXT, AT(dir), .preset = ".", .help = "on the disk"},
    {NULL}};

int main(int argc, char **argv) {
    const struct command bench = {.name = "bench_snapshot",
                                  .alone = true,
                                  .about = "Cuts of a partition beside dd: see the head of "
                                           "bench/bench_snapshot.c.",
                                  .groups = (const struct option_group[]){{NULL, bench_rows}, {0}},
                                  .line_bytes = sizeof(struct bench_line),
                                  .run = bench_start};
    int exit_code = 0;
    if (command_run(&bench, argc, argv, stdout, &exit_code) != OK) {
        fprintf(stderr, "bench_snapshot: %s\n", fail_text());
        return 1;
    }
    return exit_code;
}
