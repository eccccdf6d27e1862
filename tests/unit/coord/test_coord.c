/* Tests of coord/coord.h over real sockets: the coordinator runs on a thread, servers and workers
 * are played by threads with real links. What the played servers have "applied" is one set shared
 * by all, guarded by `lock`: every batch a played worker trains is added to it. In plays on a
 * stream the test itself is the producer. */
#include "coord/coord.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/net/link.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/checkpoint/shelf.h"
#include "common/base/mem.h"
#include "common/job/plan.h"
#include "common/job/ranges.h"
#include "common/base/rng.h"
#include "common/net/scores.h"
#include "common/data/dataset.h"
#include "common/data/shard_builder.h"
#include "common/data/shard_info.h"
#include "common/base/thread.h"

#include "tests/unit/base/faulty_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* cmocka's; ours records a cause */

#define SERVERS     2u
#define WORKERS     2u
#define SHARDS      4u
#define BATCH       20u
#define EVAL_SHARDS 3u
#define EVAL_MAX    3000u
static const uint32_t shard_impressions[SHARDS] = {100, 45, 20, 73}; /* 5 + 3 + 1 + 4 batches */
#define EPOCH_BATCHES     13u
#define EPOCH_IMPRESSIONS 238u
#define PATIENCE_MS       20000u

enum fault { /* of an actor that lives on, and does no more */
             FAULT_NONE,
             FAULT_TRAINS_NOT,  /* a worker with its first training lease */
             FAULT_SCORES_NOT,  /* a worker with its first evaluation lease */
             FAULT_ASKS_NOT,    /* a worker without any */
             FAULT_REPORTS_NOT, /* a server with the order to cut */
};
struct play; /* one job */
struct actor {
    struct play *play;
    uint32_t index;
    uint64_t incarnation;
    struct thread thread;
    enum fault fault;
    bool rejoins;         /* was told to */
    bool leaves;          /* a server: falls silent at once */
    uint32_t quits_after; /* batches; 0: never. Then it falls silent at once */
    struct wire_progress done;
};
struct play {
    char dir[64], out[128], data[128], eval[128], endpoint[160];
    char *data_names[1], *eval_names[1];
    struct file_list data_list, eval_list;
    struct config config;
    struct coord_options options;
    struct thread coord;
    struct actor server[SERVERS], worker[WORKERS + 1];
    pthread_mutex_t lock;
    struct ranges ranges;
    struct applied *applied;
    uint32_t welcomed; /* roles */
    uint32_t trained, repeated;
    uint32_t in_flight;             /* batches being trained now */
    uint32_t cuts_in_flight;        /* cuts that found one */
    uint32_t evaluations_in_flight; /* shards scored that found one */
    uint32_t parts_to_fail;
    bool faults;      /* of the coordinator's disk, at every second cut */
    uint32_t faulted; /* cuts */
    bool server_fails;
    uint32_t eval_impressions[EVAL_SHARDS];
    bool evaluated[EVAL_SHARDS];
    uint32_t score_ms;          /* a worker takes for a shard's scores */
    uint32_t order[4 * SHARDS]; /* shards, as they were begun */
    uint32_t begun;
    uint32_t restores; /* rollbacks that the first server has heard of */
};

static uint32_t batches[SHARDS];

/* --- the played roles ------------------------------------------------------------------------- */

/* The first hello, and after a rollback (*l is there) the next. */
static enum status hello(struct play *p, struct actor *a, enum wire_role role, struct transport **t,
                         struct link **l, struct job_plan *plan) {
    const char endpoints[1][WIRE_ENDPOINT_MAX] = {"ipc:///nowhere"};
    struct link_hello h = {.hello = {.role = role,
                                     .index = a->index,
                                     .pid = 1,
                                     .threads = 1,
                                     .incarnation = a->incarnation},
                           .endpoints = role == ROLE_SERVER ? endpoints : NULL,
                           .endpoint_count = role == ROLE_SERVER,
                           .timeout_ms = PATIENCE_MS};
    struct wire_welcome welcome;
    snprintf(h.hello.build, sizeof h.hello.build, "%s", ESMM_VERSION);
    snprintf(h.hello.host, sizeof h.hello.host, "stage");
    job_plan_free(plan);
    if (*l == NULL) {
        TRY(transport_create(t, 1));
        TRY(link_open(l, *t, p->endpoint, &h, &welcome, plan));
    } else {
        TRY(link_rejoin(*l, &h, &welcome, plan));
    }
    link_timing(*l, p->config.heartbeat_ms, p->config.request_ms, p->config.give_up_ms,
                p->config.stall_ms);
    pthread_mutex_lock(&p->lock);
    p->welcomed++;
    pthread_mutex_unlock(&p->lock);
    return OK;
}

/* What a checkpoint has is all that is applied: of the played servers, the first does it. */
static enum status restore(struct play *p) {
    char dir[PATH_BYTES_MAX];
    struct manifest *m = NULL;
    struct applied *from = NULL;
    enum status status = manifest_find(p->out, dir);
    if (status == ERR_NOT_FOUND) {
        TRY(applied_create(&from, p->ranges.batches, p->ranges.count));
    } else {
        TRY(status);
        TRY(mem_new(&m));
        TRY(manifest_read(m, dir));
        TRY(applied_decode(&from, m->applied, m->applied_bytes, p->ranges.batches,
                           p->ranges.count));
        manifest_free(m);
        mem_free(&m);
    }
    pthread_mutex_lock(&p->lock);
    applied_destroy(&p->applied);
    p->applied = from;
    p->begun = 0;
    p->restores++;
    pthread_mutex_unlock(&p->lock);
    return OK;
}

static enum status send_part(struct play *p, struct actor *a, struct link *l, uint64_t cut,
                             const char *dir) {
    faulty_disarm();
    struct wire_msg m = {.type = WIRE_PART_DONE};
    struct wire_part_done *d = &m.u.part_done;
    struct buf names = BUF_EMPTY;
    char path[PATH_BYTES_MAX];
    uint64_t id;
    d->partition = a->index;
    d->cut = cut;
    d->ok = true;
    snprintf(d->name, sizeof d->name, "part-%05u-of-%05u.bin", a->index, SERVERS);
    TRY(path_join(path, dir, d->name));
    d->bytes = sizeof d->name;
    d->bucket_begin = BUCKETS * a->index / SERVERS;
    d->bucket_end = BUCKETS * (a->index + 1) / SERVERS;
    d->rows = 10;
    pthread_mutex_lock(&p->lock);
    p->cuts_in_flight += p->in_flight > 0;
    if (p->parts_to_fail > 0) {
        p->parts_to_fail--;
        d->ok = false;
        snprintf(d->text, sizeof d->text, "the disk is full");
    } else if (file_write_atomic(path, d->name, sizeof d->name) != OK) {
        d->ok = false;
        snprintf(d->text, sizeof d->text, "%.400s", fail_text());
    }
    enum status status = applied_encode(p->applied, &names);
    if (p->faults && a->index == SERVERS - 1 && cut % 2 == 0) {
        const uint32_t k = p->faulted++;
        faulty_arm(1 + k, k % 4 < 2 ? ENOSPC : EIO, k % 2 == 0 ? 1 : 30);
    }
    pthread_mutex_unlock(&p->lock);
    if (status == OK) {
        status = link_request(l, &m, names.data, names.len, NULL, 0, &id);
    }
    buf_fini(&names);
    return status;
}

static enum status server_body(void *arg) {
    struct actor *a = arg;
    struct play *p = a->play;
    struct transport *t = NULL;
    struct link *l = NULL;
    struct job_plan plan = {0};
    struct port_message m;
    uint64_t last_cut = 0;
    const uint64_t rows[1] = {10};
    enum status status = hello(p, a, ROLE_SERVER, &t, &l, &plan);
    bool ended = false;
    if (status == OK) {
        status = link_beat_values(l, rows, sizeof rows);
    }
    while (status == OK && !ended) {
        struct wire_heartbeat b = {
            .role = ROLE_SERVER, .index = a->index, .incarnation = a->incarnation, .rows = 10};
        pthread_mutex_lock(&p->lock);
        ended = a->leaves;
        if (p->server_fails && a->index == 1) {
            b.failing = true;
            snprintf(b.text, sizeof b.text, "out of memory");
        }
        pthread_mutex_unlock(&p->lock);
        link_beat(l, &b);
        status = link_next(l, &m, 5);
        if (status == ERR_TIMEOUT) {
            status = OK;
            continue;
        }
        if (status != OK || m.msg.type != WIRE_COMMAND) {
            continue;
        }
        if (m.msg.u.command.order == ORDER_REJOIN) {
            status = a->index == 0 ? restore(p) : OK;
            status = status == OK ? hello(p, a, ROLE_SERVER, &t, &l, &plan) : status;
            status = status == OK ? link_beat_values(l, rows, sizeof rows) : status;
            continue;
        }
        ended = m.msg.u.command.order == ORDER_STOP;
        if (m.msg.u.command.order == ORDER_CUT && m.msg.u.command.cut > last_cut &&
            a->fault != FAULT_REPORTS_NOT) {
            last_cut = m.msg.u.command.cut;
            status = send_part(p, a, l, last_cut, m.msg.u.command.dir);
        }
    }
    job_plan_free(&plan);
    link_close(&l);
    transport_destroy(&t);
    return status;
}

