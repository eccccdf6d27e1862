/* spawn.h - a child process: this program again, or another one.
 *
 * This is the only place that forks. Between fork and exec a child has the signal handlers of its
 * parent. They only set a flag, which exec discards, so a TERM in that time would be lost. A TERM
 * after exec, before the child has its own handlers, would kill it. Therefore INT and TERM are
 * blocked from before fork, also across exec: a signal that comes in that time waits until the
 * child calls stop_signals_install, which unblocks both. Every command that can be spawned must
 * call it. Another program does not do that, so it starts with both unblocked and with no signal
 * ignored.
 *
 * The child inherits no descriptor above standard error, whatever its number, except those in
 * `keep`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/status.h"

struct spawn {
    const char *program; /* another program, searched in PATH; NULL: this one */
    char *const *argv;   /* argv[0] is the program's name; ends with NULL */
    const char *log;     /* standard output and error are appended to it; NULL: inherited */
    bool no_input;       /* standard input is /dev/null instead of inherited */
    const int *streams;  /* [3], above 2: become standard input, output, error; NULL: inherited */
    const int *keep;     /* descriptors above 2 that are inherited; -1: none */
    size_t keeps;
    int death_signal; /* sent to the child when its parent has ended; 0: none */
};

/* Starts the child in its own session, so that Ctrl-C on a terminal reaches only its parent.
 * ERR_IO. If exec fails, the child's exit code is 127. */
enum status spawn(const struct spawn *s, pid_t *pid);

/* The three pipes between a parent and its child. */
struct spawn_pipes {
    pid_t pid;
    int in;       /* the parent writes; it never waits (full: EAGAIN) */
    int out, err; /* the parent reads; it never waits */
};
/* Like spawn, but with pipes as the standard streams; s->streams is ignored. ERR_IO: no pipe is
 * open. */
enum status spawn_with_pipes(const struct spawn *s, struct spawn_pipes *p);
