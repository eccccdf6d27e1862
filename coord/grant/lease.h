/* lease.h - which worker holds which range of batches, one phase at a time.
 *
 * A phase is the training of one epoch, or a part of it, or one evaluation. It is about ranges
 * (common/job/ranges.h); in an evaluation, and in a job that is not mixed, a range is a shard. At
 * the start every range that has work is pending; leases_ask hands them out in the order of the
 * phase, or, in a mixed job, window by window to each worker (affinity.h). A range comes back when
 * its worker reports it finished. It becomes pending again when the worker is silent past the
 * deadline of the lease, is lost, or is replaced. The phase is complete when all ranges are back.
 *
 * A lease carries a fence, a number greater than any fence before. Servers refuse pushes under an
 * older lease of the same range, and a return whose fence is not the current one is ignored. (A
 * worker that lost its lease but lives on does no other harm: batches have names, and each name is
 * applied once.)
 *
 * Batches count as done when their lease is returned. So a lease that is granted again repeats the
 * batches that the worker before had pushed; servers answer those pushes as duplicates. Batches
 * that are done according to a checkpoint are sent along as a bitmap and skipped.
 *
 * one_at_a_time (deterministic): a lease is granted only when no other is out, so ranges are
 * trained in the epoch's order.
 *
 * Evaluation: a shard is complete when its scores have arrived (leases_complete), not when its
 * lease is returned.
 *
 * Backups (lease_backup.c; asynchronous jobs). At the end of an epoch, when nothing is pending, a
 * worker that has nothing to do is given a second lease on a range whose holder takes much longer
 * than leases take, under the same fence. Batch names decide, partition by partition, who was
 * first. The range is back when one of the two returns it. If the first holder is lost, the second
 * is the holder.
 *
 * Suspects (lease_suspect.c). A range whose holder has died is granted batch by batch from then on,
 * so that it is known which batch a worker was on. A batch whose worker dies SUSPECT_DEATHS times
 * (the first of them while it had the whole range) is set aside: the range is back without it, and
 * lease_suspect.h names it. Where batches of a range share bags, the range stays whole, and is
 * set aside whole.
 *
 * Fences are valid within one job only: a resumed job is a new job with a new id, and servers do
 * not answer peers of an older job. The high bits of a fence are the coordinator's term: one that
 * takes the job over never gives a fence that the one before may have given.
 *
 * Costs. A sign of life visits only the leases of its worker (each holder has a linked list of its
 * leases). Neither the lease of a range nor the next lease to grant needs a search (but see
 * affinity.h for the end of an epoch), and deadlines are checked once per holder. So only the start
 * of a phase costs time in proportion to the number of ranges.
 *
 * Uses no sockets; single thread.
 */
#pragma once

#include "lease_table.h"

/* Takes over `done` (the batches that a checkpoint has; an empty set for a fresh job), also on
 * failure. */
enum status leases_init(struct leases *l, const struct batch_plan *plan, struct applied *done,
                        bool one_at_a_time, uint64_t lease_ms, uint64_t first_fence);
void leases_fini(struct leases *l);

/* These begin a phase. No lease may be OUT. ERR_MEMORY. leases_train also goes on with an epoch
 * that was interrupted by an evaluation: what came back stays back. */
enum status leases_train(struct leases *l, uint32_t epoch);
/* Adds a range (a shard of a stream) to the training phase that is running, last in its order. The
 * plan and the set of done names (applied_grow) must already contain it, with nothing done.
 * ERR_MEMORY. */
enum status leases_add(struct leases *l, uint32_t shard, uint32_t limit);
/* batches[shards] of the evaluation data. epoch: the one just trained, part of the scores' name. */
enum status leases_eval(struct leases *l, uint32_t epoch, const uint32_t *batches, uint32_t shards);
void leases_finish(struct leases *l); /* no phase: everybody is told FINISHED */
bool leases_phase_complete(const struct leases *l);

/* Grants the next range, or answers WAIT (also while `hold`) or FINISHED. bits: which batches of
 * the range are done already; cleared first. ERR_MEMORY. */
enum status leases_ask(struct leases *l, uint32_t worker, uint64_t incarnation, bool hold,
                       uint64_t now_ms, struct wire_lease *out, struct buf *bits);
/* A worker returns a lease. If the lease is not its own, or not any more, this is ignored.
 * ERR_MEMORY. */
enum status leases_return(struct leases *l, const struct wire_lease_ask *ask, uint64_t now_ms);
/* The scores of an evaluation shard have arrived, whoever sent them. */
void leases_complete(struct leases *l, uint32_t shard);

/* For a coordinator that takes a job over, in a phase of training: the lease `was` is out to that
 * worker, as before. *restored is false if its range is not pending: it came back, or was granted
 * again. ERR_MEMORY. */
enum status leases_restore(struct leases *l, uint32_t worker, uint64_t incarnation,
                           const struct wire_lease *was, uint64_t now_ms, bool *restored);

/* The worker gave a sign of life: extends the deadlines of its leases. */
void leases_renew(struct leases *l, uint32_t worker, uint64_t incarnation, uint64_t now_ms);
/* Makes all leases of the worker pending again; returns how many. */
uint32_t leases_release(struct leases *l, uint32_t worker);
/* The same for a worker whose process has died: what it held is suspect from now on. Without memory
 * to set a batch aside, it is granted again. */
uint32_t leases_died(struct leases *l, uint32_t worker);
/* Makes leases past their deadline pending again; returns how many. */
uint32_t leases_expire(struct leases *l, uint64_t now_ms);
const char *leases_unit(const struct leases *l); /* what a lease of the phase is on, for messages */
uint32_t leases_held(const struct leases *l, uint32_t worker);
