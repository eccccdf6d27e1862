/* coord.c - the phases of a job and the loop that drives them.
 *
 *     GATHER -> TRAIN -> (SCORE -> COMPUTE) -> TRAIN ... -> SAVE -> STOP
 *
 * A rollback leads from any of them but STOP back to GATHER (rollback.c).
 *
 * TRAIN is an epoch, or the part of one up to an evaluation within it (evaluations.c).
 *
 * One thread, one bound port. Each turn reads all messages that have come, checks for silent
 * members, answers the clocks that are due, and then lets the checkpoint and the phase take a step.
 * Nothing in a turn waits for anybody. Every wait of a phase has a deadline, which is checked here
 * and names who was awaited. Messages are read before deadlines are checked, so that a coordinator
 * that was itself delayed does not blame the others.
 *
 * The final checkpoint is cut as soon as the last batch is back, so it is written while the last
 * evaluation runs. A stop signal ends the job in order: no more leases, the final checkpoint, STOP.
 * In a deterministic job the shard that is out is finished first (see checkpoints.c).
 */
#include "coord.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "common/fault/fault.h"
#include "coord/grant/lease_suspect.h"
#include "state.h"

#define TURN_MS              10
#define MESSAGES_PER_TURN    1000
#define RESTORE_BYTES_PER_MS 50000u /* a slow disk; timeout_ms grows by the restore time */
#define LINGER_MS            100    /* time for the last answers to leave */
#define LAST_FIGURES_BEATS   3      /* heartbeats to wait for the servers' last figures */
#define SUMMARY_TRIES        3
#define SUMMARY_PAUSE_MS     500

static void coord_fini(struct coord *c) {
    for (size_t i = 0; i < LIMITED_CAUSES; i++) {
        log_limit_end(&c->limited[i]);
    }
    eval_job_fini(&c->eval_job);
    cut_fini(&c->checkpoints.cut);
    event_log_close(&c->event_log);
    notes_fini(c);
    progress_fini(&c->progress);
    pace_fini(&c->pace);
    staleness_fini(&c->staleness);
    leases_fini(&c->leases);
    for (uint32_t w = 0; c->answers != NULL && w < c->members.workers; w++) {
        buf_fini(&c->answers[w].bits);
    }
    mem_free(&c->answers);
    membership_fini(&c->members);
    port_close(&c->port);
    transport_destroy(&c->transport);
    buf_fini(&c->plan_bytes);
    buf_fini(&c->scratch);
    job_plan_free(&c->job_plan);
    ranges_fini(&c->ranges);
    dataset_free(&c->data);
    dataset_free(&c->eval);
    newest_free(&c->resumed);
    shelf_free(&c->checkpoints.shelf);
    lock_release(&c->lock);
}

/* --- hearing ---------------------------------------------------------------------------------- */

static enum status coord_hear(struct coord *c, uint64_t wait_ms) {
    struct port_message m;
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        enum status status = port_receive(c->port, &m, i == 0 ? wait_ms : 0);
        if (status == ERR_TIMEOUT) {
            return OK;
        }
        TRY(status);
        const uint64_t now_ms = clock_mono_ms();
        TRY(requests_answer(c, &m, now_ms));
        TRY(rollback_step(c, now_ms));
    }
    return OK;
}

/* --- watching --------------------------------------------------------------------------------- */

static void server_lost(struct coord *c, const struct member *s, uint64_t now_ms) {
    char why[WIRE_TEXT_MAX];
    if (s->failing) {
        snprintf(why, sizeof why, "%s: %.400s", s->leaving ? "left" : "failed", s->text);
    } else {
        snprintf(why, sizeof why, "has been silent for %llu ms",
                 (unsigned long long)(now_ms - s->heard_ms));
    }
    rollback_server_lost(c, s, why, now_ms);
}

