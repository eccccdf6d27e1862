/* rollback.c - goes back to the newest checkpoint, in the same processes (recover.h says when).
 *
 * What is of the life that ends is dropped: leases, clocks, answers, a cut or an evaluation under
 * way, the plan with its endpoints. What is of the run stays: totals, checkpoints, evaluations that
 * were made, the shards of a stream that have come, and the members, who must say HELLO again. They
 * learn of it by the answer to their next frame, which is of the former life (requests.c).
 *
 * A server that is lost before this life has told anybody its plan ends no life: nobody has begun
 * anything, so it is just awaited. Numbers of cuts go on from life to life: a server that sleeps
 * through a rollback may still write into the directory of an old one.
 *
 * A job that was told to stop does not train again what is undone: it ends with the newest
 * checkpoint.
 */
#include <stdio.h>

#include "common/base/log.h"
#include "common/fault/fault.h"
#include "state.h"

/* --- causes ----------------------------------------------------------------------------------- */

void rollback_want(struct coord *c, const char *cause, uint64_t now_ms) {
    if (c->phase != PHASE_STOP && c->plan_bytes.len > 0) {
        recover_want(&c->recover, now_ms, cause);
    }
}

void rollback_server_lost(struct coord *c, const struct member *s, const char *why,
                          uint64_t now_ms) {
    char cause[WIRE_TEXT_MAX], who[160];
    member_describe(s, who, sizeof who);
    snprintf(cause, sizeof cause, "%s %.300s", who, why);
    log_error("lost: %s", cause);
    c->recover.servers_lost++;
    struct json *j = event_log_event(&c->event_log, "server_lost");
    json_u64(j, "server", s->index);
    json_str(j, "cause", cause);
    event_log_event_end(&c->event_log);
    rollback_want(c, cause, now_ms);
}

/* Puts the checkpoint out of the way. A job that only resumes and has no other is better not begun
 * again from the start without being asked. */
static enum status set_aside(struct coord *c, const char *cause) {
    struct newest other = {0};
    TRY(newest_set_aside(c->resume_dir));
    const enum status status = newest_good(c->root, &other);
    newest_free(&other);
    if (status == ERR_NOT_FOUND && c->progress.began_ms == 0) {
        char aside[PATH_BYTES_MAX + 16];
        snprintf(aside, sizeof aside, "%s.damaged", c->resume_dir);
        TRY(file_rename(aside, c->resume_dir)); /* the next resume must find it, too */
        return fail(ERR_CORRUPT, "%.400s; there is no older checkpoint", cause);
    }
    c->checkpoints.damaged++;
    return OK;
}

enum status rollback_damaged(struct coord *c, const struct member *s, const char *why,
                             uint64_t now_ms) {
    char cause[WIRE_TEXT_MAX], who[160];
    if (c->recover.wanted || c->resume_dir[0] == '\0') {
        return OK;
    }
    member_describe(s, who, sizeof who);
    snprintf(cause, sizeof cause, "%s cannot restore: %.300s", who, why);
    TRY(set_aside(c, cause));
    log_error("%s; renamed to %s.damaged", cause, c->resume_dir);
    struct json *j = event_log_event(&c->event_log, "checkpoint_damaged");
    json_str(j, "path", c->resume_dir);
    json_u64(j, "step", c->restored_step);
    json_str(j, "cause", cause);
    event_log_event_end(&c->event_log);
    rollback_want(c, cause, now_ms);
    return OK;
}

/* --- the old life ----------------------------------------------------------------------------- */

/* Batches that are trained, those of this life as workers have reported them. */
static uint64_t step_reached(const struct coord *c) {
    const struct progress *p = &c->progress;
    return c->restored_step + p->totals.batches - p->life_start.batches;
}

static void drop_cut(struct checkpoints *s) {
    if (s->cut.busy && file_remove_tree(s->cut.dir) != OK) {
        log_warn("%s", fail_text());
    }
    cut_end(&s->cut);
    s->hold = s->final_wanted = s->final_begun = s->final_done = false;
}

static void end_life(struct coord *c) {
    evaluations_roll_back(c);
    drop_cut(&c->checkpoints);
    leases_fini(&c->leases);
    staleness_fini(&c->staleness);
    for (uint32_t w = 0; w < c->members.workers; w++) {
        struct lease_answer *a = &c->answers[w];
        a->incarnation = a->id = a->idle_ms = 0;
    }
    buf_clear(&c->plan_bytes);
    membership_new_life(&c->members);
    c->last_epoch = false;
    c->ended_ms = 0;
}

/* --- the new one ------------------------------------------------------------------------------ */

/* done: the batches that its checkpoint has; taken over. */
static enum status begin_life(struct coord *c, struct applied *done, uint64_t now_ms) {
    c->job = recover_job(&c->recover);
    TRY(setup_life(c, done));
    recover_restored(&c->recover, c->restored_step);
    progress_new_life(&c->progress, c->restored_impressions);
    if (c->progress.began_ms == 0) {
        setup_begin(c);
    }
    checkpoints_new_life(c);
    c->phase = PHASE_GATHER;
    c->stall = (struct stall){0};
    c->workers_seen_ms = now_ms;
    const uint64_t wait_ms = (uint64_t)c->config->recovery_wait_s * 1000;
    c->gather_ms = wait_ms > c->options->timeout_ms ? wait_ms : c->options->timeout_ms;
    c->gather_deadline_ms = now_ms + c->gather_ms;
    return OK;
}

static void say_back(const struct coord *c) {
    const struct recover *r = &c->recover;
    const char *to = c->resume_dir[0] != '\0' ? c->resume_dir : "the start, there is no checkpoint";
    if (c->stopped) {
        log_warn("%s; the job is stopping: it ends with %s", r->cause, to);
        return;
    }
    log_warn("%s; all roles go back to %s: about %llu batches are trained again, nothing is lost",
             r->cause, to, (unsigned long long)(r->from_step - r->to_step));
}

enum status rollback_step(struct coord *c, uint64_t now_ms) {
    struct recover *r = &c->recover;
    if (!r->wanted || c->phase == PHASE_STOP) {
        return OK;
    }
    const struct progress *p = &c->progress;
    const bool fruitful = p->totals.batches > p->life_start.batches || c->eval_job.taken > 0;
    struct applied *done = NULL;
    TRY(recover_end_life(r, step_reached(c), fruitful, now_ms));
    const enum status status = resume_again(c, &done);
    if (status != OK) {
        applied_destroy(&done);
        return status;
    }
    FAULT("coord.rollback.begin");
    const uint64_t former = c->job;
    end_life(c);
    TRY(begin_life(c, done, now_ms));
    notes_begin(c);
    FAULT("coord.rollback.tell");
    requests_tell_rejoin(c, former);
    say_back(c);
    return OK;
}

void rollback_over(struct coord *c, uint64_t now_ms) {
    struct recover *r = &c->recover;
    double seconds;
    if (!recover_goes_on(r, now_ms, &seconds)) {
        return;
    }
    const uint64_t batches = r->from_step - r->to_step;
    log_info("training goes on after %.1f s, from step %llu: %llu batches are trained again",
             seconds, (unsigned long long)r->to_step, (unsigned long long)batches);
    struct json *j = event_log_event(&c->event_log, "rollback");
    json_str(j, "cause", r->cause);
    json_u64(j, "from_step", r->from_step);
    json_u64(j, "to_step", r->to_step);
    json_u64(j, "batches", batches);
    json_u64(j, "lives", r->lives);
    json_f64(j, "seconds", seconds);
    event_log_event_end(&c->event_log);
    notes_renew(c);
}
