/* supervisor.h - controls the processes of a job: it starts and restarts them, tells them to end,
 * and finds whose end was the first cause of a failure.
 *
 * It is a state machine without its own processes, clock and signals. It uses them through its
 * world, a table of functions, which tests replace. It serves a job on this machine and a job
 * across machines (crew.h); the two differ only in the times of the policy.
 *
 *     run --signal, or a worker that failed--> save --> follow --> term --> kill --> cut --> over
 *                                       coordinator   it has    all are told to end, are killed,
 *                                        is to save    ended     and their connections are cut
 *
 *     coordinator ends well        the job is done; the others get a moment to follow
 *     killed, or lost              started again: at once, and if it dies again soon, after a wait
 *                                  that doubles (supervisor_restarts). What the job then does about
 *                                  what was lost is the coordinator's matter: a worker's leases go
 *                                  to whoever asks
 *       and not to be restarted    worker: the job goes on without it as long as another worker is
 *                                  left, else the coordinator saves, then the job fails.
 *                                  Server, coordinator: as the last line
 *     server told to end           started again as if it had died; all that it had is saved
 *     worker told to end           the job goes on without it. What becomes of a job without any
 *                                  worker is the coordinator's matter: others may have joined
 *     worker ends with an error    it would fail again: the coordinator saves, then the job fails
 *     anything else ends early     the job fails, and what is left is ended: nothing can be saved
 *
 * Each phase except the first has a deadline, at which the next phase begins. The job is over when
 * all processes have ended, or at the deadline of the last phase.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

enum child_kind { CHILD_COORD, CHILD_SERVER, CHILD_WORKER };
enum child_state {
    CHILD_WAITING, /* it waits until it is to be started */
    CHILD_OPENING, /* started; its connection is being opened */
    CHILD_UP,
    CHILD_ENDED
};
struct supervised {
    const char *name; /* as shown in messages: "ps-1", "[db2 ps-1]"; borrowed */
    enum child_kind kind;
    uint32_t host; /* only opening_max children of one host are opened at once */
    enum child_state state;
    uint64_t due_ms; /* when a waiting child is started */
    uint64_t started_ms;
    uint32_t restarts; /* in all */
    uint32_t deaths;   /* in a row, each after a life shorter than settled_ms */
    char death[192];   /* how it died last; "": it never did */
};

enum ending_kind {
    ENDING_EXIT,   /* code: its exit code */
    ENDING_KILLED, /* code: the signal */
    ENDING_LOST    /* its connection broke; it may still run */
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
    size_t child; /* for UP and ENDED */
    struct ending ending;
    int signal; /* SIGINT, SIGTERM or SIGHUP that this process got */
};

/* What the supervisor sees and does. Only `wait` blocks. */
struct supervisor_world {
    void *self;
    uint64_t (*now_ms)(void *self);
    /* Gives the next event; EVENT_NONE after a moment without one. Each start of a child leads to
     * exactly one ENDED. */
    void (*wait)(void *self, struct event *e);
    /* attempt: 0 for the first start, then the number of the restart. A failure ends the job. */
    enum status (*start)(void *self, size_t child, uint32_t attempt);
    void (*tell)(void *self, size_t child, int signal); /* SIGINT, SIGTERM or SIGKILL */
    void (*cut)(void *self, size_t child);              /* gives up a child that does not answer */
    void (*say)(void *self, const char *line); /* shows the line to the user who started the job */
};

/* Which processes are started again after they were killed or lost, and when: the first time at
 * once, then after again_ms, twice that, ... at most again_most_ms. */
#define RESTARTS_UNLIMITED UINT32_MAX
struct supervisor_restarts {
    uint32_t most;     /* of one process */
    bool servers;      /* also a server; its rows must come back from a checkpoint */
    bool coordinator;  /* also the coordinator; it must know what it has handed out */
    uint64_t again_ms; /* the wait before the second restart */
    uint64_t again_most_ms;
    uint64_t settled_ms; /* after a life as long as that a restart counts as the first again */
};
struct supervisor_policy {
    struct supervisor_restarts restarts;
    uint32_t opening_max;     /* children of one host that are opened at once; 0: no limit */
    bool second_signal_stops; /* the second signal stops without a checkpoint; else ignored */
    uint64_t save_ms;         /* for the coordinator after a signal; UINT64_MAX: no limit */
    uint64_t save_failed_ms;  /* the same after a worker has failed */
    uint64_t follow_ms;       /* time for the others after the coordinator ended well */
    uint64_t fail_ms;         /* the same after the coordinator failed */
    uint64_t lost_ms;         /* from TERM to KILL if a server is gone: nothing can be saved */
    uint64_t term_ms;         /* from TERM to KILL otherwise */
    uint64_t kill_ms;         /* from KILL to the cut, and from the cut to the end */
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
    int told;        /* the signal that the coordinator is told in PHASE_SAVE; 0: none yet */
    bool ended_well; /* the coordinator ended well */
    int stopped_by;  /* the coordinator ended because of this signal; 0: the job is complete */
    bool idle;       /* the coordinator ended because nothing was left to train */
    bool lasting;    /* a process would fail again (ROLE_EXIT_LASTING) */
    size_t culprit;  /* the child whose end was the first cause */
    char cause[896]; /* the text of the first cause; "": none */
};

/* Sets *s up so that every child is started at once. The kind, host and name of each child are
 * already set. */
void supervisor_init(struct supervisor *s, const struct supervisor_world *world,
                     const struct supervisor_policy *policy, struct supervised *children,
                     size_t count);
/* Handles one event, or EVENT_NONE if only time has passed. */
void supervisor_take(struct supervisor *s, const struct event *e, uint64_t now_ms);
/* True if the job is over. */
bool supervisor_over(const struct supervisor *s);
/* Takes events until the job is over. OK: the coordinator ended well, see *s. ERR_PEER: the job
 * failed, and fail_text() is the first cause. */
enum status supervisor_run(struct supervisor *s);
