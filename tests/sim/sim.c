/* sim.c - whole jobs in one process under a seeded scheduler.
 *
 *     sim [--seeds N] [--from S] [--bug NAME] [--coverage] [--jobs N]
 *     sim --seed S [--mask M] [--bug NAME]     one seed, with its history
 *
 * A seed draws a job (job_data.c), what goes wrong in it (faults.c), and the order of everything
 * (fibers.c, network.c). The code of all roles and of the launcher is the real one. The job is
 * started again and resumed until it is complete; then each impression must have been applied
 * exactly once per epoch. What must hold on the way is in checks.c. A seed that fails is run
 * again, which must give the same end state, and then with fewer faults as long as it fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "checks.h"
#include "coverage.h"
#include "faults.h"
#include "fibers.h"
#include "job.h"
#include "network.h"
#include "sim_log.h"

#define STEPS_MAX    3000000u
#define TIME_MAX_NS  (120 * 1000000000ull)
#define FORGOTTEN_NS (10 * 1000000000ull)
#define SEEDS_A_FORK 200u
#define MASK_ALL     UINT64_MAX

struct outcome {
    bool failed;
    char text[512];
    uint64_t state, steps, launches, faults, simulated_ms;
    bool deterministic;
    uint64_t parts; /* job_parts at the end */
};
struct totals {
    uint64_t seeds, failures, steps, launches, simulated_ms, messages;
    struct tally tally;
    struct coverage coverage;
    uint64_t failed_seed[16];
};

/* --- one seed --------------------------------------------------------------------------------- */

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* One step of the world; false: there is nothing more that could happen. */
static bool step_world(void) {
    uint64_t fiber_ns;
    if (faults_next_ns() <= sim_now_ns()) {
        faults_step();
    }
    network_step();
    const bool ran = fibers_step(&fiber_ns);
    job_reap();
    if (ran) {
        return true;
    }
    const uint64_t next_ns = least(fiber_ns, least(network_next_ns(), faults_next_ns()));
    sim_clock_set(next_ns);
    return next_ns != NEVER;
}

static void run_to_end(struct outcome *o) {
    bool complete = false;
    const uint64_t from_ns = sim_now_ns();
    while (!job_over(&complete) && checks_broken() == NULL) {
        o->steps++;
        if (!step_world()) {
            checks_fail("nobody will ever run again, and the job is not over");
        } else if (sim_now_ns() - from_ns > TIME_MAX_NS || o->steps > STEPS_MAX) {
            checks_fail("the job is not over after %llu ms and %llu steps",
                        (unsigned long long)(sim_now_ns() - from_ns) / 1000000,
                        (unsigned long long)o->steps);
        }
        const struct fiber *f = o->steps % 256 == 0 ? fiber_forgotten(FORGOTTEN_NS) : NULL;
        if (f != NULL) {
            checks_fail("%s has waited for %llu s, without a deadline", fiber_name(f),
                        FORGOTTEN_NS / 1000000000ull);
        }
    }
    if (checks_broken() == NULL && !complete) {
        checks_fail("the job is not complete after %u launches", job_launches());
    }
    o->simulated_ms = (sim_now_ns() - from_ns) / 1000000;
}

static struct outcome run_world(uint64_t seed, uint64_t mask, enum planted bug) {
    static struct job_shape shape;
    struct outcome o = {0};
    char why[256];
    fibers_begin(seed);
    network_begin();
    checks_begin(bug);
    struct disk *disk = job_new_disk();
    disk_mount(disk);
    job_shape_draw(&shape);
    job_begin(&shape);
    faults_begin(mask);
    sim_log_say("%s", shape.text);
    run_to_end(&o);
    disk = disk_mounted();
    disk_trouble(disk, NULL, NULL);
    checks_committed();
    if (checks_broken() == NULL && !job_counts(&shape, why, sizeof why)) {
        checks_fail("%s", why);
    }
    o.deterministic = shape.config.deterministic;
    o.parts = job_parts();
    if (checks_broken() != NULL) {
        o.failed = true;
        snprintf(o.text, sizeof o.text, "%s", checks_broken());
        if (sim_log_on()) {
            fibers_describe();
        }
    }
    o.state = sim_state() ^ disk_hash(disk);
    o.launches = job_launches();
    o.faults = faults_mask();
    disk_mount(NULL);
    disk_destroy(&disk);
    return o;
}

