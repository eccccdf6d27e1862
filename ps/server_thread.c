/* server_thread.c - the loop of a partition thread, and its ends of the queues.
 *
 * Port, partition and buffers belong to the thread (serving.h). Each turn answers one request,
 * gives the partition its slice of housekeeping, and checks the order queue. No request is answered
 * before the rows are restored: until then the peers are told to ask again.
 */
#include "server_thread.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/fault/fault.h"
#include "replay.h"
#include "restore.h"

#define QUEUE_ITEMS    8
#define IDLE_MS        20 /* how long an order may wait in the queue */
#define CUTTING_MS     1  /* the same while a snapshot is written */
#define STATS_MS       100
#define REPORT_WAIT_MS 60000
/* The port is bound before the configuration of the job is known; the limit of the job is checked
 * later. */
#define PORT_BYTES_MAX 0x7fffffffu

struct serving_loop { /* used by the thread only */
    struct server_thread *shared;
    struct serving serving;
    bool busy; /* the partition has more to do now */
    bool cutting;
    uint64_t cut;              /* number of the running cut */
    struct server_order *held; /* a cut order that waits for the running cut */
    uint64_t figures_ms;       /* when the figures were last published */
    struct laps laps;
    uint64_t kept_ns; /* of housekeeping that the next request may have waited for */
    struct latency latency, latency_cut; /* of this thread's life */
    struct latency latency_now;          /* while the running cut is written */
};

/* A request that was taken within this time had been there already. */
#define THERE_NS 100000u

/* --- reports ---------------------------------------------------------------------------------- */

void server_report_free(struct server_report **r) {
    if (*r != NULL) {
        buf_fini(&(*r)->info.applied);
        mem_free(r);
    }
}

enum status server_report_put(struct queue *reports, struct server_report *from,
                              uint64_t timeout_ms) {
    struct server_report *r = NULL;
    enum status status = mem_new(&r);
    if (status == OK) {
        *r = *from;
        from->info.applied = BUF_EMPTY;
        status = queue_put(reports, r, timeout_ms);
        if (status != OK) {
            server_report_free(&r);
            fail(status, "the server's control thread does not take reports");
        }
    }
    buf_fini(&from->info.applied);
    return status;
}

static enum status put_report(struct serving_loop *t, struct server_report r) {
    return server_report_put(&t->shared->reports, &r, REPORT_WAIT_MS);
}

static void put_figures(struct serving_loop *t, uint64_t now_ms) {
    if (t->figures_ms != 0 && now_ms < t->figures_ms + STATS_MS) {
        return;
    }
    struct partition_stats stats;
    struct usage used = {.sent_bytes = port_sent_bytes(t->serving.port),
                         .received_bytes = port_received_bytes(t->serving.port)};
    partition_stats(t->serving.partition, &stats);
    stats.log_bytes = t->serving.log == NULL ? 0 : push_log_bytes(t->serving.log);
    for (size_t i = 0; i < STATUSES; i++) {
        log_limit_step(&t->serving.refused[i]);
    }
    usage_add_laps(&used, &t->laps);
    used.latency = t->latency;
    used.latency_cut = t->latency_cut;
    pthread_mutex_lock(&t->shared->figures_lock);
    t->shared->figures = stats;
    t->shared->used = used;
    pthread_mutex_unlock(&t->shared->figures_lock);
    t->figures_ms = now_ms;
}

/* --- cuts ------------------------------------------------------------------------------------- */

static enum status report_part(struct serving_loop *t, uint64_t cut, enum status status,
                               const struct part_info *info) {
    struct server_report r = {.kind = SERVER_REPORT_PART, .cut = cut, .status = status};
    if (status == OK) {
        r.info = *info;
    } else {
        snprintf(r.text, sizeof r.text, "%s", fail_text_of(status));
    }
    return put_report(t, r);
}

