/* eval_job.h - one evaluation: it collects the scores of all evaluation shards, then computes the
 * metrics on a thread of its own, so that the coordinator goes on answering.
 *
 * Scores are stored at the place of their shard, whoever sends them and in whatever order, so equal
 * models give equal metrics. A large shard comes in pieces. Two workers may have its batches in
 * different orders, so only pieces under the same fence belong together: the first piece under a
 * newer fence starts the shard anew, and pieces under an older fence are ignored, those of an
 * earlier evaluation among them. Memory: 32 bytes per evaluation impression, held from
 * eval_job_begin to eval_job_end.
 */
#pragma once

#include "common/metric/evaluation.h"
#include "common/metric/score.h"
#include "common/data/dataset.h"
#include "common/base/thread.h"
#include "common/data/unseen.h"
#include "common/net/eval_messages.h"

struct eval_job {
    const struct dataset *data; /* borrowed */
    uint32_t *batches;          /* [shards] under the job's batch size */
    uint64_t *offset;           /* [shards + 1]: place of a shard's first score */
    bool *got;                  /* [shards] */
    uint64_t *fence;            /* [shards]: fence of the pieces received */
    uint32_t *have;             /* [shards]: number of scores in these pieces */
    uint32_t received;          /* shards */
    uint64_t taken;             /* scores received; those of a shard started anew count again */
    uint32_t epoch;
    enum score_form form; /* the caller sets it, after eval_job_init */
    struct score *scores;
    struct unseen unseen; /* of the shards received */
    struct thread thread;
    bool computing;                  /* the thread was started and is not joined */
    bool dropped;                    /* what it computes is not wanted any more */
    bool left;                       /* the computation was given up and may still run */
    struct evaluation evaluation[2]; /* result of evaluations_compute */
    uint32_t evaluations;
};

enum status eval_job_init(struct eval_job *e, const struct dataset *data, uint32_t batch_max);
/* Waits for a computation that is running, unless it was given up (`left`); then *e must not be
 * freed. */
void eval_job_fini(struct eval_job *e);
/* last_fence: of the last lease granted so far; the leases of this evaluation have newer ones. */
enum status eval_job_begin(struct eval_job *e, uint32_t epoch, uint64_t last_fence);
/* Takes a piece of one shard's scores. *complete: this was the last missing piece of the shard. A
 * piece that belongs to another epoch, has an older fence or is repeated is ignored. ERR_PROTOCOL:
 * the number of scores differs from the shard's impressions, pieces were left out, or the piece is
 * malformed. */
enum status eval_job_take(struct eval_job *e, const struct wire_scores *s, const void *values,
                          size_t bytes, bool *complete);
/* Takes the keys frame sent with the scores of a complete shard: how many values of each field have
 * no row. An empty frame says nothing. ERR_PROTOCOL. */
enum status eval_job_unseen(struct eval_job *e, uint32_t fields, const void *data, size_t bytes);
bool eval_job_complete(const struct eval_job *e);
/* Starts the computation. eval_job_computed is true once it has ended and gives its status and its
 * result: out[2], of which *count are filled, first the unweighted one and, if the data carry
 * weights, the weighted one. */
enum status eval_job_compute(struct eval_job *e);
bool eval_job_computed(struct eval_job *e, enum status *status, struct evaluation *out,
                       uint32_t *count);
void eval_job_end(struct eval_job *e); /* frees the scores */
/* Drops an evaluation, in whatever state. A computation that is running goes on for nothing until
 * eval_job_idle joins it; only then another evaluation may begin. */
void eval_job_drop(struct eval_job *e);
bool eval_job_idle(struct eval_job *e);
/* Gives a computation up: it goes on until the process ends, and nobody waits for it. */
void eval_job_leave(struct eval_job *e);
