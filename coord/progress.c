#include "progress.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"

enum status progress_init(struct progress *p, uint32_t workers, uint32_t servers, uint32_t fields,
                          uint64_t job_impressions, uint64_t restored_impressions) {
    *p = (struct progress){.workers = workers,
                           .servers = servers,
                           .fields = fields,
                           .job_impressions = job_impressions,
                           .restored_impressions = restored_impressions};
    enum status status = mem_array(&p->worker, workers);
    if (status == OK) {
        status = mem_array(&p->server, servers);
    }
    if (status == OK) {
        status = mem_array(&p->worker_usage, workers);
    }
    if (status == OK) {
        status = mem_array(&p->server_usage, servers);
    }
    if (status != OK) {
        progress_fini(p);
    }
    return status;
}

void progress_fini(struct progress *p) {
    mem_free(&p->worker);
    mem_free(&p->server);
    mem_free(&p->worker_usage);
    mem_free(&p->server_usage);
}

void progress_begin(struct progress *p, uint64_t now_ms) {
    p->began_ms = now_ms;
    progress_go_on(p, now_ms);
}

void progress_go_on(struct progress *p, uint64_t now_ms) {
    p->trained_ms = now_ms;
    p->rates = 0;
    progress_tick(p, now_ms);
}

void progress_new_life(struct progress *p, uint64_t restored_impressions) {
    p->restored_impressions = restored_impressions;
    p->life_start = p->totals;
}

void progress_worker_rejoins(struct progress *p, uint32_t worker, uint64_t incarnation) {
    p->worker[worker].rejoined = p->worker[worker].incarnation == incarnation;
}

void progress_epoch(struct progress *p, uint32_t epoch) {
    p->epoch = epoch;
    p->epoch_start = p->totals;
}

/* --- counters --------------------------------------------------------------------------------- */

/* totals += now - last, for the counters that are sums. */
static void add_difference(struct wire_progress *totals, const struct wire_progress *now,
                           const struct wire_progress *last) {
    totals->impressions += now->impressions - last->impressions;
    totals->batches += now->batches - last->batches;
    totals->loss_sum += now->loss_sum - last->loss_sum;
    totals->loss_ctr_sum += now->loss_ctr_sum - last->loss_ctr_sum;
    totals->loss_ctcvr_sum += now->loss_ctcvr_sum - last->loss_ctcvr_sum;
    totals->resent += now->resent - last->resent;
    totals->duplicates += now->duplicates - last->duplicates;
    totals->dropped_values += now->dropped_values - last->dropped_values;
    totals->tickets_unknown += now->tickets_unknown - last->tickets_unknown;
    totals->fenced += now->fenced - last->fenced;
    totals->staleness_sum += now->staleness_sum - last->staleness_sum;
    totals->dense_staleness_sum += now->dense_staleness_sum - last->dense_staleness_sum;
}

/* Notes the newest usage of the present process; the usage of its predecessors is summed in
 * `before`. */
static void progress_use(struct progress_usage *u, uint64_t incarnation, const struct usage *now) {
    if (u->incarnation != incarnation) {
        usage_add(&u->before, &u->now);
        u->incarnation = incarnation;
        u->now = (struct usage){0};
    }
    if (now->cpu_s >= u->now.cpu_s) {
        u->now = *now;
    }
}

void progress_worker_use(struct progress *p, uint32_t worker, uint64_t incarnation,
                         const struct usage *now) {
    progress_use(&p->worker_usage[worker], incarnation, now);
}

void progress_server_use(struct progress *p, uint32_t server, uint64_t incarnation,
                         const struct usage *now) {
    progress_use(&p->server_usage[server], incarnation, now);
}

static void sum_usage(const struct progress_usage *list, uint32_t n, struct usage *sum) {
    *sum = (struct usage){0};
    for (uint32_t i = 0; i < n; i++) {
        usage_add(sum, &list[i].before);
        usage_add(sum, &list[i].now);
    }
}

void progress_workers_usage(const struct progress *p, struct usage *sum) {
    sum_usage(p->worker_usage, p->workers, sum);
}

void progress_servers_usage(const struct progress *p, struct usage *sum) {
    sum_usage(p->server_usage, p->servers, sum);
}

static void take_sample(struct progress *p) {
    const struct wire_progress *newest = &p->sample[(p->samples + LOSS_SAMPLES - 1) % LOSS_SAMPLES];
    if (p->samples == 0 || p->totals.batches >= newest->batches + LOSS_BATCHES / 8) {
        p->sample[p->samples++ % LOSS_SAMPLES] = p->totals;
    }
}

