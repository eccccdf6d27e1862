/* bench_memory.c - memory that comes back: a partition makes N rows (one field of 18 floats, Adam),
 * the older half passes its age, and the resident size is printed over time until it has settled.
 * Meanwhile 10,000 random rows of the newer half are pulled and pushed 20 times a second, each
 * request followed by a tick, as a server thread does it, and the longest of these is printed.
 *
 *     bench_memory [rows = 2000000]
 *
 * The clock of ages counts pushes. So between the halves come as many pushes of one row as there
 * are requests later: else the newer half would pass its age during the measurement.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/job/config.h"
#include "ps/partition.h"

#define PUSH_ROWS 10000u
#define GAP_MS    50u /* between requests */
#define SECONDS   60u
#define OVER_US   2000u
#define REQUESTS  (SECONDS * 1000 / GAP_MS)

struct bench {
    struct config config;
    struct schema schema;
    struct layout layout;
    struct partition *p;
    uint32_t batches, pushes;
    uint64_t rows, ids[PUSH_ROWS];
    float *floats;
    size_t count; /* of floats */
};

struct longest {
    uint64_t wall_us, cpu_us;
    uint64_t count, over; /* over: of more than OVER_US of CPU time */
};

static void must(enum status status) {
    if (status != OK) {
        fprintf(stderr, "bench_memory: %s\n", fail_text());
        exit(1);
    }
}

static uint64_t cpu_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t resident_bytes(void) {
    unsigned long long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%llu %llu", &size, &resident) != 2) {
        fprintf(stderr, "bench_memory: cannot read /proc/self/statm\n");
        exit(1);
    }
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void set_up(struct bench *b) {
    char age[64];
    const uint64_t half = b->rows / 2 / PUSH_ROWS;
    b->batches = (uint32_t)(3 * half + 3 * REQUESTS);
    config_default(&b->config);
    must(config_set(&b->config, "model.tower=1"));
    snprintf(age, sizeof age, "table.evict_age=%" PRIu64, 2 * half + REQUESTS);
    must(config_set(&b->config, age));
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
    b->count = PUSH_ROWS * (size_t)b->layout.dim[0] + (size_t)b->layout.count;
    must(mem_array(&b->floats, b->count));
}

static void push(struct bench *b, uint32_t n) {
    const struct key_list keys = {.counts = &n, .ids = b->ids, .total = n};
    const size_t floats = partition_pull_floats(b->p, &keys, true);
    struct push_result result;
    for (size_t i = 0; i < floats; i++) {
        b->floats[i] = 1e-3f;
    }
    must(partition_push(b->p, (struct batch_name){.batch = b->pushes++}, 1, 0, &keys, b->floats,
                        floats, &result));
}

static void note(struct longest *l, uint64_t wall, uint64_t cpu) {
    const uint64_t w = clock_mono_us() - wall, c = cpu_us() - cpu;
    l->wall_us = w > l->wall_us ? w : l->wall_us;
    l->cpu_us = c > l->cpu_us ? c : l->cpu_us;
    l->count++;
    l->over += c > OVER_US;
}

/* A tick; true: there is more to do. */
static bool tick(struct bench *b, struct longest *l) {
    bool busy;
    const uint64_t wall = clock_mono_us(), cpu = cpu_us();
    must(partition_tick(b->p, clock_mono_ms(), &busy));
    note(l, wall, cpu);
    return busy;
}

static void make_rows(struct bench *b, uint64_t from, uint64_t to) {
    for (uint64_t id = from; id < to; id++) {
        b->ids[id % PUSH_ROWS] = id;
        if ((id + 1) % PUSH_ROWS == 0) {
            push(b, PUSH_ROWS);
        }
    }
}

/* Pushes of one row, and ticks. */
static void pass_time(struct bench *b, uint64_t id, uint64_t pushes, struct longest *ticks) {
    for (uint64_t k = 0; k < pushes; k++) {
        b->ids[0] = id;
        push(b, 1);
        tick(b, ticks);
    }
}

