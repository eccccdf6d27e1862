#include "thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *thread_body(void *arg) {
    struct thread *t = arg;
    cause_keep(&t->cause, t->run(t->arg));
    atomic_store(&t->ended, true);
    return NULL;
}

enum status thread_start(struct thread *t, const char *name, enum status (*run)(void *),
                         void *arg) {
    t->run = run;
    t->arg = arg;
    t->cause.status = OK;
    atomic_store(&t->ended, false);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&t->id, NULL, thread_body, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        return fail(ERR_MEMORY, "cannot start thread %s: %s", name, strerror(error));
    }
    char cut[16];
    snprintf(cut, sizeof cut, "%.15s", name);
    pthread_setname_np(t->id, cut);
    t->started = true;
    return OK;
}

enum status thread_join(struct thread *t) {
    if (!t->started) {
        return OK;
    }
    pthread_join(t->id, NULL);
    t->started = false;
    return cause_again(&t->cause);
}

void thread_leave(struct thread *t) {
    if (t->started) {
        pthread_detach(t->id);
        t->started = false;
    }
}

void thread_cond_init(pthread_cond_t *c) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct timespec thread_cond_until(uint64_t timeout_ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(timeout_ms / 1000);
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* A signal handler sets it, in any thread that does not block the signal, and other threads read
 * it. A volatile sig_atomic_t would be a data race; a lock-free atomic is not, and is safe in a
 * handler.
 */
static atomic_int stop_number;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "usable in a signal handler");

static atomic_int stops_heard;
static atomic_uint grace_s;

static void on_stop(int number) {
    const unsigned grace = atomic_load(&grace_s);
    atomic_store(&stop_number, number);
    if (atomic_fetch_add(&stops_heard, 1) == 0 && grace > 0) {
        alarm(grace);
    }
}

static void on_grace_over(int number) {
    static const char text[] =
        "did not end within its grace time (--grace) after a stop signal; what it had not saved is "
        "lost\n";
    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(1);
}

void stop_grace(uint32_t seconds) {
    struct sigaction action = {.sa_handler = on_grace_over};
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    atomic_store(&grace_s, seconds);
}

void stop_signals_install(void) {
    struct sigaction action = {.sa_handler = on_stop};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    sigset_t stops; /* a parent may have blocked them (tools/common/spawn.h) */
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &stops, NULL);
}

bool stop_requested(void) {
    return atomic_load(&stop_number) != 0;
}

void stop_request(int number) {
    on_stop(number);
}

int stop_signal(void) {
    return atomic_load(&stop_number);
}

int stop_count(void) {
    return atomic_load(&stops_heard);
}

void stop_signal_add(int number) {
    struct sigaction action = {.sa_handler = on_stop};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}