/* Waits for the answer to `id`; heartbeats go on. *ended: the coordinator said stop. */
static enum status await(struct actor *a, struct link *l, uint64_t id, struct port_message *m,
                         bool *ended) {
    for (;;) {
        struct wire_heartbeat b = {.role = ROLE_WORKER,
                                   .index = a->index,
                                   .incarnation = a->incarnation,
                                   .progress = a->done};
        link_beat(l, &b);
        enum status status = link_next(l, m, 5);
        if (status == ERR_TIMEOUT) {
            continue;
        }
        TRY(status);
        const enum wire_order order =
            m->msg.type == WIRE_COMMAND ? m->msg.u.command.order : ORDER_NONE;
        if (order == ORDER_STOP || order == ORDER_REJOIN) {
            a->rejoins = order == ORDER_REJOIN;
            *ended = true;
            return OK;
        }
        if (m->msg.id == id) {
            return OK;
        }
    }
}

static enum status clock_ask(struct actor *a, struct link *l, uint64_t clock, bool *ended) {
    struct wire_msg ask = {.type = WIRE_CLOCK_ASK};
    struct port_message m;
    uint64_t id;
    ask.u.clock =
        (struct wire_clock){.index = a->index, .incarnation = a->incarnation, .clock = clock};
    TRY(link_request(l, &ask, NULL, 0, NULL, 0, &id));
    return await(a, l, id, &m, ended);
}

static enum status train_batch(struct play *p, struct actor *a, const struct wire_lease *lease,
                               uint32_t k) {
    struct batch_name name = {lease->epoch, lease->shard, k};
    const uint32_t n = ranges_impressions(&p->ranges, lease->shard, k + 1) -
                       ranges_impressions(&p->ranges, lease->shard, k);
    pthread_mutex_lock(&p->lock);
    p->in_flight++;
    pthread_mutex_unlock(&p->lock);
    clock_sleep_ms(1);
    pthread_mutex_lock(&p->lock);
    bool has = false;
    enum status status = applied_has(p->applied, name, &has);
    if (status == OK && !has) {
        status = applied_add(p->applied, name);
    }
    p->trained++;
    p->repeated += has;
    p->in_flight--;
    pthread_mutex_unlock(&p->lock);
    a->done.impressions += n;
    a->done.batches++;
    a->done.finished++;
    a->done.loss_sum += 0.5 * n;
    return status;
}

static bool bit(const uint8_t *bits, size_t bytes, uint32_t k) {
    return k / 8 < bytes && (bits[k / 8] >> (k % 8) & 1) != 0;
}

/* *ended: told to stop, or it falls silent. */
static enum status train(struct play *p, struct actor *a, struct link *l,
                         const struct wire_lease *lease, const uint8_t *bits, size_t bytes,
                         bool *ended) {
    pthread_mutex_lock(&p->lock);
    if (p->begun < sizeof p->order / sizeof *p->order) {
        p->order[p->begun++] = lease->shard;
    }
    pthread_mutex_unlock(&p->lock);
    for (uint32_t k = 0; k < lease->batch_limit && !*ended; k++) {
        if (bit(bits, bytes, k)) {
            continue;
        }
        TRY(clock_ask(a, l, a->done.batches, ended));
        if (*ended) {
            break;
        }
        TRY(train_batch(p, a, lease, k));
        *ended = a->quits_after > 0 && a->done.batches >= a->quits_after;
    }
    return *ended ? OK : clock_ask(a, l, CLOCK_IDLE, ended);
}

static enum status evaluate(struct play *p, struct actor *a, struct link *l,
                            const struct wire_lease *lease, bool *ended) {
    struct wire_msg m = {.type = WIRE_SCORES};
    struct port_message ack;
    struct score scores[EVAL_MAX];
    struct buf frame = BUF_EMPTY;
    uint32_t n = p->eval_impressions[lease->shard];
    uint64_t id;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t labels = i % 3 == 0 ? (i % 6 == 0 ? 3 : 1) : 0;
        scores[i] = (struct score){.weight = 1,
                                   .impression_id = i,
                                   .user = i / 4,
                                   .a = labels & 1 ? 2.0f : -2.0f,
                                   .b = labels & 2 ? 2.0f : -2.0f,
                                   .labels = labels};
    }
    m.u.scores = (struct wire_scores){.epoch = lease->epoch,
                                      .shard = lease->shard,
                                      .fence = lease->fence,
                                      .count = n,
                                      .total = n};
    clock_sleep_ms(p->score_ms);
    pthread_mutex_lock(&p->lock);
    p->evaluations_in_flight += p->in_flight > 0;
    p->evaluated[lease->shard] = true;
    pthread_mutex_unlock(&p->lock);
    enum status status = wire_scores_pack(scores, n, &frame);
    if (status == OK) {
        status = link_request(l, &m, NULL, 0, frame.data, frame.len, &id);
    }
    if (status == OK) {
        status = await(a, l, id, &ack, ended);
    }
    buf_fini(&frame);
    return status;
}

/* Beats until the coordinator says stop. */
static enum status linger(struct actor *a, struct link *l) {
    struct port_message m;
    bool ended = false;
    return await(a, l, UINT64_MAX, &m, &ended);
}

static enum status worker_loop(struct play *p, struct actor *a, struct link *l) {
    bool ended = a->fault == FAULT_ASKS_NOT;
    if (ended) {
        return linger(a, l);
    }
    struct wire_msg ask = {.type = WIRE_LEASE_ASK};
    ask.u.lease_ask = (struct wire_lease_ask){.index = a->index, .incarnation = a->incarnation};
    while (!ended) {
        struct port_message m;
        uint64_t id;
        TRY(link_request(l, &ask, NULL, 0, NULL, 0, &id));
        TRY(await(a, l, id, &m, &ended));
        ask.u.lease_ask.returns = false;
        if (ended || m.msg.type != WIRE_LEASE) {
            continue;
        }
        struct wire_lease lease = m.msg.u.lease;
        uint8_t bits[8] = {0};
        size_t bytes = m.keys_bytes < sizeof bits ? m.keys_bytes : sizeof bits;
        if (bytes > 0) {
            memcpy(bits, m.keys, bytes);
        }
        if ((lease.kind == LEASE_TRAIN && a->fault == FAULT_TRAINS_NOT) ||
            (lease.kind == LEASE_EVAL && a->fault == FAULT_SCORES_NOT)) {
            return linger(a, l);
        }
        if (lease.kind == LEASE_TRAIN) {
            TRY(train(p, a, l, &lease, bits, bytes, &ended));
        } else if (lease.kind == LEASE_EVAL) {
            TRY(evaluate(p, a, l, &lease, &ended));
        } else {
            clock_sleep_ms(3);
            continue;
        }
        ask.u.lease_ask.returns = true;
        ask.u.lease_ask.epoch = lease.epoch;
        ask.u.lease_ask.shard = lease.shard;
        ask.u.lease_ask.fence = lease.fence;
    }
    return OK;
}

static enum status worker_body(void *arg) {
    struct actor *a = arg;
    struct transport *t = NULL;
    struct link *l = NULL;
    struct job_plan plan = {0};
    enum status status = hello(a->play, a, ROLE_WORKER, &t, &l, &plan);
    const struct ranges *r = &a->play->ranges;
    const bool known = plan.stream || plan.shards == r->count;
    if (status == OK &&
        (!known || plan.stream != a->play->options.stream || plan.partitions != SERVERS ||
         (plan.shards > 0 &&
          memcmp(plan.batches_per_shard, r->batches, plan.shards * sizeof *r->batches) != 0))) {
        status = fail(ERR_PROTOCOL, "the plan is not the job's");
    }
    if (status == OK) {
        status = worker_loop(a->play, a, l);
        while (status == OK && a->rejoins) {
            a->rejoins = false;
            status = hello(a->play, a, ROLE_WORKER, &t, &l, &plan);
            status = status == OK ? worker_loop(a->play, a, l) : status;
        }
    } else if (status ==
               ERR_CLOSED) { /* the signal came before it was let in: as worker_run does */
        status = OK;
    }
    job_plan_free(&plan);
    link_close(&l);
    transport_destroy(&t);
    return status;
}