static void worker_lost(struct coord *c, const struct member *w, uint64_t now_ms) {
    char what[sizeof c->worker_cause];
    member_describe_loss(w, now_ms, what, sizeof what);
    const bool left = w->failing && w->leaving;
    log_limited(&c->limited[LIMITED_LOST], LOG_WARN, "%s%s", left ? "" : "lost: ", what);
    if (w->failing || c->worker_cause[0] == '\0') {
        snprintf(c->worker_cause, sizeof c->worker_cause, "%s", what);
    }
    struct json *j = event_log_event(&c->event_log, left ? "worker_left" : "worker_lost");
    json_u64(j, "worker", w->index);
    json_str(j, "cause", what);
    event_log_event_end(&c->event_log);
}

static void describe_aside(const struct coord *c, const struct lease_aside *a, char *out,
                           size_t bytes) {
    const char *unit = leases_unit(&c->leases);
    if (a->batch == LEASE_NONE) {
        snprintf(out, bytes, "what is left of %s %u of epoch %u (%u impressions)", unit, a->range,
                 a->epoch + 1, a->impressions);
    } else {
        snprintf(out, bytes, "batch %u of %s %u of epoch %u (%u impressions)", a->batch, unit,
                 a->range, a->epoch + 1, a->impressions);
    }
}

/* Names the batches that were set aside. */
static enum status say_asides(struct coord *c) {
    struct lease_aside a;
    char what[160];
    while (leases_next_aside(&c->leases, &a)) {
        describe_aside(c, &a, what, sizeof what);
        if (c->config->poison == POISON_FAIL) {
            return fail(ERR_PEER, "%s killed its worker %d times (train.poison=fail)", what,
                        SUSPECT_DEATHS);
        }
        log_error("%s killed its worker %d times: it is set aside and not trained", what,
                  SUSPECT_DEATHS);
        struct json *j = event_log_event(&c->event_log, "batch_set_aside");
        json_u64(j, "epoch", a.epoch);
        json_u64(j, "range", a.range);
        if (a.batch != LEASE_NONE) {
            json_u64(j, "batch", a.batch);
        }
        json_u64(j, "impressions", a.impressions);
        event_log_event_end(&c->event_log);
        c->aside_batches++;
        c->aside_impressions += a.impressions;
    }
    return OK;
}

/* Names workers that have become much slower than the others. */
static void say_slow(struct coord *c, uint64_t now_ms) {
    for (uint32_t w = 0; w < c->members.workers; w++) {
        if (c->phase != PHASE_TRAIN || leases_idle(&c->leases, w)) {
            pace_idle(&c->pace, w);
        }
    }
    if (!pace_due(&c->pace, now_ms)) {
        return;
    }
    for (uint32_t w = 0; w < c->members.workers; w++) {
        const struct member *x = &c->members.worker[w];
        pace_worker(&c->pace, w, x->incarnation, x->finished);
    }
    pace_judge(&c->pace, now_ms);
    for (uint32_t w = 0; w < c->members.workers; w++) {
        char who[160];
        if (!pace_became_slow(&c->pace, w)) {
            continue;
        }
        member_describe(&c->members.worker[w], who, sizeof who);
        log_warn("%s is slow: %llu batches in %u s, where the workers' median is %llu", who,
                 (unsigned long long)c->pace.worker[w].batches, PACE_MS / 1000,
                 (unsigned long long)c->pace.median);
        struct json *j = event_log_event(&c->event_log, "worker_slow");
        json_u64(j, "worker", w);
        json_u64(j, "batches", c->pace.worker[w].batches);
        json_u64(j, "median", c->pace.median);
        event_log_event_end(&c->event_log);
    }
}