void progress_worker_new(struct progress *p, uint32_t worker, uint64_t incarnation) {
    struct progress_worker *w = &p->worker[worker];
    if (w->incarnation != incarnation) {
        p->unheard -= w->unheard;
        *w = (struct progress_worker){.incarnation = incarnation};
    }
}

/* Rates and recent losses begin anew. */
static void begin_spans(struct progress *p) {
    p->unheard = 0;
    p->samples = p->rates = 0;
}

void progress_worker_beat(struct progress *p, uint32_t worker, uint64_t incarnation,
                          const struct wire_progress *counters, uint64_t now_ms) {
    struct progress_worker *w = &p->worker[worker];
    const bool settles = w->unheard && p->unheard == 1;
    p->unheard -= w->unheard;
    w->unheard = false;
    progress_worker_new(p, worker, incarnation);
    if (counters->batches < w->last.batches) {
        return; /* a later report came first */
    }
    if (counters->batches > w->last.batches) {
        p->trained_ms = now_ms;
    }
    add_difference(&p->totals, counters, &w->last);
    if (w->rejoined) {
        add_difference(&p->life_start, counters, &w->last);
        w->rejoined = false;
    }
    raise_to(&p->totals.staleness_max, counters->staleness_max);
    raise_to(&p->totals.dense_staleness_max, counters->dense_staleness_max);
    w->last = *counters;
    if (settles) {
        begin_spans(p);
    }
    take_sample(p);
}

static uint64_t bins_count(const struct metric_bins *b) {
    uint64_t n = 0;
    for (uint32_t k = 0; k < METRIC_BINS; k++) {
        n += (uint64_t)b->positive[k] + b->negative[k];
    }
    return n;
}

/* Adds now - last to the window. Counts wrap around modulo 2^32, so a report older than the last
 * one would give a huge difference; the sum shows this, and the report is left out. */
static void auc_add(struct progress_auc *a, const struct metric_bins *now,
                    const struct metric_bins *last) {
    struct metric_bins fresh;
    for (uint32_t k = 0; k < METRIC_BINS; k++) {
        fresh.positive[k] = now->positive[k] - last->positive[k];
        fresh.negative[k] = now->negative[k] - last->negative[k];
    }
    uint64_t n = bins_count(&fresh);
    if (n > UINT32_MAX / 2) {
        return;
    }
    metric_bins_merge(&a->current, &fresh);
    a->impressions += n;
    if (a->impressions >= AUC_IMPRESSIONS) {
        a->previous = a->current;
        memset(&a->current, 0, sizeof a->current);
        a->impressions = 0;
    }
}

void progress_worker_bins(struct progress *p, uint32_t worker, const struct metric_bins *ctr,
                          const struct metric_bins *ctcvr) {
    struct progress_worker *w = &p->worker[worker];
    if (!w->bins_unknown) {
        auc_add(&p->ctr, ctr, &w->ctr);
        auc_add(&p->ctcvr, ctcvr, &w->ctcvr);
    }
    w->bins_unknown = false;
    w->ctr = *ctr;
    w->ctcvr = *ctcvr;
}

void progress_server_beat(struct progress *p, uint32_t server, const struct wire_heartbeat *beat,
                          const uint64_t *field_rows) {
    struct progress_server *s = &p->server[server];
    s->rows = beat->rows;
    s->bytes = beat->bytes;
    s->version = beat->version;
    s->evicted = beat->evicted;
    s->refused = beat->refused;
    s->created = beat->created;
    s->duplicates = beat->duplicates;
    if (field_rows != NULL) {
        memcpy(s->field_rows, field_rows, p->fields * sizeof *field_rows);
    }
}

void progress_servers(const struct progress *p, struct progress_server *sum) {
    *sum = (struct progress_server){.version = p->servers > 0 ? UINT64_MAX : 0};
    for (uint32_t i = 0; i < p->servers; i++) {
        const struct progress_server *s = &p->server[i];
        sum->rows += s->rows;
        sum->bytes += s->bytes;
        sum->version = s->version < sum->version ? s->version : sum->version;
        sum->evicted += s->evicted;
        sum->refused += s->refused;
        sum->created += s->created;
        sum->duplicates += s->duplicates;
        for (uint32_t f = 0; f < p->fields; f++) {
            sum->field_rows[f] += s->field_rows[f];
        }
    }
}

/* --- taking over ------------------------------------------------------------------------------ */

void progress_restore(struct progress *p, uint64_t began_ms, const struct wire_progress *gone,
                      uint64_t settle_by_ms) {
    p->began_ms = began_ms;
    p->totals = *gone;
    p->settle_by_ms = settle_by_ms;
}

