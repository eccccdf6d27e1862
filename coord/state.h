/* state.h - the coordinator's whole state, shared by the files of this folder only.
 *
 *     setup.c         reads the data and makes the plan
 *     resume.c        where the job starts, and whether a resumed one is the same job
 *     requests.c      one message in, one answer out
 *     sizes.c         whether peers accept messages as large as the job needs
 *     stream_plan.c   the plan of a stream, which grows
 *     evaluations.c   when to evaluate, and the clock of training
 *     checkpoints.c   when to cut, and the commit of what was cut
 *     rollback.c      goes back to the newest checkpoint, in the same processes
 *     keep.c          which checkpoints stay, and the figures of evaluations beside them
 *     stall.c         whether the job makes progress
 *     notes.c         what is written into the journal, and when
 *     takeover.c      from the journal of a coordinator that died to a running one
 *     summary.c       summary.json, written at the end
 *     coord.c         the phases and the loop
 */
#pragma once

#include "common/base/json.h"
#include "common/base/lock.h"
#include "common/base/log.h"
#include "common/checkpoint/newest.h"
#include "common/checkpoint/shelf.h"
#include "common/net/transport.h"
#include "common/data/data_ranges.h"
#include "common/net/job_plan.h"
#include "common/checkpoint/best.h"
#include "cut.h"
#include "coord_options.h"
#include "eval_job.h"
#include "coord/grant/lease.h"
#include "coord/grant/pace.h"
#include "coord/journal/journal.h"
#include "membership.h"
#include "progress.h"
#include "recover.h"
#include "event_log.h"
#include "coord/grant/staleness.h"
#include "shard_stream.h"

