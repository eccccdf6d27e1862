/* job.c - the processes of a simulated job and its launcher (see job.h). */
#include "job.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/entropy.h"
#include "common/base/log.h"
#include "common/net/transport.h"
#include "coord/coord.h"
#include "coverage.h"
#include "network.h"
#include "ps/server.h"
#include "tools/run/supervisor.h"
#include "tools/run/train_roles.h"
#include "tools/common/tools.h"
#include "worker/model/model.h"
#include "worker/worker.h"

#define COORD_ENDPOINT "ipc:///s/coord"
#define TIMEOUT_MS     4000
#define EVENTS_MAX     64
#define LAUNCHES_MAX   20
#define LAUNCH_WAIT_MS 30

struct child {
    enum child_kind kind;
    uint32_t index;
    char name[24], listen[48];
    bool running, ended, idle;
    int stop; /* the stop signal it got */
    struct ending ending;
    uint32_t starts;
};
static struct {
    const struct job_shape *shape;
    struct child child[JOB_CHILDREN_MAX];
    struct supervised supervised[JOB_CHILDREN_MAX];
    uint32_t children, launches;
    struct supervisor supervisor;
    struct event event[EVENTS_MAX];
    uint32_t events;
    int launcher_signal;
    bool over, complete;
} job;

static char *data_names[] = {"/data"};
static const struct file_list data_list = {.names = data_names, .count = 1};
static const struct file_list no_list = {0};

uint32_t job_child_of(uint32_t process) {
    return process - PROCESS_CHILD;
}

static struct child *child_now(void) {
    const uint32_t process = process_now();
    return process >= PROCESS_CHILD ? &job.child[process - PROCESS_CHILD] : NULL;
}

/* --- what tells one process from another ------------------------------------------------------ */

bool __wrap_stop_requested(void);
int __wrap_stop_signal(void);
int __wrap_stop_count(void);

int __wrap_stop_signal(void) {
    const struct child *c = child_now();
    return c == NULL ? 0 : c->stop;
}

bool __wrap_stop_requested(void) {
    return __wrap_stop_signal() != 0;
}

int __wrap_stop_count(void) {
    return __wrap_stop_signal() != 0;
}

/* --- roles ------------------------------------------------------------------------------------ */

static enum status run_coord(struct child *c) {
    const struct coord_options o = {.listen = COORD_ENDPOINT,
                                    .data = &data_list,
                                    .eval = job.shape->evaluates ? &data_list : &no_list,
                                    .out_dir = JOB_OUT,
                                    .config = &job.shape->config,
                                    .servers = job.shape->servers,
                                    .workers = job.shape->workers,
                                    .resume = true,
                                    .timeout_ms = TIMEOUT_MS,
                                    .progress_fd = -1};
    TRY(coord_look(&o, &c->idle));
    return c->idle ? OK : coord_run(&o);
}

static enum status run_role(struct child *c) {
    const struct server_options server = {.coordinator = COORD_ENDPOINT,
                                          .listen = c->listen,
                                          .index = c->index,
                                          .threads = job.shape->partitions,
                                          .timeout_ms = TIMEOUT_MS};
    const struct worker_options worker = {.coordinator = COORD_ENDPOINT,
                                          .index = c->index,
                                          .threads = job.shape->trainers,
                                          .timeout_ms = TIMEOUT_MS,
                                          .data = &no_list,
                                          .eval = &no_list};
    return c->kind == CHILD_COORD    ? run_coord(c)
           : c->kind == CHILD_SERVER ? server_run(&server)
                                     : worker_run(&worker);
}

static void role_main(void *arg) {
    struct child *c = arg;
    const enum status status = run_role(c);
    c->ending = (struct ending){.kind = ENDING_EXIT, .idle = c->idle};
    if (status != OK) {
        c->ending.code = status_lasts(status) ? ROLE_EXIT_LASTING : 1;
        snprintf(c->ending.text, sizeof c->ending.text, "%.380s", fail_text_of(status));
        log_error("%s", fail_text_of(status));
    } else if (c->stop != 0) {
        c->ending.code = 128 + c->stop;
    }
    c->ended = true;
}

/* Computing a batch takes some time. */
enum status __real_model_train(struct model *m, const struct batch *b, const float *const *rows,
                               const float *dense, float *logit_a, float *logit_b,
                               float *const *drows, float *ddense, struct loss_sums *sums);
enum status __wrap_model_train(struct model *m, const struct batch *b, const float *const *rows,
                               const float *dense, float *logit_a, float *logit_b,
                               float *const *drows, float *ddense, struct loss_sums *sums);

enum status __wrap_model_train(struct model *m, const struct batch *b, const float *const *rows,
                               const float *dense, float *logit_a, float *logit_b,
                               float *const *drows, float *ddense, struct loss_sums *sums) {
    clock_sleep_ms(sim_below(job.shape->train_ms));
    return __real_model_train(m, b, rows, dense, logit_a, logit_b, drows, ddense, sums);
}

static void put_event(const struct event *e) {
    if (job.events < EVENTS_MAX) {
        job.event[job.events++] = *e;
    }
    fiber_wake(&job);
}

static void bury(uint32_t i) {
    struct child *c = &job.child[i];
    process_kill(PROCESS_CHILD + i);
    network_hang_up(PROCESS_CHILD + i);
    disk_hang_up(disk_mounted(), PROCESS_CHILD + i);
    c->running = c->ended = false;
    c->stop = 0;
    put_event(&(struct event){.kind = EVENT_ENDED, .child = i, .ending = c->ending});
}

