/* lease_table.h - the ranges of a phase and who holds them: what the files of lease.h are about.
 *
 * An OUT lease is in its holder's list; it may have a second holder, which has at most one such
 * lease. Single thread.
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
    uint64_t granted_ms;
    uint32_t second; /* OUT: a second worker has it too; else LEASE_NONE */
    uint64_t second_incarnation;
    uint32_t only;   /* OUT: granted for this batch only; LEASE_NONE: for all that are not done */
    uint32_t deaths; /* of holders: since `at` was granted first, or with the whole range */
    uint32_t at;     /* the batch that the deaths are counted of */
};
#define LEASE_NONE      UINT32_MAX
#define FENCES_PER_TERM 40 /* bits */
#define SUSPECT_DEATHS  3  /* of its workers, then a batch is set aside */
struct lease_holder {
    uint32_t first; /* its first lease, or LEASE_NONE */
    uint32_t held;
    uint32_t helps; /* the lease that it has as a second worker, or LEASE_NONE */
};
struct lease_aside {              /* a batch that is set aside, or a whole range */
    uint32_t epoch, range, batch; /* batch LEASE_NONE: all that were not done */
    uint32_t impressions;
};
struct leases {
    const struct batch_plan *plan; /* borrowed */
    bool one_at_a_time;
    bool backups;      /* set by the owner after leases_init: second leases are granted */
    bool whole_ranges; /* the same: batches of a range must be one worker's (they share bags) */
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
    double typical_ms;    /* from grant to return, of the ranges that came back last; 0: none has */
    uint64_t searched_ms; /* when a lease to back up was last looked for */
    uint64_t seconds;     /* how many second leases were granted */
    struct lease_aside *aside;
    uint32_t asides, asides_told;
    size_t asides_cap;
};

/* Makes room for a worker. ERR_MEMORY. */
enum status lease_reserve_holder(struct leases *l, uint32_t worker);
uint32_t lease_first_of(const struct leases *l, uint32_t worker); /* or LEASE_NONE */
/* Impressions of its batches below the limit, in training. */
uint64_t lease_impressions(const struct leases *l, const struct lease *x);
/* Gives a lease that is not OUT to a worker, for whom there is room. */
void lease_take_out(struct leases *l, struct lease *x, uint32_t worker);
/* Takes an OUT lease from its holder, and from a second one. */
void lease_give_back(struct leases *l, struct lease *x, enum lease_state state);
void lease_end_second(struct leases *l, struct lease *x);  /* if there is one */
void lease_pends(struct leases *l, const struct lease *x); /* has become PENDING */
bool leases_idle(const struct leases *l, uint32_t worker); /* holds none, as a second either */
