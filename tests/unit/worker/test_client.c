/* A client against real partition threads: values are the partitions' own, and every push changes
 * them exactly once, whatever the network between does.
 *
 * The oracle is one partition with all buckets, driven directly. Its rows depend on keys and pushes
 * alone, so any number of partition threads must agree with it to the last bit. */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "ps/server_thread.h"
#include "worker/client.h"
#include "common/net/wire_values.h"

#include <cmocka.h> /* last: it has a macro called fail */

#define SEED           424242u
#define JOB            99u
#define FIELDS         3u
#define SHARDS         2u
#define BATCHES        4000u
#define KEYS_MAX       60u
#define ID_RANGE       400u
#define PARTITIONS_MAX 4u
#define LONG_MS        60000u

static char dir[64];
static uint32_t worlds; /* for names of sockets */

/* --- a lossy network: one thread per partition, between one client and it --------------------- */

struct proxy {
    struct thread thread;
    char front[WIRE_ENDPOINT_MAX], back[WIRE_ENDPOINT_MAX];
    uint32_t drop_percent, twice_percent;
    uint64_t stream;
    atomic_bool bound, stop;
    uint64_t passed, dropped, doubled;
};

#define PARTS_MAX 4
struct parts {
    zmq_msg_t part[PARTS_MAX];
    int n;
};

static bool receive_parts(void *socket, struct parts *p) {
    int more = 1;
    p->n = 0;
    while (more) {
        zmq_msg_init(&p->part[p->n]);
        if (zmq_msg_recv(&p->part[p->n], socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&p->part[p->n]);
            return false;
        }
        more = zmq_msg_more(&p->part[p->n]);
        p->n++;
        assert(!more || p->n < PARTS_MAX);
    }
    return true;
}

/* Sends copies of parts from `first` on; to a ROUTER the first one must be the identity. */
static void send_parts(void *socket, struct parts *p, int first, zmq_msg_t *identity) {
    if (identity != NULL) {
        zmq_send(socket, zmq_msg_data(identity), zmq_msg_size(identity), ZMQ_SNDMORE);
    }
    for (int i = first; i < p->n; i++) {
        zmq_send(socket, zmq_msg_data(&p->part[i]), zmq_msg_size(&p->part[i]),
                 i + 1 < p->n ? ZMQ_SNDMORE : 0);
    }
}

static void pass_on(struct proxy *x, void *from, void *to, zmq_msg_t *identity, bool upwards) {
    struct parts p;
    while (receive_parts(from, &p)) {
        uint64_t dice = rng_below(SEED, x->stream, x->passed++, 100);
        uint32_t times = 1;
        if (dice < x->drop_percent) {
            times = 0;
            x->dropped++;
        } else if (dice < x->drop_percent + x->twice_percent) {
            times = 2;
            x->doubled++;
        }
        if (upwards) {
            zmq_msg_copy(identity, &p.part[0]);
        }
        for (uint32_t i = 0; i < times; i++) {
            send_parts(to, &p, upwards ? 1 : 0, upwards ? NULL : identity);
        }
        for (int i = 0; i < p.n; i++) {
            zmq_msg_close(&p.part[i]);
        }
    }
}

