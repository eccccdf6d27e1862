/* thread.h - threads that report their status, and signals that ask the process to stop. */
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
/* Joins the thread, returns its status and records its fail text in the calling thread. OK if it
 * was not started. */
enum status thread_join(struct thread *t);
/* Gives up a thread that may never end: it is not joined and ends with the process. Do not free
 * what it uses. */
void thread_leave(struct thread *t);
static inline bool thread_ended(struct thread *t) {
    return atomic_load(&t->ended);
}

/* thread_cond_init makes a condition variable whose waits use the monotonic clock;
 * thread_cond_until gives the deadline of a wait that begins now.
 */
void thread_cond_init(pthread_cond_t *c);
struct timespec thread_cond_until(uint64_t timeout_ms);

/* Installs handlers for SIGINT and SIGTERM that only set a flag, ignores SIGPIPE, and unblocks both
 * signals: one that has been pending since this process was spawned arrives now. */
void stop_signals_install(void);
bool stop_requested(void);        /* a stop signal has come */
int stop_signal(void);            /* the newest one's number; 0 if none */
void stop_request(int number);    /* as if that signal had come */
int stop_count(void);             /* how many have come */
void stop_signal_add(int number); /* adds a stop signal; call after stop_signals_install */
/* A process that has not ended so many seconds after its first stop signal says so on standard
 * error and ends with exit code 1. Call before stop_signals_install. 0: no limit. */
void stop_grace(uint32_t seconds);
