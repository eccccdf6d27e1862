/* thread.h - start a thread that reports its status; signals that ask the process to stop. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "status.h"

struct thread {
    pthread_t id;
    bool started;
    enum status (*run)(void *arg);
    void *arg;
    struct cause cause; /* how the thread ended */
    atomic_bool ended;
};

/* Starts run(arg) with all signals blocked; `name` (15 bytes) shows in debuggers. */
enum status thread_start(struct thread *t, const char *name, enum status (*run)(void *), void *arg);
/* Joins; gives the thread's status and re-records its fail text in the caller. Not started: OK. */
enum status thread_join(struct thread *t);
/* Gives up a thread that may never end: it is not joined any more, and goes with the process. What
 * it uses must stay. */
void thread_leave(struct thread *t);
static inline bool thread_ended(struct thread *t) {
    return atomic_load(&t->ended);
}

/* A condition variable whose waits end by the monotonic clock, and the end of one that begins now.
 */
void thread_cond_init(pthread_cond_t *c);
struct timespec thread_cond_until(uint64_t timeout_ms);

/* Installs handlers for SIGINT and SIGTERM (SIGPIPE ignored) that only set a flag, and lets both
 * in: one that has been waiting since this process was spawned is heard now. */
void stop_signals_install(void);
bool stop_requested(void);        /* a stop signal has come */
int stop_signal(void);            /* which; 0 if none; the newest of several */
int stop_count(void);             /* how many have come */
void stop_signal_add(int number); /* after stop_signals_install: another one that asks to stop */
