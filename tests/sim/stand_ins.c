/* stand_ins.c - what stands in for threads, waits, memory and the process itself while fibers run:
 * the linker replaces the functions of those names by these (--wrap). */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/thread.h"
#include "common/job/usage.h"
#include "fibers.h"

#define ARENA_BYTES ((size_t)1 << 30) /* of address space, for a process */
#define ARENA_ALIGN 64u
#define CLASSES     40

static uint8_t *arenas;
static struct {
    size_t used;
    void *free[CLASSES];
} arena[PROCESSES_MAX];

/* --- in the place of pthread.h ---------------------------------------------------------------- */

enum status __wrap_thread_start(struct thread *t, const char *name, enum status (*run)(void *),
                                void *arg);
enum status __wrap_thread_join(struct thread *t);
void __wrap_thread_leave(struct thread *t);
struct timespec __wrap_thread_cond_until(uint64_t timeout_ms);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t);
int __wrap_pthread_cond_signal(pthread_cond_t *c);
int __wrap_pthread_cond_broadcast(pthread_cond_t *c);

static void thread_main(void *arg) {
    struct thread *t = arg;
    cause_keep(&t->cause, t->run(t->arg));
    atomic_store(&t->ended, true);
}

enum status __wrap_thread_start(struct thread *t, const char *name, enum status (*run)(void *),
                                void *arg) {
    t->run = run;
    t->arg = arg;
    t->cause.status = OK;
    atomic_store(&t->ended, false);
    struct fiber *f = fiber_start(process_now(), name, thread_main, t);
    t->id = (pthread_t)(uintptr_t)f;
    t->started = true;
    return OK;
}

enum status __wrap_thread_join(struct thread *t) {
    if (!t->started) {
        return OK;
    }
    struct fiber *f = (struct fiber *)(uintptr_t)t->id;
    while (!fiber_ended(f)) {
        fiber_wait(f, NEVER);
    }
    fiber_release(f);
    t->started = false;
    return cause_again(&t->cause);
}

void __wrap_thread_leave(struct thread *t) {
    t->started = false;
}

struct timespec __wrap_thread_cond_until(uint64_t timeout_ms) {
    const uint64_t ns = sim_now_ns() + timeout_ms * 1000000u;
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m) {
    pthread_mutex_unlock(m);
    fiber_wait(c, NEVER);
    pthread_mutex_lock(m);
    return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t) {
    pthread_mutex_unlock(m);
    const bool woken = fiber_wait(c, (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec);
    pthread_mutex_lock(m);
    return woken ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_signal(pthread_cond_t *c) {
    fiber_wake(c);
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *c) {
    fiber_wake(c);
    return 0;
}

/* --- memory of processes ---------------------------------------------------------------------- */

void *__real_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *p);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void __wrap_free(void *p);

void arenas_begin(void) {
    if (arenas == NULL) {
        arenas = mmap(NULL, ARENA_BYTES * PROCESSES_MAX, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (arenas == MAP_FAILED) {
            abort();
        }
    }
    memset(arena, 0, sizeof arena);
}

void arena_clear(uint32_t process) {
    memset(&arena[process], 0, sizeof arena[process]);
}

/* A block has its class in the 64 bytes before it. */
void *__wrap_aligned_alloc(size_t align, size_t bytes) {
    const uint32_t process = process_now();
    if (process == 0) {
        return __real_aligned_alloc(align, bytes);
    }
    const size_t need = bytes + ARENA_ALIGN;
    const uint32_t class = need <= 128 ? 7 : 64 - (uint32_t)__builtin_clzll(need - 1);
    void **head = &arena[process].free[class];
    uint8_t *block = *head;
    if (block != NULL) {
        memcpy(head, block + ARENA_ALIGN, sizeof *head);
    } else {
        const size_t size = (size_t)1 << class;
        if (arena[process].used + size > ARENA_BYTES) {
            return NULL;
        }
        block = arenas + process * ARENA_BYTES + arena[process].used;
        arena[process].used += size;
    }
    *block = (uint8_t) class;
    return block + ARENA_ALIGN;
}

void __wrap_free(void *p) {
    uint8_t *at = p;
    if (at == NULL || at < arenas || at >= arenas + ARENA_BYTES * PROCESSES_MAX) {
        __real_free(p);
        return;
    }
    uint8_t *block = at - ARENA_ALIGN;
    void **head = &arena[(size_t)(at - arenas) / ARENA_BYTES].free[*block];
    memcpy(at, head, sizeof *head);
    *head = block;
}

/* --- what else tells one process from another ------------------------------------------------- */

int __wrap_getpid(void);
void __wrap_usage_of_process(struct usage *u);

int __wrap_getpid(void) {
    return 1000 + (int)process_now();
}

void __wrap_usage_of_process(struct usage *u) {
    *u = (struct usage){0};
}