enum phase {
    PHASE_GATHER,  /* roles are still missing */
    PHASE_TRAIN,   /* an epoch's ranges are out */
    PHASE_SCORE,   /* evaluation shards are out */
    PHASE_COMPUTE, /* the metrics are being computed */
    PHASE_SAVE,    /* the final checkpoint is being made */
    PHASE_STOP,    /* everybody is told to stop */
};
struct lease_answer { /* the last answer per worker, sent again if a question is repeated */
    uint64_t incarnation, id;
    struct wire_lease lease;
    struct buf bits;
    uint64_t idle_ms; /* since when the worker waits for others before an evaluation; 0: does not */
};
/* Evaluations within epochs, and the clock of training, which stands still for all evaluations. */
struct evaluations {
    bool within;      /* the one under way interrupts its epoch */
    uint64_t next;    /* impressions done when the next one within an epoch is due */
    uint64_t before;  /* that value before the last one began */
    uint32_t owed;    /* 1 + the epoch after which one was interrupted by a rollback; 0: none */
    uint64_t from_ms; /* since when the clock stands still; 0: it runs */
    double still_s;   /* how long it stood still before that */
    double spent_s;   /* that evaluations took, until their metrics were there */
    uint64_t began_ms;
};
struct checkpoints {
    struct cut cut;
    bool hold; /* grant no lease: a deterministic cut waits until no lease is out */
    bool final_wanted, final_begun, final_done;
    uint64_t saved; /* the newest cut of which all is in a checkpoint; 0: none */
    uint64_t last_ms, last_impressions; /* when the last cut began */
    uint64_t last_shards;               /* shards' worth of the epoch back at the last such cut */
    uint64_t count;                     /* checkpoints committed by this run */
    uint32_t damaged;                   /* checkpoints that were passed over */
    uint32_t failures;                  /* cuts that became no checkpoint */
    uint32_t final_failures;            /* of these, the last ones in a row of the final cut */
    uint64_t final_again_ms;            /* when the final cut is tried again */
    char newest[PATH_BYTES_MAX];        /* the newest good checkpoint; "" none */
    uint64_t newest_step;               /* batches in it */
    struct manifest_base base;          /* `newest` as the base of a delta; cut 0: it can be none */
    struct shelf shelf;                 /* those of the run, as they were last read */
    uint64_t newest_cut;                /* id of its cut; 0: not known */
    bool log_full;                      /* a server's push logs are longer than they may be */
    uint64_t ended_ms;                  /* when the last cut was over */
    bool ended_badly;
};
/* Evaluations have numbers, from 1 on; 0: none (keep.c). */
struct keep {
    uint32_t number;       /* of the last one begun */
    uint32_t standing;     /* of the one for which training stands still */
    bool wanted;           /* a checkpoint of the state that it judges */
    uint32_t cut;          /* the cut under way, or the last, is of the state of this one */
    uint32_t saved;        /* so is the newest checkpoint */
    uint32_t figured;      /* the last one that has ended; `figures` are its */
    uint32_t joined;       /* the last whose figures lie beside its checkpoint */
    struct judged figures; /* without a step */
    struct best best;
};
/* Log lines that a peer can cause any number of times (log_limited). */
enum limited {
    LIMITED_SEND,  /* an answer cannot be sent */
    LIMITED_HELLO, /* a hello is refused */
    LIMITED_JOINED,
    LIMITED_LOST, /* workers, and what became of their leases */
    LIMITED_BINS,
    LIMITED_SCORES,
    LIMITED_CLOCKS,
    LIMITED_CAUSES
};
struct notes_result { /* of an evaluation, as bytes of the journal; read by the same program only */
    struct evaluation evaluation[2];
    struct unseen unseen;
    uint32_t count, epoch;
    struct keep keep;
};
struct notes {
    struct journal journal;
    uint64_t term;            /* of this coordinator within the life of the job: 1, 2, ... */
    uint64_t written_term;    /* the newest that the journal on disk has; 0: none */
    uint64_t retry_ms;        /* when a journal that could not be written is tried again; 0: none */
    bool synced;              /* within this turn */
    struct journal_life life; /* of the job */
    double begun_s;           /* when training began, seconds since 1970; 0: it has not */
    struct journal_state *left; /* what a coordinator that died has left, until it is taken over */
};
struct stall {
    uint64_t mark;       /* changes with every progress */
    uint64_t changed_ms; /* when it last changed */
    uint64_t moved_ms;   /* when it last changed or an excuse applied */
    uint64_t said_ms;    /* when the excuse was last logged */
};
struct coord {
    const struct coord_options *options;
    const struct config *config;  /* the options', then `settled` */
    struct config settled;        /* with what follows from the data */
    char out_dir[PATH_BYTES_MAX]; /* absolute */
    struct lock lock;             /* of out_dir */
    bool looking;                 /* coord_look: nothing is logged or written */
    char root[PATH_BYTES_MAX];    /* out_dir/checkpoints */
    /* the data and its plan */
    struct dataset data, eval;
    bool has_eval;
    struct ranges ranges;       /* of an epoch */
    struct shard_stream stream; /* zeroed if the data is no stream */
    uint64_t data_checksum;
    struct batch_plan plan;
    uint64_t job_batches, job_impressions;
    /* what this life of the job starts from */
    char resume_dir[PATH_BYTES_MAX]; /* "": from the start */
    struct newest resumed;           /* the search that found it, with what it passed over */
    uint64_t resume_bytes;
    uint64_t restored_step, restored_impressions;
    uint32_t restored_epoch; /* epochs below it are complete */
    uint64_t resumed_step;   /* restored_step of the first life */
    /* the job */
    uint64_t job; /* number of this life (recover.h) */
    struct recover recover;
    struct job_plan job_plan;
    struct buf plan_bytes; /* encoded; empty until all servers are known */
    struct transport *transport;
    struct port *port;
    struct membership members;
    struct leases leases;
    struct lease_answer *answers; /* [workers] */
    struct staleness staleness;
    struct progress progress;
    struct pace pace;
    struct eval_job eval_job;
    struct checkpoints checkpoints;
    struct evaluations evaluations;
    struct keep keep;
    struct event_log event_log;
    struct notes notes;
    enum phase phase;
    struct stall stall;
    uint64_t gather_deadline_ms, gather_ms; /* and the whole time until then */
    uint64_t workers_seen_ms;               /* when a worker was last alive */
    char worker_cause[WIRE_TEXT_MAX + 256]; /* what the first failing worker said */
    char fails_saved[WIRE_TEXT_MAX + 320];  /* the job is saved, then fails with this; "": no */
    bool last_epoch;                        /* nothing is left to train after the current one */
    bool stopped;                           /* by a signal */
    bool stopped_early;                     /* by train.patience */
    bool evaluated;
    struct evaluation evaluation[2]; /* unweighted; weighted, if data has weights */
    uint32_t evaluations_made;       /* of these two, which are filled */
    struct unseen unseen;            /* of that evaluation */
    uint32_t evaluation_epoch;
    uint64_t aside_batches, aside_impressions; /* set aside: they kill their workers */
    uint64_t ended_ms;                         /* when training ended */
    bool failed;
    char cause[WIRE_TEXT_MAX]; /* of the failure, as sent to all members */
    struct log_limit limited[LIMITED_CAUSES];
    struct buf scratch;
};

/* setup.c. Fills a zeroed *c from options; coord_fini afterwards in any case. */
enum status setup(struct coord *c);
/* Does as much of setup as writes nothing. *nothing_left: the checkpoint that the job would start
 * from leaves nothing to train.
 */
