/* bench_server.c - a server alone: pulls and pushes of rows (18 floats, Adam), through the
 * real sockets, threads and protocol. Only the worker's arithmetic is missing.
 *
 *     bench_server [--rows N] [--keys N] [--zipf S] [--tcp] [--seconds S] [--runs N] [--dim N]
 *                  [--in-flight N] [--optimizer NAME] [--values f32|bf16] [--state KIND]
 *                  [--weights KIND] [--push-log DIR]
 *
 * The server is a separate process (this program, forked), so that its CPU time can be told from
 * the client's. First every row is created; then random keys are pulled and pushed. A round is one
 * request of N distinct keys, ascending, as in a trainer's batch: uniform, or with a Zipf exponent.
 * Pulls alone (which open no tickets) and pulls with pushes are measured in turn, `runs` times; the
 * result is the median.
 * The last line, "bench=server key=value ...", is for programs to read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/keys.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/base/thread.h"
#include "ps/server_thread.h"
#include "tools/common/options.h"
#include "worker/client.h"

#define PUSHES_MAX    (1u << 20)
#define IN_FLIGHT_MAX 16u
#define LISTS_MIN     24u /* key lists drawn beforehand, used in turn */
#define LISTS_MAX     512u
#define KEYS_LEAST    2400000u /* of all lists together: their rows do not fit the caches */
#define REPORT_MS     60000u
#define RUNS_MAX      64u

struct options {
    uint64_t rows, keys, in_flight, runs, dim;
    double zipf, seconds;
    bool tcp;
    const char *optimizer, *values, *state, *weights, *push_log;
};

struct bench {
    struct options o;
    char dir[64];
    struct server_job job;
    char endpoint[1][WIRE_ENDPOINT_MAX];
    uint32_t batches[1];
    struct transport *t;
    struct client *client;
    struct transfer *x[IN_FLIGHT_MAX];
    uint64_t *ids[LISTS_MAX];
    uint32_t count[LISTS_MAX];
    uint32_t lists;
    float *gradient;
    uint32_t pushes;
    pid_t server;
};

static void need(enum status status) {
    if (status != OK) {
        fprintf(stderr, "bench_server: %s: %s\n", status_text(status), fail_text());
        exit(1);
    }
}

static void set_up_job(struct bench *b) {
    struct config *config = &b->job.config;
    struct job_plan *plan = &b->job.plan;
    char text[64];
    config_default(config);
    need(config_set(config, "model.tower=1"));
    need(config_set(config, "server.ticket_bytes=1G"));
    snprintf(text, sizeof text, "table.optimizer=%s", b->o.optimizer);
    need(config_set(config, text));
    snprintf(text, sizeof text, "wire.values=%s", b->o.values);
    need(config_set(config, text));
    snprintf(text, sizeof text, "table.state=%s", b->o.state);
    need(config_set(config, text));
    snprintf(text, sizeof text, "table.weights=%s", b->o.weights);
    need(config_set(config, text));
    snprintf(text, sizeof text, "table.dim=%u", (unsigned)b->o.dim);
    need(config_set(config, text));
    if (b->o.push_log != NULL) {
        need(config_set(config, "recovery.push_log=on"));
        need(config_set(config, "recovery.log_bytes=100G"));
        snprintf(b->job.log_dir, sizeof b->job.log_dir, "%s", b->o.push_log);
        b->job.base = wire_base(0, "");
    }
    need(schema_add(&plan->schema, "item", SIDE_ITEM));
    schema_finish(&plan->schema);
    b->batches[0] = PUSHES_MAX;
    plan->batches_per_shard = b->batches;
    plan->shards = 1;
    plan->endpoint = b->endpoint;
    plan->partitions = 1;
    b->job.job = clock_mono_us(); /* another one each time: nothing is left to go on with */
    b->job.threads = 1;
    need(layout_init(&b->job.layout, config, &plan->schema, 0.04, 0.01));
}

/* --- the server's process --------------------------------------------------------------------- */

static struct server_report *await(struct server_thread *s) {
    struct server_report *r = server_thread_report(s, REPORT_MS);
    if (r == NULL) {
        need(server_thread_check(s));
        need(fail(ERR_TIMEOUT, "the partition thread says nothing"));
    }
    return r;
}