static enum status proxy_main(void *arg) {
    struct proxy *x = arg;
    void *context = zmq_ctx_new();
    void *front = zmq_socket(context, ZMQ_ROUTER), *back = zmq_socket(context, ZMQ_DEALER);
    zmq_msg_t identity;
    int none = 0;
    zmq_msg_init(&identity);
    zmq_setsockopt(front, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(back, ZMQ_LINGER, &none, sizeof none);
    assert(zmq_bind(front, x->front) == 0 && zmq_connect(back, x->back) == 0);
    atomic_store(&x->bound, true);
    while (!atomic_load(&x->stop)) {
        zmq_pollitem_t items[2] = {{.socket = front, .events = ZMQ_POLLIN},
                                   {.socket = back, .events = ZMQ_POLLIN}};
        zmq_poll(items, 2, 10);
        pass_on(x, front, back, &identity, true);
        pass_on(x, back, front, &identity, false);
    }
    zmq_msg_close(&identity);
    zmq_close(front);
    zmq_close(back);
    zmq_ctx_term(context);
    return OK;
}

/* --- a world: servers, a client, and the oracle ----------------------------------------------- */

struct world {
    struct server_job job;
    char endpoint[PARTITIONS_MAX][WIRE_ENDPOINT_MAX];
    uint32_t batches[SHARDS];
    struct transport *t;
    struct server_thread servers[PARTITIONS_MAX];
    struct proxy proxies[PARTITIONS_MAX];
    bool lossy;
    struct client *client;
    struct transfer *x, *y;
    struct partition *oracle;
    uint64_t fence;
};

struct choice { /* what differs between the tests */
    uint32_t partitions;
    const char *settings[6];
    uint32_t drop_percent, twice_percent;
};

static void set_up_job(struct world *w, const struct choice *c) {
    struct config *config = &w->job.config;
    config_default(config);
    const char *basics[] = {"model.tower=5,4", "table.dim=6", "field.brand.dim=3",
                            "net.request_ms=2000", "net.give_up_ms=20000"};
    for (size_t i = 0; i < sizeof basics / sizeof basics[0]; i++) {
        if (config_set(config, basics[i]) != OK) {
            fail_msg("%s", fail_text());
        }
    }
    for (size_t i = 0; i < 6 && c->settings[i] != NULL; i++) {
        if (config_set(config, c->settings[i]) != OK) {
            fail_msg("%s", fail_text());
        }
    }
    struct job_plan *plan = &w->job.plan;
    assert_int_equal(schema_add(&plan->schema, "user", SIDE_USER), OK);
    assert_int_equal(schema_add(&plan->schema, "brand", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&plan->schema, "item", SIDE_ITEM), OK);
    schema_finish(&plan->schema);
    w->batches[0] = w->batches[1] = BATCHES;
    plan->batches_per_shard = w->batches;
    plan->shards = SHARDS;
    plan->endpoint = w->endpoint;
    plan->partitions = c->partitions;
    w->job.job = JOB;
    w->job.threads = 1;
    w->job.base = wire_base(0, "");
    snprintf(w->job.log_dir, sizeof w->job.log_dir, "%s/pushlog-%u", dir, worlds);
    assert_int_equal(layout_init(&w->job.layout, config, &plan->schema, 0.04, 0.01), OK);
}

static void start_proxy(struct world *w, uint32_t k, const struct choice *c) {
    struct proxy *x = &w->proxies[k];
    memcpy(x->back, w->endpoint[k], sizeof x->back);
    snprintf(x->front, sizeof x->front, "ipc://%s/proxy-%u-%u", dir, worlds, k);
    x->drop_percent = c->drop_percent;
    x->twice_percent = c->twice_percent;
    x->stream = k;
    assert_int_equal(thread_start(&x->thread, "proxy", proxy_main, x), OK);
    while (!atomic_load(&x->bound)) {
        clock_sleep_ms(1);
    }
    memcpy(w->endpoint[k], x->front, sizeof x->front);
}

static void await_report(struct world *w, uint32_t k, enum server_report_kind kind) {
    struct server_report *r = server_thread_report(&w->servers[k], LONG_MS);
    if (r == NULL) {
        server_thread_check(&w->servers[k]);
        fail_msg("partition %u: %s", k, fail_text());
    }
    assert_int_equal(r->kind, kind);
    if (kind == SERVER_REPORT_BOUND) {
        memcpy(w->endpoint[k], r->endpoint, sizeof r->endpoint);
    }
    server_report_free(&r);
}

static void bind_server(struct world *w, uint32_t k) {
    char listen[WIRE_ENDPOINT_MAX];
    snprintf(listen, sizeof listen, "ipc://%s/ps-%u-%u", dir, worlds, k);
    assert_int_equal(server_thread_start(&w->servers[k], w->t, listen, k), OK);
    await_report(w, k, SERVER_REPORT_BOUND);
}

static void begin_server(struct world *w, uint32_t k) {
    const struct server_order begin = {.kind = SERVER_ORDER_BEGIN, .partition = k, .job = &w->job};
    assert_int_equal(server_thread_order(&w->servers[k], &begin), OK);
    await_report(w, k, SERVER_REPORT_READY);
}

static void start_servers(struct world *w, const struct choice *c) {
    for (uint32_t k = 0; k < c->partitions; k++) {
        bind_server(w, k);
    }
    for (uint32_t k = 0; k < c->partitions; k++) {
        begin_server(w, k);
        if (w->lossy) {
            start_proxy(w, k, c);
        }
    }
}

static void start_client(struct world *w, uint64_t job) {
    struct client_spec spec = {.transport = w->t,
                               .config = &w->job.config,
                               .schema = &w->job.plan.schema,
                               .layout = &w->job.layout,
                               .plan = &w->job.plan,
                               .job = job};
    assert_int_equal(client_create(&w->client, &spec), OK);
    assert_int_equal(client_transfer(w->client, &w->x), OK);
    assert_int_equal(client_transfer(w->client, &w->y), OK);
}

static void start_oracle(struct world *w) {
    struct partition_spec spec = {.config = &w->job.config,
                                  .schema = &w->job.plan.schema,
                                  .layout = &w->job.layout,
                                  .batches_per_shard = w->batches,
                                  .shards = SHARDS,
                                  .bucket_begin = 0,
                                  .bucket_end = BUCKETS};
    assert_int_equal(partition_create(&w->oracle, &spec), OK);
}

static struct world *open_world(const struct choice *c) {
    struct world *w = calloc(1, sizeof *w);
    worlds++;
    w->lossy = c->drop_percent + c->twice_percent > 0;
    w->fence = 1;
    set_up_job(w, c);
    assert_int_equal(transport_create(&w->t, 1), OK);
    start_servers(w, c);
    start_client(w, JOB);
    start_oracle(w);
    return w;
}

static void close_world(struct world *w) {
    client_destroy(&w->client);
    for (uint32_t k = 0; k < w->job.plan.partitions; k++) {
        atomic_store(&w->proxies[k].stop, true);
        assert_int_equal(thread_join(&w->proxies[k].thread), OK);
        assert_int_equal(server_thread_check(&w->servers[k]), OK);
        server_thread_stop(&w->servers[k]);
    }
    partition_destroy(&w->oracle);
    transport_destroy(&w->t);
    free(w);
}

/* --- batches ---------------------------------------------------------------------------------- */

struct keys {
    uint64_t id[FIELDS][KEYS_MAX];
    const uint64_t *ids[FIELDS];
    uint32_t count[FIELDS];
    uint64_t all[FIELDS * KEYS_MAX]; /* the oracle's form */
    size_t total;
};

/* Distinct ids of each slot, sometimes none. */
static void roll_keys(struct keys *k, uint64_t step) {
    k->total = 0;
    for (uint32_t f = 0; f < FIELDS; f++) {
        uint32_t n = (uint32_t)rng_below(SEED, step, f, KEYS_MAX + 1);
        uint64_t id = rng_below(SEED, step, 100 + f, ID_RANGE);
        n = rng_below(SEED, step, 200 + f, 8) == 0 ? 0 : n;
        for (uint32_t i = 0; i < n; i++) {
            id += 1 + rng_below(SEED, step, 1000 * (f + 1) + i, 5);
            k->id[f][i] = id * 0x10001u;
            k->all[k->total++] = k->id[f][i];
        }
        k->count[f] = n;
        k->ids[f] = k->id[f];
    }
}

static struct key_list oracle_keys(const struct keys *k) {
    return (struct key_list){.counts = k->count, .ids = k->all, .total = k->total};
}

/* Rows in slot order, then dense: as the oracle pulls them. */
static float *oracle_pull(struct world *w, const struct keys *k, size_t *floats) {
    struct key_list list = oracle_keys(k);
    struct pull_result result;
    *floats = partition_pull_floats(w->oracle, &list, true);
    float *out = malloc(*floats * sizeof *out);
    assert_int_equal(partition_pull(w->oracle, &list, true, out, &result), OK);
    return out;
}

static void step_until(struct world *w, struct transfer *x, enum transfer_state wanted) {
    uint64_t until_ms = clock_mono_ms() + LONG_MS;
    while (x->state != wanted) {
        if (client_step(w->client, 50) != OK) {
            fail_msg("%s", fail_text());
        }
        assert_true(clock_left_ms(until_ms) > 0);
    }
}

/* The transfer's floats in the oracle's order. */
static float *transfer_floats(struct world *w, struct transfer *x, const struct keys *k,
                              size_t floats) {
    float *out = malloc(floats * sizeof *out);
    size_t at = 0;
    for (uint32_t f = 0; f < FIELDS; f++) {
        size_t n = (size_t)k->count[f] * w->job.layout.dim[f];
        if (n > 0) {
            memcpy(out + at, transfer_rows(x, f), n * sizeof *out);
        }
        at += n;
    }
    memcpy(out + at, transfer_dense(x), w->job.layout.count * sizeof *out);
    assert_int_equal(at + w->job.layout.count, floats);
    return out;
}

/* What is no training learns which keys have no row, whichever partitions have them. */
static void compare_missing(struct world *w, struct transfer *x, const struct keys *k, bool train) {
    static uint8_t expect[FIELDS * KEYS_MAX];
    static float rows[FIELDS * KEYS_MAX * 64];
    struct key_list list = oracle_keys(k);
    struct pull_result result;
    size_t at = 0;
    list.missing = expect;
    assert_true(partition_pull_floats(w->oracle, &list, false) <= sizeof rows / sizeof *rows);
    assert_int_equal(partition_pull(w->oracle, &list, false, rows, &result), OK);
    for (uint32_t f = 0; f < FIELDS; f++) {
        const uint8_t *missing = transfer_missing(x, f);
        assert_true(train ? missing == NULL : k->total == 0 || missing != NULL);
        for (uint32_t i = 0; i < k->count[f] && !train; i++) {
            assert_int_equal(missing[i], expect[at + i]);
        }
        at += k->count[f];
    }
}

/* Trainings of odd steps pull the dense vector after the rows. */
static void pull_and_compare(struct world *w, struct transfer *x, const struct keys *k, bool train,
                             uint64_t step) {
    size_t floats;
    if (train && step % 2 == 1) {
        assert_int_equal(transfer_pull(x, k->ids, k->count, true, false), OK);
        step_until(w, x, TRANSFER_ROWS);
        transfer_pull_dense(x);
    } else {
        assert_int_equal(transfer_pull(x, k->ids, k->count, train, true), OK);
    }
    step_until(w, x, TRANSFER_PULLED);
    compare_missing(w, x, k, train);
    float *expect = oracle_pull(w, k, &floats);
    float *got = transfer_floats(w, x, k, floats);
    for (size_t i = 0; i < floats; i++) {
        if (memcmp(&got[i], &expect[i], sizeof(float)) != 0) {
            fail_msg("step %llu: float %zu of %zu is %.9g, the oracle has %.9g (seed %u)",
                     (unsigned long long)step, i, floats, (double)got[i], (double)expect[i], SEED);
        }
    }
    free(expect);
    free(got);
}

/* Random gradients in the transfer's form (slot 1's are given as NULL, zeros, now and then). */
struct gradients {
    float *all;
    size_t floats;
    const float *drows[FIELDS];
    const float *ddense;
};
static struct gradients roll_gradients(struct world *w, const struct keys *k, uint64_t step) {
    struct gradients g = {0};
    size_t at = 0;
    struct key_list list = oracle_keys(k);
    g.floats = partition_pull_floats(w->oracle, &list, true);
    g.all = malloc(g.floats * sizeof(float));
    for (size_t i = 0; i < g.floats; i++) {
        g.all[i] = (float)(rng_unit(SEED, step, 5000 + i) - 0.5);
    }
    for (uint32_t f = 0; f < FIELDS; f++) {
        size_t n = (size_t)k->count[f] * w->job.layout.dim[f];
        g.drows[f] = g.all + at;
        if (f == 1 && step % 5 == 0) {
            memset(g.all + at, 0, n * sizeof(float));
            g.drows[f] = NULL;
        }
        at += n;
    }
    g.ddense = g.all + at;
    return g;
}

static struct batch_name name_of(uint64_t step) {
    return (struct batch_name){0, (uint32_t)(step % SHARDS), (uint32_t)(step / SHARDS)};
}

static void oracle_push(struct world *w, struct batch_name name, const struct keys *k,
                        const struct gradients *g) {
    struct key_list list = oracle_keys(k);
    struct push_result result;
    assert_int_equal(
        partition_push(w->oracle, name, w->fence, 0, &list, g->all, g->floats, &result), OK);
}

static struct transfer_outcome push(struct world *w, struct transfer *x, struct batch_name name,
                                    const struct gradients *g) {
    assert_int_equal(transfer_push(x, name, w->fence, 3, g->drows, g->ddense), OK);
    step_until(w, x, TRANSFER_DONE);
    struct transfer_outcome o = x->outcome;
    transfer_reset(x);
    return o;
}

static void train(struct world *w, uint64_t steps) {
    struct keys k;
    for (uint64_t step = 0; step < steps; step++) {
        roll_keys(&k, step);
        pull_and_compare(w, w->x, &k, true, step);
        struct gradients g = roll_gradients(w, &k, step);
        struct transfer_outcome o = push(w, w->x, name_of(step), &g);
        assert_int_equal(o.staleness, 0);
        assert_false(o.fenced);
        oracle_push(w, name_of(step), &k, &g);
        free(g.all);
    }
}

/* Asks a partition for its figures over the wire. */
static struct wire_heartbeat figures(struct world *w, uint32_t k) {
    struct port *p;
    struct port_message m;
    struct wire_msg ask = {.type = WIRE_STATS, .job = JOB, .id = 5};
    assert_int_equal(port_connect(&p, w->t, w->servers[k].listen, 1 << 20), OK);
    assert_int_equal(port_send(p, NULL, 0, &ask, NULL, 0, NULL, 0), OK);
    assert_int_equal(port_receive(p, &m, LONG_MS), OK);
    assert_int_equal(m.msg.type, WIRE_STATS_REPLY);
    assert_int_equal(m.values_bytes, FIELDS * 8);
    port_close(&p);
    return m.msg.u.heartbeat;
}

/* --- the tests -------------------------------------------------------------------------------- */

static void test_agrees_with_the_oracle(void **state) {
    (void)state;
    for (uint32_t partitions = 1; partitions <= PARTITIONS_MAX; partitions++) {
        struct world *w = open_world(&(struct choice){.partitions = partitions});
        uint64_t rows = 0;
        train(w, 60);
        struct partition_stats s;
        partition_stats(w->oracle, &s);
        for (uint32_t k = 0; k < partitions; k++) {
            struct wire_heartbeat f = figures(w, k);
            assert_int_equal(f.version, 60);
            assert_int_equal(f.duplicates, 0);
            rows += f.rows;
        }
        assert_int_equal(rows, s.rows_total);
        assert_int_equal(client_figures(w->client).tickets_unknown, 0);
        close_world(w);
    }
}

/* A fifth of all messages lost each way, another fifth doubled. */
static void test_exactly_once_over_a_bad_network(void **state) {
    (void)state;
    struct world *w =
        open_world(&(struct choice){.partitions = 3,
                                    .drop_percent = 20,
                                    .twice_percent = 20,
                                    .settings = {"net.request_ms=20", "net.give_up_ms=20000"}});
    uint64_t dropped = 0, doubled = 0;
    train(w, 80);
    for (uint32_t k = 0; k < 3; k++) {
        assert_int_equal(figures(w, k).version, 80);
        assert_true(figures(w, k).duplicates > 0);
    }
    assert_true(client_figures(w->client).resent > 0);
    struct proxy *x = w->proxies;
    for (uint32_t k = 0; k < 3; k++) {
        atomic_store(&x[k].stop, true);
        assert_int_equal(thread_join(&x[k].thread), OK);
        dropped += x[k].dropped;
        doubled += x[k].doubled;
    }
    assert_true(dropped > 50 && doubled > 50);
    close_world(w);
}

/* A server ends, whatever is under way, and another comes to its endpoint with what its log has. */
static void come_back(struct world *w, uint32_t k) {
    server_thread_stop(&w->servers[k]);
    bind_server(w, k);
    begin_server(w, k);
}

static void test_servers_come_back(void **state) {
    (void)state;
    static const char *const values[] = {"wire.values=f32", "wire.values=bf16"};
    for (int v = 0; v < 2; v++) {
        struct world *w = open_world(&(struct choice){
            .partitions = 3,
            .settings = {"recovery.push_log=on", "net.request_ms=50", "table.evict_age=9",
                         "field.item.admit_after=2", "server.ticket_ms=20", values[v]}});
        const bool exact = v == 0; /* else values are rounded on their way */
        uint32_t ends = 0;
        for (uint64_t step = 0; step < 60; step++) {
            struct keys k;
            const uint32_t when = (uint32_t)rng_below(SEED, step, 9000, 6);
            const uint32_t who = (uint32_t)rng_below(SEED, step, 9001, 3);
            roll_keys(&k, step);
            if (exact) {
                pull_and_compare(w, w->x, &k, true, step);
            } else {
                assert_int_equal(transfer_pull(w->x, k.ids, k.count, true, true), OK);
                step_until(w, w->x, TRANSFER_PULLED);
            }
            struct gradients g = roll_gradients(w, &k, step);
            if (when == 0) {
                come_back(w, who); /* its tickets are gone */
            }
            assert_int_equal(transfer_push(w->x, name_of(step), w->fence, 3, g.drows, g.ddense),
                             OK);
            assert_int_equal(client_send(w->client, w->x), OK);
            if (when == 1 || when == 2) {
                clock_sleep_ms(when - 1); /* the push has come, or not */
                come_back(w, who);
            }
            step_until(w, w->x, TRANSFER_DONE);
            transfer_reset(w->x);
            oracle_push(w, name_of(step), &k, &g);
            ends += when < 3;
            free(g.all);
        }
        for (uint32_t k = 0; k < 3; k++) {
            assert_int_equal(figures(w, k).version, 60);
        }
        assert_true(ends > 10);
        close_world(w);
    }
}

static void test_unknown_tickets_cost_a_round_trip(void **state) {
    (void)state;
    struct world *w =
        open_world(&(struct choice){.partitions = 2, .settings = {"server.ticket_ms=1"}});
    struct keys k;
    for (uint64_t step = 0; step < 5; step++) {
        roll_keys(&k, step);
        pull_and_compare(w, w->x, &k, true, step);
        clock_sleep_ms(60); /* longer than the ticket lives, and a turn of the thread */
        struct gradients g = roll_gradients(w, &k, step);
        push(w, w->x, name_of(step), &g);
        oracle_push(w, name_of(step), &k, &g);
        free(g.all);
    }
    assert_int_equal(client_figures(w->client).tickets_unknown, 10);
    roll_keys(&k, 77);
    pull_and_compare(w, w->x, &k, true, 77);
    close_world(w);
}

static void test_pull_alone_creates_nothing(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 2});
    struct keys k;
    roll_keys(&k, 1);
    pull_and_compare(w, w->x, &k, false, 1);
    transfer_reset(w->x);
    assert_int_equal(figures(w, 0).rows + figures(w, 1).rows, 0);
    close_world(w);
}

