/* server_thread.c - the loop of a partition thread, and its ends of the queues.
 *
 * Port, partition and buffers are locals of the thread. One turn answers one request, gives the
 * partition its slice of housekeeping, and looks into the order queue. A request costs one copy in
 * (its bytes may be unaligned) and one out. Nothing is answered before the rows are restored: until
 * then requests wait in the socket, and the peers ask again.
 *
 * Every request that cannot be served is answered with an ERROR that says why; nothing a peer sends
 * ends the thread. An answer that cannot be sent at once is dropped: the peer asks again, and both
 * requests may be repeated at will.
 */
#include "server_thread.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#define QUEUE_ITEMS    8
#define IDLE_MS        20 /* how long an order may wait */
#define CUTTING_MS     1  /* the same while a snapshot is written */
#define STATS_MS       100
#define REPORT_WAIT_MS 60000
/* The port is bound before the job's configuration is known; the job's limit is checked later. */
#define PORT_BYTES_MAX 0x7fffffffu

struct scratch { /* 64-byte aligned, grows, never shrinks */
    void *data;
    size_t bytes;
};

struct serving { /* the thread's own */
    struct server_thread *shared;
    struct port *port;
    const struct server_job *job;
    uint32_t number; /* of the partition */
    struct partition *partition;
    struct scratch ids, floats, packed, missing;
    struct port_message in;
    struct wire_msg out;
    bool busy; /* the partition has more to do now */
    bool cutting;
    uint64_t cut;                       /* number of the running cut */
    struct server_order *held;          /* a cut that waits for the running one */
    uint64_t figures_ms;                /* when the figures were last put out */
    uint64_t unsent;                    /* answers dropped */
    struct log_limit refused[STATUSES]; /* lines about requests, by status */
    struct laps laps;
};

static enum status ensure(struct scratch *s, size_t bytes) {
    if (bytes <= s->bytes) {
        return OK;
    }
    mem_free(&s->data);
    s->bytes = 0;
    TRY(mem_alloc(&s->data, bytes + bytes / 4));
    s->bytes = bytes + bytes / 4;
    return OK;
}

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

static enum status report(struct serving *v, struct server_report r) {
    return server_report_put(&v->shared->reports, &r, REPORT_WAIT_MS);
}