/* A row of the newer half. */
static uint64_t newer(const struct bench *b, uint64_t draw) {
    return b->rows / 2 + rng_below(3, draw, 0, b->rows - b->rows / 2);
}

static void request(struct bench *b, uint64_t number, struct longest *pulls,
                    struct longest *pushes) {
    uint32_t n = PUSH_ROWS;
    struct pull_result result;
    for (uint32_t i = 0; i < n; i++) {
        b->ids[i] = newer(b, number * PUSH_ROWS + i);
    }
    const struct key_list keys = {.counts = &n, .ids = b->ids, .total = n};
    uint64_t wall = clock_mono_us(), cpu = cpu_us();
    must(partition_serve_pull(b->p, &keys, true, false, clock_mono_ms(), b->floats, &result));
    note(pulls, wall, cpu);
    if (result.missing > 0) {
        fprintf(stderr, "bench_memory: %" PRIu64 " rows are missing\n", result.missing);
        exit(1);
    }
    wall = clock_mono_us();
    cpu = cpu_us();
    push(b, n);
    note(pushes, wall, cpu);
}

static void print_state(const struct bench *b, uint64_t start_ms, uint64_t first) {
    struct partition_stats s;
    const uint64_t now = resident_bytes();
    partition_stats(b->p, &s);
    printf("%8.1f s (%6.1f CPU) %10.1f MB resident (%+5.1f %%) %10.1f MB counted %9" PRIu64
           " rows\n",
           (double)(clock_mono_ms() - start_ms) * 1e-3, (double)cpu_us() * 1e-6, (double)now * 1e-6,
           100.0 * ((double)now / (double)first - 1), (double)s.table_bytes * 1e-6, s.rows_total);
    fflush(stdout);
}

static void print_longest(const char *what, const struct longest *l) {
    printf("%-26s %8.3f ms CPU %8.3f ms; %" PRIu64 " of %" PRIu64 " over 2 ms CPU\n", what,
           (double)l->cpu_us * 1e-3, (double)l->wall_us * 1e-3, l->over, l->count);
}

int main(int argc, char **argv) {
    static struct bench b;
    struct longest ticks = {0}, pulls = {0}, pushes = {0};
    b.rows = argc > 1 ? strtoull(argv[1], NULL, 10) / (2 * PUSH_ROWS) * (2 * PUSH_ROWS) : 2000000;
    if (b.rows == 0) {
        fprintf(stderr, "usage: bench_memory [rows, 20000 at least]\n");
        return 2;
    }
    set_up(&b);
    make_rows(&b, 0, b.rows / 2);
    pass_time(&b, 0, REQUESTS, &ticks);
    make_rows(&b, b.rows / 2, b.rows);
    const uint64_t first = resident_bytes(), start_ms = clock_mono_ms();
    print_state(&b, start_ms, first);
    pass_time(&b, b.rows - 1, b.rows / 2 / PUSH_ROWS, &ticks);
    const uint64_t aged_ms = clock_mono_ms();
    uint64_t next_ms = aged_ms, line_ms = aged_ms;
    for (uint64_t number = 1; clock_mono_ms() < aged_ms + SECONDS * 1000;) {
        const uint64_t now = clock_mono_ms();
        if (now >= next_ms && number <= REQUESTS) {
            request(&b, number++, &pulls, &pushes);
            next_ms = now + GAP_MS;
        }
        if (!tick(&b, &ticks)) {
            clock_sleep_ms(1);
        }
        if (now >= line_ms) {
            print_state(&b, aged_ms, first);
            line_ms = now + 2000;
        }
    }
    print_longest("longest pull of 10,000", &pulls);
    print_longest("longest push of 10,000", &pushes);
    print_longest("longest tick", &ticks);
    partition_destroy(&b.p);
    mem_free(&b.floats);
    return 0;
}