static void test_two_transfers_and_staleness(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 3});
    struct keys a, b;
    roll_keys(&a, 11);
    roll_keys(&b, 12);
    assert_int_equal(transfer_pull(w->x, a.ids, a.count, true, true), OK);
    assert_int_equal(transfer_pull(w->y, b.ids, b.count, true, true), OK);
    step_until(w, w->y, TRANSFER_PULLED);
    step_until(w, w->x, TRANSFER_PULLED);
    struct gradients ga = roll_gradients(w, &a, 11), gb = roll_gradients(w, &b, 12);
    assert_int_equal(push(w, w->x, name_of(0), &ga).staleness, 0);
    assert_int_equal(push(w, w->y, name_of(1), &gb).staleness, 1);
    oracle_push(w, name_of(0), &a, &ga);
    oracle_push(w, name_of(1), &b, &gb);
    pull_and_compare(w, w->x, &a, true, 11);
    free(ga.all);
    free(gb.all);
    close_world(w);
}

/* Rows from before a push, the dense vector from after it. */
static void test_dense_is_pulled_after_the_rows(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 3});
    struct keys a, b;
    size_t floats;
    roll_keys(&a, 11);
    roll_keys(&b, 12);
    struct gradients ga = roll_gradients(w, &a, 11), gb = roll_gradients(w, &b, 12);
    assert_int_equal(transfer_pull(w->y, b.ids, b.count, true, false), OK);
    step_until(w, w->y, TRANSFER_ROWS);
    float *before = oracle_pull(w, &b, &floats);
    pull_and_compare(w, w->x, &a, true, 11);
    push(w, w->x, name_of(0), &ga);
    oracle_push(w, name_of(0), &a, &ga);
    transfer_pull_dense(w->y);
    step_until(w, w->y, TRANSFER_PULLED);
    float *after = oracle_pull(w, &b, &floats);
    float *got = transfer_floats(w, w->y, &b, floats);
    const size_t dense = w->job.layout.count, rows = floats - dense;
    assert_memory_equal(got, before, rows * sizeof *got);
    assert_memory_equal(got + rows, after + rows, dense * sizeof *got);
    assert_memory_not_equal(before + rows, after + rows, dense * sizeof *got);
    struct transfer_outcome o = push(w, w->y, name_of(1), &gb);
    assert_int_equal(o.staleness, 1);
    assert_int_equal(o.dense_staleness, 0);
    oracle_push(w, name_of(1), &b, &gb);
    pull_and_compare(w, w->x, &a, true, 11);
    assert_int_equal(client_figures(w->client).tickets_unknown, 0);
    free(before);
    free(after);
    free(got);
    free(ga.all);
    free(gb.all);
    close_world(w);
}