static enum status coord_body(void *arg) {
    return coord_run(&((struct play *)arg)->options);
}

/* --- the stage -------------------------------------------------------------------------------- */

static void write_data(const char *dir, const uint32_t *impressions, uint32_t shards) {
    struct shard_info info[SHARDS];
    struct dataset *d = NULL;
    assert_int_equal(mem_new(&d), OK);
    memset(info, 0, sizeof info);
    for (uint32_t s = 0; s < shards; s++) {
        snprintf(info[s].name, sizeof info[s].name, "shard-%05u.bin", s);
        info[s].impressions = impressions[s];
        info[s].groups = 1;
        info[s].clicks = impressions[s] / 3;
        info[s].conversions = impressions[s] / 6;
        d->impressions += impressions[s];
        d->clicks += info[s].clicks;
        d->conversions += info[s].conversions;
        d->groups++;
    }
    assert_int_equal(schema_add(&d->schema, "item", SIDE_ITEM), OK);
    schema_finish(&d->schema);
    d->shards = info;
    d->shard_count = shards;
    snprintf(d->source, sizeof d->source, "test");
    assert_int_equal(file_mkdirs(dir), OK);
    assert_int_equal(dataset_write(d, dir), OK);
    mem_free(&d);
}

/* Sets train.window, and what follows from it. */
static void set_window(struct play *p, uint32_t window) {
    const struct ranges_spec spec = {
        .seed = p->config.seed, .shuffle = p->config.shuffle, .batch = BATCH, .window = window};
    struct ranges_shard shard[SHARDS];
    for (uint32_t s = 0; s < SHARDS; s++) {
        shard[s] = (struct ranges_shard){shard_impressions[s], shard_impressions[s]};
    }
    p->config.window = window;
    ranges_fini(&p->ranges);
    assert_int_equal(ranges_init(&p->ranges, &spec, shard, SHARDS), OK);
    applied_destroy(&p->applied);
    assert_int_equal(applied_create(&p->applied, p->ranges.batches, p->ranges.count), OK);
}

static struct play *stage(void) {
    struct play *p = NULL;
    assert_int_equal(mem_new(&p), OK);
    snprintf(p->dir, sizeof p->dir, "/tmp/test_coord.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->out, sizeof p->out, "%s/run", p->dir);
    snprintf(p->data, sizeof p->data, "%s/data", p->dir);
    snprintf(p->eval, sizeof p->eval, "%s/eval", p->dir);
    snprintf(p->endpoint, sizeof p->endpoint, "ipc://%s/coord", p->dir);
    for (uint32_t s = 0; s < SHARDS; s++) {
        batches[s] = plan_batches(shard_impressions[s], BATCH);
    }
    write_data(p->data, shard_impressions, SHARDS);
    for (uint32_t s = 0; s < EVAL_SHARDS; s++) {
        p->eval_impressions[s] = 30 + s;
    }
    write_data(p->eval, p->eval_impressions, EVAL_SHARDS);
    p->data_names[0] = p->data;
    p->eval_names[0] = p->eval;
    p->data_list = (struct file_list){.names = p->data_names, .count = 1};
    p->eval_list = (struct file_list){.names = p->eval_names, .count = 1};
    pthread_mutex_init(&p->lock, NULL);
    config_default(&p->config);
    p->config.batch = BATCH;
    p->config.run = 0;
    set_window(p, 0);
    p->config.epochs = 2;
    p->config.heartbeat_ms = 20;
    p->config.request_ms = 200;
    p->config.lease_ms = 1000;
    p->config.give_up_ms = 5000;
    p->options = (struct coord_options){.listen = p->endpoint,
                                        .data = &p->data_list,
                                        .eval = &p->eval_list,
                                        .out_dir = p->out,
                                        .config = &p->config,
                                        .servers = SERVERS,
                                        .workers = WORKERS,
                                        .timeout_ms = PATIENCE_MS,
                                        .progress_fd = -1};
    return p;
}

static void strike(struct play *p) {
    assert_int_equal(file_remove_tree(p->dir), OK);
    applied_destroy(&p->applied);
    ranges_fini(&p->ranges);
    pthread_mutex_destroy(&p->lock);
    mem_free(&p);
}

static void start_actor(struct play *p, struct actor *a, uint32_t index,
                        enum status (*body)(void *)) {
    const uint32_t quits_after = a->quits_after;
    const enum fault fault = a->fault;
    *a = (struct actor){.play = p,
                        .index = index,
                        .incarnation = rng_u64(clock_mono_us(), (uint64_t)(uintptr_t)a, 1),
                        .fault = fault,
                        .quits_after = quits_after};
    assert_int_equal(thread_start(&a->thread, "actor", body, a), OK);
}

static void start_cast(struct play *p) {
    assert_int_equal(thread_start(&p->coord, "coord", coord_body, p), OK);
    for (uint32_t i = 0; i < SERVERS; i++) {
        start_actor(p, &p->server[i], i, server_body);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        start_actor(p, &p->worker[i], i, worker_body);
    }
}

/* Until all have been welcomed and something has been trained. */
static void await_training(struct play *p) {
    bool under_way = false;
    for (uint64_t until_ms = clock_mono_ms() + 20000; !under_way; clock_sleep_ms(5)) {
        assert_true(clock_left_ms(until_ms) > 0);
        pthread_mutex_lock(&p->lock);
        under_way = p->trained > 0 && p->welcomed == SERVERS + WORKERS;
        pthread_mutex_unlock(&p->lock);
    }
}

/* Joins all; the coordinator's status. Actors must have ended well when the job did. */
static enum status end_cast(struct play *p) {
    enum status status = thread_join(&p->coord);
    char why[1024];
    snprintf(why, sizeof why, "%s", status == OK ? "" : fail_text());
    for (uint32_t i = 0; i < SERVERS; i++) {
        enum status ended = thread_join(&p->server[i].thread);
        assert_true(status != OK || ended == OK);
    }
    for (uint32_t i = 0; i <= WORKERS; i++) {
        enum status ended = thread_join(&p->worker[i].thread);
        assert_true(status != OK || ended == OK);
    }
    return status == OK ? OK : fail(status, "%s", why);
}

static enum status perform(struct play *p) {
    start_cast(p);
    return end_cast(p);
}

/* Runs the job and says why it failed, if it did. */
static void perform_well(struct play *p) {
    if (perform(p) != OK) {
        print_error("%s\n", fail_text());
        assert_true(false);
    }
}

static char *read_file(const struct play *p, const char *name) {
    char path[PATH_BYTES_MAX];
    char *text = NULL;
    size_t bytes;
    assert_int_equal(path_join(path, p->out, name), OK);
    assert_int_equal(file_read_all(path, 1u << 20, &text, &bytes), OK);
    return text;
}

static uint32_t occurrences(const char *text, const char *what) {
    uint32_t n = 0;
    size_t bytes = strlen(text);
    for (size_t i = 0; i < bytes; i++) {
        n += strncmp(text + i, what, strlen(what)) == 0;
    }
    return n;
}

static void expect_cause(const char *what) {
    if (strstr(fail_text(), what) == NULL) {
        print_error("the cause is \"%s\", expected \"%s\"\n", fail_text(), what);
        assert_true(false);
    }
}

static void expect_in_file(const struct play *p, const char *name, const char *what,
                           uint32_t times) {
    char *text = read_file(p, name);
    if (occurrences(text, what) != times) {
        print_error("%s has %u times \"%s\", expected %u:\n%s\n", name, occurrences(text, what),
                    what, times, text);
        assert_true(false);
    }
    mem_free(&text);
}

static uint64_t saved_step(const struct play *p) {
    char dir[PATH_BYTES_MAX];
    struct manifest *m = NULL;
    assert_int_equal(manifest_find(p->out, dir), OK);
    assert_int_equal(mem_new(&m), OK);
    assert_int_equal(manifest_read(m, dir), OK);
    uint64_t step = m->step;
    struct applied *saved = NULL;
    assert_int_equal(
        applied_decode(&saved, m->applied, m->applied_bytes, p->ranges.batches, p->ranges.count),
        OK);
    assert_int_equal(applied_count(saved), step);
    applied_destroy(&saved);
    manifest_free(m);
    mem_free(&m);
    return step;
}

static bool file_exists_in(const struct play *p, const char *name) {
    char path[PATH_BYTES_MAX];
    assert_int_equal(path_join(path, p->out, name), OK);
    return file_exists(path);
}

static uint32_t leftovers(const struct play *p) {
    char root[PATH_BYTES_MAX];
    struct file_list list;
    uint32_t n = 0;
    assert_int_equal(path_join(root, p->out, "checkpoints"), OK);
    assert_int_equal(file_list_dir(&list, root), OK);
    for (size_t i = 0; i < list.count; i++) {
        n += strstr(list.names[i], ".tmp") != NULL;
    }
    file_list_free(&list);
    return n;
}

/* --- the plays -------------------------------------------------------------------------------- */

static void a_whole_job(void **state) {
    (void)state;
    struct play *p = stage();
    perform_well(p);
    assert_int_equal(p->trained, 2 * EPOCH_BATCHES);
    assert_int_equal(p->repeated, 0);
    assert_int_equal(saved_step(p), 2 * EPOCH_BATCHES);
    assert_int_equal(leftovers(p), 0);
    for (uint32_t s = 0; s < EVAL_SHARDS; s++) {
        assert_true(p->evaluated[s]);
    }
    expect_in_file(p, "summary.json", "\"status\": \"complete\"", 1);
    expect_in_file(p, "summary.json", "\"steps\": 26", 1);
    expect_in_file(p, "summary.json", "\"impressions\": 476", 1);
    expect_in_file(p, "summary.json", "\"loss\": 0.5", 1);
    expect_in_file(p, "summary.json", "\"auc_ctr\": 1", 1);
    expect_in_file(p, "summary.json", "\"item\": 20", 1);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"evaluation\"", 2);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"checkpoint\"", 1);
    strike(p);
}

