/* meter.h - what the trainers of a worker have done, for the heartbeats: progress, losses, running
 * AUCs, time and bytes used.
 *
 * Trainers add to it, the control thread reads it. `lock` guards everything, and is held longest
 * while a batch's scores are put into bins.
 */
#pragma once

#include <pthread.h>
#include "common/metric/metric_bins.h"
#include "common/metric/score.h"
#include "common/net/link_messages.h"

struct meter {
    pthread_mutex_t lock;
    struct wire_progress progress;
    struct usage usage;                      /* of the trainers: bytes and stages */
    struct metric_bins bins_ctr, bins_ctcvr; /* since the last meter_take_bins */
};
void meter_init(struct meter *m);
void meter_fini(struct meter *m);

struct meter_report {
    bool fenced; /* a partition refused it: the lease's new holder trains and counts it */
    uint32_t impressions;
    double loss, loss_ctr, loss_ctcvr; /* sums over the impressions */
    uint64_t resent, duplicates, dropped_values, tickets_unknown;
    uint64_t staleness, dense_staleness; /* of the rows, of the dense vector */
    enum score_form form;                /* of the scores a, b */
    const float *logit_a, *logit_b;
    const uint8_t *labels;
    const uint8_t *kind; /* enum record_kind; NULL: impressions of a log */
};
/* Trainer side. All partitions have answered the push of a training batch. */
void meter_report(struct meter *m, const struct meter_report *r);
/* Trainer side. Counts an evaluation batch that has its scores as progress, and nothing else. */
void meter_scored(struct meter *m);
/* Trainer side. Adds what was used since its last call. */
void meter_use(struct meter *m, const struct usage *used);

/* Control side. Reads what was reported so far; adds what all trainers have used to *used. */
void meter_read(struct meter *m, struct wire_progress *progress, struct usage *used);
/* Control side. Adds the running-AUC bins gathered since the last call to *ctr and *ctcvr. */
void meter_take_bins(struct meter *m, struct metric_bins *ctr, struct metric_bins *ctcvr);
