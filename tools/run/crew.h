/* crew.h - the processes of a job. They are the supervisor's world (supervisor.h).
 *
 * A child is a role's command with a prefix: an empty one on this machine, "ssh [options] HOST" on
 * another.
 *
 *     here       this program is run again; it writes its log itself (--log)
 *     over ssh   the role runs under `esmm tether` there. Its output comes over the connection. It
 *                is written to a log file here and, with a tag before each line, to the terminal.
 *                Orders to the role (int, term, kill) go the other way. So does "beat" every few
 *                seconds; without it the tether ends the role (tools/run/tether.c)
 *
 * A coordinator prints its progress, one line of JSON each, which the view shows. A child's end is
 * reported after its last words have been read. Only one thread uses this.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/file.h"
#include "supervisor.h"
#include "view.h"
#include "words.h"

struct crew_child {
    char name[32];            /* "ps-1" */
    char tag[320];            /* put before its lines, and used in messages: "ps-1", "[db2 ps-1]" */
    char log[PATH_BYTES_MAX]; /* on this machine */
    struct words command;     /* the program, the role, its options */
    struct words prefix;      /* empty: on this machine */
    const char *before;       /* over ssh: a command that runs first and must succeed; NULL: none */
    uint64_t lifeline_s;      /* over ssh: how long it goes on without this launcher */
    uint64_t grace_s;         /* over ssh: then, from TERM to KILL */
    /* members that only the crew uses */
    pid_t pid; /* 0: not running */
    int wait_status;
    uint64_t reaped_ms;   /* 0: not yet */
    int in, out, err;     /* -1: none */
    struct file log_file; /* over ssh */
    struct buf lines[2];  /* of out and err: an incomplete line */
    char last[384];       /* the last line of the log, over ssh */
    uint64_t process;     /* its process number on the host; 0: unknown */
    bool lost;            /* its connection broke at its last end */
    bool up, idle;        /* to be reported to the supervisor */
    bool running;         /* started, and no end was reported to the supervisor */
};
struct crew {
    struct crew_child *children; /* the capacity is fixed at init */
    size_t count, cap;
    struct supervised *supervised; /* [count], for the supervisor; filled in by crew_add */
    struct view *view;             /* NULL: there is no progress to show */
    /* What a coordinator on this machine inherits; -1: nothing. */
    int progress_fd; /* the number under which it writes to a pipe whose other end is its `out`;
                      * taken by some open descriptor from the beginning. The crew closes it */
    int lock_fd;     /* borrowed */
    int signals_taken;
    uint64_t beat_ms;  /* when the next beat is due */
    bool stuck;        /* standard error accepts no output at the moment */
    struct buf polled; /* struct pollfd each */
};

enum status crew_init(struct crew *c, size_t children_max, struct view *view);
/* Kills the children that still run, waits for them, and closes everything. */
void crew_fini(struct crew *c);
/* Adds a child with a name and a kind. The caller fills in its command, prefix, log and tag; at
 * first the tag is the name. ERR_LIMIT. */
enum status crew_add(struct crew *c, enum child_kind kind, uint32_t index,
                     struct crew_child **child);
/* The command that this machine runs for a child over ssh, as separate words. */
enum status crew_remote_command(const struct crew_child *child, struct words *out);
/* Borrows *c. */
struct supervisor_world crew_world(struct crew *c);