static void in_lockstep_as(enum consistency consistency) {
    struct play *p = stage();
    p->config.consistency = consistency;
    p->eval_list.count = 0;
    perform_well(p);
    assert_int_equal(p->trained, 2 * EPOCH_BATCHES);
    expect_in_file(p, "summary.json", "\"evaluation\"", 0);
    strike(p);
}

static void in_lockstep(void **state) {
    (void)state;
    in_lockstep_as(CONSISTENCY_SYNC);
    in_lockstep_as(CONSISTENCY_HYBRID);
}

static void steps_are_counted_and_resumed(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.max_steps = 0;
    perform_well(p);
    assert_int_equal(p->trained, 0);
    assert_int_equal(saved_step(p), 0);
    p->config.max_steps = 7;
    p->options.resume = true;
    perform_well(p);
    assert_int_equal(p->trained, 7);
    assert_int_equal(saved_step(p), 7);
    p->config.max_steps = EPOCH_BATCHES + 4;
    perform_well(p);
    assert_int_equal(saved_step(p), EPOCH_BATCHES + 4);
    p->config.max_steps = UINT64_MAX;
    perform_well(p);
    assert_int_equal(saved_step(p), 2 * EPOCH_BATCHES);
    assert_int_equal(p->trained, 2 * EPOCH_BATCHES);
    assert_int_equal(p->repeated, 0);
    expect_in_file(p, "summary.json", "\"steps_restored\": 17", 1);
    perform_well(p); /* nothing left: evaluates, has nothing to save */
    assert_int_equal(p->trained, 2 * EPOCH_BATCHES);
    expect_in_file(p, "summary.json", "\"checkpoints\": 0", 1);
    expect_in_file(p, "summary.json", "\"auc_ctr\": 1", 1);
    strike(p);
}

static void what_cannot_be_resumed(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.max_steps = 3;
    perform_well(p);
    assert_int_equal(coord_run(&p->options), ERR_EXISTS);
    p->options.resume = true;
    p->config.batch = BATCH / 2;
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("cut differently");
    p->config.batch = BATCH;
    p->config.seed++;
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("train.seed was 1 and is 2 now");
    p->config.seed--;
    p->config.model = MODEL_SHARE; /* as many parameters, and they mean something else */
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("model.name was esmm and is share now");
    p->config.model = MODEL_ESMM;
    p->config.tower[0]++;
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("model.tower was");
    p->config.tower[0]--;
    p->config.delay = DELAY_ES_DFM;
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("model.delay was none and is es-dfm now");
    p->config.delay = DELAY_NONE;
    write_data(p->data, (const uint32_t[SHARDS]){100, 45, 20, 74}, SHARDS);
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("other data");
    strike(p);
}

static void a_worker_dies(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.epochs = 8;
    p->worker[1].quits_after = 2;
    perform_well(p); /* the other one does its work too */
    assert_int_equal(applied_count(p->applied), 8 * EPOCH_BATCHES);
    assert_int_equal(saved_step(p), 8 * EPOCH_BATCHES);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"worker_lost\"", 1);
    strike(p);
}

static void a_worker_is_replaced(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.epochs = 8;
    p->worker[1].quits_after = 2;
    start_cast(p);
    assert_int_equal(thread_join(&p->worker[1].thread), OK);
    start_actor(p, &p->worker[2], 1, worker_body);
    if (end_cast(p) != OK) {
        print_error("%s\n", fail_text());
        assert_true(false);
    }
    assert_int_equal(applied_count(p->applied), 8 * EPOCH_BATCHES);
    assert_true(p->worker[2].done.batches > 0);
    strike(p);
}

/* It goes back to its checkpoint, and all that follows is in the epoch's order. */
static void a_deterministic_job_that_loses_a_worker_goes_back(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.deterministic = true;
    p->config.epochs = 1;
    p->config.every_impressions = 50;
    p->worker[0].quits_after = 8;
    perform_well(p);
    assert_int_equal(applied_count(p->applied), EPOCH_BATCHES);
    assert_int_equal(saved_step(p), EPOCH_BATCHES);
    assert_true(p->restores <= 1); /* 0: the other worker was given all the work */
    expect_in_file(p, "metrics.jsonl", "\"event\":\"rollback\"", p->restores);
    expect_in_file(p, "summary.json", "\"steps\": 13", 1);
    expect_in_file(p, "summary.json", "\"status\": \"complete\"", 1);
    strike(p);
}

/* Nothing is there to go back to: the second life is the first again. */
static void one_without_a_checkpoint_begins_again(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.deterministic = true;
    p->worker[0].quits_after = p->worker[1].quits_after = 2;
    start_cast(p);
    while (!thread_ended(&p->worker[0].thread) && !thread_ended(&p->worker[1].thread)) {
        clock_sleep_ms(5);
    }
    const uint32_t gone = thread_ended(&p->worker[0].thread) ? 0 : 1;
    assert_int_equal(thread_join(&p->worker[gone].thread), OK);
    start_actor(p, &p->worker[2], gone, worker_body);
    if (end_cast(p) != OK) {
        print_error("%s\n", fail_text());
        assert_true(false);
    }
    assert_true(p->restores >= 1);
    assert_int_equal(saved_step(p), 2 * EPOCH_BATCHES);
    expect_in_file(p, "summary.json", "\"steps\": 26", 1);
    expect_in_file(p, "metrics.jsonl", "\"to_step\":0", p->restores);
    strike(p);
}

static void deterministic_cuts_find_nothing_in_flight(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.deterministic = true;
    p->config.every_impressions = 50;
    p->config.keep = 100;
    perform_well(p);
    assert_int_equal(p->trained, 2 * EPOCH_BATCHES);
    assert_int_equal(p->cuts_in_flight, 0);
    char *text = read_file(p, "metrics.jsonl");
    assert_true(occurrences(text, "\"event\":\"checkpoint\"") >= 4);
    mem_free(&text);
    strike(p);
}

static void a_failed_checkpoint_is_only_that(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.every_impressions = 100;
    p->config.epochs = 4;
    p->parts_to_fail = 1;
    perform_well(p);
    assert_int_equal(saved_step(p), 4 * EPOCH_BATCHES);
    assert_int_equal(leftovers(p), 0);
    expect_in_file(p, "metrics.jsonl", "the disk is full", 1);
    strike(p);
}

