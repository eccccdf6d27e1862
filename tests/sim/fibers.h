/* fibers.h - the threads of all simulated processes, as fibers of one thread, with one clock.
 *
 * A fiber runs until it waits: at a queue, at a condition, for messages, for time, for another
 * fiber's end, or where the simulator has put a chance to be interrupted (fiber_pause). Then the
 * scheduler chooses another one that may run, by the random numbers of the seed; when none may run,
 * it sets the clock to the time when the next one may. So a seed decides the order of everything,
 * and the clock moves only when nobody has anything to do.
 *
 * The project's code runs unchanged: thread.c's functions and the waits of pthread.h are replaced
 * when the program is linked (--wrap, tests/CMakeLists.txt), the clock through clock.h.
 *
 * A process is a number. What it allocates through common/base/mem.h lies in an arena of its
 * own, so that a killed process leaves nothing behind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCESSES_MAX 32
#define NEVER         UINT64_MAX

struct fiber;
/* Begins a new world at time 0: no fibers, empty arenas. */
void fibers_begin(uint64_t seed);
/* The draws of the scheduler and of the faults: one sequence a seed. */
uint64_t sim_draw(void);
uint64_t sim_below(uint64_t n);
bool sim_chance(uint64_t per_million);
uint64_t sim_now_ns(void);
static inline uint64_t sim_now_ms(void) {
    return sim_now_ns() / 1000000u;
}
/* All that has happened so far, in one number. */
void sim_note(uint64_t what);
uint64_t sim_state(void);

/* A new fiber of a process; it may run at once. */
struct fiber *fiber_start(uint32_t process, const char *name, void (*body)(void *), void *arg);
struct fiber *fiber_now(void); /* NULL: the scheduler */
uint32_t process_now(void);    /* 0: none */
/* For the running fiber: waits until fiber_wake(what) or the time. False: the time came first. */
bool fiber_wait(const void *what, uint64_t until_ns);
void fiber_wake(const void *what);
/* A point at which the running fiber may be interrupted, and its process killed. */
void fiber_pause(void);
/* Ends all fibers of the process, which must not be the running one, and frees its memory. */
void process_kill(uint32_t process);
/* The process does not run before that time. */
void process_stop_until(uint32_t process, uint64_t ns);
uint64_t process_stopped_until(uint32_t process);
/* How long each turn of the process takes it, on top of nothing; 0: as fast as can be. */
void process_slow(uint32_t process, uint64_t ns);

/* Runs one fiber to its next wait. False: none may run before *next_ns (NEVER: none at all). */
bool fibers_step(uint64_t *next_ns);
void sim_clock_set(uint64_t ns); /* not back */
/* Who waits, for reports: a line each, to standard error. */
void fibers_describe(void);
const char *fiber_name(const struct fiber *f);
/* One that has waited without a deadline for so long, except those that may; NULL: none. */
const struct fiber *fiber_forgotten(uint64_t ns);

/* For stand_ins.c. */
bool fiber_ended(const struct fiber *f);
void fiber_release(struct fiber *f); /* it has ended, and nobody will ask for it */
void arenas_begin(void);
void arena_clear(uint32_t process);
