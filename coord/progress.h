/* progress.h - the progress of the job: it turns counters of workers and servers into rates,
 * losses, running AUC and time left.
 *
 * Workers report counters that are cumulative since their start, so a repeated, lost or late report
 * does no harm. Each report adds its difference to the last known counters of the same incarnation;
 * a new incarnation counts from zero. `totals` sums the differences over all incarnations that ever
 * worked, so it includes batches that were computed twice because a lease was lost or the job was
 * rolled back. `life_start` is what they were when the present life of the job began. Batches of
 * the life before that are reported only afterwards, in the first heartbeat of a worker that has
 * rejoined, are added to both.
 *
 * Losses are means over the impressions of a span: since a mark (each reader has its own, see
 * progress_line), since the epoch began, or over at least the last LOSS_BATCHES batches. A batch is
 * counted when the heartbeat of its worker arrives, up to one heartbeat after it was trained.
 *
 * The running AUC covers a sliding stretch of training data: the current bins are filled until they
 * hold AUC_IMPRESSIONS, then become the previous ones; the AUC is that of previous + current.
 *
 * A coordinator that takes a job over knows of each worker what it had counted some time ago. The
 * first report of each then brings what it did since; only when all were heard (progress_settled)
 * do rates, recent losses and the running AUC begin anew.
 *
 * Uses no sockets; single thread.
 */
#pragma once

#include "common/metric/metric_bins.h"
#include "common/net/link_messages.h"
#include "common/job/schema.h"

#define LOSS_BATCHES    200u
#define LOSS_SAMPLES    16u
#define RATE_SAMPLES    8u
#define RATE_EVERY_MS   1000u
#define AUC_IMPRESSIONS 1000000u

struct progress_worker {
    uint64_t incarnation;
    bool rejoined; /* its next report is of the life before */
    struct wire_progress last;
    struct metric_bins ctr, ctcvr; /* last known, cumulative */
    bool unheard;                  /* since the job was taken over */
    bool bins_unknown;             /* the next bins are where the running AUC begins */
};
struct progress_server {
    uint64_t rows, bytes, version, evicted, refused, created, duplicates;
    uint64_t field_rows[FIELDS_MAX];
};
struct progress_usage {
    uint64_t incarnation;
    struct usage now, before; /* of the present process; of those that it replaced */
};
struct progress_auc {
    struct metric_bins current, previous;
    uint64_t impressions; /* in current */
};
struct progress_rate {
    uint64_t ms, impressions;
};
struct progress {
    uint32_t workers, servers, fields;
    struct progress_worker *worker;
    struct progress_server *server;
    struct progress_usage *worker_usage, *server_usage;
    uint64_t job_impressions;      /* to be trained in all, restored ones included */
    bool open;                     /* job_impressions may still grow: the time left is unknown */
    uint64_t restored_impressions; /* trained before this life of the job */
    struct wire_progress totals;   /* this run; staleness_max: the largest */
    struct wire_progress life_start;
    struct wire_progress epoch_start;
    uint32_t epoch;
    uint64_t began_ms;
    uint64_t trained_ms;                       /* when the last new batch was reported */
    struct wire_progress sample[LOSS_SAMPLES]; /* ring, totals about every LOSS_BATCHES / 8 */
    uint32_t samples;                          /* number taken since the start */
    struct progress_rate rate[RATE_SAMPLES];
    uint32_t rates;
    struct progress_auc ctr, ctcvr;
    uint32_t unheard; /* workers */
    uint64_t settle_by_ms;
};

enum status progress_init(struct progress *p, uint32_t workers, uint32_t servers, uint32_t fields,
                          uint64_t job_impressions, uint64_t restored_impressions);
void progress_fini(struct progress *p);
/* Training begins: starts the clock of rates and `seconds`. */
void progress_begin(struct progress *p, uint64_t now_ms);
/* A rollback: the next life starts with so many impressions trained. After it, progress_go_on takes
 * the place of progress_begin. */
void progress_new_life(struct progress *p, uint64_t restored_impressions);
void progress_go_on(struct progress *p, uint64_t now_ms);
/* The worker has joined the new life; its next report still tells of the one before. */
void progress_worker_rejoins(struct progress *p, uint32_t worker, uint64_t incarnation);
void progress_epoch(struct progress *p, uint32_t epoch);
/* The worker is another process, or still the same: a new one counts from zero. */
void progress_worker_new(struct progress *p, uint32_t worker, uint64_t incarnation);
void progress_worker_beat(struct progress *p, uint32_t worker, uint64_t incarnation,
                          const struct wire_progress *counters, uint64_t now_ms);
/* Cumulative bins of the incarnation last given to progress_worker_beat. */
void progress_worker_bins(struct progress *p, uint32_t worker, const struct metric_bins *ctr,
                          const struct metric_bins *ctcvr);
/* field_rows: [fields], or NULL when the heartbeat had none. */
void progress_server_beat(struct progress *p, uint32_t server, const struct wire_heartbeat *beat,
                          const uint64_t *field_rows);
/* Notes what a process has used since its start; the sums are over workers and over servers. */
void progress_worker_use(struct progress *p, uint32_t worker, uint64_t incarnation,
                         const struct usage *now);
void progress_server_use(struct progress *p, uint32_t server, uint64_t incarnation,
                         const struct usage *now);
void progress_workers_usage(const struct progress *p, struct usage *sum);
void progress_servers_usage(const struct progress *p, struct usage *sum);
/* May be called as often as you like; takes a rate sample every RATE_EVERY_MS. */
void progress_tick(struct progress *p, uint64_t now_ms);

/* For a coordinator that takes a job over. `gone`: what workers that were replaced had counted.
 * Then, for each worker that is there, what it had counted as the incarnation. */
void progress_restore(struct progress *p, uint64_t began_ms, const struct wire_progress *gone,
                      uint64_t settle_by_ms);
void progress_restore_worker(struct progress *p, uint32_t worker, uint64_t incarnation,
                             const struct wire_progress *counters);
/* Whether every worker has been heard since then, or settle_by_ms has passed. */
bool progress_settled(struct progress *p, uint64_t now_ms);
/* The totals without what the present incarnations have counted. */
void progress_gone(const struct progress *p, struct wire_progress *gone);

struct progress_loss {
    double loss, ctr, ctcvr; /* NaN: no impression in the span */
};
struct progress_loss progress_loss_recent(const struct progress *p);
struct progress_loss progress_loss_epoch(const struct progress *p);
double progress_rate(const struct progress *p); /* recent impressions/s; NaN: unknown */

struct progress_mark { /* a reader's own; zero-initialised */
    struct wire_progress totals;
    struct progress_loss loss;
    bool any;
};
struct progress_line {
    uint32_t epoch;
    uint64_t step;        /* least applied version of the servers */
    uint64_t impressions; /* restored + trained, at most job_impressions */
    double impressions_per_s;
    struct progress_loss loss; /* since the mark; the old one if nothing is new */
    double auc_ctr, auc_ctcvr;
    double auc_ctr_bound, auc_ctcvr_bound; /* of the error against the exact AUC (metric_bins) */
    double staleness_mean;                 /* since the mark */
    uint64_t staleness_max;                /* of the run */
    uint64_t rows, bytes;
    double eta_s; /* NaN: unknown */
};
/* Fills *out with the present figures and moves the mark. */
void progress_line(const struct progress *p, struct progress_mark *mark, struct progress_line *out);
/* Gives the sums over servers. */
void progress_servers(const struct progress *p, struct progress_server *sum);