/* In turn each call of the coordinator to the disk fails while a checkpoint is committed, and once
 * all from there on: parts, manifest, names, metrics.jsonl. Every second cut is left alone. */
static void whatever_fails_costs_a_checkpoint_only(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.every_impressions = 1;
    p->config.keep = 2;
    p->config.epochs = 120;
    p->config.heartbeat_ms = 10;
    p->faults = true;
    perform_well(p);
    (void)faulty_disarm(); /* the job may end before the last fault's turn */
    assert_int_equal(saved_step(p), 120 * EPOCH_BATCHES);
    assert_int_equal(leftovers(p), 0);
    assert_int_equal(p->repeated, 0);
    char *summary = read_file(p, "summary.json"), *metrics = read_file(p, "metrics.jsonl");
    const double failed = json_number(summary, "checkpoints_failed");
    const double lost = json_number(summary, "metrics_lost");
    const double told = occurrences(metrics, "\"event\":\"checkpoint_failed\"");
    print_message("%u cuts with a fault: %.0f failed, %.0f lines of metrics lost\n", p->faulted,
                  failed, lost);
    assert_true(p->faulted >= 40 && failed >= 20);
    assert_true(told <= failed && told + lost >= failed);
    assert_true(occurrences(metrics, "\"event\":\"metrics_lost\"") > 0 || lost == 0);
    for (const char *line = metrics; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_true(*line == '{' && strchr(line, '\n') != NULL && strchr(line, '\n')[-1] == '}');
    }
    mem_free(&summary);
    mem_free(&metrics);
    strike(p);
}

static void the_final_checkpoint_is_tried_again(void **state) {
    (void)state;
    struct play *p = stage();
    p->parts_to_fail = SERVERS;
    perform_well(p);
    assert_int_equal(saved_step(p), 2 * EPOCH_BATCHES);
    expect_in_file(p, "summary.json", "\"checkpoints_failed\": 1", 1);
    strike(p);
}

static void the_final_checkpoint_must_not_fail(void **state) {
    (void)state;
    struct play *p = stage();
    p->parts_to_fail = 3 * SERVERS;
    assert_int_equal(perform(p), ERR_PEER);
    expect_cause("the final checkpoint failed: partition");
    assert_int_equal(leftovers(p), 0);
    strike(p);
}

/* Nobody starts the server again. */
static void a_failing_server_is_awaited_in_vain(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.epochs = 1000;
    p->config.recovery_wait_s = 1;
    p->options.timeout_ms = 1000;
    start_cast(p);
    await_training(p);
    pthread_mutex_lock(&p->lock);
    p->server_fails = true;
    pthread_mutex_unlock(&p->lock);
    assert_int_equal(end_cast(p), ERR_TIMEOUT);
    expect_cause("server 1 (host stage, pid 1) failed: out of memory; after 1000 ms still missing: "
                 "server 0 (not serving yet), server 1 (lost)");
    expect_in_file(p, "summary.json", "out of memory", 1);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"server_lost\"", 1);
    strike(p);
}

/* The other roles stay, go back, and train every batch once. */
static void a_server_is_replaced(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.epochs = 20;
    p->config.every_impressions = 200;
    start_cast(p);
    await_training(p);
    clock_sleep_ms(100);
    pthread_mutex_lock(&p->lock);
    p->server[1].leaves = true;
    pthread_mutex_unlock(&p->lock);
    assert_int_equal(thread_join(&p->server[1].thread), OK);
    start_actor(p, &p->server[1], 1, server_body);
    if (end_cast(p) != OK) {
        print_error("%s\n", fail_text());
        assert_true(false);
    }
    assert_int_equal(p->restores, 1);
    assert_int_equal(applied_count(p->applied), 20 * EPOCH_BATCHES);
    assert_int_equal(saved_step(p), 20 * EPOCH_BATCHES);
    assert_int_equal(leftovers(p), 0);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"server_lost\"", 1);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"rollback\"", 1);
    expect_in_file(p, "summary.json", "\"rollbacks\": 1", 1);
    expect_in_file(p, "summary.json", "\"steps\": 260", 1);
    strike(p);
}

/* The last batch is back and evaluated, a server dies with its part of the final checkpoint: what
 * only this one would have had is trained again. */
static void a_server_dies_while_the_job_is_saved(void **state) {
    (void)state;
    struct play *p = stage();
    p->server[1].fault = FAULT_REPORTS_NOT;
    start_cast(p);
    while (!file_exists_in(p, "checkpoints/step-cut-000001.tmp")) {
        clock_sleep_ms(5);
    }
    pthread_mutex_lock(&p->lock);
    p->server[1].leaves = true;
    pthread_mutex_unlock(&p->lock);
    assert_int_equal(thread_join(&p->server[1].thread), OK);
    p->server[1].fault = FAULT_NONE;
    start_actor(p, &p->server[1], 1, server_body);
    if (end_cast(p) != OK) {
        print_error("%s\n", fail_text());
        assert_true(false);
    }
    assert_int_equal(p->restores, 1);
    assert_int_equal(p->trained, 4 * EPOCH_BATCHES); /* all of it: there was no other checkpoint */
    assert_int_equal(saved_step(p), 2 * EPOCH_BATCHES);
    assert_int_equal(leftovers(p), 0);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"rollback\"", 1);
    expect_in_file(p, "summary.json", "\"status\": \"complete\"", 1);
    expect_in_file(p, "summary.json", "\"auc_ctr\": 1", 1);
    strike(p);
}

static void all_workers_gone_ends_the_job(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.give_up_ms = 1500;
    p->worker[0].quits_after = p->worker[1].quits_after = 1;
    assert_int_equal(perform(p), ERR_PEER);
    expect_cause("no worker is left: worker");
    strike(p);
}

static void the_missing_are_named(void **state) {
    (void)state;
    struct play *p = stage();
    p->options.timeout_ms = 2000;
    assert_int_equal(thread_start(&p->coord, "coord", coord_body, p), OK);
    start_actor(p, &p->server[0], 0, server_body);
    assert_int_equal(end_cast(p), ERR_TIMEOUT);
    assert_string_equal(fail_text(),
                        "after 2000 ms still missing: server 0 (not serving yet), server 1 (not "
                        "heard of), worker 0 (not heard of), worker 1 (not heard of)");
    strike(p);
}

/* --- stalls ----------------------------------------------------------------------------------- */

/* All beat, and nothing happens. */
static struct play *stage_fault(enum fault fault) {
    struct play *p = stage();
    p->config.epochs = 1;
    p->config.lease_ms = 500;
    p->config.stall_ms = 1000;
    for (uint32_t w = 0; w < WORKERS; w++) {
        p->worker[w].fault = fault;
    }
    return p;
}

static void training_gets_nowhere(void **state) {
    (void)state;
    struct play *p = stage_fault(FAULT_TRAINS_NOT);
    assert_int_equal(perform(p), ERR_TIMEOUT);
    expect_cause("epoch 1 has made no progress for ");
    expect_cause(
        "(host stage, pid 1), which holds shard"); /* one, where the other was silent too long */
    expect_in_file(p, "summary.json", "has made no progress", 1);
    strike(p);
}

static void nobody_asks_for_a_lease(void **state) {
    (void)state;
    struct play *p = stage_fault(FAULT_ASKS_NOT);
    assert_int_equal(perform(p), ERR_TIMEOUT);
    expect_cause("4 shards are pending, and none of 2 workers asks for one");
    strike(p);
}

static void an_evaluation_gets_nowhere(void **state) {
    (void)state;
    struct play *p = stage_fault(FAULT_SCORES_NOT);
    assert_int_equal(perform(p), ERR_TIMEOUT);
    expect_cause("the evaluation after epoch 1 has made no progress");
    expect_cause("which holds shard");
    strike(p);
}

/* One of two: the other does its work too. */
static void a_worker_that_hangs_is_replaced(enum fault fault) {
    struct play *p = stage_fault(FAULT_NONE);
    p->config.stall_ms = 2500; /* the other must not be late, on a busy machine neither */
    p->worker[1].fault = fault;
    perform_well(p);
    assert_int_equal(saved_step(p), EPOCH_BATCHES);
    expect_in_file(p, "summary.json", "\"auc_ctr\": 1", 1);
    strike(p);
}

static void the_shards_of_one_that_hangs_go_to_another(void **state) {
    (void)state;
    a_worker_that_hangs_is_replaced(FAULT_TRAINS_NOT);
    a_worker_that_hangs_is_replaced(FAULT_SCORES_NOT);
}

