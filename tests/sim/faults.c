/* faults.c - draws the faults of a seed and makes them happen (see faults.h). */
#include "faults.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "checks.h"
#include "coverage.h"
#include "fibers.h"
#include "job.h"
#include "network.h"

#define MS            1000000ull
#define UNTIL_MS      300u /* faults begin within the first so many milliseconds */
#define LASTS_MS      600u /* and last for at most so long */
#define PAUSE_CHANCE  30000u
#define BROKEN_CHANCE 300000u

struct fault {
    enum fault_kind kind;
    uint64_t at_ns, until_ns, draw;
    uint32_t child, other;
    uint64_t calls; /* KILL_CALL: that are left */
    bool done, ended;
};
static struct {
    struct fault fault[FAULTS_MAX];
    uint32_t count;
    uint64_t mask, drawn;
    bool kill_now; /* the process that called the disk dies in this call */
    uint32_t killed;
} plan;

static const char *const kind_names[] = {"kill",      "kill in a call", "stop",       "slow",
                                         "cut",       "one-way cut",    "reset",      "terminate",
                                         "power off", "full disk",      "broken disk"};

static bool takes(uint32_t i) {
    return (plan.mask >> i & 1) != 0;
}

uint64_t faults_mask(void) {
    return plan.drawn;
}

/* --- the disk's troubles ---------------------------------------------------------------------- */

static bool in_force(const struct fault *f) {
    return f->done && !f->ended && sim_now_ns() < f->until_ns;
}

static bool writes(const char *call) {
    return strcmp(call, "write") == 0 || strcmp(call, "fsync") == 0 || strcmp(call, "mkdir") == 0 ||
           strcmp(call, "rename") == 0 || strcmp(call, "create") == 0;
}

/* Every call to the disk may be interrupted, or be the last one of its process. */
static int trouble(void *self, const char *call) {
    (void)self;
    if (process_now() < PROCESS_CHILD) {
        return 0;
    }
    const uint32_t child = job_child_of(process_now());
    for (uint32_t i = 0; i < plan.count; i++) {
        struct fault *f = &plan.fault[i];
        if (!takes(i) || f->child != child) {
            continue;
        }
        if (f->kind == FAULT_KILL_CALL && !f->done && sim_now_ns() >= f->at_ns && f->calls-- == 0) {
            f->done = true;
            coverage_fault(f->kind);
            plan.kill_now = true;
            plan.killed = child;
            fiber_pause(); /* and never comes back */
        }
        if (f->kind == FAULT_FULL && in_force(f) && writes(call) && strcmp(call, "fsync") != 0) {
            return ENOSPC;
        }
        if (f->kind == FAULT_BROKEN && in_force(f) && writes(call) && sim_chance(BROKEN_CHANCE)) {
            return EIO;
        }
    }
    if (sim_chance(PAUSE_CHANCE)) {
        fiber_pause();
    }
    return 0;
}

/* --- drawing ---------------------------------------------------------------------------------- */

/* Kills are the most frequent. A fault may follow closely on the one before: in its recovery. */
static struct fault draw_fault(const struct fault *before) {
    const uint64_t kind = sim_below(FAULT_KINDS + 3);
    const bool follows = before != NULL && sim_below(3) == 0;
    struct fault f = {.kind = kind < FAULT_KINDS ? (enum fault_kind)kind : FAULT_KILL,
                      .at_ns = follows ? before->at_ns + sim_below(60000) * 1000
                                       : sim_now_ns() + sim_below(UNTIL_MS * 1000) * 1000,
                      .draw = sim_draw(),
                      .calls = sim_below(120),
                      .child = (uint32_t)sim_below(job_children()),
                      .other = (uint32_t)sim_below(job_children())};
    if (f.kind == FAULT_KILL_CALL && sim_below(2) == 0) {
        f.child = 0; /* the coordinator: commits and deletes checkpoints */
    }
    if (f.kind == FAULT_STOP && sim_below(2) == 0) {
        f.child = job_children() - 1; /* a worker, who may come back when others have its leases */
    }
    f.until_ns = f.at_ns + (1 + sim_below(LASTS_MS)) * MS;
    return f;
}

static void draw_network(void) {
    struct network_faults n = {.delay_ns = 50000 + sim_below(3) * 2 * MS,
                               .overtake_ns = (1 + sim_below(60)) * MS};
    const uint64_t loss = sim_below(3) == 0 ? sim_below(60000) : 0;
    const uint64_t twice = sim_below(3) == 0 ? sim_below(100000) : 0;
    const uint64_t overtaken = sim_below(3) == 0 ? sim_below(100000) : 0;
    n.loss = takes(FAULTS_MAX) ? loss : 0;
    n.twice = takes(FAULTS_MAX + 1) ? twice : 0;
    n.overtaken = takes(FAULTS_MAX + 2) ? overtaken : 0;
    plan.drawn |= (uint64_t)(loss > 0) << FAULTS_MAX | (uint64_t)(twice > 0) << (FAULTS_MAX + 1) |
                  (uint64_t)(overtaken > 0) << (FAULTS_MAX + 2);
    network_faults(&n);
}