/* A deterministic job must end with the bytes of one to which nothing happened. */
static struct outcome run_seed(uint64_t seed, uint64_t mask, enum planted bug) {
    struct outcome o = run_world(seed, mask, bug);
    if (o.failed || !o.deterministic || mask == 0) {
        return o;
    }
    if (run_world(seed, 0, bug).parts != o.parts) {
        o.failed = true;
        snprintf(o.text, sizeof o.text,
                 "a deterministic job ended with other bytes than without its faults");
    }
    return o;
}

/* Leaves out one fault after the other, as long as the seed fails. */
static uint64_t shrink(uint64_t seed, uint64_t mask, enum planted bug) {
    for (uint32_t i = 0; i < FAULTS_MAX + NET_FAULTS; i++) {
        const uint64_t less = mask & ~(1ull << i);
        if (less != mask && run_seed(seed, less, bug).failed) {
            mask = less;
        }
    }
    return mask;
}

static void report(uint64_t seed, const struct outcome *first, enum planted bug) {
    const struct outcome again = run_seed(seed, MASK_ALL, bug);
    fprintf(stderr, "seed %llu fails: %s\n  state %016llx%s\n", (unsigned long long)seed,
            first->text, (unsigned long long)first->state,
            again.state == first->state ? ", the same again" : ", but ANOTHER when run again");
    const uint64_t mask = shrink(seed, first->faults, bug);
    const struct outcome small = run_seed(seed, mask, bug);
    fprintf(stderr, "  shrunk to --seed %llu --mask 0x%llx: %s\n", (unsigned long long)seed,
            (unsigned long long)mask, small.text);
    faults_describe(mask);
}

/* --- many seeds ------------------------------------------------------------------------------- */

static void count_seed(struct totals *t, uint64_t seed, const struct outcome *o) {
    t->seeds++;
    t->steps += o->steps;
    t->launches += o->launches;
    t->simulated_ms += o->simulated_ms;
    t->messages += network_figures().sent;
    if (o->failed && t->failures < 16) {
        t->failed_seed[t->failures] = seed;
    }
    t->failures += o->failed;
}

/* Seeds in a process of their own: what killed processes leak ends with it. */
static void run_some(struct totals *t, uint64_t from, uint64_t count, enum planted bug,
                     bool quick) {
    tally = (struct tally){0};
    memset(&coverage, 0, sizeof coverage);
    for (uint64_t seed = from; seed < from + count; seed++) {
        const struct outcome o = run_seed(seed, MASK_ALL, bug);
        count_seed(t, seed, &o);
        if (o.failed && !quick) {
            report(seed, &o, bug);
        }
        if (o.failed && quick) {
            break;
        }
    }
    t->tally = tally;
    t->coverage = coverage;
}

static void add_totals(struct totals *all, const struct totals *t) {
    for (uint64_t i = 0; i < t->failures && i < 16 && all->failures + i < 16; i++) {
        all->failed_seed[all->failures + i] = t->failed_seed[i];
    }
    all->seeds += t->seeds;
    all->failures += t->failures;
    all->steps += t->steps;
    all->launches += t->launches;
    all->simulated_ms += t->simulated_ms;
    all->messages += t->messages;
    all->tally.pushes += t->tally.pushes;
    all->tally.duplicates += t->tally.duplicates;
    all->tally.fenced += t->tally.fenced;
    all->tally.tickets += t->tally.tickets;
    all->tally.grants += t->tally.grants;
    all->tally.checkpoints += t->tally.checkpoints;
    all->tally.rollbacks += t->tally.rollbacks;
    coverage_add(&t->coverage);
}