static void test_a_name_counts_once(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 3});
    struct keys k;
    roll_keys(&k, 3);
    struct gradients g = roll_gradients(w, &k, 3);
    for (uint32_t again = 0; again < 3; again++) {
        pull_and_compare(w, w->x, &k, true, 3);
        struct transfer_outcome o = push(w, w->x, name_of(0), &g);
        assert_int_equal(o.duplicates, again == 0 ? 0 : 3);
        if (again == 0) {
            oracle_push(w, name_of(0), &k, &g);
        }
    }
    free(g.all);
    close_world(w);
}

static void test_an_older_lease_is_fenced(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 2});
    struct keys k;
    roll_keys(&k, 4);
    struct gradients g = roll_gradients(w, &k, 4);
    w->fence = 5;
    pull_and_compare(w, w->x, &k, true, 4);
    assert_false(push(w, w->x, name_of(0), &g).fenced);
    oracle_push(w, name_of(0), &k, &g);
    w->fence = 4;
    pull_and_compare(w, w->x, &k, true, 4);
    assert_true(push(w, w->x, name_of(2), &g).fenced);
    w->fence = 5;
    pull_and_compare(w, w->x, &k, true, 4); /* nothing was applied */
    free(g.all);
    close_world(w);
}

static void test_gradients_that_are_not_finite(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 2});
    struct keys k;
    uint64_t step = 5;
    do {
        roll_keys(&k, ++step);
    } while (k.count[0] < 2);
    struct gradients g = roll_gradients(w, &k, step);
    uint32_t nan_bits = 0x7fc00000;
    memcpy(&g.all[0], &nan_bits, sizeof nan_bits);
    pull_and_compare(w, w->x, &k, true, step);
    assert_int_equal(push(w, w->x, name_of(0), &g).dropped_values, w->job.layout.dim[0]);
    oracle_push(w, name_of(0), &k, &g);
    pull_and_compare(w, w->x, &k, true, step);
    free(g.all);
    close_world(w);
}

