/* worker.c - the control thread of a worker.
 *
 * The control thread waits only for the link, and never longer than STEP_MS. One turn listens to
 * the coordinator, sends what trainers have to say, and looks after the threads. Leases are asked
 * for one ahead, so that the reader loads the next shard while the trainers work on the current
 * one. In deterministic mode the coordinator grants one at a time anyway.
 *
 * If the job is rolled back (REJOIN), trainers and reader end, and what they hold is dropped; the
 * next life of the job begins with new ones.
 */
#include "worker.h"

#include <stdatomic.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/fault/fault.h"
#include "common/net/role.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/scores.h"
#include "common/base/thread.h"
#include "worker/kernel/kernel.h"
#include "trainer.h"

#define STEP_MS       5
#define LEASES_HELD   2
#define ASK_AGAIN_MS  50
#define BATCHES_AHEAD 8
#define QUIT_MS       2000 /* after a stop signal: the time to finish what is held */

struct lane { /* one trainer thread */
    struct trainer_spec spec;
    struct thread thread;
};
struct worker {
    const struct worker_options *options;
    struct role role;
    struct config config;
    struct job_plan plan;
    struct layout layout;
    struct reader *reader;
    struct held_leases held;
    struct gate gate;
    struct meter meter;
    bool gate_ready;
    atomic_bool stop;
    struct lane *lanes;
    struct file trace;
    uint32_t threads;                /* trainers; 1 if batches must keep one order */
    uint32_t leases;                 /* held now */
    bool asking;                     /* a LEASE_ASK is not answered yet */
    uint64_t ask_at_ms;              /* ask not before this */
    uint64_t quit_at_ms;             /* when to leave after a stop signal; 0: none came */
    struct held_lease *owed;         /* an evaluation lease whose scores are being sent */
    uint64_t owed_id;                /* of the piece that is not acknowledged yet */
    uint32_t owed_first, owed_count; /* the scores in it */
    struct buf frame, unseen;
    struct metric_bins ctr, ctcvr; /* running AUC of all batches so far */
    uint64_t bins_ms;              /* when they last went into the heartbeat */
};

/* Every batch under way makes the other trainers' parameters staler, so a trainer has no more than
 * it needs: while it waits, the job's other trainers compute. But a single trainer with one batch
 * would leave its core idle, and the trainers of a hybrid job with one batch would all do at the
 * barrier what they can do before it. */
static uint32_t batches_in_flight(const struct worker *w) {
    if (w->config.deterministic || w->config.consistency == CONSISTENCY_SYNC) {
        return 1;
    }
    const bool alone = w->role.welcome.workers == 1 && w->threads == 1;
    const bool two = alone || w->config.consistency == CONSISTENCY_HYBRID;
    return w->config.in_flight > 0 ? w->config.in_flight : two ? 2 : 1;
}

static enum status start_reader(struct worker *w) {
    const struct worker_options *o = w->options;
    const uint32_t ahead = w->threads > BATCHES_AHEAD ? w->threads : BATCHES_AHEAD;
    struct reader_spec spec = {
        .loader =
            {
                .config = &w->config,
                .schema = &w->plan.schema,
                .data = o->data->count > 0 ? o->data : &w->plan.data_dirs,
                .eval = o->eval->count > 0 ? o->eval : &w->plan.eval_dirs,
                .sample_rate =
                    w->config.sample_correction == CORRECT_WEIGHT ? w->plan.sample_rate : 1,
                .stream = w->plan.stream,
            },
        .batches_ahead = ahead + w->threads * batches_in_flight(w),
        .trainers = w->threads,
    };
    return reader_start(&w->reader, &spec);
}

static enum status trainer_thread(void *arg) {
    return trainer_run(arg);
}