/* Serves until its input closes; then writes how many bytes its table takes. */
static void serve(struct bench *b, int in, int out) {
    struct server_thread s;
    struct partition_stats stats;
    struct usage used = {0};
    char listen[WIRE_ENDPOINT_MAX], end;
    snprintf(listen, sizeof listen, b->o.tcp ? "tcp://127.0.0.1:0" : "ipc://%s/ps", b->dir);
    need(transport_create(&b->t, 1));
    need(server_thread_start(&s, b->t, listen, 0));
    struct server_report *r = await(&s);
    memcpy(b->endpoint[0], r->endpoint, sizeof r->endpoint);
    server_report_free(&r);
    need(server_thread_order(&s,
                             &(struct server_order){.kind = SERVER_ORDER_BEGIN, .job = &b->job}));
    r = await(&s);
    server_report_free(&r);
    if (write(out, b->endpoint[0], WIRE_ENDPOINT_MAX) != WIRE_ENDPOINT_MAX) {
        exit(1);
    }
    while (read(in, &end, 1) > 0) {
    }
    clock_sleep_ms(300); /* figures are up to 100 ms old */
    server_thread_figures(&s, &stats, &used);
    const uint64_t figures[] = {stats.rows_total, stats.table_bytes,
                                (uint64_t)(used.stage_s[STAGE_LOOKUP] * 1e9),
                                (uint64_t)(used.stage_s[STAGE_APPLY] * 1e9)};
    if (write(out, figures, sizeof figures) != (ssize_t)sizeof figures) {
        exit(1);
    }
    server_thread_stop(&s);
    transport_destroy(&b->t);
    exit(0);
}