static void put_figures(struct serving *v, uint64_t now_ms) {
    if (v->figures_ms != 0 && now_ms < v->figures_ms + STATS_MS) {
        return;
    }
    struct partition_stats stats;
    struct usage used = {.sent_bytes = port_sent_bytes(v->port),
                         .received_bytes = port_received_bytes(v->port)};
    partition_stats(v->partition, &stats);
    for (size_t i = 0; i < STATUSES; i++) {
        log_limit_step(&v->refused[i]);
    }
    usage_add_laps(&used, &v->laps);
    pthread_mutex_lock(&v->shared->figures_lock);
    v->shared->figures = stats;
    v->shared->used = used;
    pthread_mutex_unlock(&v->shared->figures_lock);
    v->figures_ms = now_ms;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void answer_keys(struct serving *v, const void *keys, size_t key_bytes, const void *values,
                        size_t bytes) {
    v->out.job = v->in.msg.job;
    v->out.id = v->in.msg.id;
    enum status status =
        port_send(v->port, v->in.peer, v->in.peer_bytes, &v->out, keys, key_bytes, values, bytes);
    if (status != OK) {
        v->unsent++;
        log_debug("an answer was dropped: %s",
                  status == ERR_AGAIN ? "the peer is gone or slow" : fail_text());
    }
}

static void answer(struct serving *v, const void *values, size_t bytes) {
    answer_keys(v, NULL, 0, values, bytes);
}

static void answer_error(struct serving *v, enum status why) {
    v->out.type = WIRE_ERROR;
    v->out.u.error.status = why;
    snprintf(v->out.u.error.text, WIRE_TEXT_MAX, "%s", fail_text_of(why));
    if (why != ERR_TICKET && why != ERR_FENCED) {
        log_limited(&v->refused[why], LOG_WARN, "partition %u refuses a %s: %s", v->number,
                    wire_type_name(v->in.msg.type), fail_text());
    }
    answer(v, NULL, 0);
}

/* The ids of the keys frame; counts stay in the message. */
static enum status take_keys(struct serving *v, const uint32_t *counts, uint32_t fields,
                             struct key_list *keys) {
    if (fields != v->job->plan.schema.count) {
        return fail(ERR_PROTOCOL, "request has counts of %u fields, the job has %u", fields,
                    v->job->plan.schema.count);
    }
    uint64_t total = 0;
    for (uint32_t f = 0; f < fields; f++) {
        total += counts[f];
    }
    if (total > v->in.keys_bytes) {
        return fail(ERR_PROTOCOL, "request announces %llu keys, its keys frame has %zu bytes",
                    (unsigned long long)total, v->in.keys_bytes);
    }
    TRY(ensure(&v->ids, (size_t)total * sizeof(uint64_t)));
    TRY(wire_keys_unpack(counts, fields, v->in.keys, v->in.keys_bytes, v->ids.data));
    *keys = (struct key_list){.counts = counts, .ids = v->ids.data, .total = (size_t)total};
    return OK;
}

static enum status check_answer_bytes(const struct serving *v, size_t bytes) {
    if (bytes > v->job->config.message_bytes_max) {
        return fail(ERR_LIMIT,
                    "the answer would take %zu bytes, net.message_bytes_max is %u: use a "
                    "smaller train.batch or more partitions",
                    bytes, v->job->config.message_bytes_max);
    }
    return OK;
}

static enum status serve_pull(struct serving *v, uint64_t now_ms) {
    const struct wire_pull *pull = &v->in.msg.u.pull;
    struct key_list keys;
    TRY(take_keys(v, pull->count, pull->fields, &keys));
    size_t n = partition_pull_floats(v->partition, &keys, pull->want_dense);
    size_t bytes = wire_values_bytes(pull->values, n);
    TRY(check_answer_bytes(v, bytes));
    TRY(ensure(&v->floats, n * sizeof(float)));
    if (pull->want_missing) {
        TRY(ensure(&v->missing, keys.total));
        keys.missing = v->missing.data;
    }
    struct pull_result result;
    TRY(partition_serve_pull(v->partition, &keys, pull->want_dense, pull->want_ticket, now_ms,
                             v->floats.data, &result));
    const void *values = v->floats.data;
    if (pull->values != VALUE_F32) {
        TRY(ensure(&v->packed, bytes));
        wire_values_pack(pull->values, v->floats.data, n, v->packed.data);
        values = v->packed.data;
    }
    v->out.type = WIRE_PULLED;
    v->out.u.pulled = (struct wire_pulled){
        .ticket = result.ticket, .version = result.version, .values = pull->values};
    const size_t bits = pull->want_missing ? wire_bits_pack(keys.missing, keys.total) : 0;
    answer_keys(v, keys.missing, bits, values, bytes);
    return OK;
}

static enum status serve_push(struct serving *v) {
    const struct wire_push *push = &v->in.msg.u.push;
    struct key_list keys;
    bool with_keys = push->fields > 0;
    if (with_keys) {
        TRY(take_keys(v, push->count, push->fields, &keys));
    }
    size_t each = wire_values_bytes(push->values, 1);
    if (v->in.values_bytes % each != 0) {
        return fail(ERR_PROTOCOL, "push of %zu value bytes, not a multiple of %zu",
                    v->in.values_bytes, each);
    }
    size_t n = v->in.values_bytes / each;
    TRY(ensure(&v->floats, n * sizeof(float)));
    wire_values_unpack(push->values, v->in.values, n, v->floats.data);
    struct push_result result;
    if (v->job->plan.stream) {
        TRY(partition_grow(v->partition, push->name.shard, push->shard_batches));
    }
    TRY(partition_push(v->partition, push->name, push->fence, push->ticket,
                       with_keys ? &keys : NULL, v->floats.data, n, &result));
    v->out.type = WIRE_PUSHED;
    v->out.u.pushed = (struct wire_pushed){.duplicate = result.duplicate,
                                           .version = result.version,
                                           .dropped_values = result.dropped_values};
    answer(v, NULL, 0);
    return OK;
}

static enum status serve_stats(struct serving *v) {
    struct partition_stats s;
    partition_stats(v->partition, &s);
    v->out.type = WIRE_STATS_REPLY;
    v->out.u.heartbeat = (struct wire_heartbeat){
        .role = ROLE_SERVER,
        .index = v->number,
        .rows = s.rows_total,
        .bytes = s.bytes_total,
        .version = s.version,
        .evicted = s.evicted_age + s.evicted_memory,
        .refused = s.refused,
        .created = s.created,
        .duplicates = s.duplicates,
    };
    answer(v, s.rows, v->job->plan.schema.count * sizeof s.rows[0]);
    return OK;
}

static enum status serve(struct serving *v, uint64_t now_ms) {
    if (v->in.msg.job != v->job->job) {
        return fail(ERR_PROTOCOL, "request of job %016llx at a partition of job %016llx",
                    (unsigned long long)v->in.msg.job, (unsigned long long)v->job->job);
    }
    if (v->in.keys_bytes > v->job->config.message_bytes_max ||
        v->in.values_bytes > v->job->config.message_bytes_max) {
        return fail(ERR_LIMIT,
                    "request with frames of %zu and %zu bytes, net.message_bytes_max "
                    "is %u",
                    v->in.keys_bytes, v->in.values_bytes, v->job->config.message_bytes_max);
    }
    switch (v->in.msg.type) {
    case WIRE_PULL: return serve_pull(v, now_ms);
    case WIRE_PUSH: return serve_push(v);
    case WIRE_STATS: return serve_stats(v);
    default:
        return fail(ERR_PROTOCOL, "a partition does not answer %s", wire_type_name(v->in.msg.type));
    }
}

/* --- cuts ------------------------------------------------------------------------------------- */

static enum status report_part(struct serving *v, uint64_t cut, enum status status,
                               const struct part_info *info) {
    struct server_report r = {.kind = SERVER_REPORT_PART, .cut = cut, .status = status};
    if (status == OK) {
        r.info = *info;
    } else {
        snprintf(r.text, sizeof r.text, "%s", fail_text_of(status));
    }
    return report(v, r);
}

static enum status begin_cut(struct serving *v) {
    struct server_order *o = v->held;
    enum status status = partition_cut(v->partition, v->job->writer, o->dir, v->number,
                                       v->job->plan.partitions, o->cut_id);
    if (status == ERR_AGAIN) {
        return OK;
    }
    v->cut = o->cut;
    v->cutting = status == OK;
    mem_free(&v->held);
    return status == OK ? OK : report_part(v, v->cut, status, NULL);
}

static enum status cut_step(struct serving *v) {
    enum status status;
    struct part_info info = {.applied = BUF_EMPTY};
    if (v->cutting && partition_cut_done(v->partition, &status, &info)) {
        v->cutting = false;
        TRY(report_part(v, v->cut, status, &info));
    }
    return v->held != NULL && !v->cutting ? begin_cut(v) : OK;
}

static enum status take_order(struct serving *v) {
    void *item;
    if (v->held != NULL || queue_take(&v->shared->orders, &item, 0) != OK) {
        return OK;
    }
    v->held = item;
    if (v->held->kind != SERVER_ORDER_FIGURES) {
        return OK;
    }
    mem_free(&v->held);
    v->figures_ms = 0;
    put_figures(v, clock_mono_ms());
    return report(v, (struct server_report){.kind = SERVER_REPORT_FIGURES});
}

/* --- the thread ------------------------------------------------------------------------------- */

/* Waits for the job; *go false: told to stop instead. */
static enum status await_job(struct serving *v, bool *go) {
    *go = false;
    while (!*go && !atomic_load(&v->shared->stop)) {
        void *item;
        enum status status = queue_take(&v->shared->orders, &item, IDLE_MS);
        if (status == ERR_CLOSED) {
            return OK;
        }
        if (status == OK) {
            struct server_order *o = item;
            v->job = o->job;
            v->number = o->partition;
            mem_free(&o);
            *go = true;
        }
    }
    return OK;
}

static enum status make_partition(struct serving *v) {
    const struct server_job *job = v->job;
    uint64_t partitions = job->plan.partitions;
    struct partition_spec spec = {
        .config = &job->config,
        .schema = &job->plan.schema,
        .layout = &job->layout,
        .batches_per_shard = job->plan.batches_per_shard,
        .shards = job->plan.shards,
        .grows = job->plan.stream,
        .bucket_begin = (uint32_t)(BUCKETS * (uint64_t)v->number / partitions),
        .bucket_end = (uint32_t)(BUCKETS * ((uint64_t)v->number + 1) / partitions),
        .memory_bytes = job->config.memory_bytes / job->threads,
        .parameters_only = job->parameters_only,
    };
    TRY(partition_create(&v->partition, &spec));
    if (job->resume_dir[0] == '\0') {
        return OK;
    }
    uint64_t start_ms = clock_mono_ms();
    TRY(partition_restore(v->partition, job->resume_dir, &job->manifest));
    log_info("partition %u: buckets [%u, %u) restored from %s in %llu ms", v->number,
             spec.bucket_begin, spec.bucket_end, job->resume_dir,
             (unsigned long long)(clock_mono_ms() - start_ms));
    return OK;
}

static uint64_t patience_ms(const struct serving *v) {
    if (v->busy) {
        return 0;
    }
    return v->cutting ? CUTTING_MS : IDLE_MS;
}

static enum status turn(struct serving *v) {
    enum status status = port_receive(v->port, &v->in, patience_ms(v));
    uint64_t now_ms = clock_mono_ms();
    lap(&v->laps, STAGE_IDLE);
    if (status == OK) {
        status = serve(v, now_ms);
        if (status != OK) {
            answer_error(v, status);
        }
        lap(&v->laps, v->in.msg.type == WIRE_PUSH ? STAGE_APPLY : STAGE_LOOKUP);
    } else if (status != ERR_TIMEOUT) {
        return status;
    }
    TRY(partition_tick(v->partition, now_ms, &v->busy));
    TRY(take_order(v));
    TRY(cut_step(v));
    put_figures(v, now_ms);
    lap(&v->laps, STAGE_KEEP);
    return OK;
}

static enum status serving_run(struct serving *v) {
    bool go;
    struct server_report r = {.kind = SERVER_REPORT_BOUND};
    TRY(port_bind(&v->port, v->shared->transport, v->shared->listen, PORT_BYTES_MAX));
    snprintf(r.endpoint, sizeof r.endpoint, "%s", port_endpoint(v->port));
    TRY(report(v, r));
    TRY(await_job(v, &go));
    if (!go) {
        return OK;
    }
    TRY(make_partition(v));
    put_figures(v, clock_mono_ms());
    TRY(report(v, (struct server_report){.kind = SERVER_REPORT_READY}));
    laps_start(&v->laps);
    while (!atomic_load(&v->shared->stop)) {
        TRY(turn(v));
    }
    if (v->unsent > 0 || port_malformed(v->port) > 0) {
        log_info("partition %u: %llu answers dropped, %llu malformed messages", v->number,
                 (unsigned long long)v->unsent, (unsigned long long)port_malformed(v->port));
    }
    return OK;
}

static enum status thread_main(void *arg) {
    struct serving *v = NULL;
    TRY(mem_new(&v));
    v->shared = arg;
    enum status status = serving_run(v);
    for (size_t i = 0; i < STATUSES; i++) {
        log_limit_end(&v->refused[i]);
    }
    partition_destroy(&v->partition);
    port_close(&v->port);
    mem_free(&v->held);
    mem_free(&v->ids.data);
    mem_free(&v->floats.data);
    mem_free(&v->packed.data);
    mem_free(&v->missing.data);
    mem_free(&v);
    return status;
}

/* --- the control thread's side ---------------------------------------------------------------- */

enum status server_thread_start(struct server_thread *s, struct transport *t, const char *listen,
                                uint32_t number) {
    char name[16];
    memset(s, 0, sizeof *s);
    s->transport = t;
    if ((size_t)snprintf(s->listen, sizeof s->listen, "%s", listen) >= sizeof s->listen) {
        return fail(ERR_LIMIT, "endpoint is longer than %zu bytes: %s", sizeof s->listen - 1,
                    listen);
    }
    atomic_store(&s->stop, false);
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
