/* supervisor.h - child processes of `esmm train`: start, watch, stop, and tell who failed first. */
#ifndef TOOLS_RUN_SUPERVISOR_H
#define TOOLS_RUN_SUPERVISOR_H

#include <stdbool.h>
#include <sys/types.h>
#include "common/base/file.h"

#define SUPERVISOR_ARGS_MAX 65536 /* a job's data may be many directories */
#define SUPERVISOR_KEEP_MAX 2
struct child {
    char name[32]; /* "ps-1" */
    char log[PATH_BYTES_MAX];
    char **argv; /* [argc], and NULL behind them */
    int argc, argv_cap;
    pid_t pid; /* 0: not running */
    bool ended;
    int wait_status; /* once ended */
    uint32_t restarts;
};
struct supervisor {
    struct child *children; /* capacity fixed at init */
    size_t count, cap;
    int keep[SUPERVISOR_KEEP_MAX]; /* descriptors that children inherit; -1: none */
};

enum status supervisor_init(struct supervisor *s, size_t children_max);
void supervisor_fini(struct supervisor *s); /* kills what still runs */
/* Adds a child; its arguments are given with child_arg (copied). The program is this one. */
enum status supervisor_add(struct supervisor *s, const char *name, const char *log_path,
                           struct child **child);
enum status child_arg(struct child *c, const char *text);
/* An option and its value. */
enum status child_option(struct child *c, const char *option, const char *value);
enum status child_option_u64(struct child *c, const char *option, uint64_t value);
/* Forks and executes (spawn.h: the child's command must call stop_signals_install). A child gets
 * SIGTERM when its parent dies and leads its own process group, so that a terminal's Ctrl-C reaches
 * only the parent. */
enum status supervisor_start(struct supervisor *s, struct child *c);
/* Notes children that have ended, without waiting. Returns how many newly did. */
size_t supervisor_reap(struct supervisor *s);
/* Asks all running children to end with SIGTERM, then SIGKILL after grace_ms. Waits. */
void supervisor_stop(struct supervisor *s, uint64_t grace_ms);
/* "was killed by signal 9" / "ended with exit code 1: <last line of its log>"; out[512]. */
void child_describe(const struct child *c, char *out, size_t bytes);

#endif
