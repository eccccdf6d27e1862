/* progress.h - how the job is doing: counters of workers and servers turned into rates, losses,
 * running AUC and time left.
 *
 * Workers report counters that are cumulative since their start. A repeated, lost or late report
 * therefore costs nothing; what is new is the difference to what was known of the same incarnation,
 * and a new incarnation counts from zero. `totals` sums the differences over everybody who ever
 * worked, so it includes batches that were computed twice because a lease was lost.
 *
 * Losses are means over the impressions of a span: since a mark (a reader's own, see
 * progress_line), since the epoch began, or over at least the last LOSS_BATCHES batches. Batches
 * are counted when their worker's heartbeat arrives, up to one heartbeat after they were trained.
 *
 * The running AUC covers a sliding stretch of training data: bins are gathered until they hold
 * AUC_IMPRESSIONS, then become the previous ones; the AUC is of previous + current.
 *
 * Socket-free; single thread.
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
    struct wire_progress last;
    struct metric_bins ctr, ctcvr; /* last known, cumulative */
};
struct progress_server {
    uint64_t rows, bytes, version, evicted, refused, created, duplicates;
    uint64_t field_rows[FIELDS_MAX];
};
struct progress_usage {
    uint64_t incarnation;
    struct usage now, before; /* of the present process, and of those that it replaced */
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
    bool open;                     /* more of them may become known: nobody knows how long */
    uint64_t restored_impressions; /* trained before this run */
    struct wire_progress totals;   /* this run; staleness_max: the largest */
    struct wire_progress epoch_start;
    uint32_t epoch;
    uint64_t began_ms;
    uint64_t trained_ms;                       /* when the last new batch was heard of */
    struct wire_progress sample[LOSS_SAMPLES]; /* ring, totals about every LOSS_BATCHES / 8 */
    uint32_t samples;                          /* ever taken */
    struct progress_rate rate[RATE_SAMPLES];
    uint32_t rates;
    struct progress_auc ctr, ctcvr;
};

enum status progress_init(struct progress *p, uint32_t workers, uint32_t servers, uint32_t fields,
                          uint64_t job_impressions, uint64_t restored_impressions);
void progress_fini(struct progress *p);
/* Training begins: the clock of rates and `seconds` starts. */
void progress_begin(struct progress *p, uint64_t now_ms);
void progress_epoch(struct progress *p, uint32_t epoch);
void progress_worker_beat(struct progress *p, uint32_t worker, uint64_t incarnation,
                          const struct wire_progress *counters, uint64_t now_ms);
/* Cumulative bins of the incarnation last given to progress_worker_beat. */
void progress_worker_bins(struct progress *p, uint32_t worker, const struct metric_bins *ctr,
                          const struct metric_bins *ctcvr);
/* field_rows: [fields], or NULL when the heartbeat had none. */
void progress_server_beat(struct progress *p, uint32_t server, const struct wire_heartbeat *beat,
                          const uint64_t *field_rows);
/* What a process has used since its start, and the sums over workers and servers. */
void progress_worker_use(struct progress *p, uint32_t worker, uint64_t incarnation,
                         const struct usage *now);
void progress_server_use(struct progress *p, uint32_t server, uint64_t incarnation,
                         const struct usage *now);
void progress_workers_usage(const struct progress *p, struct usage *sum);
void progress_servers_usage(const struct progress *p, struct usage *sum);
/* Call about as often as you like; takes a rate sample each RATE_EVERY_MS. */
void progress_tick(struct progress *p, uint64_t now_ms);

struct progress_loss {
    double loss, ctr, ctcvr; /* NaN: no impression in the span */
};
struct progress_loss progress_loss_recent(const struct progress *p);
struct progress_loss progress_loss_epoch(const struct progress *p);
double progress_rate(const struct progress *p); /* impressions/s, last seconds; NaN: unknown */

struct progress_mark { /* a reader's own; zero-initialised */
    struct wire_progress totals;
    struct progress_loss loss;
    bool any;
};
struct progress_line {
    uint32_t epoch;
    uint64_t step;        /* servers' slowest applied version */
    uint64_t impressions; /* restored + trained, at most job_impressions */
    double impressions_per_s;
    struct progress_loss loss; /* since the mark; nothing new: what it was */
    double auc_ctr, auc_ctcvr;
    double auc_ctr_bound, auc_ctcvr_bound; /* of their error against the exact AUC (metric_bins) */
    double staleness_mean;                 /* since the mark */
    uint64_t staleness_max;                /* of the run */
    uint64_t rows, bytes;
    double eta_s; /* NaN: unknown */
};
/* What is to be said now, and moves the mark. */
void progress_line(const struct progress *p, struct progress_mark *mark, struct progress_line *out);
/* Sums over servers. */
void progress_servers(const struct progress *p, struct progress_server *sum);
