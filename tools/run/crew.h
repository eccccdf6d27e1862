/* crew.h - the processes of a job, as the supervisor's world (supervisor.h).
 *
 * A child is a role's command with a prefix: nothing for this machine, "ssh [options] HOST" for
 * another.
 *
 *     here       this program is run once more; it writes its log itself (--log)
 *     over ssh   the role runs under `esmm tether` there. Its log is what comes over the
 *                connection: it goes into a file here and, a tag before each line, to the
 *                terminal. What the role is told (int, term, kill) goes the other way; so does
 *                "beat" every few seconds, without which the tether ends it (tools/run/tether.c)
 *
 * What a coordinator prints is its progress, a line of JSON each, shown by the view. A child's end
 * is told when its last words have been read. Used by one thread.
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
    char tag[320];            /* before its lines and in messages: "ps-1", "[db2 ps-1]" */
    char log[PATH_BYTES_MAX]; /* on this machine */
    struct words command;     /* the program, the role, its options */
    struct words prefix;      /* none: on this machine */
    const char *before; /* over ssh: a command that runs before, and must succeed; NULL: none */
    uint64_t grace_s;   /* over ssh: from TERM to KILL where the connection is lost */
    /* the crew's own */
    pid_t pid; /* 0: not running */
    int wait_status;
    uint64_t reaped_ms;   /* 0: not yet */
    int in, out, err;     /* -1: none */
    struct file log_file; /* over ssh */
    struct buf lines[2];  /* of out and err: a line whose end has not come */
    char last[384];       /* the last line of the log, over ssh */
    uint64_t process;     /* its number there, 0: not known */
    bool lost;            /* its connection broke the last time */
    bool up, idle;        /* news for the supervisor */
    bool running;         /* started, and the supervisor does not know of an end */
};
struct crew {
    struct crew_child *children; /* capacity fixed at init */
    size_t count, cap;
    struct supervised *supervised; /* [count], for the supervisor; filled in by crew_add */
    struct view *view;             /* NULL: there is no progress to show */
    /* What a coordinator here inherits; -1: nothing. */
    int progress_write; /* a pipe, whose other end is its `out`; the crew closes it */
    int lock_fd;        /* borrowed */
    int signals_taken;
    uint64_t beat_ms;  /* when the next is due */
    bool stuck;        /* standard error takes nothing at the moment */
    struct buf polled; /* struct pollfd each */
};

enum status crew_init(struct crew *c, size_t children_max, struct view *view);
/* Kills what still runs, waits for it, and closes everything. */
void crew_fini(struct crew *c);
/* Adds a child that has a name and a kind; its command, prefix, log and tag are the caller's to
 * fill in. The tag is the name at first. ERR_LIMIT. */
enum status crew_add(struct crew *c, enum child_kind kind, uint32_t index,
                     struct crew_child **child);
/* The command that is run on this machine for a child over ssh, as one word each. */
enum status crew_remote_command(const struct crew_child *child, struct words *out);
/* Borrows *c. */
struct supervisor_world crew_world(struct crew *c);