static void the_final_checkpoint_gets_nowhere(void **state) {
    (void)state;
    struct play *p = stage_fault(FAULT_NONE);
    p->config.give_up_ms = 1000;
    p->config.stall_ms = 10000; /* the cut's own deadline, four times the other, comes first */
    p->server[1].fault = FAULT_REPORTS_NOT;
    assert_int_equal(perform(p), ERR_PEER);
    expect_cause("the final checkpoint failed: partition 1 has not written its part after ");
    strike(p);
}

/* Scores larger than what workers and servers may send each other: the coordinator takes them. */
static void scores_of_a_large_shard_arrive(void **state) {
    (void)state;
    struct play *p = stage_fault(FAULT_NONE);
    p->eval_impressions[1] = EVAL_MAX;
    write_data(p->eval, p->eval_impressions, EVAL_SHARDS);
    p->config.message_bytes_max = 65536;
    p->config.tower[0] = p->config.tower[1] = p->config.tower[2] = 8;
    perform_well(p);
    expect_in_file(p, "summary.json", "\"auc_ctr\": 1", 1);
    strike(p);
}

/* What no message can hold is refused before anybody waits for it. */
static void what_cannot_be_sent_is_refused(void **state) {
    (void)state;
    struct play *p = stage_fault(FAULT_NONE);
    p->config.message_bytes_max = 65536;
    assert_int_equal(perform(p), ERR_LIMIT);
    expect_cause("bytes of dense parameters lie on partition 0 of 2");
    expect_cause("net.message_bytes_max is 65536");
    strike(p);
}

/* --- plays on a stream ------------------------------------------------------------------------ */

/* The same shards, none of which is there yet, and a manifest that lists none. */
static struct play *stage_stream(void) {
    struct play *p = stage();
    write_data(p->data, NULL, 0);
    p->options.stream = true;
    p->eval_list.count = 0;
    p->config.epochs = 1;
    p->config.every_shards = 2;
    p->config.keep = 100;
    applied_destroy(&p->applied);
    assert_int_equal(applied_create_open(&p->applied), OK);
    for (uint32_t s = 0; s < SHARDS; s++) {
        assert_int_equal(applied_grow(p->applied, s, batches[s]), OK);
    }
    return p;
}

/* Every other impression of a shard is clicked, every fourth buys. */
static void produce(const struct play *p, uint32_t shard) {
    struct shard_builder *b = NULL;
    struct schema schema = {0};
    struct shard_info info;
    char name[32];
    assert_int_equal(schema_add(&schema, "item", SIDE_ITEM), OK);
    assert_int_equal(shard_builder_create(&b), OK);
    assert_int_equal(shard_builder_group(b, shard, NULL, 0), OK);
    for (uint32_t i = 0; i < shard_impressions[shard]; i++) {
        const struct feature item = {.field = 0, .weight = 1.0f, .id = i};
        const uint8_t labels = i % 4 == 0 ? 3 : i % 2 == 0 ? 1 : 0;
        assert_int_equal(shard_builder_impression(b, i, labels, &item, 1), OK);
    }
    shard_name(shard, name);
    assert_int_equal(shard_builder_write(b, &schema, p->data, name, &info), OK);
    shard_builder_destroy(&b);
}

static void put_file(const struct play *p, const char *name, const char *text) {
    char path[PATH_BYTES_MAX];
    assert_int_equal(path_join(path, p->data, name), OK);
    assert_int_equal(file_write_atomic(path, text, strlen(text)), OK);
}

static void take_file(const struct play *p, const char *name) {
    char path[PATH_BYTES_MAX];
    assert_int_equal(path_join(path, p->data, name), OK);
    assert_int_equal(file_remove(path), OK);
}

static void await_trained(struct play *p, uint32_t trained) {
    bool done = false;
    for (uint64_t until_ms = clock_mono_ms() + PATIENCE_MS; !done; clock_sleep_ms(5)) {
        assert_true(clock_left_ms(until_ms) > 0);
        pthread_mutex_lock(&p->lock);
        done = p->trained >= trained;
        pthread_mutex_unlock(&p->lock);
    }
}

static void end_well(struct play *p) {
    if (end_cast(p) != OK) {
        print_error("%s\n", fail_text());
        assert_true(false);
    }
}

static void expect_order(const struct play *p, uint32_t first, uint32_t shards) {
    assert_int_equal(p->begun, shards);
    for (uint32_t i = 0; i < shards; i++) {
        assert_int_equal(p->order[i], first + i);
    }
}

static void a_stream_is_followed(void **state) {
    (void)state;
    struct play *p = stage_stream();
    start_cast(p);
    clock_sleep_ms(100); /* nobody is let in before there is a shard: its rates are wanted */
    assert_int_equal(p->welcomed, 0);
    produce(p, 0);
    await_trained(p, batches[0]);
    produce(p, 1);
    produce(p, 2);
    await_trained(p, batches[0] + batches[1] + batches[2]);
    clock_sleep_ms(300);
    assert_int_equal(p->trained, batches[0] + batches[1] + batches[2]);
    produce(p, 3);
    put_file(p, "end", "");
    end_well(p);
    expect_order(p, 0, SHARDS);
    assert_int_equal(p->trained, EPOCH_BATCHES);
    assert_int_equal(saved_step(p), EPOCH_BATCHES);
    assert_int_equal(p->cuts_in_flight, 0);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"checkpoint\"", SHARDS / 2);
    expect_in_file(p, "metrics.jsonl", "\"step\":8,\"impressions\":145,", 1);
    expect_in_file(p, "summary.json", "\"status\": \"complete\"", 1);
    char dir[PATH_BYTES_MAX];
    struct manifest *m = NULL;
    assert_int_equal(manifest_find(p->out, dir), OK);
    assert_int_equal(mem_new(&m), OK);
    assert_int_equal(manifest_read(m, dir), OK);
    assert_true(m->rate_ctr == 0.5); /* of the first shard */
    assert_true(m->rate_cvr == 0.5);
    assert_int_equal(m->shards, SHARDS);
    manifest_free(m);
    mem_free(&m);
    strike(p);
}

static void a_stream_is_resumed(void **state) {
    (void)state;
    struct play *p = stage_stream();
    p->config.deterministic = true;
    produce(p, 0);
    produce(p, 1);
    put_file(p, "end", "");
    perform_well(p);
    assert_int_equal(saved_step(p), batches[0] + batches[1]);
    expect_order(p, 0, 2);
    p->options.resume = true;
    p->begun = 0;
    perform_well(p); /* nothing new has come */
    assert_int_equal(p->begun, 0);
    take_file(p, "end");
    start_cast(p);
    produce(p, 2);
    await_trained(p, batches[0] + batches[1] + batches[2]);
    produce(p, 3);
    put_file(p, "end", "");
    end_well(p);
    expect_order(p, 2, 2);
    assert_int_equal(p->trained, EPOCH_BATCHES);
    assert_int_equal(p->repeated, 0);
    assert_int_equal(saved_step(p), EPOCH_BATCHES);
    take_file(p, "shard-00003.bin");
    assert_int_equal(coord_run(&p->options), ERR_NOT_FOUND);
    expect_cause("shard 3 of");
    p->options.stream = false;
    write_data(p->data, shard_impressions, SHARDS);
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("other data");
    strike(p);
}

/* Steps are counted along the stream; what lies beyond them is not waited for. */
static void a_stream_has_a_last_step(void **state) {
    (void)state;
    struct play *p = stage_stream();
    p->config.max_steps = batches[0] + 2;
    produce(p, 0);
    produce(p, 1);
    perform_well(p);
    assert_int_equal(p->trained, batches[0] + 2);
    assert_int_equal(saved_step(p), batches[0] + 2);
    p->options.resume = true;
    p->config.max_steps = EPOCH_BATCHES - 1;
    produce(p, 2);
    produce(p, 3);
    perform_well(p);
    assert_int_equal(p->trained, EPOCH_BATCHES - 1);
    assert_int_equal(p->repeated, 0);
    assert_int_equal(saved_step(p), EPOCH_BATCHES - 1);
    strike(p);
}

