/* eval_job.h - one evaluation: collects the scores of all evaluation shards, then computes the
 * metrics on a thread of its own, so that the coordinator goes on answering.
 *
 * Scores lie at their shard's place, whoever sends them and in whatever order, so equal models give
 * equal metrics. A large shard comes in pieces. Two workers may have its batches in different
 * orders, so pieces count only with those under the same fence: the first piece under a newer one
 * starts the shard anew, and what is left of an older one is ignored. Memory: 32 bytes per
 * evaluation impression, held from eval_job_begin to eval_job_end.
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
    uint64_t *offset;           /* [shards + 1] of a shard's first score */
    bool *got;                  /* [shards] */
    uint64_t *fence;            /* [shards] under which the pieces are that are here */
    uint32_t *have;             /* [shards] scores of them, from the first on */
    uint32_t received;          /* shards */
    uint64_t taken;             /* scores, those that were started anew counted again */
    uint32_t epoch;
    enum score_form form; /* the caller sets it, after eval_job_init */
    struct score *scores;
    struct unseen unseen; /* of the shards that are in */
    struct thread thread;
    bool left;                       /* the computation was left to itself */
    struct evaluation evaluation[2]; /* evaluations_compute's */
    uint32_t evaluations;
};

enum status eval_job_init(struct eval_job *e, const struct dataset *data, uint32_t batch_max);
/* Waits for a computation that is under way, unless it was left; then *e must not be freed. */
void eval_job_fini(struct eval_job *e);
enum status eval_job_begin(struct eval_job *e, uint32_t epoch);
/* A piece of one shard's scores. *complete: it was the last one missing. Of another epoch, of an
 * older fence, or repeated: ignored. ERR_PROTOCOL: not as many as the shard has impressions, pieces
 * left out, or malformed. */
enum status eval_job_take(struct eval_job *e, const struct wire_scores *s, const void *values,
                          size_t bytes, bool *complete);
/* How many values of a shard that is complete have no row, as the keys frame beside its scores has
 * it (empty: nothing is said). ERR_PROTOCOL. */
enum status eval_job_unseen(struct eval_job *e, uint32_t fields, const void *data, size_t bytes);
bool eval_job_complete(const struct eval_job *e);
/* Starts the computation; the next is true once it has ended, with its status and result: out[2],
 * of which *count are there, unweighted and, if the data carry weights, weighted. */
enum status eval_job_compute(struct eval_job *e);
bool eval_job_computed(struct eval_job *e, enum status *status, struct evaluation *out,
                       uint32_t *count);
void eval_job_end(struct eval_job *e); /* frees the scores */
/* Gives a computation up: it goes on until the process ends, and nobody waits for it. */
void eval_job_leave(struct eval_job *e);
