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
 * Fences are valid within one job only: a resumed job is a new job with a new id, and servers do
 * not answer peers of an older job. The first fence follows from the step that the job resumes
 * from, so that equal runs have equal fences.
 *
 * Costs. A sign of life visits only the leases of its worker (each holder has a linked list of its
 * leases). Neither the lease of a range nor the next lease to grant needs a search (but see
 * affinity.h for the end of an epoch), and deadlines are checked once per holder. So only the start
 * of a phase costs time in proportion to the number of ranges.
 *
 * Uses no sockets; single thread.
 */
#pragma once

#include "common/net/link_messages.h"
#include "affinity.h"
#include "batch_plan.h"

enum lease_state { LEASE_PENDING, LEASE_OUT, LEASE_BACK };
struct lease {
    uint32_t shard; /* the range, or the evaluation shard */
    uint32_t limit; /* batches below it belong to the job */
    enum lease_state state;
    uint32_t worker; /* OUT: holder */
    uint64_t incarnation;
    uint64_t fence;
    uint64_t deadline_ms;
    uint32_t next, prev; /* OUT: neighbours in the holder's list, or LEASE_NONE */
};
#define LEASE_NONE UINT32_MAX
struct lease_holder {
    uint32_t first; /* its first lease, or LEASE_NONE */
    uint32_t held;
};
struct leases {
    const struct batch_plan *plan; /* borrowed */
    bool one_at_a_time;
    uint64_t lease_ms;
    struct applied *done; /* owned */
    uint64_t done_impressions;
    uint64_t fence;       /* of the last lease granted */
    enum lease_kind kind; /* of the phase: TRAIN or EVAL; FINISHED: no phase */
    uint32_t epoch;
    bool mixed;               /* training in windows: affinity says what is granted */
    struct affinity affinity; /* zeroed until then */
    struct lease *lease;      /* [count] in the phase's order */
    uint32_t *place;          /* [count]: index of a range's lease; ranges are 0 .. count - 1 */
    uint32_t pending;         /* no lease before this index is PENDING */
    uint32_t count, cap;
    struct lease_holder *holder; /* [holders], by worker */
    uint32_t holders;
    uint32_t out; /* how many are OUT */
    uint32_t back;
    uint64_t out_impressions, back_impressions; /* in training: of their batches below the limits */
};

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
/* A worker returns a lease. If the lease is not its own, or not any more, this is ignored. */
enum status leases_return(struct leases *l, const struct wire_lease_ask *ask);
/* The scores of an evaluation shard have arrived, whoever sent them. */
void leases_complete(struct leases *l, uint32_t shard);

/* The worker gave a sign of life: extends the deadlines of its leases. */
void leases_renew(struct leases *l, uint32_t worker, uint64_t incarnation, uint64_t now_ms);
/* Makes all leases of the worker pending again; returns how many. */
uint32_t leases_release(struct leases *l, uint32_t worker);
/* Makes leases past their deadline pending again; returns how many. */
uint32_t leases_expire(struct leases *l, uint64_t now_ms);
const char *leases_unit(const struct leases *l); /* what a lease of the phase is on, for messages */
uint32_t leases_held(const struct leases *l, uint32_t worker);
