/* server.c - the server role: its control thread.
 *
 * First every partition thread binds its port, because HELLO contains the endpoints. WELCOME brings
 * the plan; then the threads make their partitions and, if there is a checkpoint, restore them.
 * Meanwhile heartbeats say that rows are being read. From the first other heartbeat on, sent when
 * all threads are ready, the coordinator considers the server to be serving, and only then admits
 * workers.
 *
 * After that, each turn listens to the coordinator for at most STEP_MS, passes cuts on to the
 * threads, sends the results of cuts, and sums the figures of the threads into the heartbeat. The
 * server ends when the coordinator orders it, when something in it fails (it first tells the
 * coordinator why), or when the coordinator has been silent for give_up_ms. When told to stop, it
 * sends one more heartbeat with the final figures, for which the coordinator waits. A stop signal
 * alone does not end a serving server: it tells the coordinator, which makes a checkpoint and then
 * lets it go (LEAVE), or orders the stop. Before the server serves, a signal ends it at once.
 *
 * If the job is rolled back (REJOIN), the threads drop their partitions and keep their ports; the
 * server says HELLO again and begins the next life of the job like the first.
 */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/fault/fault.h"
#include "common/net/role.h"
#include "server_thread.h"
#include "snapshot_writer.h"

#define STEP_MS         10
#define BIND_TIMEOUT_MS 30000
#define FIGURES_MS      200
#define LAST_WORDS_MS   1000

struct server {
    const struct server_options *options;
    struct role role;
    struct server_thread *threads;
    struct server_job job;
    char (*endpoint)[WIRE_ENDPOINT_MAX]; /* of the threads, as others connect to them */
    uint32_t first;                      /* number of the first partition in the job */
    uint32_t ready;                      /* number of threads that serve */
    uint64_t *cut_given;                 /* [threads]: the newest cut passed on */
    uint64_t figures_next_ms;
    char damage[WIRE_TEXT_MAX]; /* why the checkpoint cannot be restored; "": it can */
    bool signal_logged;
    bool quits;       /* it has said its last words */
    uint32_t figures; /* number of threads whose last figures are published */
};

/* --- endpoints -------------------------------------------------------------------------------- */

/* Address where thread k listens: tcp gets its own port, other transports their own name. */
static enum status listen_of(const struct server_options *o, uint32_t k, char *out, size_t cap) {
    int n;
    const char *colon = strrchr(o->listen, ':');
    if (strncmp(o->listen, "tcp://", 6) != 0) {
        n = snprintf(out, cap, "%s.%u", o->listen, k);
    } else if (colon <= o->listen + 5) {
        return fail(ERR_USAGE, "--listen %s: expected tcp://HOST:PORT", o->listen);
    } else {
        bool choose = strcmp(colon, ":*") == 0 || strcmp(colon, ":0") == 0;
        unsigned long port = choose ? 0 : strtoul(colon + 1, NULL, 10) + k;
        if (port > 65535) {
            return fail(ERR_USAGE, "--listen %s: no such port for thread %u", o->listen, k);
        }
        n = snprintf(out, cap, "%.*s:%lu", (int)(colon - o->listen), o->listen, port);
    }
    return n >= 0 && (size_t)n < cap
               ? OK
               : fail(ERR_LIMIT, "--listen is longer than %zu bytes: %s", cap - 1, o->listen);
}

static bool is_wildcard(const char *host) {
    return strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "[::]") == 0;
}

/* The bound endpoint with a host name that others can use. */
static enum status advertised(const struct server_options *o, const char *bound, char *out) {
    char host[WIRE_ENDPOINT_MAX];
    const char *colon = strrchr(bound, ':');
    if (strncmp(bound, "tcp://", 6) != 0) {
        snprintf(out, WIRE_ENDPOINT_MAX, "%s", bound);
        return OK;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - bound - 6), bound + 6);
    if (o->advertise != NULL) {
        snprintf(host, sizeof host, "%s", o->advertise);
    } else if (is_wildcard(host) && gethostname(host, sizeof host - 1) != 0) {
        return fail(ERR_CONFIG, "listening on every address; give --advertise a name for others");
    }
    int n = snprintf(out, WIRE_ENDPOINT_MAX, "tcp://%s%s", host, colon);
    return n < WIRE_ENDPOINT_MAX ? OK
                                 : fail(ERR_LIMIT, "endpoint too long: tcp://%s%s", host, colon);
}