static void start_server(struct bench *b, int *to, int *from) {
    int down[2], up[2];
    if (pipe(down) != 0 || pipe(up) != 0) {
        need(fail(ERR_IO, "no pipe"));
    }
    b->server = fork();
    if (b->server == 0) {
        close(down[1]);
        close(up[0]);
        serve(b, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    *to = down[1];
    *from = up[0];
    if (read(*from, b->endpoint[0], WIRE_ENDPOINT_MAX) != WIRE_ENDPOINT_MAX) {
        need(fail(ERR_PEER, "the server did not start"));
    }
}

/* User and system time of a process so far, in seconds. */
static double cpu_of(pid_t pid) {
    clockid_t cpu;
    struct timespec t;
    if (clock_getcpuclockid(pid, &cpu) != 0 || clock_gettime(cpu, &t) != 0) {
        need(fail(ERR_IO, "cannot read the CPU time of process %d", (int)pid));
    }
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- keys ------------------------------------------------------------------------------------- */

static void draw_keys(struct bench *b) {
    const uint64_t lists = KEYS_LEAST / b->o.keys;
    b->lists = lists > LISTS_MAX ? LISTS_MAX : lists < LISTS_MIN ? LISTS_MIN : (uint32_t)lists;
    for (uint32_t k = 0; k < b->lists; k++) {
        need(mem_array(&b->ids[k], b->o.keys));
        b->count[k] = keys_draw(b->o.rows, b->o.zipf, k, b->o.keys, b->ids[k]);
    }
}

/* --- the client ------------------------------------------------------------------------------- */

static void push(struct bench *b, struct transfer *x) {
    const float *rows[] = {b->gradient};
    const struct batch_name name = {0, 0, b->pushes++};
    need(transfer_push(x, name, 1, 1, rows, b->gradient));
    need(client_send(b->client, x));
}

static void pull(struct bench *b, struct transfer *x, const uint64_t *ids, uint32_t count,
                 bool train) {
    const uint64_t *list[] = {ids};
    need(transfer_pull(x, list, &count, train, true));
    need(client_send(b->client, x));
}

/* Creates every row once, in the order of ids. */
static void create_rows(struct bench *b) {
    uint64_t *ids = NULL;
    need(mem_array(&ids, b->o.keys));
    for (uint64_t begin = 0; begin < b->o.rows; begin += b->o.keys) {
        const uint64_t left = b->o.rows - begin;
        const uint32_t n = (uint32_t)(left < b->o.keys ? left : b->o.keys);
        for (uint32_t i = 0; i < n; i++) {
            ids[i] = begin + i;
        }
        pull(b, b->x[0], ids, n, true);
        while (b->x[0]->state != TRANSFER_PULLED) {
            need(client_step(b->client, 100));
        }
        push(b, b->x[0]);
        while (b->x[0]->state != TRANSFER_DONE) {
            need(client_step(b->client, 100));
        }
        transfer_reset(b->x[0]);
    }
    mem_free(&ids);
}

/* Pulls (and pushes, if `pushing`) with in_flight requests under way. Returns keys a second. */
static double rounds(struct bench *b, bool pushing, uint64_t *keys) {
    const uint64_t start_us = clock_mono_us();
    const uint64_t end_us = start_us + (uint64_t)(b->o.seconds * 1e6);
    uint32_t next = 0, busy = 0;
    uint32_t list[IN_FLIGHT_MAX] = {0};
    *keys = 0;
    while (busy > 0 || clock_mono_us() < end_us) {
        for (uint32_t i = 0; i < b->o.in_flight; i++) {
            struct transfer *x = b->x[i];
            const enum transfer_state state = x->state;
            if (state == TRANSFER_PULLED && pushing) {
                push(b, x);
            } else if (state == TRANSFER_DONE || state == TRANSFER_PULLED) {
                *keys += b->count[list[i]];
                transfer_reset(x);
                busy--;
            } else if (state == TRANSFER_IDLE && clock_mono_us() < end_us) {
                list[i] = next++ % b->lists;
                pull(b, x, b->ids[list[i]], b->count[list[i]], pushing);
                busy++;
            }
        }
        need(client_step(b->client, 20));
    }
    return (double)*keys / ((double)(clock_mono_us() - start_us) * 1e-6);
}

struct figures {
    double rate, server_cpu, client_cpu; /* keys a second; CPU seconds per million keys */
};

static struct figures measure(struct bench *b, bool pushing) {
    uint64_t keys;
    const double server = cpu_of(b->server), client = cpu_of(getpid());
    struct figures f = {.rate = rounds(b, pushing, &keys)};
    const double millions = (double)keys * 1e-6;
    f.server_cpu = (cpu_of(b->server) - server) / millions;
    f.client_cpu = (cpu_of(getpid()) - client) / millions;
    printf("%-14s %7.2f M rows/s   CPU s per M rows: server %.3f, client %.3f\n",
           pushing ? "pull and push" : "pull", f.rate * 1e-6, f.server_cpu, f.client_cpu);
    return f;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, uint64_t n) {
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

/* Measures both kinds in turn; the result is the median of each figure. */
static void measure_all(struct bench *b, struct figures *pulls, struct figures *both) {
    double value[6][RUNS_MAX];
    for (uint64_t i = 0; i < b->o.runs; i++) {
        const struct figures p = measure(b, false), q = measure(b, true);
        const double now[6] = {p.rate, p.server_cpu, p.client_cpu,
                               q.rate, q.server_cpu, q.client_cpu};
        for (int k = 0; k < 6; k++) {
            value[k][i] = now[k];
        }
    }
    double middle[6];
    for (int k = 0; k < 6; k++) {
        middle[k] = median(value[k], b->o.runs);
    }
    *pulls = (struct figures){middle[0], middle[1], middle[2]};
    *both = (struct figures){middle[3], middle[4], middle[5]};
}

static void start_client(struct bench *b) {
    struct client_spec spec = {.transport = b->t,
                               .config = &b->job.config,
                               .schema = &b->job.plan.schema,
                               .layout = &b->job.layout,
                               .plan = &b->job.plan,
                               .job = b->job.job};
    need(client_create(&b->client, &spec));
    for (uint32_t i = 0; i < b->o.in_flight; i++) {
        need(client_transfer(b->client, &b->x[i]));
    }
    const size_t floats = b->o.keys * b->job.layout.dim[0] + b->job.layout.count;
    need(mem_array(&b->gradient, floats));
    for (size_t i = 0; i < floats; i++) {
        b->gradient[i] = (float)(rng_unit(3, i, 0) - 0.5) * 1e-3f;
    }
}

static void run(struct bench *b) {
    int to, from;
    uint64_t last[4];
    set_up_job(b);
    start_server(b, &to, &from);
    need(transport_create(&b->t, 1));
    start_client(b);
    draw_keys(b);
    create_rows(b);
    struct figures pulls, both;
    measure_all(b, &pulls, &both);
    close(to);
    if (read(from, last, sizeof last) != (ssize_t)sizeof last) {
        need(fail(ERR_PEER, "the server did not end well"));
    }
    client_destroy(&b->client);
    transport_destroy(&b->t);
    waitpid(b->server, NULL, 0);
    const double bytes = (double)last[1] / (double)last[0];
    printf("%llu rows, %.1f bytes each in all\n", (unsigned long long)last[0], bytes);
    printf(
        "bench=server rows=%llu keys=%llu zipf=%.2f dim=%llu transport=%s optimizer=%s values=%s "
        "state=%s weights=%s pull_mrows=%.3f pull_server_cpu=%.4f pull_client_cpu=%.4f both_mrows=%.3f "
        "both_server_cpu=%.4f both_client_cpu=%.4f row_bytes=%.1f\n",
        (unsigned long long)b->o.rows, (unsigned long long)b->o.keys, b->o.zipf,
        (unsigned long long)b->o.dim, b->o.tcp ? "tcp" : "ipc", b->o.optimizer, b->o.values,
        b->o.state, b->o.weights, pulls.rate * 1e-6, pulls.server_cpu, pulls.client_cpu,
        both.rate * 1e-6, both.server_cpu, both.client_cpu, bytes);
}

#define AT(member) OPTION_AT(struct bench, o.member)
static const struct option_row bench_rows[] = {
    {"rows", "N", OPTION_WHOLE, AT(rows), .preset = "1M", .least = 1, .most = 1000000000,
     .help = "of the table"},
    {"keys", "N", OPTION_WHOLE, AT(keys), .preset = "100K", .least = 1, .most = 10000000,
     .help = "of a request"},
    {"zipf", "S", OPTION_REAL, AT(zipf), .preset = "0", .high = 100,
     .help = "exponent of the keys; 0: uniform"},
    {"tcp", NULL, OPTION_FLAG, AT(tcp), .help = "instead of ipc"},
    {"seconds", "S", OPTION_REAL, AT(seconds), .preset = "1.5", .high = 3600, .help = "of a run"},
    {"runs", "N", OPTION_WHOLE, AT(runs), .preset = "5", .least = 1, .most = RUNS_MAX,
     .help = "of each kind; medians count"},
    {"in-flight", "N", OPTION_WHOLE, AT(in_flight), .preset = "3", .least = 1,
     .most = IN_FLIGHT_MAX, .help = "requests under way"},
    {"dim", "N", OPTION_WHOLE, AT(dim), .preset = "18", .least = 1, .most = DIM_MAX,
     .help = "floats of a row"},
    {"optimizer", "NAME", OPTION_TEXT, AT(optimizer), .preset = "adam", .help = "of the rows"},
    {"state", "KIND", OPTION_TEXT, AT(state), .preset = "f32", .help = "of rows: f32, bf16 or u8"},
    {"weights", "KIND", OPTION_TEXT, AT(weights), .preset = "f32", .help = "of rows: f32 or bf16"},
    {"values", "KIND", OPTION_TEXT, AT(values), .preset = "f32", .help = "f32 or bf16"},
    {"push-log", "DIR", OPTION_TEXT, AT(push_log), .told = "none",
     .help = "log the pushes there, as recovery.push_log = on does"},
    {NULL}};

static enum status bench_start(void *line) {
    struct bench *b = line;
    snprintf(b->dir, sizeof b->dir, "/tmp/esmm-bench-XXXXXX");
    if (mkdtemp(b->dir) == NULL) {
        return fail(ERR_IO, "cannot make %s", b->dir);
    }
    run(b);
    return file_remove_tree(b->dir);
}

int main(int argc, char **argv) {
    const struct command bench = {.name = "bench_server",
                                  .alone = true,
                                  .about = "A server alone: see the head of bench/bench_server.c.",
                                  .groups = (const struct option_group[]){{NULL, bench_rows}, {0}},
                                  .line_bytes = sizeof(struct bench),
                                  .run = bench_start};
    int exit_code;
    need(command_run(&bench, argc, argv, stdout, &exit_code));
    return 0;
}
