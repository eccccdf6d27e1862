/* journal_state.h - what the records of a journal add up to: the state of the job, as a coordinator
 * that takes it over must know it.
 *
 * A journal begins with a whole state: LIFE, the members, what is done, ..., TERM. Then one record
 * follows for each thing that happens. Any number of records at the end may be missing, because
 * they were not synced when the machine died: what is left is then a state that the job was in a
 * little earlier. That does no harm. A range whose return is missing is trained again, and servers
 * know its batches by their names; a lease whose grant is missing has a fence of an older term.
 *
 * Leases that ran out are not recorded: they are OUT until they run out again, or until their range
 * has been granted under a newer fence.
 *
 * No files, no clock, no sockets; single thread.
 */
#pragma once

#include "journal_record.h"

struct journal_process { /* a member */
    bool known, rejoins;
    uint64_t incarnation;
    uint32_t pid;
    char host[64];
    struct buf endpoints;
};
struct journal_worker { /* what is known of a worker beside that */
    bool answered;      /* `answer` is the last grant, to the question `id` of `incarnation` */
    uint64_t incarnation, id;
    struct wire_lease answer;
    struct journal_counters counters; /* incarnation 0: none */
};
struct journal_out { /* a lease that is out */
    uint32_t worker;
    uint64_t incarnation;
    struct wire_lease lease;
    bool gone; /* not any more */
};
struct journal_state {
    bool whole;               /* a TERM has come after LIFE */
    struct journal_life life; /* servers 0: none has begun */
    uint64_t term;
    struct journal_process *server, *worker; /* [life.servers], [life.workers] */
    struct journal_worker *works;            /* [life.workers] */
    struct buf done;                         /* applied_encode of the batches that are done */
    struct journal_back *back;               /* and these ranges beside */
    size_t backs, backs_cap;
    struct journal_out *out; /* by rising fence */
    size_t outs, outs_cap, gone;
    double begun_s, ended_s;    /* seconds since 1970; 0: not */
    bool has_epoch;             /* `epoch` is set */
    struct journal_epoch epoch; /* the newest */
    struct journal_evaluation evaluation;
    struct buf result; /* of the newest evaluation; empty: none */
    struct journal_cut cut;
    struct wire_progress gone_progress; /* of workers that were replaced */
    bool stopped;
};

void journal_state_fini(struct journal_state *s); /* safe on a zeroed struct */
/* Adds a record to a zeroed struct or to what came before. ERR_CORRUPT: the record does not fit to
 * those before; ERR_MEMORY. */
enum status journal_state_apply(struct journal_state *s, const struct journal_record *r);
/* Applies all records of a journal's bytes. *torn: how many bytes at the end were cut off. `name`
 * stands for the file in messages. ERR_CORRUPT: damaged, with the offset, or no whole state. */
enum status journal_state_read(struct journal_state *s, const char *name, const void *data,
                               size_t bytes, size_t *torn);