static enum status begin_cut(struct serving_loop *t) {
    struct server_order *o = t->held;
    const struct cut_order order = {.dir = o->dir,
                                    .index = t->serving.number,
                                    .count = t->serving.job->plan.partitions,
                                    .cut = o->cut_id,
                                    .committed = o->committed,
                                    .delta = o->delta};
    FAULT("ps.cut.begin");
    enum status status = partition_cut_since(t->serving.partition, t->serving.job->writer, &order);
    if (status == ERR_AGAIN) {
        return OK;
    }
    t->cut = o->cut;
    FAULT("ps.cut.begun");
    t->cutting = status == OK;
    if (t->cutting && t->serving.log != NULL) {
        push_log_cut(t->serving.log, o->cut_id, t->serving.partition);
    }
    mem_free(&t->held);
    return status == OK ? OK : report_part(t, t->cut, status, NULL);
}

static void say_latency(const struct serving_loop *t, const char *when, const struct latency *l) {
    if (latency_total(l) > 0) {
        log_info("partition %u: %llu requests %s: p50 %.2f, p99 %.2f, longest %.2f ms",
                 t->serving.number, (unsigned long long)latency_total(l), when,
                 (double)latency_quantile_us(l, 0.5) / 1e3,
                 (double)latency_quantile_us(l, 0.99) / 1e3, (double)l->max_us / 1e3);
    }
}

static void cut_ended(struct serving_loop *t) {
    t->cutting = false;
    say_latency(t, "while the cut was written", &t->latency_now);
    latency_add(&t->latency_cut, &t->latency_now);
    t->latency_now = (struct latency){0};
}

static enum status cut_step(struct serving_loop *t) {
    enum status status;
    struct part_info info = {.applied = BUF_EMPTY};
    if (t->cutting && partition_cut_done(t->serving.partition, &status, &info)) {
        cut_ended(t);
        FAULT("ps.part.report");
        TRY(report_part(t, t->cut, status, &info));
    }
    return t->held != NULL && !t->cutting ? begin_cut(t) : OK;
}

static enum status take_order(struct serving_loop *t) {
    void *item;
    if (t->held != NULL || queue_take(&t->shared->orders, &item, 0) != OK) {
        return OK;
    }
    t->held = item;
    if (t->held->kind != SERVER_ORDER_FIGURES) {
        return OK;
    }
    mem_free(&t->held);
    t->figures_ms = 0;
    put_figures(t, clock_mono_ms());
    return put_report(t, (struct server_report){.kind = SERVER_REPORT_FIGURES});
}

/* --- the thread ------------------------------------------------------------------------------- */

static bool is_to_stop(const struct serving_loop *t) {
    return atomic_load(&t->shared->stop);
}

static bool is_to_leave(const struct serving_loop *t) {
    return atomic_load(&t->shared->leave);
}

/* Drops all that belongs to this life of the job. */
static enum status leave_job(struct serving_loop *t) {
    void *item;
    serving_leave(&t->serving);
    mem_free(&t->held);
    while (queue_take(&t->shared->orders, &item, 0) == OK) {
        mem_free(&item);
    }
    t->busy = t->cutting = false;
    t->figures_ms = 0;
    atomic_store(&t->shared->leave, false);
    return put_report(t, (struct server_report){.kind = SERVER_REPORT_LEFT});
}

/* Waits for the job. *go false: the thread was told to stop instead. */
static enum status await_job(struct serving_loop *t, bool *go) {
    *go = false;
    while (!*go && !is_to_stop(t)) {
        void *item;
        TRY(is_to_leave(t) ? leave_job(t) : OK);
        enum status status = queue_take(&t->shared->orders, &item, IDLE_MS);
        if (status == ERR_CLOSED) {
            return OK;
        }
        if (status == OK) {
            struct server_order *o = item;
            t->serving.job = o->job;
            t->serving.number = o->partition;
            mem_free(&o);
            *go = true;
        }
    }
    return OK;
}