enum status setup_look(struct coord *c, bool *nothing_left);
/* The state machines of a life that starts with `done` applied, which is taken over, also on
 * failure. */
enum status setup_life(struct coord *c, struct applied *done);
void setup_begin(struct coord *c); /* what is counted from where the run starts */
/* Once all servers of a life are known: fixes endpoints and partitions. */
enum status setup_plan(struct coord *c);

/* resume.c. Finds the newest good checkpoint, if any, checks that it is of this job, and takes over
 * what it says. Damaged ones that it passed over are set aside and logged. *done: the batches that
 * are applied. ERR_EXISTS: there is one, and the job is not to be resumed; ERR_CONFIG: it is of
 * another job; ERR_CORRUPT: all are damaged. */
enum status resume_find(struct coord *c, struct applied **done);
/* The same for a rollback, within the run that made the checkpoint: what it says is taken over. */
enum status resume_again(struct coord *c, struct applied **done);
/* Writes an event for each that was passed over, once the event log is open. */
void resume_events(struct coord *c);

/* sizes.c. ERR_LIMIT, and the message says what to change. The first is for before servers are
 * known, the second for after the plan is encoded.
 */
enum status sizes_of_names(const struct coord *c);
enum status sizes_with_servers(const struct coord *c);

/* stream_plan.c. All do nothing in a job on a fixed data set. */
/* Adds the shards of the checkpoint `from` to the plan. ERR_NOT_FOUND: the stream has fewer. */
enum status stream_plan_restore(struct coord *c, uint32_t shards, const char *from);
/* Adds all shards that are there. */
enum status stream_plan_catch_up(struct coord *c);
/* Looks for new shards while training. */
enum status stream_plan_step(struct coord *c, uint64_t now_ms);
bool stream_plan_over(const struct coord *c); /* no more shards will come */

/* requests.c. A wrong request of a peer is answered with an error; a status other than OK is a
 * failure of the coordinator. */
enum status requests_answer(struct coord *c, const struct port_message *m, uint64_t now_ms);
/* Tells all members of the life with that number to rejoin. Who does not hear it, or is not known
 * well enough, learns it by the answer to its next frame. */
void requests_tell_rejoin(struct coord *c, uint64_t job);
void requests_answer_clocks(struct coord *c, uint64_t now_ms);
/* A worker is lost or replaced: its leases and clocks become void. died: its process, so that what
 * it held is suspect (grant/lease_suspect.h). */
void drop_worker(struct coord *c, const struct member *worker, bool died, uint64_t now_ms);
/* Leases of `who` were not returned: a deterministic job that is training must be rolled back. */
void lost_leases(struct coord *c, const char *who, uint64_t now_ms);

/* rollback.c */
/* Asks for a rollback, unless this life has not begun for anybody. */
void rollback_want(struct coord *c, const char *cause, uint64_t now_ms);
/* A server is lost or replaced: logged, and a rollback wanted. why: "has been silent for ...". */
void rollback_server_lost(struct coord *c, const struct member *s, const char *why,
                          uint64_t now_ms);
/* A server found the checkpoint that it restores damaged: it is renamed, and a rollback to the one
 * before wanted. ERR_CORRUPT: the job resumes, and has no other. */
enum status rollback_damaged(struct coord *c, const struct member *s, const char *why,
                             uint64_t now_ms);
/* Rolls the job back if that is wanted. ERR_PEER: it was too often; that of resume_again. */
enum status rollback_step(struct coord *c, uint64_t now_ms);
void rollback_over(struct coord *c, uint64_t now_ms); /* training begins, or goes on */

/* checkpoints.c */
void checkpoints_new_life(struct coord *c);
/* What a delta says of the checkpoint `m` if it is made against it. */
struct manifest_base checkpoints_as_base(const struct manifest *m);
void checkpoints_final(struct coord *c); /* asks for the final checkpoint */
enum status checkpoints_step(struct coord *c, uint64_t now_ms);
void checkpoints_mark(struct coord *c); /* what is back now is before the next cut between shards */
bool checkpoints_shards_due(const struct coord *c); /* a cut between shards must come first */
/* Estimates how many values of each field training has read in its first pass after `impressions`
 * impressions: the field's values in all data times the share of one pass. All 0: not known. */
void values_read(const struct coord *c, uint64_t impressions, uint64_t values[FIELDS_MAX]);
bool checkpoints_holds(const struct coord *c); /* no lease may be granted: a cut comes first */
/* A server's push logs have so many bytes. */
void checkpoints_log(struct coord *c, uint64_t log_bytes, uint64_t now_ms);