static void a_damaged_shard_ends_the_stream(void **state) {
    (void)state;
    struct play *p = stage_stream();
    produce(p, 0);
    produce(p, 1);
    put_file(p, "shard-00002.bin", "ESMMPS\r\nand then nothing");
    produce(p, 3);
    assert_int_equal(perform(p), ERR_CORRUPT);
    expect_cause("shard-00002.bin");
    assert_int_equal(saved_step(p), batches[0] + batches[1]);
    expect_in_file(p, "summary.json", "\"status\": \"failed\"", 1);
    p->options.resume = true;
    produce(p, 2);
    put_file(p, "end", "");
    perform_well(p);
    assert_int_equal(saved_step(p), EPOCH_BATCHES);
    strike(p);
}

static void what_is_no_stream(void **state) {
    (void)state;
    struct play *p = stage_stream();
    p->config.epochs = 2;
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("a stream is read once");
    p->config.epochs = 1;
    put_file(p, "end", "");
    assert_int_equal(coord_run(&p->options), ERR_NOT_FOUND);
    expect_cause("ended without a shard");
    strike(p);
}

/* In a job on fixed data too, checkpoints between shards hold whole shards. */
static void cuts_between_shards(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.every_shards = 1;
    p->config.every_impressions = 30; /* these cuts come when they come, and do not count */
    p->config.keep = 100;
    p->config.shuffle = false;
    perform_well(p);
    const uint32_t whole[2 * SHARDS] = {5, 8, 9, 13, 18, 21, 22, 26};
    for (uint32_t i = 0; i < 2 * SHARDS; i++) {
        char step[40];
        snprintf(step, sizeof step, "\"checkpoint\",\"step\":%u,", whole[i]);
        expect_in_file(p, "metrics.jsonl", step, 1);
    }
    strike(p);
}

/* --- mixed jobs ------------------------------------------------------------------------------- */

/* Windows of 79 and 80 impressions, in ranges of a batch each. */
#define MIXED_WINDOW  100u
#define MIXED_BATCHES 12u

static struct play *stage_mixed(void) {
    struct play *p = stage();
    set_window(p, MIXED_WINDOW);
    assert_int_equal(p->ranges.windows, 3);
    assert_int_equal(p->ranges.count, MIXED_BATCHES);
    assert_int_equal(p->ranges.epoch_batches, MIXED_BATCHES);
    return p;
}

static void a_mixed_job(void **state) {
    (void)state;
    struct play *p = stage_mixed();
    p->config.max_steps = 7;
    perform_well(p);
    assert_int_equal(saved_step(p), 7);
    p->options.resume = true;
    p->config.max_steps = UINT64_MAX;
    p->config.window = MIXED_WINDOW + 1;
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("train.window was 100 and is 101 now: resume with --set train.window=100 --set "
                 "train.run=0");
    p->config.window = MIXED_WINDOW;
    perform_well(p);
    assert_int_equal(p->trained, 2 * MIXED_BATCHES);
    assert_int_equal(p->repeated, 0);
    assert_int_equal(saved_step(p), 2 * MIXED_BATCHES);
    expect_in_file(p, "summary.json", "\"epochs\": 2", 1);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"evaluation\"", 3);
    strike(p);
}

/* A shard has 59.5 impressions on average; cuts follow the ranges that complete 1, 2, ... of them,
 * with nothing in flight. */
static void cuts_between_ranges(void **state) {
    (void)state;
    for (int deterministic = 0; deterministic < 2; deterministic++) {
        struct play *p = stage_mixed();
        p->config.every_shards = 1;
        p->config.keep = 100;
        p->config.deterministic = deterministic == 1;
        perform_well(p);
        expect_in_file(p, "metrics.jsonl", "\"event\":\"checkpoint\"", 8);
        assert_int_equal(p->cuts_in_flight, 0);
        for (uint32_t e = 0; deterministic == 1 && e < 2; e++) {
            uint32_t sum = 0, step = 0;
            for (uint32_t k = 1; k <= SHARDS; k++) {
                char text[60];
                for (; SHARDS * sum < k * EPOCH_IMPRESSIONS; step++) {
                    sum += ranges_impressions(&p->ranges, step, 1);
                }
                snprintf(text, sizeof text, "\"checkpoint\",\"step\":%u,\"impressions\":%u,",
                         e * MIXED_BATCHES + step, e * EPOCH_IMPRESSIONS + sum);
                expect_in_file(p, "metrics.jsonl", text, 1);
            }
        }
        strike(p);
    }
}

/* --- evaluations within epochs ---------------------------------------------------------------- */

/* What follows `key` in the k-th line of an evaluation; 0 if there is no such line. */
static double of_evaluation(const struct play *p, uint32_t k, const char *key) {
    static const char event[] = "\"event\":\"evaluation\"";
    double value = 0;
    char *text = read_file(p, "metrics.jsonl");
    const size_t bytes = strlen(text);
    for (size_t i = 0; i < bytes; i++) {
        if (strncmp(text + i, event, sizeof event - 1) == 0 && k-- == 0) {
            value = strtod(strstr(text + i, key) + strlen(key), NULL);
            break;
        }
    }
    mem_free(&text);
    return value;
}

/* A point each time `every` more impressions are done in ranges one after the other, and at the
 * ends of two epochs. Gives how many. */
static uint32_t points_of(const struct play *p, uint64_t every, uint64_t *point) {
    uint64_t done = 0, next = every;
    uint32_t points = 0;
    for (uint32_t i = 0; i < 2 * p->ranges.count; i++) {
        const uint32_t range = i % p->ranges.count;
        done += ranges_impressions(&p->ranges, range, p->ranges.batches[range]);
        if (range + 1 == p->ranges.count) {
            point[points++] = done;
            next = done + every;
        } else if (done >= next) {
            point[points++] = done;
            next += every;
        }
    }
    return points;
}

#define EVERY 60u

static void evaluations_within_epochs(void **state) {
    (void)state;
    for (int mixed = 0; mixed < 2; mixed++) {
        struct play *p = mixed == 1 ? stage_mixed() : stage(), *without = NULL;
        uint64_t point[4 * MIXED_BATCHES];
        p->config.deterministic = true;
        p->config.shuffle = mixed == 1;
        p->config.eval_every = EVERY;
        p->score_ms = 50;
        perform_well(p);
        const uint32_t points = points_of(p, EVERY, point);
        assert_int_equal(points, mixed == 1 ? 8 : 6);
        expect_in_file(p, "metrics.jsonl", "\"event\":\"evaluation\"", points);
        expect_in_file(p, "metrics.jsonl", "\"within_epoch\":true", points - 2);
        double seconds = 0;
        for (uint32_t k = 0; k < points; k++) {
            assert_int_equal(of_evaluation(p, k, "\"trained_impressions\":"), point[k]);
            assert_true(of_evaluation(p, k, "\"train_seconds\":") > seconds);
            seconds = of_evaluation(p, k, "\"train_seconds\":");
            assert_true(of_evaluation(p, k, "\"auc_ctr\":") == 1);
        }
        assert_int_equal(p->evaluations_in_flight, 0);
        char *text = read_file(p, "summary.json");
        const double all = strtod(strstr(text, "\"seconds\":") + 10, NULL);
        const double training = strtod(strstr(text, "\"train_seconds\":") + 16, NULL);
        const double judging = strtod(strstr(text, "\"evaluation_seconds\":") + 21, NULL);
        mem_free(&text);
        assert_true(training == seconds);
        assert_true(training >= 0.001 * 2 * (double)p->ranges.epoch_batches);
        assert_true(judging >= 0.1 * points); /* three shards, two workers */
        assert_true(all - training >= 0.1 * (points - 1));
        without = mixed == 1 ? stage_mixed() : stage();
        without->config.deterministic = true;
        without->config.shuffle = mixed == 1;
        perform_well(without);
        assert_int_equal(p->trained, without->trained);
        assert_int_equal(p->begun, without->begun);
        assert_memory_equal(p->order, without->order, sizeof p->order);
        strike(without);
        strike(p);
    }
}

/* Whoever trains what: evaluations come after at least so many impressions, and nothing is in
 * flight. Cuts are made as well. */
static void evaluations_of_free_workers(void **state) {
    (void)state;
    const enum consistency all[] = {CONSISTENCY_ASYNC, CONSISTENCY_SYNC, CONSISTENCY_HYBRID};
    for (size_t i = 0; i < 3; i++) {
        struct play *p = stage_mixed();
        p->config.consistency = all[i];
        p->config.eval_every = EVERY;
        p->config.every_shards = 2;
        p->config.every_impressions = 50;
        perform_well(p);
        assert_int_equal(p->trained, 2 * MIXED_BATCHES);
        assert_int_equal(p->evaluations_in_flight, 0);
        expect_in_file(p, "metrics.jsonl", "\"event\":\"evaluation\"", 8);
        for (uint32_t k = 0; k < 4; k++) {
            const double done = of_evaluation(p, k, "\"trained_impressions\":");
            assert_true(k == 3 ? done == EPOCH_IMPRESSIONS
                               : done >= EVERY * (k + 1) && done < EVERY * (k + 1) + BATCH);
        }
        strike(p);
    }
}