static enum status await_bound(struct server *s, uint32_t k) {
    uint64_t deadline_ms = clock_mono_ms() + BIND_TIMEOUT_MS;
    while (clock_left_ms(deadline_ms) > 0) {
        struct server_report *r = server_thread_report(&s->threads[k], STEP_MS);
        if (r != NULL) {
            enum status status = advertised(s->options, r->endpoint, s->endpoint[k]);
            server_report_free(&r);
            return status;
        }
        TRY(server_thread_check(&s->threads[k]));
    }
    return fail(ERR_TIMEOUT, "thread %u did not bind %s within %d ms", k, s->threads[k].listen,
                BIND_TIMEOUT_MS);
}

/* --- push logs -------------------------------------------------------------------------------- */

/* Leaves those bases of the first threads that the log of thread k has too. */
static void keep_common(struct role *r, uint32_t k, const struct push_log_head *head,
                        const uint64_t *bases, size_t count) {
    uint32_t kept = 0;
    if (k == 0) {
        r->log_job = head->job;
        r->log_bases = (uint32_t)count;
        memcpy(r->log_base, bases, count * sizeof *bases);
        return;
    }
    for (uint32_t i = 0; i < r->log_bases; i++) {
        bool has = false;
        for (size_t n = 0; n < count; n++) {
            has = has || bases[n] == r->log_base[i];
        }
        if (has && head->job == r->log_job) {
            r->log_base[kept++] = r->log_base[i];
        }
    }
    r->log_bases = kept;
}

static enum status look_at_log(struct server *s, uint32_t k) {
    struct push_log *log = NULL;
    uint64_t bases[WIRE_BASES_MAX];
    TRY(push_log_open(&log, s->options->push_log, s->options->index, k));
    const struct push_log_head *head = push_log_left(log);
    if (head == NULL || strcmp(head->endpoint, s->endpoint[k]) != 0) {
        s->role.log_bases = 0;
    } else {
        keep_common(&s->role, k, head, bases, push_log_bases(log, bases, WIRE_BASES_MAX));
    }
    push_log_close(&log, false);
    return OK;
}

/* Finds out what the logs of an earlier process under this index lead on from: HELLO says it. Logs
 * that cannot be read are as good as none. */
static void find_logs(struct server *s) {
    const char *dir = s->options->push_log;
    if (dir == NULL || !file_is_dir(dir)) {
        return;
    }
    s->role.log_bases = 1;
    for (uint32_t k = 0; k < s->options->threads && s->role.log_bases > 0; k++) {
        if (look_at_log(s, k) != OK) {
            log_warn("%s", fail_text());
            s->role.log_bases = 0;
        }
    }
    s->role.log_job = s->role.log_bases > 0 ? s->role.log_job : 0;
}

/* The job has ended. */
static void remove_logs(const struct server *s) {
    const char *dir = s->options->push_log;
    struct push_log *log = NULL;
    for (uint32_t k = 0; dir != NULL && file_is_dir(dir) && k < s->options->threads; k++) {
        if (push_log_open(&log, dir, s->options->index, k) == OK) {
            push_log_close(&log, true);
        }
    }
}

static enum status server_open(void *self) {
    struct server *s = self;
    const struct server_options *o = s->options;
    if (o->threads == 0 || o->threads > WIRE_PARTITIONS_MAX) {
        return fail(ERR_USAGE, "--threads is %u, expected 1 to %u", o->threads,
                    WIRE_PARTITIONS_MAX);
    }
    TRY(mem_array(&s->threads, o->threads));
    TRY(mem_array(&s->endpoint, o->threads));
    TRY(mem_array(&s->cut_given, o->threads));
    for (uint32_t k = 0; k < o->threads; k++) {
        char listen[WIRE_ENDPOINT_MAX];
        TRY(listen_of(o, k, listen, sizeof listen));
        TRY(server_thread_start(&s->threads[k], s->role.transport, listen, k));
    }
    for (uint32_t k = 0; k < o->threads; k++) {
        TRY(await_bound(s, k));
        log_info("thread %u listens on %s", k, s->endpoint[k]);
    }
    s->role.endpoints = (const char(*)[WIRE_ENDPOINT_MAX])s->endpoint;
    find_logs(s);
    return OK;
}

/* --- joining the job -------------------------------------------------------------------------- */