void progress_restore_worker(struct progress *p, uint32_t worker, uint64_t incarnation,
                             const struct wire_progress *counters) {
    struct progress_worker *w = &p->worker[worker];
    p->unheard += !w->unheard;
    *w = (struct progress_worker){
        .incarnation = incarnation, .last = *counters, .unheard = true, .bins_unknown = true};
    add_difference(&p->totals, counters, &(struct wire_progress){0});
    raise_to(&p->totals.staleness_max, counters->staleness_max);
    raise_to(&p->totals.dense_staleness_max, counters->dense_staleness_max);
}

bool progress_settled(struct progress *p, uint64_t now_ms) {
    if (p->unheard > 0 && now_ms >= p->settle_by_ms) {
        for (uint32_t w = 0; w < p->workers; w++) {
            p->worker[w].unheard = false;
        }
        begin_spans(p);
    }
    return p->unheard == 0;
}

void progress_gone(const struct progress *p, struct wire_progress *gone) {
    *gone = p->totals;
    for (uint32_t w = 0; w < p->workers; w++) {
        add_difference(gone, &(struct wire_progress){0}, &p->worker[w].last);
    }
}

/* --- what they say ---------------------------------------------------------------------------- */

void progress_tick(struct progress *p, uint64_t now_ms) {
    if (p->rates > 0 && now_ms < p->rate[(p->rates - 1) % RATE_SAMPLES].ms + RATE_EVERY_MS) {
        return;
    }
    p->rate[p->rates++ % RATE_SAMPLES] =
        (struct progress_rate){.ms = now_ms, .impressions = p->totals.impressions};
}

double progress_rate(const struct progress *p) {
    if (p->rates < 2) {
        return NAN;
    }
    const struct progress_rate *newest = &p->rate[(p->rates - 1) % RATE_SAMPLES];
    const struct progress_rate *oldest =
        &p->rate[p->rates > RATE_SAMPLES ? p->rates % RATE_SAMPLES : 0];
    return (double)(newest->impressions - oldest->impressions) * 1000.0 /
           (double)(newest->ms - oldest->ms);
}

static struct progress_loss loss_between(const struct wire_progress *from,
                                         const struct wire_progress *to) {
    if (to->impressions <= from->impressions) {
        return (struct progress_loss){NAN, NAN, NAN};
    }
    double n = (double)(to->impressions - from->impressions);
    return (struct progress_loss){(to->loss_sum - from->loss_sum) / n,
                                  (to->loss_ctr_sum - from->loss_ctr_sum) / n,
                                  (to->loss_ctcvr_sum - from->loss_ctcvr_sum) / n};
}

struct progress_loss progress_loss_recent(const struct progress *p) {
    struct wire_progress from = {0};
    for (uint32_t back = 1; back <= p->samples && back <= LOSS_SAMPLES; back++) {
        const struct wire_progress *s = &p->sample[(p->samples - back) % LOSS_SAMPLES];
        if (s->batches + LOSS_BATCHES <= p->totals.batches) {
            from = *s;
            break;
        }
    }
    return loss_between(&from, &p->totals);
}

struct progress_loss progress_loss_epoch(const struct progress *p) {
    return loss_between(&p->epoch_start, &p->totals);
}

static double auc_running(const struct progress_auc *a, double *bound) {
    struct metric_bins both = a->previous;
    metric_bins_merge(&both, &a->current);
    return metric_bins_auc(&both, bound);
}

void progress_line(const struct progress *p, struct progress_mark *mark,
                   struct progress_line *out) {
    struct progress_server servers;
    progress_servers(p, &servers);
    struct progress_loss loss = loss_between(&mark->totals, &p->totals);
    if (!isnan(loss.loss)) {
        mark->loss = loss;
        mark->any = true;
    }
    uint64_t batches = p->totals.batches - mark->totals.batches;
    uint64_t done = p->restored_impressions + p->totals.impressions - p->life_start.impressions;
    done = done < p->job_impressions ? done : p->job_impressions;
    double rate = progress_rate(p);
    *out = (struct progress_line){
        .epoch = p->epoch,
        .step = servers.version,
        .impressions = done,
        .impressions_per_s = rate,
        .loss = mark->any ? mark->loss : (struct progress_loss){NAN, NAN, NAN},
        .staleness_mean =
            batches > 0
                ? (double)(p->totals.staleness_sum - mark->totals.staleness_sum) / (double)batches
                : NAN,
        .staleness_max = p->totals.staleness_max,
        .rows = servers.rows,
        .bytes = servers.bytes,
        .eta_s = rate > 0 && !p->open ? (double)(p->job_impressions - done) / rate : NAN,
    };
    out->auc_ctr = auc_running(&p->ctr, &out->auc_ctr_bound);
    out->auc_ctcvr = auc_running(&p->ctcvr, &out->auc_ctcvr_bound);
    mark->totals = p->totals;
}
