/* evaluations.c - when to evaluate, and the clock of training, which stands still meanwhile.
 *
 * There is an evaluation after each epoch, and, with eval.every_impressions = N, one within an
 * epoch each time N more impressions are trained on. For the latter no lease is granted beyond the
 * range that completes the N; when all ranges are back, it begins, and sees exactly what was
 * trained. Then the epoch goes on with what is pending. Nothing that is trained depends on it: the
 * order of a deterministic job is the same without. Evaluations at ends of epochs count too: N
 * impressions later is the next one. What a resumed job has trained before is counted as evaluated:
 * an evaluation that was interrupted is not made again.
 *
 * The clock of training tells how long a model was trained, for curves of quality over time. It
 * stands still from the return of the last range before an evaluation to the first grant after it.
 * Before an evaluation within an epoch, workers wait for each other, which they would not do
 * without it: the mean of these waits is taken off as well. (The last ranges are trained meanwhile;
 * so the whole time that they are awaited cannot be taken off.)
 */
#include "common/base/log.h"
#include "common/fault/fault.h"
#include "state.h"

/* --- the clock -------------------------------------------------------------------------------- */

static double seconds_between(uint64_t from_ms, uint64_t to_ms) {
    return to_ms > from_ms ? (double)(to_ms - from_ms) / 1000.0 : 0;
}

double evaluations_train_seconds(const struct coord *c, uint64_t now_ms) {
    const struct evaluations *e = &c->evaluations;
    uint64_t end_ms = c->ended_ms > 0 ? c->ended_ms : now_ms;
    if (c->progress.began_ms == 0) {
        return 0;
    }
    end_ms = e->from_ms > 0 && e->from_ms < end_ms ? e->from_ms : end_ms;
    const double seconds = seconds_between(c->progress.began_ms, end_ms) - e->still_s;
    return seconds > 0 ? seconds : 0;
}

/* How long workers have waited for the last range, on average. */
static double mean_wait(const struct coord *c, uint64_t now_ms) {
    const uint32_t alive = membership_workers_alive(&c->members);
    double sum = 0;
    for (uint32_t w = 0; w < c->members.workers; w++) {
        const uint64_t idle_ms = c->answers[w].idle_ms;
        if (idle_ms > 0 && c->members.worker[w].state != MEMBER_LOST) {
            sum += seconds_between(idle_ms, now_ms);
        }
    }
    return alive > 0 ? sum / alive : 0;
}

static void stop_clock(struct coord *c, uint64_t now_ms) {
    struct evaluations *e = &c->evaluations;
    e->still_s += e->within ? mean_wait(c, now_ms) : 0;
    e->from_ms = e->from_ms > 0 ? e->from_ms : now_ms; /* it stands still if one was dropped */
}

void evaluations_resume_clock(struct coord *c, uint64_t now_ms) {
    struct evaluations *e = &c->evaluations;
    keep_training_goes_on(c);
    if (e->from_ms > 0) {
        e->still_s += seconds_between(e->from_ms, now_ms);
        e->from_ms = 0;
        notes_evaluation(c, false);
    }
}

/* --- when ------------------------------------------------------------------------------------- */

bool evaluations_hold(const struct coord *c) {
    return c->config->eval_every > 0 && c->leases.kind == LEASE_TRAIN && !c->stopped &&
           c->leases.done_impressions + c->leases.out_impressions >= c->evaluations.next;
}

bool evaluations_due(const struct coord *c) {
    return evaluations_hold(c) && c->phase == PHASE_TRAIN && c->leases.out == 0 &&
           !(leases_phase_complete(&c->leases) && stream_plan_over(c));
}

/* From the point that was asked for, not from the range that completed it: so N does not grow. */
static void set_next(struct coord *c) {
    const uint64_t every = c->config->eval_every, done = c->leases.done_impressions;
    struct evaluations *e = &c->evaluations;
    if (every > 0 && e->within && done >= e->next) {
        e->next += ((done - e->next) / every + 1) * every;
    } else {
        e->next = done + every;
    }
}

/* An evaluation that is under way is dropped, and is due again: one within an epoch at the same
 * point, one after an epoch when that is complete, which it may be already. */
void evaluations_roll_back(struct coord *c) {
    struct evaluations *e = &c->evaluations;
    const bool under_way = c->phase == PHASE_SCORE || c->phase == PHASE_COMPUTE;
    if (under_way) {
        e->next = e->before;
    }
    e->owed = under_way && !e->within ? c->eval_job.epoch + 1 : e->owed;
    eval_job_drop(&c->eval_job);
    keep_training_goes_on(c);
    c->stopped_early = false; /* the next evaluation says it again */
}

enum status evaluations_again(struct coord *c, uint32_t epoch) {
    TRY(eval_job_begin(&c->eval_job, epoch, c->leases.fence));
    TRY(leases_eval(&c->leases, epoch, c->eval_job.batches, c->eval.shard_count));
    FAULT("coord.phase.score");
    c->phase = PHASE_SCORE;
    notes_evaluation(c, false);
    log_info("evaluating %s epoch %u: %llu impressions", c->evaluations.within ? "within" : "after",
             epoch + 1, (unsigned long long)c->eval.impressions);
    return OK;
}

enum status evaluations_begin(struct coord *c, uint32_t epoch, bool within, uint64_t now_ms) {
    struct evaluations *e = &c->evaluations;
    e->within = within;
    e->began_ms = now_ms;
    e->before = e->next;
    e->owed = 0;
    keep_evaluation_begins(c);
    set_next(c);
    stop_clock(c, now_ms);
    return evaluations_again(c, epoch);
}

/* --- the result ------------------------------------------------------------------------------- */

static void say_evaluation(struct coord *c, uint64_t now_ms) {
    const struct evaluation *e = &c->evaluation[0];
    log_info("evaluation %s epoch %u, %llu impressions trained: AUC ctr (all) %.5f, cvr (clicked) "
             "%.5f, ctcvr (all) %.5f; %llu impressions, %llu clicks, %llu conversions",
             c->evaluations.within ? "within" : "after", c->evaluation_epoch + 1,
             (unsigned long long)c->leases.done_impressions, e->ctr.auc, e->cvr_clicked.auc,
             e->ctcvr.auc, (unsigned long long)e->impressions, (unsigned long long)e->clicks,
             (unsigned long long)e->conversions);
    struct json *j = event_log_event(&c->event_log, "evaluation");
    json_u64(j, "epoch", c->evaluation_epoch);
    json_bool(j, "within_epoch", c->evaluations.within);
    json_u64(j, "step", applied_count(c->leases.done));
    json_u64(j, "trained_impressions", c->leases.done_impressions);
    json_f64(j, "train_seconds", evaluations_train_seconds(c, now_ms));
    evaluations_json(c->evaluation, c->evaluations_made, j);
    event_log_event_end(&c->event_log);
}

enum status evaluations_step(struct coord *c, uint64_t now_ms, bool *ended) {
    enum status status = OK;
    *ended = eval_job_computed(&c->eval_job, &status, c->evaluation, &c->evaluations_made);
    if (!*ended) {
        return OK;
    }
    TRY(status);
    FAULT("coord.eval.computed");
    eval_job_end(&c->eval_job);
    c->unseen = c->eval_job.unseen;
    c->evaluated = true;
    c->evaluation_epoch = c->eval_job.epoch;
    c->evaluations.spent_s += seconds_between(c->evaluations.began_ms, now_ms);
    say_evaluation(c, now_ms);
    FAULT("coord.eval.said");
    keep_evaluated(c);
    notes_evaluation(c, true);
    return OK;
}