/* Finds out from the endpoints of the plan which partitions belong to this server. */
static enum status find_partitions(struct server *s) {
    const struct job_plan *plan = &s->job.plan;
    uint32_t threads = s->options->threads;
    uint32_t k = 0;
    while (k < plan->partitions && strcmp(plan->endpoint[k], s->endpoint[0]) != 0) {
        k++;
    }
    s->first = k;
    for (uint32_t i = 0; i < threads; i++) {
        if (k + i >= plan->partitions || strcmp(plan->endpoint[k + i], s->endpoint[i]) != 0) {
            return fail(ERR_PROTOCOL, "the coordinator's plan of %u partitions lacks ours at %s",
                        plan->partitions, s->endpoint[i]);
        }
    }
    return plan->partitions <= BUCKETS
               ? OK
               : fail(ERR_LIMIT, "%u partitions for %u buckets", plan->partitions, BUCKETS);
}

static enum status begin_threads(struct server *s) {
    for (uint32_t k = 0; k < s->options->threads; k++) {
        struct server_order o = {
            .kind = SERVER_ORDER_BEGIN, .partition = s->first + k, .job = &s->job};
        TRY(server_thread_order(&s->threads[k], &o));
    }
    return OK;
}

/* Whether push logs are kept, and what they begin with. */
static void choose_log(struct server *s) {
    struct server_job *job = &s->job;
    const char *dir = s->options->push_log;
    const bool resumes = job->resume_dir[0] != '\0';
    job->base = wire_base(resumes ? job->manifest.cut : 0, job->resume_dir);
    job->log_dir[0] = '\0';
    if (job->config.push_log == PUSH_LOG_OFF) {
        return;
    }
    if (dir == NULL) {
        log_warn(
            "recovery.push_log is on, but this server was started without --push-log: it keeps "
            "none");
        return;
    }
    snprintf(job->log_dir, sizeof job->log_dir, "%.*s", PATH_BYTES_MAX - 1, dir);
}

static enum status server_begin(void *self) {
    struct server *s = self;
    struct server_job *job = &s->job;
    const struct wire_welcome *welcome = &s->role.welcome;
    FAULT("ps.begin");
    TRY(find_partitions(s));
    job->job = welcome->job;
    job->threads = s->options->threads;
    job->index = s->options->index;
    snprintf(job->resume_dir, sizeof job->resume_dir, "%s", welcome->resume_dir);
    job->parameters_only = !welcome->resume;
    if (job->resume_dir[0] != '\0') {
        TRY(manifest_read(&job->manifest, job->resume_dir));
    }
    choose_log(s);
    TRY(snapshot_writer_start(&job->writer));
    snapshot_writer_limit(job->writer, job->config.bytes_per_s);
    log_info("job %016llx: partitions %u to %u of %u", (unsigned long long)job->job, s->first,
             s->first + job->threads - 1, job->plan.partitions);
    return begin_threads(s);
}

/* --- what the coordinator says ---------------------------------------------------------------- */

/* Passes each cut on to a thread only once, even if the order is repeated. If the queue of a thread
 * is full, the thread gets the cut with the next repeat. */
static enum status pass_cut(struct server *s, const struct wire_command *c) {
    FAULT("ps.cut.pass");
    struct server_order o = {.kind = SERVER_ORDER_CUT,
                             .cut = c->cut,
                             .cut_id = c->cut_id,
                             .committed = c->committed,
                             .delta = c->delta};
    snprintf(o.dir, sizeof o.dir, "%s", c->dir);
    for (uint32_t k = 0; k < s->options->threads; k++) {
        if (c->cut <= s->cut_given[k]) {
            continue;
        }
        enum status status = server_thread_order(&s->threads[k], &o);
        if (status != OK && status != ERR_AGAIN) {
            return status;
        }
        if (status == OK) {
            log_debug("cut %llu to partition %u: %s", (unsigned long long)c->cut, s->first + k,
                      c->dir);
            s->cut_given[k] = c->cut;
        }
    }
    return OK;
}

/* Tells the threads which cut is the newest that was committed. */
static void pass_committed(struct server *s, const struct wire_command *c) {
    for (uint32_t k = 0; k < s->options->threads; k++) {
        atomic_store(&s->threads[k].committed, c->committed);
    }
}