/* While rows are restored nobody is served, but workers should not take the partition for dead. */
static void refuse_meanwhile(void *self) {
    struct serving_loop *t = self;
    while (port_receive(t->serving.port, &t->serving.in, 0) == OK) {
        serving_not_ready(&t->serving);
    }
}

static enum status restore_rows(struct serving_loop *t, const struct partition_spec *spec) {
    const struct server_job *job = t->serving.job;
    if (job->resume_dir[0] == '\0') {
        return OK;
    }
    const uint64_t start_ms = clock_mono_ms();
    FAULT("ps.restore.begin");
    TRY(partition_restore(t->serving.partition, job->resume_dir, &job->manifest));
    log_info("partition %u: buckets [%u, %u) restored from %s in %llu ms", t->serving.number,
             spec->bucket_begin, spec->bucket_end, job->resume_dir,
             (unsigned long long)(clock_mono_ms() - start_ms));
    FAULT("ps.restore.end");
    return OK;
}

/* Applies what the log of the process before has. A log that does not lead to the rows is removed:
 * the next process will not be taken into this life of the job. */
static enum status replay_log(struct serving_loop *t, const struct push_log_life *life) {
    struct serving *v = &t->serving;
    struct replay_result r;
    const uint64_t start_ms = clock_mono_ms();
    const enum status status =
        replay_run(v->log, life, v->job->base, v->partition, refuse_meanwhile, t, &r);
    if (status != OK) {
        struct cause cause = {0};
        cause_keep(&cause, status);
        push_log_close(&v->log, true);
        return cause_again(&cause);
    }
    log_info("partition %u: %llu pushes of %.1f MB applied from its push log in %llu ms", v->number,
             (unsigned long long)r.pushes, (double)r.bytes / 1e6,
             (unsigned long long)(clock_mono_ms() - start_ms));
    return OK;
}

/* Begins the push log, or goes on with that of a process before in the same life of the job. */
static enum status begin_log(struct serving_loop *t) {
    struct serving *v = &t->serving;
    const struct server_job *job = v->job;
    const struct push_log_life life = {.job = job->job,
                                       .partition = v->number,
                                       .partitions = job->plan.partitions,
                                       .endpoint = job->plan.endpoint[v->number],
                                       .bytes_max = 2 * job->config.push_log_bytes / job->threads};
    if (job->config.push_log == PUSH_LOG_OFF || job->log_dir[0] == '\0') {
        return OK;
    }
    const enum status status = push_log_open(&v->log, job->log_dir, job->index, t->shared->number);
    if (status != OK) {
        log_error("partition %u keeps no push log: %s", v->number, fail_text());
        return status == ERR_MEMORY ? status : OK;
    }
    const struct push_log_head *left = push_log_left(v->log);
    if (left != NULL && left->job == job->job) {
        TRY(replay_log(t, &life));
    } else {
        push_log_begin(v->log, &life, job->base, v->partition);
    }
    serving_log(v);
    return OK;
}

static enum status make_partition(struct serving_loop *t) {
    const struct server_job *job = t->serving.job;
    uint64_t partitions = job->plan.partitions;
    struct partition_spec spec = {
        .config = &job->config,
        .schema = &job->plan.schema,
        .layout = &job->layout,
        .batches_per_shard = job->plan.batches_per_shard,
        .shards = job->plan.shards,
        .grows = job->plan.stream,
        .bucket_begin = bucket_begin(t->serving.number, partitions),
        .bucket_end = bucket_begin(t->serving.number + 1, partitions),
        .memory_bytes = job->config.memory_bytes / job->threads,
        .parameters_only = job->parameters_only,
        .pause = refuse_meanwhile,
        .pauser = t,
        .abandon = &t->shared->leave,
    };
    TRY(partition_create(&t->serving.partition, &spec));
    return restore_rows(t, &spec);
}

