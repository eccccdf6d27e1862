/* supervisor.h - what is done about the processes of a job: who is started, started again, told to
 * end, and whose end is the first cause of a failure.
 *
 * A state machine without processes, clock and signals of its own: those are its world, a table of
 * functions, for which tests have their own. It serves a job on this machine and one across
 * machines (crew.h), which differ in the policy's times alone.
 *
 *     run --signal, or a worker that failed--> save --> follow --> term --> kill --> cut --> over
 *                                       coordinator   it has    all are told to end, are killed,
 *                                        is to save    ended     and their connections are cut
 *
 *     coordinator ends well        the job is done; the others get a moment to follow
 *     worker killed, or lost       started again, restarts_max times: its leases go to whoever
 *                                  asks, and batch names keep pushes from counting twice. After
 *                                  that the job goes on without it as long as another worker is
 *                                  left
 *     worker ends with an error    it would fail again: the coordinator saves, then the job fails
 *     anything else ends early     the job fails, and what is left is ended: nothing can be saved
 *
 * Each phase but the first has a deadline, at which the next begins. The job is over when all
 * processes have ended, or at the deadline of the last phase.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

enum child_kind { CHILD_COORD, CHILD_SERVER, CHILD_WORKER };
enum child_state {
    CHILD_WAITING, /* for its time to be started */
    CHILD_OPENING, /* started; its connection is in the making */
    CHILD_UP,
    CHILD_ENDED
};
struct supervised {
    const char *name; /* as messages have it: "ps-1", "[db2 ps-1]"; borrowed */
    enum child_kind kind;
    uint32_t host; /* of one host only so many are opened at once */
    enum child_state state;
    uint64_t due_ms; /* waiting: when it is started */
    uint32_t restarts;
};

enum ending_kind {
    ENDING_EXIT,   /* code: its exit code */
    ENDING_KILLED, /* code: the signal */
    ENDING_LOST    /* its connection broke; whether it runs on nobody knows */
};
struct ending {
    enum ending_kind kind;
    int code;
    bool idle;      /* the coordinator found a complete run: nothing was left to train */
    char text[384]; /* its last words, "" if there are none */
};

enum event_kind { EVENT_NONE, EVENT_UP, EVENT_ENDED, EVENT_SIGNAL };
struct event {
    enum event_kind kind;
    size_t child; /* of UP and ENDED */
    struct ending ending;
    int signal; /* SIGINT, SIGTERM, SIGHUP: to this process */
};

/* What the supervisor sees and does. Nothing of it blocks but `wait`. */
struct supervisor_world {
    void *self;
    uint64_t (*now_ms)(void *self);
    /* The next event; EVENT_NONE after a moment without one. A child gives one ENDED a start. */
    void (*wait)(void *self, struct event *e);
    /* attempt: 0 at first, then the number of the restart. A failure ends the job. */
    enum status (*start)(void *self, size_t child, uint32_t attempt);
    void (*tell)(void *self, size_t child, int signal); /* SIGINT, SIGTERM or SIGKILL */
    void (*cut)(void *self, size_t child);     /* does not answer: let go of it, whatever it does */
    void (*say)(void *self, const char *line); /* to whoever started the job */
};

struct supervisor_policy {
    uint32_t restarts_max;
    uint32_t opening_max; /* of one host at once; 0: no limit */
    uint64_t restart_after_ms;
    bool second_signal_stops; /* without a checkpoint; else it changes nothing */
    uint64_t save_ms;         /* for the coordinator after a signal; UINT64_MAX: no limit */
    uint64_t save_failed_ms;  /* after a worker that failed */
    uint64_t follow_ms;       /* for the others after a coordinator that ended well */
    uint64_t fail_ms;         /* and after one that did not */
    uint64_t lost_ms;         /* from TERM to KILL where a server is gone: nothing can be saved */
    uint64_t term_ms;         /* from TERM to KILL otherwise */
    uint64_t kill_ms;         /* from KILL to the cut, and from there to the end */
};

enum supervisor_phase {
    PHASE_RUN,
    PHASE_SAVE,
    PHASE_FOLLOW,
    PHASE_TERM,
    PHASE_KILL,
    PHASE_CUT,
    PHASE_OVER
};
struct supervisor {
    struct supervisor_world world;
    struct supervisor_policy policy;
    struct supervised *children; /* [count], borrowed; 0 is the coordinator */
    size_t count;
    enum supervisor_phase phase;
    uint64_t deadline_ms;
    bool ended_well;     /* the coordinator */
    int stopped_by;      /* ... because of this signal; 0: because the job is complete */
    bool idle;           /* ... because nothing was left to train */
    bool lasting;        /* a process said that it would fail again (ROLE_EXIT_LASTING) */
    size_t culprit;      /* whose end was the first cause, */
    char cause[640];     /* and what it was; "": none */
    char abandoned[512]; /* the first worker that was not started again, and why; "": none */
};

/* Every child is to be started at once; its kind, host and name are set. */
void supervisor_init(struct supervisor *s, const struct supervisor_world *world,
                     const struct supervisor_policy *policy, struct supervised *children,
                     size_t count);
/* One event, or just that time has passed. Does what follows from it. */
void supervisor_take(struct supervisor *s, const struct event *e, uint64_t now_ms);
/* Has everything come to its end? */
bool supervisor_over(const struct supervisor *s);
/* Takes events until it is over. OK: the coordinator ended well, see *s; ERR_PEER: the job failed,
 * and fail_text() is the first cause. */
enum status supervisor_run(struct supervisor *s);
