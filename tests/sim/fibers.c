/* fibers.c - fibers, scheduler and clock (see fibers.h). The functions that stand in for those of
 * threads are in stand_ins.c. */
#include "fibers.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/base/status.h"

#define FIBERS_MAX   256
#define STACK_BYTES  ((size_t)512 << 10)
#define START_NS     1000000000000ull /* so that no time is 0 */
#define WALL_FROM_NS 1700000000000000000ull

enum fiber_state { FIBER_FREE, FIBER_READY, FIBER_WAITING, FIBER_ENDED };
struct fiber {
    enum fiber_state state;
    bool begun, woken;
    uint32_t process;
    char name[24];
    void (*body)(void *);
    void *arg;
    const void *what;
    uint64_t since_ns, until_ns; /* of the wait */
    void *stack;
    jmp_buf at;
    struct cause said; /* its fail_text */
};

static struct {
    uint64_t seed, draws, now_ns, state;
    struct fiber fiber[FIBERS_MAX];
    uint32_t fibers; /* places in use or used before */
    struct fiber *running;
    jmp_buf scheduler;
    struct {
        uint64_t stopped_until_ns, slow_ns;
    } process[PROCESSES_MAX];
} sim;

/* --- draws and notes -------------------------------------------------------------------------- */

uint64_t sim_draw(void) {
    return rng_u64(sim.seed, 77, sim.draws++);
}

uint64_t sim_below(uint64_t n) {
    return n == 0 ? 0 : sim_draw() % n;
}

bool sim_chance(uint64_t per_million) {
    return per_million > 0 && sim_below(1000000) < per_million;
}

uint64_t sim_now_ns(void) {
    return sim.now_ns;
}

void sim_note(uint64_t what) {
    sim.state = rng_mix(sim.state ^ what) + what;
}

uint64_t sim_state(void) {
    return rng_mix(sim.state ^ sim.now_ns ^ sim.draws);
}

static uint64_t clock_mono(void) {
    return sim.now_ns;
}

static uint64_t clock_wall(void) {
    return WALL_FROM_NS + sim.now_ns;
}

static void clock_wait(uint64_t ms) {
    fiber_wait(NULL, sim.now_ns + ms * 1000000u);
}

static const struct clock_ops sim_clock = {clock_mono, clock_wall, clock_wait};

void fibers_begin(uint64_t seed) {
    arenas_begin();
    clock_ops_set(&sim_clock);
    sim.seed = seed;
    sim.draws = sim.state = 0;
    sim.now_ns = START_NS;
    sim.running = NULL;
    for (uint32_t i = 0; i < sim.fibers; i++) {
        sim.fiber[i].state = FIBER_FREE;
    }
    memset(sim.process, 0, sizeof sim.process);
}

void sim_clock_set(uint64_t ns) {
    sim.now_ns = ns > sim.now_ns ? ns : sim.now_ns;
}

/* --- switching -------------------------------------------------------------------------------- */

struct fiber *fiber_now(void) {
    return sim.running;
}

uint32_t process_now(void) {
    return sim.running == NULL ? 0 : sim.running->process;
}

const char *fiber_name(const struct fiber *f) {
    return f->name;
}

/* The last failure and its text belong to a thread. The text is put back where fail() has it,
 * because another fail() for each switch would cost more than all else. */
static void save_said(struct fiber *f) {
    f->said.status = fail_status();
    memcpy(f->said.text, fail_text(), strlen(fail_text()) + 1);
}

static void put_said(const struct fiber *f) {
    if (f->said.status != fail_status()) {
        (void)fail(f->said.status, "-");
    }
    memcpy((char *)(uintptr_t)fail_text(), f->said.text, strlen(f->said.text) + 1);
}

static void leave_fiber(struct fiber *f) {
    save_said(f);
    if (_setjmp(f->at) == 0) {
        _longjmp(sim.scheduler, 1);
    }
    put_said(f);
}

static void fiber_main(void) {
    struct fiber *f = sim.running;
    f->body(f->arg);
    f->state = FIBER_ENDED;
    fiber_wake(f);
    _longjmp(sim.scheduler, 1);
}

static void enter_fiber(struct fiber *f) {
    sim.running = f;
    if (_setjmp(sim.scheduler) == 0) {
        if (f->begun) {
            _longjmp(f->at, 1);
        }
        f->begun = true;
        ucontext_t context;
        getcontext(&context);
        context.uc_stack.ss_sp = f->stack;
        context.uc_stack.ss_size = STACK_BYTES;
        context.uc_link = NULL;
        makecontext(&context, fiber_main, 0);
        setcontext(&context);
    }
    sim.running = NULL;
}

struct fiber *fiber_start(uint32_t process, const char *name, void (*body)(void *), void *arg) {
    uint32_t i = 0;
    while (i < sim.fibers && sim.fiber[i].state != FIBER_FREE) {
        i++;
    }
    if (i == FIBERS_MAX) {
        abort();
    }
    struct fiber *f = &sim.fiber[i];
    if (i == sim.fibers) {
        sim.fibers++;
        f->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (f->stack == MAP_FAILED || mprotect(f->stack, 4096, PROT_NONE) != 0) {
            abort();
        }
    }
    f->state = FIBER_READY;
    f->begun = f->woken = false;
    f->process = process;
    f->body = body;
    f->arg = arg;
    f->said.status = OK;
    f->said.text[0] = '\0';
    f->until_ns = 0;
    snprintf(f->name, sizeof f->name, "%u/%.15s", process, name);
    return f;
}

