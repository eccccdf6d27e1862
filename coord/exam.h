/* exam.h - one evaluation: collects the scores of all evaluation shards, then computes the metrics
 * on a thread of its own, so that the coordinator goes on answering.
 *
 * Scores lie at their shard's place, whoever sends them and in whatever order, so equal models give
 * equal metrics. Memory: 32 bytes per evaluation impression, held from exam_begin to exam_end.
 */
#ifndef COORD_EXAM_H
#define COORD_EXAM_H

#include "common/metric.h"
#include "common/shard.h"
#include "common/thread.h"

struct exam {
    const struct dataset *data; /* borrowed */
    uint32_t *batches;          /* [shards] under the job's batch size */
    uint64_t *offset;           /* [shards + 1] of a shard's first score */
    bool *got;                  /* [shards] */
    uint32_t received;
    uint32_t epoch;
    enum score_form form;       /* the caller sets it, after exam_init */
    struct score *scores;
    struct thread thread;
    struct evaluation evaluation;
};

enum status exam_init(struct exam *e, const struct dataset *data, uint32_t batch_max);
void exam_fini(struct exam *e); /* waits for a computation that is under way */
enum status exam_begin(struct exam *e, uint32_t epoch);
/* One shard's scores. *fresh: they are new. Of another epoch: ignored. ERR_PROTOCOL: not as many
 * as the shard has impressions, or malformed. */
enum status exam_take(struct exam *e, uint32_t epoch, uint32_t shard, uint32_t count,
                      const void *values, size_t bytes, bool *fresh);
bool exam_complete(const struct exam *e);
/* Starts the computation; the next is true once it has ended, with its status and result. */
enum status exam_compute(struct exam *e);
bool exam_computed(struct exam *e, enum status *status, struct evaluation *out);
void exam_end(struct exam *e); /* frees the scores */

#endif