static enum status watch_workers(struct coord *c, uint64_t now_ms) {
    struct member *lost;
    while ((lost = membership_next_lost(&c->members, now_ms)) != NULL) {
        FAULT("coord.worker.lost");
        worker_lost(c, lost, now_ms);
        drop_worker(c, lost, !(lost->failing && lost->leaving), now_ms);
    }
    TRY(say_asides(c));
    say_slow(c, now_ms);
    uint32_t expired = leases_expire(&c->leases, now_ms);
    if (expired > 0) {
        log_warn("%u leases ran out and are pending again", expired);
        lost_leases(c, "their worker", now_ms);
    }
    bool needed = c->phase == PHASE_TRAIN || c->phase == PHASE_SCORE;
    if (!needed || membership_workers_alive(&c->members) > 0) {
        c->workers_seen_ms = now_ms;
    }
    uint64_t patience_ms = c->config->give_up_ms + c->members.replace_ms;
    if (now_ms - c->workers_seen_ms <= patience_ms || c->stopped) {
        return OK;
    }
    if (membership_all_left(&c->members)) {
        log_info("all workers were told to end, and none has joined since: so is the job");
        stop_request(SIGTERM);
    } else {
        snprintf(c->fails_saved, sizeof c->fails_saved, "no worker is left: %s", c->worker_cause);
        log_error("%s: saving and ending the job", c->fails_saved);
        c->stopped = true;
    }
    return OK;
}

static enum status coord_watch(struct coord *c, uint64_t now_ms) {
    const struct member *lost;
    while ((lost = membership_next_lost_server(&c->members, now_ms, c->config->give_up_ms)) !=
           NULL) {
        FAULT("coord.server.lost");
        server_lost(c, lost, now_ms);
    }
    TRY(watch_workers(c, now_ms));
    return rollback_step(c, now_ms);
}

/* --- phases ----------------------------------------------------------------------------------- */

static void end_training(struct coord *c, uint64_t now_ms) {
    FAULT("coord.train.end");
    c->ended_ms = now_ms;
    notes_ended(c);
    c->last_epoch = true;
    checkpoints_final(c);
}

/* Opens the first epoch from `epoch` on that has something left to train. */
static enum status open_epoch(struct coord *c, uint32_t epoch, bool *any) {
    uint64_t limit = c->plan.max_steps;
    *any = false;
    for (; epoch < c->plan.epochs && c->ranges.epoch_batches * epoch < limit; epoch++) {
        TRY(leases_train(&c->leases, epoch));
        checkpoints_mark(c);
        if (!leases_phase_complete(&c->leases) || !stream_plan_over(c)) {
            *any = true;
            FAULT("coord.phase.train");
            c->phase = PHASE_TRAIN;
            progress_epoch(&c->progress, epoch);
            notes_epoch(c);
            log_info("epoch %u of %u", epoch + 1, c->plan.epochs);
            return OK;
        }
    }
    return OK;
}

static void wait_for_save(struct coord *c) {
    FAULT("coord.phase.save");
    leases_finish(&c->leases);
    c->phase = PHASE_SAVE;
}

static void say_begin(const struct coord *c) {
    if (c->options->stream) {
        log_info("all roles are there: job %016llx follows %s from shard %u on",
                 (unsigned long long)c->job, c->stream.dir, c->stream.next);
    } else {
        log_info("all roles are there: job %016llx trains %llu batches (%llu impressions)",
                 (unsigned long long)c->job, (unsigned long long)c->job_batches,
                 (unsigned long long)c->job_impressions);
    }
}

/* The evaluation that the restored state still needs: after all of the job, or one that a rollback
 * interrupted after a complete epoch. */
static bool evaluation_owed(const struct coord *c, bool any, uint32_t *epoch) {
    if (!c->has_eval || c->job_batches == 0) {
        return false;
    }
    if (!any) {
        *epoch = (uint32_t)((c->job_batches - 1) / c->ranges.epoch_batches);
        return true;
    }
    *epoch = c->evaluations.owed - 1;
    return c->evaluations.owed > 0 && c->evaluations.owed == c->restored_epoch;
}