/* Runs the seeds with `jobs` processes at a time. */
static void run_many(struct totals *all, uint64_t from, uint64_t seeds, uint32_t jobs,
                     enum planted bug) {
    struct totals *room =
        mmap(NULL, jobs * sizeof *room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) {
        abort();
    }
    for (uint64_t done = 0; done < seeds && (bug == PLANTED_NONE || all->failures == 0);) {
        uint64_t count[64] = {0};
        uint32_t started = 0;
        for (; started < jobs && done < seeds; started++, done += count[started - 1]) {
            count[started] = least(SEEDS_A_FORK, seeds - done);
            memset(&room[started], 0, sizeof room[started]);
            if (fork() == 0) {
                run_some(&room[started], from + done, count[started], bug, bug != PLANTED_NONE);
                _exit(0);
            }
        }
        for (uint32_t i = 0; i < started; i++) {
            int status;
            wait(&status);
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                fprintf(stderr,
                        "a process of the simulator was ended by signal %d: run its seeds "
                        "one by one\n",
                        WTERMSIG(status));
                all->failures++;
            }
        }
        for (uint32_t i = 0; i < started; i++) {
            add_totals(all, &room[i]);
        }
    }
    munmap(room, jobs * sizeof *room);
}

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int run_one(uint64_t seed, uint64_t mask, enum planted bug) {
    sim_log_set(true);
    const struct outcome o = run_seed(seed, mask, bug);
    faults_describe(mask & o.faults);
    printf("seed %llu: %s; state %016llx, %llu launches, %llu steps, %llu ms of simulated time\n",
           (unsigned long long)seed, o.failed ? o.text : "ok", (unsigned long long)o.state,
           (unsigned long long)o.launches, (unsigned long long)o.steps,
           (unsigned long long)o.simulated_ms);
    return o.failed;
}

static enum planted find_bug(const char *name) {
    for (int b = 0; b < PLANTED_BUGS; b++) {
        if (strcmp(name, planted_name((enum planted)b)) == 0) {
            return (enum planted)b;
        }
    }
    fprintf(stderr, "no planted bug is called %s\n", name);
    exit(2);
}

int main(int argc, char **argv) {
    uint64_t seeds = 1000, from = 1, one = 0, mask = MASK_ALL;
    uint32_t jobs = 1;
    enum planted bug = PLANTED_NONE;
    bool all = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--coverage") == 0) {
            all = true;
            continue;
        }
        const uint64_t n = strtoull(value, NULL, 0);
        if (strcmp(argv[i], "--seeds") == 0) {
            seeds = n;
        } else if (strcmp(argv[i], "--from") == 0) {
            from = n;
        } else if (strcmp(argv[i], "--seed") == 0) {
            one = n;
        } else if (strcmp(argv[i], "--mask") == 0) {
            mask = n;
        } else if (strcmp(argv[i], "--jobs") == 0) {
            jobs = n < 1 ? 1 : n > 64 ? 64 : (uint32_t)n;
        } else if (strcmp(argv[i], "--bug") == 0) {
            bug = find_bug(value);
        } else {
            fprintf(stderr, "sim: no option %s\n", argv[i]);
            return 2;
        }
        i++;
    }
    if (one > 0) {
        return run_one(one, mask, bug);
    }
    struct totals t = {0};
    const double begun = seconds_now();
    run_many(&t, from, seeds, jobs, bug);
    const double took = seconds_now() - begun;
    printf("%llu seeds, %llu failures; %.0f seeds/s with %u processes\n",
           (unsigned long long)t.seeds, (unsigned long long)t.failures, (double)t.seeds / took,
           jobs);
    printf(
        "%llu launches, %llu rollbacks, %llu checkpoints, %llu leases, %llu pushes (%llu duplicate, %llu "
        "fenced, %llu without ticket), %llu messages, %.0f s simulated, %llu steps\n",
        (unsigned long long)t.launches, (unsigned long long)t.tally.rollbacks,
        (unsigned long long)t.tally.checkpoints, (unsigned long long)t.tally.grants,
        (unsigned long long)t.tally.pushes, (unsigned long long)t.tally.duplicates,
        (unsigned long long)t.tally.fenced, (unsigned long long)t.tally.tickets,
        (unsigned long long)t.messages, (double)t.simulated_ms / 1000, (unsigned long long)t.steps);
    coverage_print(all);
    if (bug != PLANTED_NONE) {
        printf("the planted bug %s was %sfound\n", planted_name(bug), t.failures > 0 ? "" : "NOT ");
        return t.failures == 0;
    }
    return t.failures > 0;
}