void job_reap(void) {
    for (uint32_t i = 0; i < job.children; i++) {
        if (job.child[i].running && job.child[i].ended) {
            bury(i);
        }
    }
}

void job_signal(uint32_t i, int signal) {
    struct child *c = &job.child[i];
    if (!c->running) {
        return;
    }
    sim_note((uint64_t)i * 100 + (uint64_t)signal);
    if (signal == SIGKILL) {
        c->ending = (struct ending){.kind = ENDING_KILLED, .code = SIGKILL};
        bury(i);
    } else {
        c->stop = signal;
    }
}

void job_signal_launcher(int signal) {
    put_event(&(struct event){.kind = EVENT_SIGNAL, .signal = signal});
}

/* --- the launcher ----------------------------------------------------------------------------- */

static uint64_t world_now(void *self) {
    (void)self;
    return sim_now_ms();
}

static void world_wait(void *self, struct event *e) {
    (void)self;
    *e = (struct event){.kind = EVENT_NONE};
    if (job.events == 0) {
        fiber_wait(&job, sim_now_ns() + LAUNCH_WAIT_MS * 1000000ull);
    }
    if (job.events > 0) {
        *e = job.event[0];
        memmove(job.event, job.event + 1, --job.events * sizeof job.event[0]);
    }
    coverage_note(COVER_SUPERVISOR, job.supervisor.phase, e->kind);
}

static enum status world_start(void *self, size_t i, uint32_t attempt) {
    struct child *c = &job.child[i];
    (void)self;
    (void)attempt;
    c->running = true;
    c->ended = c->idle = false;
    c->stop = 0;
    c->starts++;
    fiber_start(PROCESS_CHILD + (uint32_t)i, c->name, role_main, c);
    put_event(&(struct event){.kind = EVENT_UP, .child = i});
    return OK;
}

static void world_tell(void *self, size_t i, int signal) {
    (void)self;
    job_signal((uint32_t)i, signal);
}

static void world_cut(void *self, size_t i) {
    (void)self;
    job_signal((uint32_t)i, SIGKILL);
}

static void world_say(void *self, const char *line) {
    (void)self;
    log_info("%s", line);
}

static enum status launch(void) {
    const struct supervisor_world world = {.now_ms = world_now,
                                           .wait = world_wait,
                                           .start = world_start,
                                           .tell = world_tell,
                                           .cut = world_cut,
                                           .say = world_say};
    static const struct job any = {.restarts = RESTARTS_UNLIMITED};
    struct supervisor_restarts restarts = train_restarts(&any);
    restarts.again_ms = 50; /* as everything is faster here */
    restarts.again_most_ms = restarts.settled_ms = 400;
    const struct supervisor_policy policy = {.restarts = restarts,
                                             .save_ms = UINT64_MAX,
                                             .save_failed_ms = 2000,
                                             .follow_ms = 600,
                                             .fail_ms = 100,
                                             .lost_ms = 100,
                                             .term_ms = 100,
                                             .kill_ms = 100};
    for (uint32_t i = 0; i < job.children; i++) {
        const struct child *c = &job.child[i];
        job.supervised[i] = (struct supervised){.name = c->name, .kind = c->kind};
    }
    job.events = 0;
    job.launches++;
    /* What an earlier launch has left is not for a coordinator of this one to take over. */
    (void)file_remove_tree(JOB_OUT "/journal");
    supervisor_init(&job.supervisor, &world, &policy, job.supervised, job.children);
    return supervisor_run(&job.supervisor);
}

static void launcher_main(void *nothing) {
    (void)nothing;
    while (!job.complete && job.launches < LAUNCHES_MAX) {
        const enum status status = launch();
        log_info("launch %u: %s", job.launches, status == OK ? "ended well" : fail_text());
        for (uint32_t i = 0; i < job.children; i++) {
            job_signal(i, SIGKILL);
        }
        job.complete = status == OK && job.supervisor.stopped_by == 0;
    }
    job.over = true;
}

bool job_over(bool *complete) {
    *complete = job.complete;
    return job.over;
}

uint32_t job_launches(void) {
    return job.launches;
}

uint32_t job_children(void) {
    return job.children;
}

bool job_runs(uint32_t i) {
    return job.child[i].running && !job.child[i].ended;
}

const char *job_child_name(uint32_t i) {
    return job.child[i].name;
}

static void add_child(enum child_kind kind, uint32_t index) {
    static const char *const kinds[] = {"coord", "ps", "worker"};
    struct child *c = &job.child[job.children++];
    *c = (struct child){.kind = kind, .index = index};
    snprintf(c->name, sizeof c->name, "%s-%u", kinds[kind], index);
    snprintf(c->listen, sizeof c->listen, "ipc:///s/ps-%u", index);
}

void job_begin(const struct job_shape *s) {
    memset(&job, 0, sizeof job);
    job.shape = s;
    entropy_source_set(sim_draw);
    add_child(CHILD_COORD, 0);
    for (uint32_t i = 0; i < s->servers; i++) {
        add_child(CHILD_SERVER, i);
    }
    for (uint32_t i = 0; i < s->workers; i++) {
        add_child(CHILD_WORKER, i);
    }
    fiber_start(PROCESS_LAUNCHER, "launcher", launcher_main, NULL);
}

void job_power_loss(struct disk *disk) {
    for (uint32_t i = 0; i < job.children; i++) {
        job_signal(i, SIGKILL);
    }
    process_kill(PROCESS_LAUNCHER);
    disk_mount(disk);
    if (!job.over) {
        fiber_start(PROCESS_LAUNCHER, "launcher", launcher_main, NULL);
    }
}