static void test_bf16_rounds_each_way_once(void **state) {
    (void)state;
    struct world *w =
        open_world(&(struct choice){.partitions = 3, .settings = {"wire.values=bf16"}});
    struct keys k;
    size_t floats;
    for (uint64_t step = 0; step < 10; step++) {
        roll_keys(&k, step);
        assert_int_equal(transfer_pull(w->x, k.ids, k.count, true, true), OK);
        step_until(w, w->x, TRANSFER_PULLED);
        float *expect = oracle_pull(w, &k, &floats);
        float *got = transfer_floats(w, w->x, &k, floats);
        uint16_t *half = malloc(floats * sizeof *half);
        wire_values_pack(VALUE_BF16, expect, floats, half);
        wire_values_unpack(VALUE_BF16, half, floats, expect);
        assert_memory_equal(got, expect, floats * sizeof(float));
        struct gradients g = roll_gradients(w, &k, step);
        push(w, w->x, name_of(step), &g);
        wire_values_pack(VALUE_BF16, g.all, floats, half); /* the oracle gets what arrived */
        wire_values_unpack(VALUE_BF16, half, floats, g.all);
        oracle_push(w, name_of(step), &k, &g);
        free(half);
        free(expect);
        free(got);
        free(g.all);
    }
    close_world(w);
}