void faults_begin(uint64_t mask) {
    memset(&plan, 0, sizeof plan);
    plan.mask = mask;
    plan.count = (uint32_t)sim_below(sim_below(4) == 0 ? FAULTS_MAX + 1 : 4);
    for (uint32_t i = 0; i < plan.count; i++) {
        plan.fault[i] = draw_fault(i == 0 ? NULL : &plan.fault[i - 1]);
        plan.drawn |= 1ull << i;
    }
    draw_network();
    disk_trouble(disk_mounted(), trouble, NULL);
    disk_process(disk_mounted(), process_now);
}

/* --- happening -------------------------------------------------------------------------------- */

static void cut_power(const struct fault *f) {
    struct disk *before = disk_mounted();
    struct disk *after = disk_crash(before, disk_moment(before),
                                    (enum disk_luck)(f->draw % DISK_LUCKS), f->draw >> 8);
    disk_settle(after);
    job_power_loss(after);
    disk_trouble(after, trouble, NULL);
    disk_process(after, process_now);
    disk_destroy(&before);
    checks_committed();
}

static void begin_fault(struct fault *f) {
    const uint32_t a = PROCESS_CHILD + f->child, b = PROCESS_CHILD + f->other;
    f->done = true;
    sim_note(f->kind);
    coverage_fault(f->kind);
    switch (f->kind) {
    case FAULT_KILL: job_signal(f->child, SIGKILL); break;
    case FAULT_STOP: process_stop_until(a, f->until_ns); break;
    case FAULT_SLOW: process_slow(a, (1 + f->draw % 30) * MS); break;
    case FAULT_CUT: network_cut(b, a, f->until_ns, (f->draw & 1) != 0); /* fall through */
    case FAULT_CUT_ONE: network_cut(a, b, f->until_ns, (f->draw & 1) != 0); break;
    case FAULT_RESET: network_reset(a); break;
    case FAULT_TERM: job_signal_launcher(SIGTERM); break;
    case FAULT_POWER: cut_power(f); break;
    default: break; /* the disk's are asked for by `trouble` */
    }
}

static void end_fault(struct fault *f) {
    f->ended = true;
    if (f->kind == FAULT_SLOW) {
        process_slow(PROCESS_CHILD + f->child, 0);
    }
}

uint64_t faults_next_ns(void) {
    uint64_t next_ns = plan.kill_now ? 0 : NEVER;
    for (uint32_t i = 0; i < plan.count; i++) {
        const struct fault *f = &plan.fault[i];
        const bool waits = f->kind == FAULT_KILL_CALL;
        const uint64_t due_ns = !takes(i) || waits ? NEVER
                                : !f->done         ? f->at_ns
                                : !f->ended        ? f->until_ns
                                                   : NEVER;
        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    return next_ns;
}

void faults_step(void) {
    if (plan.kill_now) {
        plan.kill_now = false;
        job_signal(plan.killed, SIGKILL);
    }
    for (uint32_t i = 0; i < plan.count; i++) {
        struct fault *f = &plan.fault[i];
        if (!takes(i) || f->kind == FAULT_KILL_CALL) {
            continue;
        }
        if (!f->done && sim_now_ns() >= f->at_ns) {
            begin_fault(f);
        } else if (f->done && !f->ended && sim_now_ns() >= f->until_ns) {
            end_fault(f);
        }
    }
}

void faults_describe(uint64_t mask) {
    static const char *const network[] = {"messages are lost", "messages come twice",
                                          "messages overtake each other"};
    for (uint32_t i = 0; i < plan.count; i++) {
        const struct fault *f = &plan.fault[i];
        if ((mask >> i & 1) != 0) {
            fprintf(stderr, "    fault %u: %s, %s, at %.3f s, %.3f s long\n", i,
                    kind_names[f->kind], job_child_name(f->child), (double)f->at_ns / 1e9 - 1000,
                    (double)(f->until_ns - f->at_ns) / 1e9);
        }
    }
    for (uint32_t i = 0; i < NET_FAULTS; i++) {
        if ((mask & plan.drawn) >> (FAULTS_MAX + i) & 1) {
            fprintf(stderr, "    fault %u: %s\n", FAULTS_MAX + i, network[i]);
        }
    }
}