static void evaluations_of_a_resumed_job(void **state) {
    (void)state;
    struct play *p = stage_mixed();
    p->config.deterministic = true;
    p->config.eval_every = EVERY;
    p->config.max_steps = 5; /* 99 impressions */
    perform_well(p);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"evaluation\"", 2);
    assert_int_equal(of_evaluation(p, 0, "\"trained_impressions\":"), 60);
    assert_int_equal(of_evaluation(p, 1, "\"trained_impressions\":"), 99);
    p->options.resume = true;
    p->config.max_steps = MIXED_BATCHES;
    perform_well(p);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"evaluation\"", 4);
    assert_int_equal(of_evaluation(p, 2, "\"trained_impressions\":"), 159);
    assert_int_equal(of_evaluation(p, 3, "\"trained_impressions\":"), EPOCH_IMPRESSIONS);
    p->eval_list.count = 0;
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("eval.every_impressions is 60, but there is nothing to evaluate on: give --eval");
    strike(p);
}

/* The last play: a stop signal stays noted for the process's life. */
static uint32_t checkpoints_of(const struct play *p, char *names, size_t bytes) {
    char root[PATH_BYTES_MAX];
    struct file_list list;
    uint32_t n = 0;
    names[0] = '\0';
    assert_int_equal(path_join(root, p->out, "checkpoints"), OK);
    assert_int_equal(file_list_dir(&list, root), OK);
    for (size_t i = 0; i < list.count; i++) {
        if (strncmp(list.names[i], "step-", 5) == 0) {
            snprintf(names + strlen(names), bytes - strlen(names), "%s ", list.names[i]);
            n++;
        }
    }
    file_list_free(&list);
    return n;
}

/* All evaluations say the same here, so the first is the best and none is better. */
static void the_best_stays_and_patience_ends(void **state) {
    (void)state;
    struct play *p = stage();
    char names[512];
    p->config.keep_best = BEST_CTCVR;
    p->config.patience = 3;
    p->config.keep = 1;
    p->config.epochs = 50;
    perform_well(p);
    assert_int_equal(p->trained, 4 * EPOCH_BATCHES);
    assert_int_equal(p->cuts_in_flight, 0); /* each is of the state that was judged */
    expect_in_file(p, "summary.json", "\"status\": \"stopped_early\"", 1);
    expect_in_file(p, "summary.json", "\"evaluations_since\": 3", 1);
    expect_in_file(p, "summary.json", "step-000000000013\"", 1);
    expect_in_file(p, "metrics.jsonl", "\"status\":\"stopped_early\"", 1);
    expect_in_file(p, "metrics.jsonl", "\"event\":\"checkpoint\"", 4);
    checkpoints_of(p, names, sizeof names);
    assert_string_equal(names, "step-000000000013 step-000000000052 ");
    p->options.resume = true; /* goes on, knows the best, and is patient anew */
    perform_well(p);
    assert_int_equal(p->trained, 7 * EPOCH_BATCHES);
    checkpoints_of(p, names, sizeof names);
    assert_string_equal(names, "step-000000000013 step-000000000091 ");
    strike(p);
}

/* Training waits for the checkpoint of an evaluation within an epoch, too. */
static void checkpoints_of_evaluations(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.keep_best = BEST_CTR;
    p->config.eval_every = 60;
    p->config.keep = 100;
    p->config.every_impressions = 50;
    perform_well(p);
    char *metrics = read_file(p, "metrics.jsonl");
    struct shelf s = {0};
    char root[PATH_BYTES_MAX];
    uint32_t judged = 0;
    assert_int_equal(path_join(root, p->out, "checkpoints"), OK);
    assert_int_equal(shelf_read(&s, root, 0), OK);
    for (size_t i = 0; i < s.count; i++) {
        char step[64];
        judged += s.items[i].judged;
        snprintf(step, sizeof step, "\"step\":%llu,\"trained_impressions\":%llu,",
                 (unsigned long long)s.items[i].step,
                 (unsigned long long)s.items[i].figures.impressions);
        assert_true(!s.items[i].judged || strstr(metrics, step) != NULL);
        assert_true(!s.items[i].judged || s.items[i].figures.step == s.items[i].step);
    }
    assert_int_equal(judged, occurrences(metrics, "\"event\":\"evaluation\""));
    assert_true(judged >= 6);
    shelf_free(&s);
    mem_free(&metrics);
    strike(p);
}

static void patience_needs_a_measure(void **state) {
    (void)state;
    struct play *p = stage();
    p->config.keep_best = BEST_CTR;
    p->eval_list.count = 0;
    assert_int_equal(coord_run(&p->options), ERR_CONFIG);
    expect_cause("checkpoint.keep_best");
    strike(p);
}

static void a_stop_signal_saves_and_ends(void **state) {
    (void)state;
    struct play *p = stage();
    char dir[PATH_BYTES_MAX];
    p->config.epochs = 1000;
    p->config.every_impressions = 50;
    stop_signals_install();
    start_cast(p);
    await_training(p);
    for (int i = 0; i < 2000 && manifest_find(p->out, dir) != OK; i++) {
        clock_sleep_ms(10);
    }
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(end_cast(p), OK);
    assert_true(saved_step(p) > 0);
    assert_true(saved_step(p) < 1000 * EPOCH_BATCHES);
    expect_in_file(p, "summary.json", "\"status\": \"stopped\"", 1);
    strike(p);
}

static int quiet(void **state) {
    (void)state;
    log_level_set(LOG_ERROR);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_job),
        cmocka_unit_test(in_lockstep),
        cmocka_unit_test(steps_are_counted_and_resumed),
        cmocka_unit_test(what_cannot_be_resumed),
        cmocka_unit_test(a_worker_dies),
        cmocka_unit_test(a_worker_is_replaced),
        cmocka_unit_test(a_deterministic_job_that_loses_a_worker_goes_back),
        cmocka_unit_test(one_without_a_checkpoint_begins_again),
        cmocka_unit_test(deterministic_cuts_find_nothing_in_flight),
        cmocka_unit_test(a_failed_checkpoint_is_only_that),
        cmocka_unit_test(whatever_fails_costs_a_checkpoint_only),
        cmocka_unit_test(the_final_checkpoint_is_tried_again),
        cmocka_unit_test(the_final_checkpoint_must_not_fail),
        cmocka_unit_test(a_failing_server_is_awaited_in_vain),
        cmocka_unit_test(a_server_is_replaced),
        cmocka_unit_test(a_server_dies_while_the_job_is_saved),
        cmocka_unit_test(all_workers_gone_ends_the_job),
        cmocka_unit_test(the_missing_are_named),
        cmocka_unit_test(training_gets_nowhere),
        cmocka_unit_test(nobody_asks_for_a_lease),
        cmocka_unit_test(an_evaluation_gets_nowhere),
        cmocka_unit_test(the_shards_of_one_that_hangs_go_to_another),
        cmocka_unit_test(the_final_checkpoint_gets_nowhere),
        cmocka_unit_test(scores_of_a_large_shard_arrive),
        cmocka_unit_test(what_cannot_be_sent_is_refused),
        cmocka_unit_test(a_stream_is_followed),
        cmocka_unit_test(a_stream_is_resumed),
        cmocka_unit_test(a_stream_has_a_last_step),
        cmocka_unit_test(a_damaged_shard_ends_the_stream),
        cmocka_unit_test(what_is_no_stream),
        cmocka_unit_test(cuts_between_shards),
        cmocka_unit_test(a_mixed_job),
        cmocka_unit_test(cuts_between_ranges),
        cmocka_unit_test(evaluations_within_epochs),
        cmocka_unit_test(evaluations_of_free_workers),
        cmocka_unit_test(evaluations_of_a_resumed_job),
        cmocka_unit_test(the_best_stays_and_patience_ends),
        cmocka_unit_test(checkpoints_of_evaluations),
        cmocka_unit_test(patience_needs_a_measure),
        cmocka_unit_test(a_stop_signal_saves_and_ends),
    };
    faulty_disk_use();
    return cmocka_run_group_tests(tests, quiet, NULL);
}
