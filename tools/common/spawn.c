#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/fault/fault.h"

#define FIRST_FD 3u

/* Linux 5.9 and later can close them all in one call. */
static void close_between(unsigned first, unsigned last) {
    if (first > last || close_range(first, last, 0) == 0) {
        return;
    }
    const long limit = sysconf(_SC_OPEN_MAX);
    for (unsigned fd = first; fd <= last && (long)fd < limit; fd++) {
        close((int)fd);
    }
}

/* Returns the lowest kept descriptor that is at least `first`; ~0u: none. */
static unsigned next_kept(const struct spawn *s, unsigned first) {
    unsigned next = ~0u;
    for (size_t i = 0; i < s->keeps; i++) {
        if (s->keep[i] >= (int)first && (unsigned)s->keep[i] < next) {
            next = (unsigned)s->keep[i];
        }
    }
    return next;
}

static void close_others(const struct spawn *s) {
    unsigned first = FIRST_FD;
    for (unsigned kept; (kept = next_kept(s, first)) != ~0u; first = kept + 1) {
        close_between(first, kept - 1);
        fcntl((int)kept, F_SETFD, 0);
    }
    close_between(first, ~0u);
}

/* Sends the child's standard output and error to the log, for what it does not log itself: its
 * usage, or a sanitizer's report. */
static void say_into_log(const char *log) {
    const int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
}

/* Unblocks all signals for another program, and stops ignoring those that this one ignores. */
static void let_signals_in(void) {
    static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGTSTP};
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigemptyset(&plain.sa_mask);
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        sigaction(ignored[i], &plain, NULL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Resets the handlers while the signals are blocked; pending signals stay pending through exec.
 * Other signals are not affected. */
static void leave_stop_signals_pending(void) {
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t stops;
    sigemptyset(&plain.sa_mask);
    sigaction(SIGINT, &plain, NULL);
    sigaction(SIGTERM, &plain, NULL);
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    sigprocmask(SIG_SETMASK, &stops, NULL);
}

/* The child's side of fork: async-signal-safe calls only. */
static void become(const struct spawn *s, pid_t parent) {
    setsid();
    prctl(PR_SET_PDEATHSIG, s->death_signal);
    if (getppid() != parent) { /* the parent ended before it could be watched */
        _exit(127);
    }
    if (s->no_input) {
        const int nothing = open("/dev/null", O_RDONLY);
        if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0) {
            _exit(127);
        }
    }
    for (int fd = STDIN_FILENO; s->streams != NULL && fd <= STDERR_FILENO; fd++) {
        dup2(s->streams[fd], fd);
    }
    if (s->log != NULL) {
        say_into_log(s->log);
    }
    close_others(s);
    if (s->program != NULL) {
        let_signals_in();
        execvp(s->program, s->argv);
        dprintf(STDERR_FILENO, "cannot run %s: %s\n", s->program, strerror(errno));
    } else {
        leave_stop_signals_pending();
        execv("/proc/self/exe", s->argv);
    }
    _exit(127);
}

enum status spawn(const struct spawn *s, pid_t *pid) {
    sigset_t all, before;
    fflush(NULL);
    FAULT("launch.spawn");
    const pid_t parent = getpid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    const pid_t child = fork();
    const int error = errno;
    if (child == 0) {
        become(s, parent);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0) {
        return fail(ERR_IO, "cannot start a process: %s", strerror(error));
    }
    *pid = child;
    FAULT("launch.spawned");
    return OK;
}

static void close_all(int (*ends)[2], size_t pipes) {
    for (size_t i = 0; i < pipes; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
}

enum status spawn_with_pipes(const struct spawn *s, struct spawn_pipes *p) {
    int ends[3][2];
    for (size_t i = 0; i < 3; i++) {
        if (pipe2(ends[i], O_CLOEXEC) != 0) {
            const int error = errno;
            close_all(ends, i);
            return fail(ERR_IO, "cannot make a pipe: %s", strerror(error));
        }
    }
    const int streams[3] = {ends[0][0], ends[1][1], ends[2][1]};
    struct spawn what = *s;
    what.streams = streams;
    const enum status status = spawn(&what, &p->pid);
    if (status != OK) {
        close_all(ends, 3);
        return status;
    }
    *p = (struct spawn_pipes){p->pid, ends[0][1], ends[1][0], ends[2][0]};
    for (size_t i = 0; i < 3; i++) {
        close(streams[i]);
    }
    fcntl(p->in, F_SETFL, O_NONBLOCK);
    fcntl(p->out, F_SETFL, O_NONBLOCK);
    fcntl(p->err, F_SETFL, O_NONBLOCK);
    return OK;
}