static enum status log_step(struct serving_loop *t) {
    struct push_log *log = t->serving.log;
    if (log == NULL) {
        return OK;
    }
    push_log_commit(log, atomic_load(&t->shared->committed));
    push_log_tick(log);
    return push_log_check(log);
}

static uint64_t patience_ms(const struct serving_loop *t) {
    if (t->busy) {
        return 0;
    }
    return t->cutting ? CUTTING_MS : IDLE_MS;
}

/* Takes and answers one request. Its latency includes the housekeeping before it, if it was there
 * at once: it may have come just when that began. */
static enum status serving_loop_serve(struct serving_loop *t, uint64_t *now_ms) {
    const uint64_t free_ns = t->laps.mark_ns;
    const enum status status = port_receive(t->serving.port, &t->serving.in, patience_ms(t));
    *now_ms = clock_mono_ms();
    lap(&t->laps, STAGE_IDLE);
    const uint64_t taken_ns = t->laps.mark_ns;
    const uint64_t before_ns = taken_ns - free_ns < THERE_NS ? t->kept_ns : 0;
    t->kept_ns = 0;
    if (status != OK) {
        return status;
    }
    TRY(serving_answer(&t->serving, *now_ms));
    lap(&t->laps, t->serving.in.msg.type == WIRE_PUSH ? STAGE_APPLY : STAGE_LOOKUP);
    const uint64_t us = (t->laps.mark_ns - taken_ns + before_ns) / 1000;
    latency_note(&t->latency, us);
    if (t->cutting) {
        latency_note(&t->latency_now, us);
    }
    return OK;
}

static enum status serving_loop_turn(struct serving_loop *t) {
    uint64_t now_ms;
    const enum status status = serving_loop_serve(t, &now_ms);
    TRY(status == ERR_TIMEOUT ? OK : status);
    TRY(partition_tick(t->serving.partition, now_ms, &t->busy));
    TRY(log_step(t));
    TRY(take_order(t));
    TRY(cut_step(t));
    put_figures(t, now_ms);
    const uint64_t from_ns = t->laps.mark_ns;
    lap(&t->laps, STAGE_KEEP);
    t->kept_ns += t->laps.mark_ns - from_ns;
    return OK;
}

static bool is_damage(enum status status) {
    return status == ERR_CORRUPT || status == ERR_FORMAT || status == ERR_NOT_FOUND;
}

/* The checkpoint cannot be read. An older one may be, which is for the coordinator to say. */
static enum status await_leave(struct serving_loop *t, enum status status) {
    struct server_report r = {.kind = SERVER_REPORT_DAMAGED, .status = status};
    snprintf(r.text, sizeof r.text, "%s", fail_text_of(status));
    TRY(put_report(t, r));
    while (!is_to_stop(t) && !is_to_leave(t)) {
        clock_sleep_ms(IDLE_MS);
    }
    return OK;
}

/* Serves one life of the job. */
static enum status serve_job(struct serving_loop *t) {
    const enum status status = make_partition(t);
    if (status == ERR_CLOSED && is_to_leave(t)) {
        return OK;
    }
    if (is_damage(status)) {
        return await_leave(t, status);
    }
    TRY(status);
    TRY(begin_log(t));
    FAULT("ps.thread.ready");
    put_figures(t, clock_mono_ms());
    TRY(put_report(t, (struct server_report){.kind = SERVER_REPORT_READY}));
    laps_start(&t->laps);
    while (!is_to_stop(t) && !is_to_leave(t)) {
        TRY(serving_loop_turn(t));
    }
    return OK;
}

static void say_unanswered(const struct serving_loop *t) {
    const struct serving *v = &t->serving;
    const uint64_t malformed = port_malformed(v->port);
    if (v->unsent > 0 || v->former > 0 || malformed > 0) {
        log_info("partition %u: %llu answers dropped, %llu requests of another life of the job, "
                 "%llu malformed messages",
                 v->number, (unsigned long long)v->unsent, (unsigned long long)v->former,
                 (unsigned long long)malformed);
    }
}