/* All that this server has is in a checkpoint, to which the others go back. */
static void server_quit(struct server *s) {
    char why[64];
    log_info("all is saved: leaving");
    snprintf(why, sizeof why, "stop signal %d", stop_signal());
    s->quits = true;
    role_quit(&s->role, why);
    s->role.ended = true;
}

static enum status server_take(void *self, const struct port_message *m) {
    struct server *s = self;
    const struct wire_command *c = &m->msg.u.command;
    if (m->msg.type == WIRE_COMMAND) {
        pass_committed(s, c);
    }
    const bool cut = m->msg.type == WIRE_COMMAND && c->order == ORDER_CUT;
    if (m->msg.type == WIRE_COMMAND && c->order == ORDER_LEAVE && stop_requested()) {
        server_quit(s);
        return OK;
    }
    return cut && s->ready == s->options->threads ? pass_cut(s, c) : OK;
}

/* --- what the server says --------------------------------------------------------------------- */

static enum status send_part(struct server *s, uint32_t k, const struct server_report *r) {
    struct wire_msg m = {.type = WIRE_PART_DONE};
    struct wire_part_done *p = &m.u.part_done;
    p->partition = s->first + k;
    p->cut = r->cut;
    p->ok = r->status == OK;
    snprintf(p->text, sizeof p->text, "%s", r->text);
    if (p->ok) {
        snprintf(p->name, sizeof p->name, "%s", r->info.name);
        p->bucket_begin = r->info.bucket_begin;
        p->bucket_end = r->info.bucket_end;
        p->bytes = r->info.bytes;
        p->checksum = r->info.checksum;
        p->rows = r->info.rows;
        p->version = r->info.version;
        p->whole = r->info.whole;
    } else {
        log_error("cut %llu of partition %u failed: %s", (unsigned long long)r->cut, p->partition,
                  r->text);
    }
    uint64_t id;
    FAULT("ps.part.send");
    return link_request(s->role.link, &m, r->info.applied.data, r->info.applied.len, NULL, 0, &id);
}

static enum status collect_reports(struct server *s) {
    for (uint32_t k = 0; k < s->options->threads; k++) {
        TRY(server_thread_check(&s->threads[k]));
        struct server_report *r;
        while ((r = server_thread_report(&s->threads[k], 0)) != NULL) {
            enum status status = OK;
            if (r->kind == SERVER_REPORT_READY) {
                s->ready++;
            } else if (r->kind == SERVER_REPORT_DAMAGED && s->damage[0] == '\0') {
                snprintf(s->damage, sizeof s->damage, "%s", r->text);
                log_error("cannot restore: %s", s->damage);
            } else if (r->kind == SERVER_REPORT_FIGURES) {
                s->figures++;
            } else if (r->kind == SERVER_REPORT_PART) {
                status = send_part(s, k, r);
            }
            server_report_free(&r);
            TRY(status);
        }
    }
    return OK;
}

/* Sends the sum of the figures of the threads; the version is the lowest of theirs. */
static enum status server_beat(struct server *s) {
    uint64_t rows[FIELDS_MAX] = {0};
    struct partition_stats p;
    struct wire_heartbeat b = {.version = UINT64_MAX, .leaving = stop_requested()};
    uint32_t fields = s->job.plan.schema.count;
    usage_of_process(&b.usage);
    for (uint32_t k = 0; k < s->options->threads; k++) {
        server_thread_figures(&s->threads[k], &p, &b.usage);
        b.rows += p.rows_total;
        b.bytes += p.bytes_total;
        b.log_bytes += p.log_bytes;
        b.version = p.version < b.version ? p.version : b.version;
        b.evicted += p.evicted_age + p.evicted_memory;
        b.refused += p.refused;
        b.created += p.created;
        b.duplicates += p.duplicates;
        for (uint32_t f = 0; f < fields; f++) {
            rows[f] += p.rows[f];
        }
    }
    TRY(link_beat_values(s->role.link, rows, fields * sizeof rows[0]));
    FAULT("ps.beat");
    role_beat(&s->role, &b);
    return OK;
}

/* Rows are being read, or cannot be. */
static void beat_restoring(struct server *s) {
    struct wire_heartbeat b = {.reading = true};
    snprintf(b.text, sizeof b.text, "%s", s->damage);
    role_beat(&s->role, &b);
}

