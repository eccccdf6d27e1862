/* summary.c - summary.json: the result of a job, written once at its end, also after a failure. */
#include <math.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/data/data_fit.h"
#include "common/base/mem.h"
#include "common/fault/fault.h"
#include "state.h"

#define SUMMARY_BYTES_MAX ((size_t)1 << 20)

static void loss_keys(struct json *j, const char *prefix, struct progress_loss l) {
    char key[64];
    const char *name[] = {"loss", "loss_ctr", "loss_ctcvr"};
    const double value[] = {l.loss, l.ctr, l.ctcvr};
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(prefix);
        memcpy(key, prefix, n);
        memcpy(key + n, name[i], strlen(name[i]) + 1);
        json_f64(j, key, value[i]);
    }
}

/* A stopped job leaves unfinished shards, whose leases never come back; the last checkpoint knows
 * which of their batches were applied. */
static uint64_t steps_done(const struct coord *c) {
    uint64_t returned = applied_count(c->leases.done);
    return returned > c->checkpoints.newest_step ? returned : c->checkpoints.newest_step;
}

static void work_keys(struct json *j, const struct coord *c) {
    const struct progress *p = &c->progress;
    uint64_t end_ms = c->ended_ms > 0 ? c->ended_ms : clock_mono_ms();
    double seconds = p->began_ms == 0 ? 0 : (double)(end_ms - p->began_ms) / 1000.0;
    json_u64(j, "impressions", p->totals.impressions);
    json_f64(j, "seconds", seconds);
    json_f64(j, "train_seconds", evaluations_train_seconds(c, end_ms));
    json_f64(j, "evaluation_seconds", c->evaluations.spent_s);
    json_f64(j, "impressions_per_s", seconds > 0 ? (double)p->totals.impressions / seconds : NAN);
    json_u64(j, "steps", steps_done(c));
    json_u64(j, "steps_restored", c->resumed_step);
    json_u64(j, "batches_set_aside", c->aside_batches);
    json_u64(j, "impressions_set_aside", c->aside_impressions);
    json_u64(j, "second_leases", c->leases.seconds);
    json_u64(j, "epochs", applied_base(c->leases.done));
    loss_keys(j, "", progress_loss_recent(p));
    loss_keys(j, "epoch_", progress_loss_epoch(p));
}

static double summary_mean(uint64_t sum, uint64_t n) {
    return n > 0 ? (double)sum / (double)n : NAN;
}

static void push_keys(struct json *j, const struct progress *p) {
    const struct wire_progress *t = &p->totals;
    json_open(j, "pushes", '{');
    json_u64(j, "batches", t->batches);
    json_u64(j, "resent", t->resent);
    json_u64(j, "duplicate", t->duplicates);
    json_u64(j, "dropped", t->dropped_values);
    json_u64(j, "tickets_unknown", t->tickets_unknown);
    json_u64(j, "fenced", t->fenced);
    json_close(j);
    json_open(j, "staleness", '{');
    json_f64(j, "mean", summary_mean(t->staleness_sum, t->batches));
    json_u64(j, "max", t->staleness_max);
    json_f64(j, "dense_mean", summary_mean(t->dense_staleness_sum, t->batches));
    json_u64(j, "dense_max", t->dense_staleness_max);
    json_close(j);
}

static void latency_keys(struct json *j, const char *name, const struct latency *l) {
    if (latency_total(l) == 0) {
        return;
    }
    json_open(j, name, '{');
    json_u64(j, "requests", latency_total(l));
    json_f64(j, "p50", (double)latency_quantile_us(l, 0.5) / 1e3);
    json_f64(j, "p99", (double)latency_quantile_us(l, 0.99) / 1e3);
    json_f64(j, "max", (double)l->max_us / 1e3);
    json_close(j);
}

static void role_usage(struct json *j, const char *role, uint32_t processes,
                       const struct usage *u) {
    json_open(j, role, '{');
    json_u64(j, "processes", processes);
    json_f64(j, "cpu_s", u->cpu_s);
    json_u64(j, "peak_bytes", u->peak_bytes);
    json_u64(j, "sent_bytes", u->sent_bytes);
    json_u64(j, "received_bytes", u->received_bytes);
    json_open(j, "stages_s", '{');
    for (int s = 0; s < STAGES; s++) {
        if (u->stage_s[s] > 0) {
            json_f64(j, stage_name((enum stage)s), u->stage_s[s]);
        }
    }
    json_close(j);
    latency_keys(j, "latency_ms", &u->latency);
    latency_keys(j, "latency_cut_ms", &u->latency_cut);
    json_close(j);
}