static enum status serving_loop_run(struct serving_loop *t) {
    bool go;
    struct server_report r = {.kind = SERVER_REPORT_BOUND};
    TRY(port_bind(&t->serving.port, t->shared->transport, t->shared->listen, PORT_BYTES_MAX));
    FAULT("ps.thread.bound");
    snprintf(r.endpoint, sizeof r.endpoint, "%s", port_endpoint(t->serving.port));
    TRY(put_report(t, r));
    TRY(await_job(t, &go));
    while (go) {
        TRY(serve_job(t));
        TRY(await_job(t, &go));
    }
    say_latency(t, "answered", &t->latency);
    say_unanswered(t);
    return OK;
}

static enum status thread_main(void *arg) {
    struct serving_loop *t = NULL;
    TRY(mem_new(&t));
    t->shared = arg;
    enum status status = serving_loop_run(t);
    serving_fini(&t->serving);
    mem_free(&t->held);
    mem_free(&t);
    return status;
}

/* --- the control thread's side ---------------------------------------------------------------- */

enum status server_thread_start(struct server_thread *s, struct transport *t, const char *listen,
                                uint32_t number) {
    char name[16];
    memset(s, 0, sizeof *s);
    s->transport = t;
    s->number = number;
    if ((size_t)snprintf(s->listen, sizeof s->listen, "%s", listen) >= sizeof s->listen) {
        return fail(ERR_LIMIT, "endpoint is longer than %zu bytes: %s", sizeof s->listen - 1,
                    listen);
    }
    atomic_store(&s->stop, false);
    atomic_store(&s->leave, false);
    TRY(queue_init(&s->orders, QUEUE_ITEMS));
    enum status status = queue_init(&s->reports, QUEUE_ITEMS);
    if (status != OK) {
        queue_fini(&s->orders);
        return status;
    }
    pthread_mutex_init(&s->figures_lock, NULL);
    s->made = true;
    snprintf(name, sizeof name, "partition-%u", number % 10000);
    return thread_start(&s->thread, name, thread_main, s);
}

void server_thread_stop(struct server_thread *s) {
    if (!s->made) {
        return;
    }
    atomic_store(&s->stop, true);
    atomic_store(&s->leave, true); /* so that a restore ends soon */
    queue_close(&s->orders);
    queue_close(&s->reports);
    thread_join(&s->thread);
    void *item;
    while (queue_take(&s->orders, &item, 0) == OK) {
        mem_free(&item);
    }
    while (queue_take(&s->reports, &item, 0) == OK) {
        struct server_report *r = item;
        server_report_free(&r);
    }
    queue_fini(&s->orders);
    queue_fini(&s->reports);
    pthread_mutex_destroy(&s->figures_lock);
    s->made = false;
}

void server_thread_leave(struct server_thread *s) {
    atomic_store(&s->leave, true);
}

enum status server_thread_check(struct server_thread *s) {
    if (!thread_ended(&s->thread)) {
        return OK;
    }
    TRY(thread_join(&s->thread));
    return fail(ERR_CLOSED, "the thread that listens on %s ended before the job did", s->listen);
}

enum status server_thread_order(struct server_thread *s, const struct server_order *order) {
    struct server_order *o = NULL;
    TRY(mem_new(&o));
    *o = *order;
    enum status status = queue_put(&s->orders, o, 0);
    if (status != OK) {
        mem_free(&o);
        return ERR_AGAIN;
    }
    return OK;
}

struct server_report *server_thread_report(struct server_thread *s, uint64_t timeout_ms) {
    void *item;
    return queue_take(&s->reports, &item, timeout_ms) == OK ? item : NULL;
}

void server_thread_figures(struct server_thread *s, struct partition_stats *out,
                           struct usage *used) {
    pthread_mutex_lock(&s->figures_lock);
    *out = s->figures;
    usage_add(used, &s->used);
    pthread_mutex_unlock(&s->figures_lock);
}