/* keep.c. None of them fails: what cannot be deleted or written is logged. */
void keep_begin(struct coord *c);                    /* once it is clear where the job starts */
void keep_published(struct coord *c, uint64_t step); /* deletes what need not stay any more */
void keep_evaluation_begins(struct coord *c);
void keep_training_goes_on(struct coord *c);
bool keep_wants_cut(const struct coord *c); /* of the state that is being evaluated */
void keep_cut_begins(struct coord *c);
void keep_saved(struct coord *c);       /* the cut is the newest checkpoint now */
bool keep_holds(const struct coord *c); /* training must not go on before that cut is over */
void keep_evaluated(struct coord *c);   /* c->evaluation is there */
bool keep_patience_over(const struct coord *c);
void keep_json(const struct coord *c, struct json *j);

/* evaluations.c */
void evaluations_roll_back(struct coord *c); /* the life of the job ends */
bool evaluations_hold(
    const struct coord *c); /* no lease may be granted: an evaluation comes first */
bool evaluations_due(const struct coord *c); /* one within the epoch, and nothing is out */
/* Begins an evaluation after or within the epoch. Training stands still. ERR_MEMORY. */
enum status evaluations_begin(struct coord *c, uint32_t epoch, bool within, uint64_t now_ms);
/* The evaluation that has begun, from its beginning. ERR_MEMORY. */
enum status evaluations_again(struct coord *c, uint32_t epoch);
/* *ended: the metrics are there, and written. */
enum status evaluations_step(struct coord *c, uint64_t now_ms, bool *ended);
void evaluations_resume_clock(struct coord *c, uint64_t now_ms); /* training goes on */
double evaluations_train_seconds(const struct coord *c, uint64_t now_ms);

/* stall.c. ERR_TIMEOUT if the phase makes no progress; the text says who is awaited for what. */
enum status stall_step(struct coord *c, uint64_t now_ms);

/* coord.c. After an evaluation: the next epoch, the same one, or the end. */
enum status phase_after_evaluation(struct coord *c, uint32_t epoch, uint64_t now_ms);

/* What names this start of the job. */
static inline const char *launch_of(const struct coord *c) {
    return c->options->launch != NULL ? c->options->launch : "";
}
/* notes.c. A journal that cannot be written costs a warning, and nothing else fails: each of these
 * does what it can. */
void notes_begin(struct coord *c); /* a new life: a journal takes the place of the old one */
void notes_renew(struct coord *c); /* the same life in a journal as short as it can be */
void notes_member(struct coord *c, const struct member *member); /* has joined */
/* No lease may be granted: the journal does not know this term yet, so a successor would take the
 * same, and give the same fences again. */
bool notes_hold(const struct coord *c);
/* Nothing that must not be lost can be lost. Tries to make it so once a turn. */
bool notes_synced(struct coord *c);
/* The worker has asked, what it returned is back, or not, and it is given `lease`. */
void notes_ask(struct coord *c, const struct wire_lease_ask *ask, uint64_t id, bool back,
               const struct wire_lease *lease);
void notes_freed(struct coord *c, uint32_t worker); /* has lost its leases */
void notes_begun(struct coord *c);                  /* training begins */
void notes_epoch(struct coord *c);
void notes_evaluation(struct coord *c, bool ended); /* begins or ends, or the clock goes on */
void notes_cut(struct coord *c);
void notes_ended(struct coord *c);
void notes_stopped(struct coord *c);
void notes_step(struct coord *c, uint64_t now_ms); /* each turn */
void notes_end(struct coord *c);                   /* the life has ended: removes the journal */
void notes_forget(struct coord *c);                /* frees what another coordinator has left */
void notes_fini(struct coord *c);
/* A hash of all that must be the same for a coordinator to take a job over. ERR_MEMORY. */
enum status notes_plan(const struct coord *c, uint64_t *hash);

/* takeover.c. Looks for a journal of this job whose life has not ended; c->notes.left is set then,
 * and the others may be called. ERR_CORRUPT with file and offset, ERR_CONFIG: another program or
 * configuration. */
enum status takeover_find(struct coord *c);
/* Adds what has come of a stream, and gives the batches that are done. */
enum status takeover_done(struct coord *c, struct applied **done);
/* With everything set up: members, leases, clocks and the phase are as they were. */
enum status takeover_run(struct coord *c);
/* The leases that were out are out again, in the epoch that is open. ERR_MEMORY. */
enum status takeover_leases(struct leases *l, const struct journal_state *s, uint64_t now_ms);
/* Adds the ranges that came back to the set `done` that the journal begins with. ERR_CORRUPT. */
enum status takeover_backs(struct applied *done, const struct journal_state *s,
                           const struct ranges *ranges);

/* summary.c */
const char *coord_status(const struct coord *c); /* how the job ended, in one word */
enum status summary_write(struct coord *c);