static void test_a_reset_transfer_ignores_late_answers(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 2});
    struct keys k;
    for (uint64_t step = 0; step < 20; step++) {
        roll_keys(&k, step);
        assert_int_equal(transfer_pull(w->x, k.ids, k.count, true, true), OK);
        transfer_reset(w->x); /* its answers are on their way */
        assert_int_equal(w->x->state, TRANSFER_IDLE);
    }
    roll_keys(&k, 21);
    pull_and_compare(w, w->x, &k, true, 21);
    close_world(w);
}

static void expect_step(struct client *c, enum status wanted, uint64_t at_least_ms,
                        uint64_t at_most_ms) {
    enum status status = OK;
    uint64_t start_ms = clock_mono_ms();
    while (status == OK && clock_mono_ms() - start_ms < LONG_MS) {
        status = client_step(c, 50);
    }
    assert_int_equal(status, wanted);
    assert_in_range(clock_mono_ms() - start_ms, at_least_ms, at_most_ms);
}

/* One partition of two listens and never answers. */
static void test_a_silent_partition_is_named(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){
        .partitions = 2, .settings = {"net.request_ms=100", "net.give_up_ms=600"}});
    struct port *deaf;
    struct keys k;
    char endpoint[WIRE_ENDPOINT_MAX];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/deaf", dir);
    assert_int_equal(port_bind(&deaf, w->t, endpoint, 1 << 20), OK);
    memcpy(w->endpoint[1], endpoint, sizeof endpoint);
    client_destroy(&w->client);
    start_client(w, JOB);
    roll_keys(&k, 8);
    assert_int_equal(transfer_pull(w->x, k.ids, k.count, true, true), OK);
    expect_step(w->client, ERR_PEER, 550, 4000);
    assert_non_null(strstr(fail_text(), endpoint));
    assert_non_null(strstr(fail_text(), "PULL"));
    assert_true(client_figures(w->client).resent >= 1);
    port_close(&deaf);
    close_world(w);
}

