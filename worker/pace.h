/* pace.h - how a trainer thread keeps within the staleness bound, and what it reports.
 *
 * Trainers never speak to the coordinator. A trainer that wants to begin a batch calls pace_enter:
 * it returns at once while its clock (batches it has finished) is at most staleness_max ahead of
 * the slowest trainer, as last learnt, and otherwise waits for the control thread to learn a newer
 * one. Clocks are on the asker's own scale (coord/staleness.h): trainers do not share answers. A
 * trainer that finds no batch is told to the coordinator with CLOCK_IDLE and joins again with its
 * next question.
 * The control thread finds out which clocks to ask for with pace_wants, and hands in answers with
 * pace_learn. Counters for heartbeats are kept here too.
 *
 * `lock` guards everything; `changed` is signalled by pace_learn and pace_close.
 */
#ifndef WORKER_PACE_H
#define WORKER_PACE_H

#include <pthread.h>
#include "common/metric/metric.h"
#include "common/net/wire.h"

#define PACE_TRAINERS_MAX 64

struct pace_trainer {
    uint64_t clock;   /* batches finished */
    uint64_t asked;   /* clock + 1 of the last question sent; 0: none since it was last idle */
    uint64_t slowest; /* slowest active trainer's clock, as last learnt, on this one's scale */
    bool asking;      /* a question is out */
    bool joined;      /* an answer has come since it was last idle */
    bool waiting;     /* blocked in pace_enter */
    bool idle;        /* has no batch; to be told */
};
struct pace {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t staleness_max;
    bool closed;
    uint32_t trainers;
    struct pace_trainer trainer[PACE_TRAINERS_MAX];
    struct wire_progress progress;
    struct usage usage;                      /* of the trainers: bytes and stages */
    struct metric_bins bins_ctr, bins_ctcvr; /* since the last pace_take_bins */
};

/* staleness_max 0: a barrier per step. */
void pace_init(struct pace *p, uint32_t trainers, uint64_t staleness_max);
void pace_fini(struct pace *p);

/* Trainer side. It has no batch and holds nobody back until it enters again. */
void pace_idle(struct pace *p, uint32_t trainer);
/* Trainer side. ERR_TIMEOUT (no fail text) after timeout_ms: step the client and come again.
 * ERR_CLOSED when the job stops. */
enum status pace_enter(struct pace *p, uint32_t trainer, uint64_t timeout_ms);
struct pace_report {
    bool fenced; /* a partition refused it: who has the lease now trains it, and counts it */
    uint32_t impressions;
    double loss, loss_ctr, loss_ctcvr; /* sums over the impressions */
    uint64_t resent, duplicates, dropped_values, tickets_unknown;
    uint64_t staleness, dense_staleness; /* of the rows, of the dense vector */
    enum score_form form;                /* of the scores a, b */
    const float *logit_a, *logit_b;
    const uint8_t *labels;
    const uint8_t *kind; /* enum record_kind; NULL: impressions of a log */
};
/* A training batch was acknowledged by all partitions. */
void pace_report(struct pace *p, uint32_t trainer, const struct pace_report *r);
/* A batch of an evaluation has its scores: progress, and nothing else. */
void pace_scored(struct pace *p);

/* Control side. Gives a trainer whose question should be sent now (it is near or at its bound), or
 * that has become idle (*clock is CLOCK_IDLE), and marks it asked; false: nobody. */
bool pace_wants(struct pace *p, uint32_t *trainer, uint64_t *clock);
void pace_learn(struct pace *p, uint32_t trainer, uint64_t slowest);
void pace_progress(struct pace *p, struct wire_progress *out);
/* Trainer side: what was used since its last call. Control side: adds what all have used. */
void pace_use(struct pace *p, const struct usage *used);
void pace_usage(struct pace *p, struct usage *into);
/* Adds the running-AUC bins gathered since the last call to *ctr and *ctcvr. */
void pace_take_bins(struct pace *p, struct metric_bins *ctr, struct metric_bins *ctcvr);
void pace_close(struct pace *p);

#endif