static enum status begin_training(struct coord *c, uint64_t now_ms) {
    bool any = false;
    uint32_t epoch;
    if (c->progress.began_ms == 0) {
        FAULT("coord.train.begin");
        progress_begin(&c->progress, now_ms);
        say_begin(c);
    } else {
        progress_go_on(&c->progress, now_ms);
    }
    rollback_over(c, now_ms);
    c->checkpoints.last_ms = now_ms;
    notes_begun(c);
    TRY(open_epoch(c, c->restored_epoch, &any));
    if (!any) {
        end_training(c, now_ms);
    }
    if (evaluation_owed(c, any, &epoch)) { /* all is trained, but not evaluated */
        progress_epoch(&c->progress, epoch);
        return evaluations_begin(c, epoch, false, now_ms);
    }
    if (!any) {
        wait_for_save(c);
    }
    return OK;
}

/* Whether the roles that are needed are there. Workers that were lost before a rollback, or take
 * their time, are not awaited; nor may training begin while an evaluation that it interrupted is
 * still being computed. */
static bool gathered(struct coord *c) {
    return c->progress.began_ms == 0
               ? membership_complete(&c->members)
               : membership_servers_serving(&c->members) && eval_job_idle(&c->eval_job);
}

static enum status gather_step(struct coord *c, uint64_t now_ms) {
    if (c->stopped) {
        c->phase = PHASE_STOP;
        return OK;
    }
    if (gathered(c)) {
        return begin_training(c, now_ms);
    }
    uint64_t extra_ms =
        membership_servers_known(&c->members) ? c->resume_bytes / RESTORE_BYTES_PER_MS : 0;
    if (now_ms < c->gather_deadline_ms + extra_ms) {
        return OK;
    }
    const bool back = c->recover.from_ms > 0; /* what was the first cause */
    char who[512];
    membership_missing(&c->members, who, sizeof who);
    return fail(ERR_TIMEOUT, "%.300s%safter %llu ms still missing: %s",
                back ? c->recover.cause : "", back ? "; " : "",
                (unsigned long long)(c->gather_ms + extra_ms), who);
}

static bool nothing_after(const struct coord *c, uint32_t epoch) {
    return epoch + 1 >= c->plan.epochs ||
           c->ranges.epoch_batches * (epoch + 1) >= c->plan.max_steps;
}

static enum status train_step(struct coord *c, uint64_t now_ms) {
    uint32_t epoch = c->leases.epoch;
    bool any = false;
    if (checkpoints_shards_due(c)) { /* the cut before is still being written */
        return OK;
    }
    if (evaluations_due(c)) {
        return evaluations_begin(c, epoch, true, now_ms);
    }
    if (leases_phase_complete(&c->leases) && (stream_plan_over(c) || c->stopped)) {
        if (nothing_after(c, epoch) || c->stopped) {
            end_training(c, now_ms);
        }
        if (c->has_eval && !c->stopped && c->stream.damage[0] == '\0') {
            return evaluations_begin(c, epoch, false, now_ms);
        }
        if (!c->last_epoch) {
            TRY(open_epoch(c, epoch + 1, &any));
            if (any) {
                return OK;
            }
            end_training(c, now_ms);
        }
        wait_for_save(c);
        return OK;
    }
    if (c->stopped && !(c->config->deterministic && c->leases.out > 0)) {
        end_training(c, now_ms);
        wait_for_save(c);
    }
    return OK;
}

static enum status score_step(struct coord *c, uint64_t now_ms) {
    if (c->stopped) {
        eval_job_end(&c->eval_job);
        if (!c->last_epoch) {
            end_training(c, now_ms);
        }
        wait_for_save(c);
        return OK;
    }
    if (eval_job_complete(&c->eval_job)) {
        FAULT("coord.phase.compute");
        c->phase = PHASE_COMPUTE;
        return eval_job_compute(&c->eval_job);
    }
    return OK;
}