/* A partition that speaks, but of other things: its words keep it alive for so long only. */
static void test_a_request_passed_over_is_named(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){
        .partitions = 2, .settings = {"net.request_ms=50", "net.give_up_ms=1000"}});
    struct port *port;
    struct port_message m;
    struct keys k;
    char endpoint[WIRE_ENDPOINT_MAX];
    w->job.config.stall_ms = 2500;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/elsewhere", dir);
    assert_int_equal(port_bind(&port, w->t, endpoint, 1 << 20), OK);
    memcpy(w->endpoint[1], endpoint, sizeof endpoint);
    client_destroy(&w->client);
    start_client(w, JOB);
    roll_keys(&k, 8);
    assert_int_equal(transfer_pull(w->x, k.ids, k.count, true, true), OK);
    const uint64_t start_ms = clock_mono_ms();
    enum status status = OK;
    while (status == OK) {
        assert_true(clock_mono_ms() - start_ms < 20000);
        status = client_step(w->client, 20);
        if (port_receive(port, &m, 0) == OK) {
            struct wire_msg other = {.type = WIRE_PUSHED, .job = JOB, .id = m.msg.id + 1000};
            assert_int_equal(port_send(port, m.peer, m.peer_bytes, &other, NULL, 0, NULL, 0), OK);
        }
    }
    assert_int_equal(status, ERR_PEER);
    assert_true(clock_mono_ms() - start_ms >= 2500);
    assert_non_null(strstr(fail_text(), endpoint));
    assert_non_null(strstr(fail_text(), "answers others, but has not answered a PULL of"));
    port_close(&port);
    close_world(w);
}

/* A stranger's requests are each answered with an error, but are not each a line of the log. */
static void test_refusals_do_not_fill_the_log(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 1});
    struct port *port;
    struct port_message m;
    char path[128], *text = NULL;
    size_t bytes, lines = 0;
    snprintf(path, sizeof path, "%s/log", dir);
    assert_int_equal(log_open(path, "ps-0"), OK);
    assert_int_equal(port_connect(&port, w->t, w->endpoint[0], 1 << 20), OK);
    for (uint64_t i = 0; i < 2000; i++) {
        struct wire_msg other = {.type = WIRE_PULL, .job = JOB + WIRE_LIVES_MAX, .id = i};
        enum status status = ERR_TIMEOUT; /* a request whose answer does not come is sent again */
        for (uint64_t until_ms = clock_mono_ms() + LONG_MS; status != OK;) {
            assert_true(clock_left_ms(until_ms) > 0);
            (void)port_send(port, NULL, 0, &other, NULL, 0, NULL, 0);
            status = port_receive(port, &m, 1000);
        }
        assert_int_equal(m.msg.type, WIRE_ERROR);
    }
    port_close(&port);
    close_world(w);
    log_close();
    assert_int_equal(file_read_all(path, 1 << 22, &text, &bytes), OK);
    for (size_t i = 0; i < bytes; i++) {
        lines += text[i] == '\n';
    }
    assert_in_range(lines, 2, 50);
    assert_non_null(strstr(text, "more like it in"));
    mem_free(&text);
}

static void test_another_job_is_refused(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 1});
    struct keys k;
    client_destroy(&w->client);
    start_client(w, JOB + WIRE_LIVES_MAX);
    roll_keys(&k, 9);
    assert_int_equal(transfer_pull(w->x, k.ids, k.count, true, true), OK);
    expect_step(w->client, ERR_PROTOCOL, 0, LONG_MS);
    assert_non_null(strstr(fail_text(), "of job"));
    close_world(w);
}