static enum status start_trainers(struct worker *w) {
    uint32_t threads = w->threads;
    if (w->options->trace_path != NULL) {
        TRY(file_open_append(&w->trace, w->options->trace_path));
    }
    TRY(mem_array(&w->lanes, threads));
    for (uint32_t i = 0; i < threads; i++) {
        w->lanes[i].spec = (struct trainer_spec){
            .index = i,
            .in_flight = batches_in_flight(w),
            .client = {.transport = w->role.transport,
                       .config = &w->config,
                       .schema = &w->plan.schema,
                       .layout = &w->layout,
                       .plan = &w->plan,
                       .job = w->role.welcome.job},
            .reader = w->reader,
            .held = &w->held,
            .gate = &w->gate,
            .meter = &w->meter,
            .stop = &w->stop,
            .trace = w->trace.fd >= 0 ? &w->trace : NULL,
        };
        char name[16];
        snprintf(name, sizeof name, "trainer-%u", i);
        TRY(thread_start(&w->lanes[i].thread, name, trainer_thread, &w->lanes[i].spec));
    }
    return OK;
}

/* --- what the coordinator says ---------------------------------------------------------------- */

static enum status take_lease(struct worker *w, const struct port_message *m) {
    const struct wire_lease *lease = &m->msg.u.lease;
    w->asking = false;
    if (lease->kind == LEASE_WAIT || lease->kind == LEASE_FINISHED) {
        w->ask_at_ms = clock_mono_ms() + ASK_AGAIN_MS;
        return OK;
    }
    log_debug("epoch %u shard %u (%s, fence %llu) is ours", lease->epoch, lease->shard,
              lease->kind == LEASE_TRAIN ? "training" : "evaluation",
              (unsigned long long)lease->fence);
    FAULT("worker.lease.granted");
    TRY(held_leases_open(&w->held, lease));
    TRY(reader_lease_put(w->reader, lease, m->keys, m->keys_bytes));
    w->leases++;
    FAULT("worker.lease.taken");
    return OK;
}

/* The next piece of an evaluation shard's scores, from owed_first on. */
static enum status send_scores(struct worker *w) {
    const struct held_lease *l = w->owed;
    const size_t left = l->score_count - w->owed_first;
    struct wire_msg m = {.type = WIRE_SCORES};
    w->owed_count = left < WIRE_SCORES_MAX ? (uint32_t)left : WIRE_SCORES_MAX;
    m.u.scores = (struct wire_scores){.epoch = l->lease.epoch,
                                      .shard = l->lease.shard,
                                      .fence = l->lease.fence,
                                      .first = w->owed_first,
                                      .count = w->owed_count,
                                      .total = (uint32_t)l->score_count};
    buf_clear(&w->frame);
    TRY(wire_scores_pack(l->scores + w->owed_first, w->owed_count, &w->frame));
    buf_clear(&w->unseen);
    TRY(unseen_pack(&l->unseen, &w->unseen));
    FAULT("worker.scores.send");
    return link_request(w->role.link, &m, w->unseen.data, w->unseen.len, w->frame.data,
                        w->frame.len, &w->owed_id);
}

static enum status take_ack(struct worker *w) {
    w->owed_first += w->owed_count;
    FAULT("worker.scores.acked");
    if (w->owed_first < w->owed->score_count) {
        return send_scores(w);
    }
    held_lease_free(&w->owed);
    return OK;
}

static enum status worker_take(void *self, const struct port_message *m) {
    struct worker *w = self;
    const struct wire_clock *clock = &m->msg.u.clock;
    switch (m->msg.type) {
    case WIRE_LEASE: return take_lease(w, m);
    case WIRE_CLOCK:
        if (clock->trainer < w->threads) {
            gate_learn(&w->gate, clock->trainer, clock->clock);
        }
        return OK;
    case WIRE_ACK: return w->owed != NULL && m->msg.id == w->owed_id ? take_ack(w) : OK;
    default: return OK;
    }
}

/* --- what the worker says --------------------------------------------------------------------- */

static enum status ask_lease(struct worker *w, const struct wire_lease *returned) {
    struct wire_msg m = {.type = WIRE_LEASE_ASK};
    m.u.lease_ask.index = w->role.index;
    m.u.lease_ask.incarnation = w->role.incarnation;
    if (returned != NULL) {
        m.u.lease_ask.returns = true;
        m.u.lease_ask.epoch = returned->epoch;
        m.u.lease_ask.shard = returned->shard;
        m.u.lease_ask.fence = returned->fence;
    }
    FAULT("worker.lease.ask");
    uint64_t id;
    w->asking = true;
    TRY(link_request(w->role.link, &m, NULL, 0, NULL, 0, &id));
    FAULT("worker.lease.asked");
    return OK;
}