enum status phase_after_evaluation(struct coord *c, uint32_t epoch, uint64_t now_ms) {
    bool any = false;
    if (!c->last_epoch && !c->stopped && keep_patience_over(c)) {
        c->stopped_early = true;
        log_info("train.patience: %u evaluations without a better one end the job",
                 c->config->patience);
        end_training(c, now_ms);
        wait_for_save(c);
        return OK;
    }
    if (!c->stopped && c->evaluations.within) {
        c->phase = PHASE_TRAIN;
        return leases_train(&c->leases, epoch);
    }
    if (!c->last_epoch && !c->stopped) {
        TRY(open_epoch(c, epoch + 1, &any));
    }
    if (!any) {
        if (!c->last_epoch) {
            end_training(c, now_ms);
        }
        wait_for_save(c);
    }
    return OK;
}

static enum status compute_step(struct coord *c, uint64_t now_ms) {
    bool ended = false;
    if (keep_holds(c)) {
        return OK;
    }
    TRY(evaluations_step(c, now_ms, &ended));
    return ended ? phase_after_evaluation(c, c->eval_job.epoch, now_ms) : OK;
}

static enum status phase_step(struct coord *c, uint64_t now_ms) {
    switch (c->phase) {
    case PHASE_GATHER: return gather_step(c, now_ms);
    case PHASE_TRAIN: return train_step(c, now_ms);
    case PHASE_SCORE: return score_step(c, now_ms);
    case PHASE_COMPUTE: return compute_step(c, now_ms);
    case PHASE_SAVE:
        if (c->checkpoints.final_done && c->stream.damage[0] != '\0') {
            return fail(ERR_CORRUPT, "%s", c->stream.damage);
        }
        if (c->checkpoints.final_done && c->fails_saved[0] != '\0') {
            return fail(ERR_PEER, "%s; what was trained is saved", c->fails_saved);
        }
        if (c->checkpoints.final_done) {
            FAULT("coord.phase.stop");
            c->phase = PHASE_STOP;
        }
        return OK;
    case PHASE_STOP: return OK;
    }
    return OK;
}

static void hear_signal(struct coord *c) {
    if (stop_requested() && !c->stopped) {
        c->stopped = true;
        notes_stopped(c);
        log_info("stop signal %d: saving and ending the job", stop_signal());
    }
}