/* Its sender has yet to hear of a rollback, or the server has. */
static void test_another_life_of_the_job_is_not_answered(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 1});
    struct port *port;
    struct port_message m;
    struct wire_msg stats = {.type = WIRE_STATS, .job = JOB + 1, .id = 1};
    assert_int_equal(port_connect(&port, w->t, w->endpoint[0], 1 << 20), OK);
    assert_int_equal(port_send(port, NULL, 0, &stats, NULL, 0, NULL, 0), OK);
    stats.job = JOB;
    stats.id = 2;
    assert_int_equal(port_send(port, NULL, 0, &stats, NULL, 0, NULL, 0), OK);
    assert_int_equal(port_receive(port, &m, LONG_MS), OK);
    assert_int_equal(m.msg.type, WIRE_STATS_REPLY);
    assert_int_equal(m.msg.id, 2); /* answers come in the order of the requests */
    port_close(&port);
    close_world(w);
}

/* What a peer may send to a partition: every reply is an ERROR, and it goes on serving. */
static void test_hostile_requests_are_answered(void **state) {
    (void)state;
    struct world *w = open_world(&(struct choice){.partitions = 2});
    struct port *p;
    struct port_message m;
    uint64_t keys[4] = {1, 2, 3, 4};
    float values[3] = {0};
    struct wire_msg bad[6] = {
        {.type = WIRE_PULL, .u.pull = {.fields = FIELDS, .count = {5}}}, /* 5 keys announced */
        {.type = WIRE_PULL, .u.pull = {.fields = 2, .count = {4}}},      /* another schema */
        {.type = WIRE_PULL, .u.pull = {.fields = FIELDS, .count = {4}}}, /* strangers */
        {.type = WIRE_PUSH, .u.push = {.fields = 0, .ticket = 12345}},   /* no such ticket */
        {.type = WIRE_PUSH, .u.push = {.name = {0, 77, 0}}},             /* no such shard */
        {.type = WIRE_LEASE},
    };
    assert_int_equal(port_connect(&p, w->t, w->servers[0].listen, 1 << 20), OK);
    for (uint64_t i = 0; i < 6; i++) {
        bad[i].job = JOB;
        bad[i].id = 1000 + i;
        assert_int_equal(port_send(p, NULL, 0, &bad[i], keys, i < 3 ? sizeof keys : 0, values,
                                   i < 3 ? 0 : sizeof values),
                         OK);
        assert_int_equal(port_receive(p, &m, LONG_MS), OK);
        assert_int_equal(m.msg.type, WIRE_ERROR);
        assert_int_equal(m.msg.id, 1000 + i);
        assert_int_equal(m.msg.u.error.status, i == 3 ? ERR_TICKET : ERR_PROTOCOL);
    }
    struct wire_msg odd = {.type = WIRE_PUSH, .job = JOB};
    assert_int_equal(port_send(p, NULL, 0, &odd, NULL, 0, values, 7), OK);
    assert_int_equal(port_receive(p, &m, LONG_MS), OK);
    assert_int_equal(m.msg.u.error.status, ERR_PROTOCOL);
    port_close(&p);
    train(w, 3);
    close_world(w);
}

static void test_a_batch_beyond_the_message_limit(void **state) {
    (void)state;
    struct world *w =
        open_world(&(struct choice){.partitions = 1, .settings = {"net.message_bytes_max=65536"}});
    uint64_t *ids = malloc(20000 * sizeof *ids);
    const uint64_t *slots[FIELDS] = {ids, ids, ids};
    uint32_t count[FIELDS] = {20000, 0, 0};
    for (uint64_t i = 0; i < 20000; i++) {
        ids[i] = i;
    }
    assert_int_equal(transfer_pull(w->x, slots, count, true, true), ERR_LIMIT);
    assert_non_null(strstr(fail_text(), "message_bytes_max"));
    free(ids);
    close_world(w);
}

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-client-XXXXXX");
    return mkdtemp(dir) == NULL;
}
static int remove_dir(void **state) {
    (void)state;
    return file_remove_tree(dir) != OK;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_the_oracle),
        cmocka_unit_test(test_exactly_once_over_a_bad_network),
        cmocka_unit_test(test_servers_come_back),
        cmocka_unit_test(test_unknown_tickets_cost_a_round_trip),
        cmocka_unit_test(test_pull_alone_creates_nothing),
        cmocka_unit_test(test_two_transfers_and_staleness),
        cmocka_unit_test(test_dense_is_pulled_after_the_rows),
        cmocka_unit_test(test_a_name_counts_once),
        cmocka_unit_test(test_an_older_lease_is_fenced),
        cmocka_unit_test(test_gradients_that_are_not_finite),
        cmocka_unit_test(test_bf16_rounds_each_way_once),
        cmocka_unit_test(test_a_reset_transfer_ignores_late_answers),
        cmocka_unit_test(test_a_silent_partition_is_named),
        cmocka_unit_test(test_a_request_passed_over_is_named),
        cmocka_unit_test(test_another_job_is_refused),
        cmocka_unit_test(test_another_life_of_the_job_is_not_answered),
        cmocka_unit_test(test_refusals_do_not_fill_the_log),
        cmocka_unit_test(test_hostile_requests_are_answered),
        cmocka_unit_test(test_a_batch_beyond_the_message_limit),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