/* --- waiting ---------------------------------------------------------------------------------- */

bool fiber_wait(const void *what, uint64_t until_ns) {
    struct fiber *f = sim.running;
    const uint64_t slow_ns = sim.process[f->process].slow_ns;
    f->state = FIBER_WAITING;
    f->woken = false;
    f->what = what;
    f->since_ns = sim.now_ns;
    f->until_ns = until_ns;
    leave_fiber(f);
    if (slow_ns > 0) { /* whatever it does next takes it time */
        const bool woken = f->woken;
        f->state = FIBER_WAITING;
        f->what = NULL;
        f->until_ns = sim.now_ns + slow_ns;
        leave_fiber(f);
        return woken;
    }
    return f->woken;
}

void fiber_wake(const void *what) {
    for (uint32_t i = 0; i < sim.fibers; i++) {
        struct fiber *f = &sim.fiber[i];
        if (f->state == FIBER_WAITING && f->what == what && what != NULL) {
            f->state = FIBER_READY;
            f->woken = true;
        }
    }
}

void fiber_pause(void) {
    if (sim.running != NULL) {
        sim.running->state = FIBER_READY;
        leave_fiber(sim.running);
    }
}

void process_kill(uint32_t process) {
    for (uint32_t i = 0; i < sim.fibers; i++) {
        if (sim.fiber[i].process == process && sim.fiber[i].state != FIBER_FREE) {
            sim.fiber[i].state = FIBER_FREE;
        }
    }
    memset(&sim.process[process], 0, sizeof sim.process[process]);
    arena_clear(process);
}

void process_stop_until(uint32_t process, uint64_t ns) {
    sim.process[process].stopped_until_ns = ns;
}

uint64_t process_stopped_until(uint32_t process) {
    return sim.process[process].stopped_until_ns;
}

void process_slow(uint32_t process, uint64_t ns) {
    sim.process[process].slow_ns = ns;
}

/* --- the scheduler ---------------------------------------------------------------------------- */

static uint64_t runs_at(const struct fiber *f) {
    const uint64_t stopped_ns = sim.process[f->process].stopped_until_ns;
    const uint64_t due_ns = f->state == FIBER_READY     ? 0
                            : f->state == FIBER_WAITING ? f->until_ns
                                                        : NEVER;
    return due_ns > stopped_ns ? due_ns : stopped_ns;
}

bool fibers_step(uint64_t *next_ns) {
    struct fiber *able[FIBERS_MAX];
    uint32_t count = 0;
    *next_ns = NEVER;
    for (uint32_t i = 0; i < sim.fibers; i++) {
        struct fiber *f = &sim.fiber[i];
        if (f->state != FIBER_READY && f->state != FIBER_WAITING) {
            continue;
        }
        const uint64_t at_ns = runs_at(f);
        if (at_ns <= sim.now_ns) {
            able[count++] = f;
        } else {
            *next_ns = at_ns < *next_ns ? at_ns : *next_ns;
        }
    }
    if (count == 0) {
        return false;
    }
    struct fiber *f = able[count == 1 ? 0 : sim_below(count)];
    sim_note((uint64_t)(f - sim.fiber) << 32 ^ sim.now_ns);
    f->state = FIBER_READY;
    enter_fiber(f);
    return true;
}

void fibers_describe(void) {
    for (uint32_t i = 0; i < sim.fibers; i++) {
        const struct fiber *f = &sim.fiber[i];
        if (f->state == FIBER_READY || f->state == FIBER_WAITING) {
            fprintf(stderr, "    %-20s %s %lld ms\n", f->name,
                    f->state == FIBER_READY ? "ready" : "waits, for",
                    f->until_ns == NEVER ? -1 : (long long)(f->until_ns - sim.now_ns) / 1000000);
        }
    }
}

bool fiber_ended(const struct fiber *f) {
    return f->state == FIBER_ENDED;
}

void fiber_release(struct fiber *f) {
    f->state = FIBER_FREE;
}

/* Loader and cutter wait for work as long as the job lasts (docs/threads.md). */
static bool may_wait(const struct fiber *f) {
    return strstr(f->name, "/loader") != NULL || strstr(f->name, "/cutter") != NULL;
}

const struct fiber *fiber_forgotten(uint64_t ns) {
    for (uint32_t i = 0; i < sim.fibers; i++) {
        const struct fiber *f = &sim.fiber[i];
        const uint64_t stopped_ns = sim.process[f->process].stopped_until_ns;
        if (f->state == FIBER_WAITING && f->until_ns == NEVER && !may_wait(f) &&
            sim.now_ns > f->since_ns + ns && sim.now_ns > stopped_ns + ns) {
            return f;
        }
    }
    return NULL;
}
