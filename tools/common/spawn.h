/* spawn.h - a child process: this program once more, or another one.
 *
 * The one place that forks. Between fork and exec a child has its parent's signal handlers, which
 * only set a flag that exec forgets: a TERM that comes then would be lost, and one that comes after
 * exec, before the child has handlers of its own, would kill it. So INT and TERM are blocked from
 * before fork on, also across exec: a signal that comes meanwhile waits until the child calls
 * stop_signals_install, which lets both in. A command that can be spawned must call it.
 * Another program knows nothing of that: it finds both unblocked, and no signal ignored.
 *
 * No descriptor above standard error is inherited, whatever its number, but those that are asked
 * for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/status.h"

struct spawn {
    const char *program; /* another one, looked for in PATH; NULL: this one */
    char *const *argv;   /* argv[0] is the program's name, NULL at the end */
    const char *log;     /* standard output and error are appended to it; NULL: inherited */
    bool no_input;       /* standard input is /dev/null instead of inherited */
    const int *streams;  /* [3], above 2: become standard input, output, error; NULL: inherited */
    const int *keep;     /* descriptors above 2 that are inherited; -1: none */
    size_t keeps;
    int death_signal; /* sent to the child when its parent is gone; 0: none */
};

/* The child leads a session of its own, so that a terminal's Ctrl-C reaches its parent only.
 * ERR_IO; an exec that fails is exit code 127. */
enum status spawn(const struct spawn *s, pid_t *pid);

/* The three pipes of a child that its parent talks with. */
struct spawn_pipes {
    pid_t pid;
    int in;       /* written to by the parent; full: it does not wait (EAGAIN) */
    int out, err; /* read by the parent, which does not wait either */
};
/* spawn with pipes as its standard streams; s->streams is not looked at. ERR_IO: none is open. */
enum status spawn_with_pipes(const struct spawn *s, struct spawn_pipes *p);
