/* lease.h - which shard is whose, one phase at a time.
 *
 * A phase is the training of one epoch, or one evaluation. It begins with every shard that has work
 * pending; leases_ask hands them out in the phase's order; a shard comes back when its worker
 * reports it finished, or goes back to pending when the worker is silent past the lease's deadline,
 * is lost, or is replaced. The phase is complete when all shards are back.
 *
 * A lease carries a fence, greater than any before: servers refuse pushes under an older lease of
 * the same shard, and a return with another fence than the current one is ignored. (A worker that
 * lost its lease but lives on does no harm either: batches have names, and a name applies once.)
 *
 * Batches count as done when their lease is returned. A lease granted again therefore repeats the
 * batches that the worker before had pushed; servers answer those pushes as duplicates. Batches
 * that a checkpoint says are done are passed along as a bitmap and skipped.
 *
 * one_at_a_time (deterministic): a lease is granted only when none is out, so shards are trained in
 * the epoch's order.
 *
 * Evaluation: a shard is complete when its scores are in (leases_complete), not when it is back.
 *
 * Fences are the job's alone: a resumed job is another job with another id, and servers answer
 * nobody of an older one. They start from the step resumed from, so that equal runs have equal
 * fences.
 *
 * Costs. A sign of life walks the leases of its worker alone (a list per holder, through the
 * leases), finding a shard's lease and the next one to grant take no search, and deadlines are
 * looked at once per holder: nothing but the begin of a phase grows with the number of shards.
 *
 * Socket-free; single thread.
 */
#pragma once

#include "common/net/link_messages.h"
#include "batch_plan.h"

enum lease_state { LEASE_PENDING, LEASE_OUT, LEASE_BACK };
struct lease {
    uint32_t shard;
    uint32_t limit; /* batches below it belong to the job */
    enum lease_state state;
    uint32_t worker; /* OUT: holder */
    uint64_t incarnation;
    uint64_t fence;
    uint64_t deadline_ms;
    uint32_t next, prev; /* OUT: its neighbours in the holder's list, or LEASE_NONE */
};
#define LEASE_NONE UINT32_MAX
struct lease_holder {
    uint32_t first; /* a lease of it, or LEASE_NONE */
    uint32_t held;
};
struct leases {
    const struct batch_plan *plan; /* borrowed */
    bool one_at_a_time;
    uint64_t lease_ms;
    struct applied *done; /* owned */
    uint64_t done_impressions;
    uint64_t fence;       /* of the last lease granted */
    enum lease_kind kind; /* of the phase: TRAIN, EVAL, or FINISHED: none */
    uint32_t epoch;
    struct lease *lease; /* [count] in the phase's order */
    uint32_t *place;     /* [count] of a shard's lease; shards of a phase are 0 .. count - 1 */
    uint32_t pending;    /* none before it is PENDING */
    uint32_t count, cap;
    struct lease_holder *holder; /* [holders] by worker */
    uint32_t holders;
    uint32_t out; /* how many are OUT */
    uint32_t back;
};

/* Takes `done` (what a checkpoint has; an empty set for a fresh job) also on failure. */
enum status leases_init(struct leases *l, const struct batch_plan *plan, struct applied *done,
                        bool one_at_a_time, uint64_t lease_ms, uint64_t first_fence);
void leases_fini(struct leases *l);

/* Phases. Nothing may be OUT. ERR_MEMORY. */
enum status leases_train(struct leases *l, uint32_t epoch);
/* One more shard joins the training phase that is under way, last in its order; the plan and the
 * set of done names (applied_grow) have it already, with nothing done. ERR_MEMORY. */
enum status leases_add(struct leases *l, uint32_t shard, uint32_t limit);
/* batches[shards] of the evaluation data. epoch: the one just trained, part of the scores' name. */
enum status leases_eval(struct leases *l, uint32_t epoch, const uint32_t *batches, uint32_t shards);
void leases_finish(struct leases *l); /* no phase: everybody is told FINISHED */
bool leases_phase_complete(const struct leases *l);

/* Grants the next shard or WAIT (also while `hold`) or FINISHED; bits: what is done of it already.
 * bits is cleared first. ERR_MEMORY. */
enum status leases_ask(struct leases *l, uint32_t worker, uint64_t incarnation, bool hold,
                       uint64_t now_ms, struct wire_lease *out, struct buf *bits);
/* A worker returns a lease. Not (any more) its own: ignored. */
enum status leases_return(struct leases *l, const struct wire_lease_ask *ask);
/* Scores of an evaluation shard are in, whoever sent them. */
void leases_complete(struct leases *l, uint32_t shard);

/* The worker was heard of: its leases live on. */
void leases_renew(struct leases *l, uint32_t worker, uint64_t incarnation, uint64_t now_ms);
/* All leases of the worker go back to pending; how many. */
uint32_t leases_release(struct leases *l, uint32_t worker);
/* Leases past their deadline go back to pending; how many. */
uint32_t leases_expire(struct leases *l, uint64_t now_ms);
uint32_t leases_held(const struct leases *l, uint32_t worker);