/* Trainers that have a range each need as many, and one ahead. */
static uint32_t leases_wanted(const struct worker *w) {
    const uint32_t each = w->threads < READ_LEASES_MAX ? w->threads + 1 : READ_LEASES_MAX;
    return reader_shares(w->reader) && each > LEASES_HELD ? each : LEASES_HELD;
}

/* Returns complete leases and asks for more. Only one question at a time keeps the order simple. */
static enum status lease_step(struct worker *w) {
    if (w->asking || w->owed != NULL) {
        return OK;
    }
    struct held_lease *complete = held_leases_take_complete(&w->held);
    if (complete != NULL) {
        w->leases--;
        const struct wire_lease lease = complete->lease;
        FAULT("worker.lease.complete");
        if (lease.kind == LEASE_EVAL) {
            w->owed = complete;
            w->owed_first = 0;
            TRY(send_scores(w));
        } else {
            held_lease_free(&complete);
        }
        return ask_lease(w, &lease);
    }
    if (w->leases < leases_wanted(w) && clock_mono_ms() >= w->ask_at_ms && w->quit_at_ms == 0) {
        return ask_lease(w, NULL);
    }
    return OK;
}

static enum status clock_step(struct worker *w) {
    uint32_t trainer;
    uint64_t clock;
    while (gate_wants(&w->gate, &trainer, &clock)) {
        struct wire_msg m = {.type = WIRE_CLOCK_ASK};
        m.u.clock.index = w->role.index;
        m.u.clock.trainer = trainer;
        m.u.clock.incarnation = w->role.incarnation;
        m.u.clock.clock = clock;
        FAULT("worker.clock.ask");
        uint64_t id;
        TRY(link_request(w->role.link, &m, NULL, 0, NULL, 0, &id));
    }
    return OK;
}

static void worker_beat(struct worker *w) {
    struct wire_heartbeat b = {.reading = reader_waits(w->reader), .leaving = w->quit_at_ms > 0};
    usage_of_process(&b.usage);
    meter_read(&w->meter, &b.progress, &b.usage);
    reader_usage(w->reader, &b.usage);
    role_beat(&w->role, &b);
}

/* The bins in the heartbeat are cumulative (scores.h), so a lost heartbeat costs nothing. */
static enum status beat_bins(struct worker *w) {
    const uint64_t now_ms = clock_mono_ms();
    if (now_ms < w->bins_ms + w->config.heartbeat_ms) {
        return OK;
    }
    w->bins_ms = now_ms;
    meter_take_bins(&w->meter, &w->ctr, &w->ctcvr);
    buf_clear(&w->frame);
    TRY(wire_bins_pack(&w->ctr, &w->ctcvr, &w->frame));
    return link_beat_values(w->role.link, w->frame.data, w->frame.len);
}

static enum status check_threads(struct worker *w) {
    for (uint32_t i = 0; i < w->threads; i++) {
        if (thread_ended(&w->lanes[i].thread) && !w->role.ended) {
            TRY(thread_join(&w->lanes[i].thread));
            return fail(ERR_CLOSED, "trainer thread %u ended before the job did", i);
        }
    }
    return OK;
}

/* After a stop signal: finishes what it holds, gives back what is not finished in time, and leaves
 * the job to the others. A batch of a deterministic job is never left half applied; then only the
 * grace time bounds the wait. */
static void quit_step(struct worker *w) {
    const uint64_t now_ms = clock_mono_ms();
    char why[64];
    if (!stop_requested() || w->role.ended) {
        return;
    }
    if (w->quit_at_ms == 0) {
        w->quit_at_ms = w->config.deterministic ? UINT64_MAX : now_ms + QUIT_MS;
        log_info("signal %d: finishing the %u leases that are held, then leaving", stop_signal(),
                 w->leases);
        worker_beat(w);
        link_beat_now(w->role.link);
    }
    if (now_ms < w->quit_at_ms && (w->leases > 0 || w->owed != NULL || w->asking)) {
        return;
    }
    log_info("leaving; %u unfinished leases are given back", w->leases);
    snprintf(why, sizeof why, "stop signal %d", stop_signal());
    role_quit(&w->role, why);
    w->role.ended = true;
}