/* Writes where the time went. peak_bytes is that of the largest process. */
static void usage_keys(struct json *j, const struct progress *p) {
    struct usage u;
    json_open(j, "usage", '{');
    usage_of_process(&u);
    role_usage(j, "coordinator", 1, &u);
    progress_servers_usage(p, &u);
    role_usage(j, "servers", p->servers, &u);
    progress_workers_usage(p, &u);
    role_usage(j, "workers", p->workers, &u);
    json_close(j);
}

static void server_keys(struct json *j, const struct coord *c) {
    struct progress_server s;
    progress_servers(&c->progress, &s);
    json_open(j, "servers", '{');
    json_u64(j, "rows", s.rows);
    json_u64(j, "bytes", s.bytes);
    json_u64(j, "rows_created", s.created);
    json_u64(j, "rows_refused", s.refused);
    json_u64(j, "rows_evicted", s.evicted);
    json_close(j);
    json_open(j, "rows", '{');
    for (uint32_t f = 0; f < c->progress.fields; f++) {
        json_u64(j, c->data.schema.fields[f].name, s.field_rows[f]);
    }
    json_close(j);
}

/* Writes which share of each field's values has no row in the model, and which share training lets
 * expect. Warns of doubtful shares. */
static void unseen_keys(struct json *j, const struct coord *c) {
    const struct schema *schema = &c->data.schema;
    struct progress_server servers;
    struct buf doubts = BUF_EMPTY;
    uint64_t values[FIELDS_MAX];
    double first[FIELDS_MAX];
    progress_servers(&c->progress, &servers);
    values_read(c, c->leases.done_impressions, values);
    unseen_first(c->config, schema, servers.field_rows, values, first);
    unseen_json(&c->unseen, schema, first, j);
    if (unseen_doubts(&c->unseen, schema, first, &doubts) == OK) {
        data_fit_log(&doubts);
    }
    buf_fini(&doubts);
}

static void recovery_keys(struct json *j, const struct recover *r) {
    json_open(j, "recovery", '{');
    json_u64(j, "servers_lost", r->servers_lost);
    json_u64(j, "servers_back", r->servers_back);
    json_u64(j, "rollbacks", r->rollbacks);
    json_u64(j, "batches_repeated", r->batches_repeated);
    json_f64(j, "seconds", r->seconds);
    json_close(j);
}

const char *coord_status(const struct coord *c) {
    return c->failed          ? "failed"
           : c->stopped       ? "stopped"
           : c->stopped_early ? "stopped_early"
                              : "complete";
}

enum status summary_write(struct coord *c) {
    char path[PATH_BYTES_MAX];
    struct buf text = BUF_EMPTY;
    struct json j;
    FAULT("coord.summary.begin");
    TRY(path_join(path, c->out_dir, "summary.json"));
    json_init(&j, &text, true);
    json_open(&j, NULL, '{');
    json_str(&j, "status", coord_status(c));
    if (c->failed) {
        json_str(&j, "cause", c->cause);
    }
    work_keys(&j, c);
    if (c->evaluated) {
        json_open(&j, "evaluation", '{');
        json_u64(&j, "epoch", c->evaluation_epoch);
        evaluations_json(c->evaluation, c->evaluations_made, &j);
        unseen_keys(&j, c);
        json_close(&j);
    }
    push_keys(&j, &c->progress);
    server_keys(&j, c);
    usage_keys(&j, &c->progress);
    recovery_keys(&j, &c->recover);
    json_u64(&j, "checkpoints", c->checkpoints.count);
    json_u64(&j, "checkpoints_failed", c->checkpoints.failures);
    json_u64(&j, "checkpoints_damaged", c->checkpoints.damaged);
    json_u64(&j, "metrics_lost", c->event_log.lost_all);
    json_str(&j, "checkpoint", c->checkpoints.newest);
    keep_json(c, &j);
    json_close(&j);
    enum status status = j.status;
    if (status == OK) {
        status = buf_put_u8(&text, '\n');
    }
    if (status == OK) {
        status = file_write_atomic(path, text.data, text.len);
    }
    buf_fini(&text);
    return status;
}

/* A stopped or failed job has a summary too. */
enum status coord_summary_complete(const char *out_dir, bool *complete) {
    char path[PATH_BYTES_MAX];
    char *text = NULL;
    size_t bytes;
    *complete = false;
    TRY(path_join(path, out_dir, "summary.json"));
    const enum status status = file_read_all(path, SUMMARY_BYTES_MAX, &text, &bytes);
    if (status == OK) {
        const char *at = strstr(text, "\"status\"");
        at = at == NULL ? NULL : strchr(at, ':');
        *complete = at != NULL && strncmp(at + 1 + strspn(at + 1, " "), "\"complete\"", 10) == 0;
    }
    mem_free(&text);
    return status == ERR_NOT_FOUND ? OK : status;
}