static enum status look_at_signal(struct server *s) {
    if (!stop_requested()) {
        return OK;
    }
    if (s->ready < s->options->threads) {
        return fail(ERR_CLOSED, "stopped by signal %d before the rows were ready", stop_signal());
    }
    if (!s->signal_logged) {
        s->signal_logged = true;
        log_info("signal %d: serving until all is saved", stop_signal());
        link_beat_now(s->role.link);
    }
    return OK;
}

static enum status server_work(void *self) {
    struct server *s = self;
    TRY(collect_reports(s));
    TRY(look_at_signal(s));
    uint64_t now_ms = clock_mono_ms();
    if (s->ready < s->options->threads) {
        beat_restoring(s);
    }
    if (s->ready == s->options->threads && now_ms >= s->figures_next_ms) {
        if (s->figures_next_ms == 0) {
            log_info("serving %u partitions from number %u on", s->ready, s->first);
            link_beat_now(s->role.link);
        }
        s->figures_next_ms = now_ms + FIGURES_MS;
        return server_beat(s);
    }
    return OK;
}

/* --- a rollback ------------------------------------------------------------------------------- */

/* Waits until every thread has dropped the job, which then nobody reads any more. */
static enum status await_left(struct server *s) {
    for (uint32_t k = 0; k < s->options->threads; k++) {
        bool left = false;
        while (!left) {
            struct server_report *r = server_thread_report(&s->threads[k], STEP_MS);
            left = r != NULL && r->kind == SERVER_REPORT_LEFT;
            server_report_free(&r);
            TRY(left ? OK : server_thread_check(&s->threads[k]));
        }
    }
    return OK;
}

static void drop_job(struct server *s) {
    snapshot_writer_stop(&s->job.writer);
    manifest_free(&s->job.manifest);
    job_plan_free(&s->job.plan);
}

static enum status server_leave(void *self) {
    struct server *s = self;
    for (uint32_t k = 0; k < s->options->threads; k++) {
        server_thread_leave(&s->threads[k]);
        s->cut_given[k] = 0;
    }
    FAULT("ps.leave");
    TRY(await_left(s));
    drop_job(s);
    s->ready = s->figures = 0;
    s->figures_next_ms = 0;
    s->damage[0] = '\0';
    return OK;
}

/* --- the end ---------------------------------------------------------------------------------- */

static enum status last_figures(struct server *s) {
    FAULT("ps.finish");
    uint64_t until_ms = clock_mono_ms() + LAST_WORDS_MS;
    struct server_order o = {.kind = SERVER_ORDER_FIGURES};
    for (uint32_t k = 0; k < s->options->threads; k++) {
        TRY(server_thread_order(&s->threads[k], &o));
    }
    while (s->figures < s->options->threads && clock_left_ms(until_ms) > 0) {
        TRY(collect_reports(s));
        clock_sleep_ms(1);
    }
    return server_beat(s);
}

/* The summary takes its counters from the last heartbeat, so this sends the last figures. */
static void server_finish(void *self) {
    struct server *s = self;
    if (!s->quits && s->ready == s->options->threads && last_figures(s) == OK) {
        role_await(&s->role, 1, LAST_WORDS_MS);
    }
}

static void server_close(void *self) {
    struct server *s = self;
    for (uint32_t k = 0; s->threads != NULL && k < s->options->threads; k++) {
        server_thread_stop(&s->threads[k]);
    }
    if (s->role.ended) {
        remove_logs(s);
    }
    mem_free(&s->threads);
    drop_job(s);
    mem_free(&s->endpoint);
    mem_free(&s->cut_given);
}

static const struct role_parts SERVER_PARTS = {.open = server_open,
                                               .begin = server_begin,
                                               .take = server_take,
                                               .work = server_work,
                                               .leave = server_leave,
                                               .finish = server_finish,
                                               .close = server_close};

enum status server_run(const struct server_options *o) {
    struct server *s = NULL;
    TRY(mem_new(&s));
    s->options = o;
    s->role = (struct role){.parts = &SERVER_PARTS,
                            .self = s,
                            .kind = ROLE_SERVER,
                            .index = o->index,
                            .threads = o->threads,
                            .coordinator = o->coordinator,
                            .endpoint_count = o->threads,
                            .timeout_ms = o->timeout_ms,
                            .step_ms = STEP_MS,
                            .config = &s->job.config,
                            .plan = &s->job.plan,
                            .layout = &s->job.layout};
    enum status status = role_run(&s->role);
    mem_free(&s);
    return status;
}