static enum status worker_work(void *self) {
    struct worker *w = self;
    quit_step(w);
    TRY(lease_step(w));
    TRY(clock_step(w));
    worker_beat(w);
    TRY(beat_bins(w));
    return check_threads(w);
}

/* --- life ------------------------------------------------------------------------------------- */

/* Called before anything is read: if this machine lacks the kernel, the job ends at once. */
static enum status say_kernel(const struct config *config) {
    const struct kernel *kernel;
    TRY(kernel_find(config->kernel, config->precision, &kernel));
    kernel_log(kernel, config->kernel, config->precision);
    return OK;
}

static enum status worker_begin(void *self) {
    struct worker *w = self;
    w->threads = w->config.deterministic ? 1 : w->options->threads;
    if (w->threads < w->options->threads) {
        log_info("deterministic: one trainer thread instead of %u", w->options->threads);
    }
    log_info("job %016llx: worker %u, %u partitions, %u trainer threads",
             (unsigned long long)w->role.welcome.job, w->role.index, w->plan.partitions,
             w->threads);
    gate_init(&w->gate, w->threads,
              w->config.consistency == CONSISTENCY_ASYNC ? w->config.staleness_max : 0);
    w->gate_ready = true;
    FAULT("worker.begin");
    TRY(say_kernel(&w->config));
    TRY(start_reader(w));
    return start_trainers(w);
}

/* Ends all that takes part in training and drops what it holds. */
static void end_training(struct worker *w) {
    atomic_store(&w->stop, true);
    if (w->gate_ready) {
        gate_close(&w->gate);
    }
    for (uint32_t i = 0; w->lanes != NULL && i < w->threads; i++) {
        thread_join(&w->lanes[i].thread);
    }
    mem_free(&w->lanes);
    if (w->reader != NULL) { /* what it used stays counted */
        struct usage used = {0};
        reader_usage(w->reader, &used);
        meter_use(&w->meter, &used);
    }
    reader_stop(&w->reader);
    if (w->gate_ready) {
        gate_fini(&w->gate);
        w->gate_ready = false;
    }
    if (w->trace.fd >= 0) {
        file_close(&w->trace);
    }
    held_lease_free(&w->owed);
    held_leases_fini(&w->held);
    job_plan_free(&w->plan);
}

/* What the meter and the bins hold stays: their figures are of the process. */
static enum status worker_leave(void *self) {
    struct worker *w = self;
    FAULT("worker.leave");
    end_training(w);
    held_leases_init(&w->held);
    w->leases = 0;
    w->asking = false;
    w->ask_at_ms = 0;
    atomic_store(&w->stop, false);
    return OK;
}

static void worker_close(void *self) {
    struct worker *w = self;
    FAULT("worker.close");
    end_training(w);
    meter_fini(&w->meter);
    buf_fini(&w->frame);
    buf_fini(&w->unseen);
}

static const struct role_parts WORKER_PARTS = {.begin = worker_begin,
                                               .take = worker_take,
                                               .work = worker_work,
                                               .leave = worker_leave,
                                               .close = worker_close};

enum status worker_run(const struct worker_options *o) {
    struct worker *w = NULL;
    TRY(mem_new(&w));
    w->options = o;
    w->trace = FILE_CLOSED;
    w->role = (struct role){.parts = &WORKER_PARTS,
                            .self = w,
                            .kind = ROLE_WORKER,
                            .index = o->index,
                            .threads = o->threads,
                            .coordinator = o->coordinator,
                            .timeout_ms = o->timeout_ms,
                            .step_ms = STEP_MS,
                            .config = &w->config,
                            .plan = &w->plan,
                            .layout = &w->layout};
    held_leases_init(&w->held);
    meter_init(&w->meter);
    enum status status = role_run(&w->role);
    mem_free(&w);
    return status;
}