static enum status coord_turn(struct coord *c) {
    TRY(coord_hear(c, TURN_MS));
    uint64_t now_ms = clock_mono_ms();
    hear_signal(c);
    TRY(coord_watch(c, now_ms));
    requests_answer_clocks(c, now_ms);
    TRY(stream_plan_step(c, now_ms));
    TRY(checkpoints_step(c, now_ms));
    TRY(phase_step(c, now_ms));
    TRY(stall_step(c, now_ms));
    for (size_t i = 0; i < LIMITED_CAUSES; i++) {
        log_limit_step(&c->limited[i]);
    }
    notes_step(c, now_ms);
    if (c->phase != PHASE_GATHER && progress_settled(&c->progress, now_ms)) {
        progress_tick(&c->progress, now_ms);
        event_log_step(&c->event_log, &c->progress, membership_workers_alive(&c->members), false,
                       now_ms);
    }
    return OK;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Tells everybody to stop, in the answers to their heartbeats, and receives their last figures. */
static void last_words(struct coord *c) {
    c->phase = PHASE_STOP;
    leases_finish(&c->leases);
    FAULT("coord.stop.tell");
    uint64_t deadline_ms = clock_mono_ms() + 1000 + 3ull * c->config->heartbeat_ms;
    while (!membership_all_told(&c->members) && clock_left_ms(deadline_ms) > 0) {
        if (coord_hear(c, TURN_MS) != OK) {
            return;
        }
    }
    FAULT("coord.stop.told");
    deadline_ms = clock_mono_ms() + LAST_FIGURES_BEATS * c->config->heartbeat_ms;
    while (!c->failed && !membership_servers_said_last(&c->members) &&
           clock_left_ms(deadline_ms) > 0 && coord_hear(c, TURN_MS) == OK) {
    }
    deadline_ms = clock_mono_ms() + LINGER_MS;
    while (clock_left_ms(deadline_ms) > 0 && coord_hear(c, TURN_MS) == OK) {
    }
}

/* The job is over and everything else is saved: a disk in trouble gets another moment. */
static enum status write_summary(struct coord *c) {
    enum status status = summary_write(c);
    for (int tries = 1; status != OK && tries < SUMMARY_TRIES; tries++) {
        log_warn("the summary is tried again: %s", fail_text());
        clock_sleep_ms(SUMMARY_PAUSE_MS);
        status = summary_write(c);
    }
    return status;
}

static enum status say_end(struct coord *c) {
    uint64_t now_ms = clock_mono_ms();
    if (c->progress.began_ms > 0) {
        event_log_step(&c->event_log, &c->progress, membership_workers_alive(&c->members), true,
                       now_ms);
    }
    struct json *j = event_log_event(&c->event_log, "end");
    json_str(j, "status", coord_status(c));
    if (c->failed) {
        json_str(j, "cause", c->cause);
    }
    event_log_event_end(&c->event_log);
    return write_summary(c);
}

/* Logs the newest checkpoint; the summary has it too. Whether to resume from it is decided by the
 * caller, who sees how every role ended. */
static void note_failure(struct coord *c, enum status status) {
    log_info("newest checkpoint: %s",
             c->checkpoints.newest[0] == '\0' ? "none" : c->checkpoints.newest);
    snprintf(c->cause, sizeof c->cause, "%.511s", fail_text_of(status));
    c->failed = true;
}

static enum status run_job(struct coord *c, void *nothing) {
    (void)nothing;
    enum status status = setup(c);
    if (status == ERR_CLOSED && stop_requested()) {
        log_info("%s", fail_text());
        return OK;
    }
    if (status != OK) {
        return status;
    }
    log_info("listening on %s for %u servers and %u workers", port_endpoint(c->port),
             c->options->servers, c->options->workers);
    c->gather_ms = c->options->timeout_ms;
    c->gather_deadline_ms = clock_mono_ms() + c->gather_ms;
    while (status == OK && c->phase != PHASE_STOP) {
        status = coord_turn(c);
    }
    struct cause cause = {0};
    cause_keep(&cause, status);
    if (status != OK) {
        note_failure(c, status);
        notes_end(c); /* before the roles hear of it: they will not come back to a successor */
    }
    last_words(c);
    const enum status said = say_end(c);
    if (said != OK) {
        log_warn("no summary: %s", fail_text());
    }
    notes_end(c);
    TRY(cause_again(&cause));
    TRY(said);
    log_info("the job is %s", c->stopped         ? "stopped; resume it with --resume"
                              : c->stopped_early ? "complete: it was stopped early"
                                                 : "complete");
    return OK;
}

static enum status with_coord(const struct coord_options *o,
                              enum status (*what)(struct coord *c, void *out), void *out) {
    struct coord *c = NULL;
    TRY(mem_new(&c));
    c->options = o;
    c->config = o->config;
    c->lock = LOCK_NONE;
    c->event_log.metrics = FILE_CLOSED;
    c->notes.journal = JOURNAL_CLOSED;
    enum status status = what(c, out);
    struct cause cause = {0};
    cause_keep(&cause, status);
    const bool used =
        c->eval_job.left; /* by a computation that was given up; it ends with the process */
    coord_fini(c);
    if (!used) {
        mem_free(&c);
    }
    return cause_again(&cause);
}

static enum status look_at_job(struct coord *c, void *complete) {
    TRY(setup_look(c, complete));
    return *(bool *)complete ? coord_summary_complete(c->options->out_dir, complete) : OK;
}

enum status coord_look(const struct coord_options *o, bool *complete) {
    *complete = false;
    return with_coord(o, look_at_job, complete);
}

enum status coord_run(const struct coord_options *o) {
    return with_coord(o, run_job, NULL);
}
