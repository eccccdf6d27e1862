/* takeover.c - from the journal of a coordinator that died to one that goes on.
 *
 * A coordinator that finds an unfinished life in the journal of its run directory, begun by the
 * same start of the job (--launch and --listen), takes that life over instead of beginning one:
 *
 *   - the same job number and the same endpoint, so that servers and workers notice nothing but a
 *     silence; they ask again what was not answered;
 *   - a new term, which is the high bits of fences and of the numbers of cuts: none is given twice;
 *   - done is what the journal says; leases that are out stay with their holders for net.lease_ms,
 *     and every member has net.give_up_ms to be heard;
 *   - a lease that was granted in an answer that was lost is granted again by the same answer;
 *   - a cut that was under way is given up: its directory is removed, and reports on it are for
 *     another cut. It is made again when it is due;
 *   - an evaluation that was under way is made again from its beginning: the scores were in memory;
 *   - counters come from the workers, which count since their start;
 *   - clocks go on as if the coordinator had been there: the job trained meanwhile.
 *
 * The journal of another start of the job says nothing about this one: its processes are gone, and
 * the job is resumed from its newest checkpoint, if that was asked for.
 */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/checkpoint/manifest.h"
#include "state.h"

/* --- finding ---------------------------------------------------------------------------------- */

static bool same_start(const struct coord *c, const struct journal_life *l) {
    return l->servers > 0 && strcmp(l->launch, launch_of(c)) == 0 &&
           strcmp(l->listen, c->options->listen) == 0;
}

/* Places for workers, as membership_room makes them. */
static uint32_t workers_of(const struct coord_options *o) {
    return o->workers_max > o->workers ? o->workers_max : o->workers;
}

static enum status same_job(const struct coord *c, const struct journal_life *l, const char *path) {
    uint64_t plan;
    TRY(notes_plan(c, &plan));
    if (strcmp(l->build, ESMM_VERSION) != 0) {
        return fail(ERR_CONFIG,
                    "%s was written by version %s, this is %s: end the job, then resume it", path,
                    l->build, ESMM_VERSION);
    }
    return l->plan == plan && l->servers == c->options->servers &&
                   l->workers == workers_of(c->options)
               ? OK
               : fail(ERR_CONFIG,
                      "%s is of a job on other data, or with another configuration: end the job, "
                      "then resume it",
                      path);
}

static void say_left(const struct journal_state *s, const char *path, size_t torn) {
    log_info("taking over job %016llx, whose coordinator died in its term %llu: %s",
             (unsigned long long)s->life.job, (unsigned long long)s->term, path);
    if (torn > 0) {
        log_warn("%s: the last %zu bytes are no whole record and are cut off", path, torn);
    }
}

enum status takeover_find(struct coord *c) {
    char path[PATH_BYTES_MAX];
    size_t torn = 0;
    TRY(path_join(path, c->out_dir, "journal"));
    c->notes.term = 1;
    if (!file_exists(path)) {
        return OK;
    }
    TRY(mem_new(&c->notes.left));
    const struct journal_state *s = c->notes.left;
    const enum status status = journal_read(c->notes.left, path, &torn);
    if (status != OK && (s->life.servers == 0 || same_start(c, &s->life))) {
        return fail(status, "%s; remove it and resume the job from its newest checkpoint",
                    fail_text());
    }
    if (!same_start(c, &s->life)) {
        log_info("%s is of another start of the job, whose processes are gone", path);
        notes_forget(c);
        return OK;
    }
    TRY(same_job(c, &s->life, path));
    c->notes.term = s->term + 1;
    say_left(s, path, torn);
    return OK;
}

/* --- what is done ----------------------------------------------------------------------------- */

enum status takeover_backs(struct applied *done, const struct journal_state *s,
                           const struct ranges *ranges) {
    for (size_t i = 0; i < s->backs; i++) {
        const struct journal_back *b = &s->back[i];
        if (b->range >= ranges->count || b->limit > ranges->batches[b->range]) {
            return fail(ERR_CORRUPT, "the journal has range %u with %u batches done", b->range,
                        b->limit);
        }
        for (uint32_t k = 0; k < b->limit; k++) {
            const enum status status =
                applied_add(done, (struct batch_name){b->epoch, b->range, k});
            TRY(status == ERR_EXISTS ? OK : status);
        }
    }
    return OK;
}

enum status takeover_done(struct coord *c, struct applied **done) {
    const struct journal_state *s = c->notes.left;
    const struct journal_life *l = &s->life;
    TRY(stream_plan_catch_up(c));
    TRY(applied_decode(done, s->done.data, s->done.len, c->ranges.batches, c->ranges.count));
    TRY(takeover_backs(*done, s, &c->ranges));
    memcpy(c->resume_dir, l->resume_dir, sizeof l->resume_dir);
    c->resume_bytes = l->resume_bytes;
    c->restored_step = l->restored_step;
    c->restored_epoch = l->restored_epoch;
    return OK;
}

/* Whether the life was beyond gathering its roles. */
static bool trains(const struct journal_state *s) {
    return s->has_epoch || s->evaluation.phase != JOURNAL_TRAINING;
}

/* --- members ---------------------------------------------------------------------------------- */

static enum status restore_members(struct coord *c, enum wire_role role,
                                   const struct journal_process *list, uint32_t count,
                                   uint64_t now_ms) {
    for (uint32_t i = 0; i < count; i++) {
        struct wire_hello hello = {
            .role = role, .index = i, .pid = list[i].pid, .incarnation = list[i].incarnation};
        memcpy(hello.host, list[i].host, sizeof hello.host);
        if (list[i].known) {
            TRY(membership_restore(&c->members, &hello, list[i].endpoints.data,
                                   list[i].endpoints.len,
                                   list[i].rejoins         ? RESTORE_REJOINS
                                   : trains(c->notes.left) ? RESTORE_SERVING
                                                           : RESTORE_PRESENT,
                                   now_ms));
        }
    }
    return OK;
}

static enum status take_members(struct coord *c, uint64_t now_ms) {
    const struct journal_state *s = c->notes.left;
    TRY(restore_members(c, ROLE_SERVER, s->server, s->life.servers, now_ms));
    TRY(restore_members(c, ROLE_WORKER, s->worker, s->life.workers, now_ms));
    c->members.patient_until_ms = now_ms + c->config->give_up_ms;
    c->workers_seen_ms = now_ms;
    return membership_servers_known(&c->members) ? setup_plan(c) : OK;
}

/* --- clocks and counters ---------------------------------------------------------------------- */

/* The time of this process's clock that corresponds to a wall time of the journal; 0 stays 0. If it
 * is before the clock's beginning (the machine started since), the clock's beginning. */
static uint64_t mono_of(double wall_s, uint64_t now_ms) {
    const double ago_ms = (clock_wall_s() - wall_s) * 1000;
    if (wall_s == 0) {
        return 0;
    }
    return ago_ms <= 0 ? now_ms : ago_ms < (double)now_ms ? now_ms - (uint64_t)ago_ms : 1;
}

static void take_counters(struct coord *c, uint64_t now_ms) {
    const struct journal_state *s = c->notes.left;
    progress_restore(&c->progress, mono_of(s->begun_s, now_ms), &s->gone_progress,
                     now_ms + c->config->give_up_ms);
    for (uint32_t w = 0; w < s->life.workers; w++) {
        const struct journal_counters *k = &s->works[w].counters;
        const bool same = k->incarnation == s->worker[w].incarnation;
        const struct wire_progress none = {0};
        if (s->worker[w].known) {
            progress_restore_worker(&c->progress, w, s->worker[w].incarnation,
                                    same ? &k->progress : &none);
        }
    }
    c->progress.life_start = s->life.recovery.life_start;
    c->progress.epoch = s->epoch.epoch;
    c->progress.epoch_start = s->epoch.totals;
}

static void take_clocks(struct coord *c, uint64_t now_ms) {
    const struct journal_evaluation *was = &c->notes.left->evaluation;
    struct evaluations *e = &c->evaluations;
    e->within = was->within;
    e->next = was->next;
    e->before = was->before;
    e->owed = was->owed;
    e->still_s = was->still_s;
    e->spent_s = was->spent_s;
    e->from_ms = mono_of(was->from_s, now_ms);
    e->began_ms = mono_of(was->began_s, now_ms);
}

static void take_result(struct coord *c) {
    const struct buf *bytes = &c->notes.left->result;
    struct notes_result r;
    if (bytes->len == sizeof r) {
        memcpy(&r, bytes->data, sizeof r);
        memcpy(c->evaluation, r.evaluation, sizeof c->evaluation);
        c->evaluations_made = r.count;
        c->evaluation_epoch = r.epoch;
        c->unseen = r.unseen;
        c->keep = r.keep;
        keep_training_goes_on(c);
        c->evaluated = true;
    }
}

/* --- checkpoints ------------------------------------------------------------------------------ */

/* What a cut that was under way has written. Its writers may still be there, and fail. */
static void remove_cuts(const struct coord *c) {
    struct file_list list = {0};
    char path[PATH_BYTES_MAX];
    if (file_list_dir(&list, c->root) != OK) {
        log_warn("what is left of a cut stays: %s", fail_text());
    }
    for (size_t i = 0; i < list.count; i++) {
        if (strncmp(list.names[i], "step-cut-", 9) == 0 &&
            (path_join(path, c->root, list.names[i]) != OK || file_remove_tree(path) != OK)) {
            log_warn("what is left of a cut stays: %s", fail_text());
        }
    }
    file_list_free(&list);
}

static enum status take_newest(struct coord *c) {
    char found[PATH_BYTES_MAX];
    struct manifest *m = NULL;
    enum status status = manifest_find(c->root, found);
    if (status == ERR_NOT_FOUND) {
        return OK;
    }
    TRY(status);
    TRY(mem_new(&m));
    status = manifest_read(m, found);
    if (status == OK) {
        memcpy(c->checkpoints.newest, found, sizeof found);
        c->checkpoints.newest_step = m->step;
        manifest_free(m);
    }
    mem_free(&m);
    return status;
}

static enum status take_checkpoints(struct coord *c, uint64_t now_ms) {
    const struct journal_cut *was = &c->notes.left->cut;
    struct checkpoints *s = &c->checkpoints;
    raise_to(&s->cut.number, was->number);
    s->last_ms = was->last_s > 0 ? mono_of(was->last_s, now_ms) : now_ms;
    s->last_impressions = was->last_impressions;
    s->last_shards = was->last_shards;
    s->count = was->count;
    s->final_begun = s->final_done = was->final_done;
    remove_cuts(c);
    return take_newest(c);
}

/* --- leases and the phase --------------------------------------------------------------------- */

enum status takeover_leases(struct leases *l, const struct journal_state *s, uint64_t now_ms) {
    for (size_t i = s->outs; i > 0; i--) { /* the newest grant of a range is the one that counts */
        const struct journal_out *x = &s->out[i - 1];
        bool restored;
        TRY(x->gone ? OK
                    : leases_restore(l, x->worker, x->incarnation, &x->lease, now_ms, &restored));
    }
    return OK;
}

static enum status take_answers(struct coord *c) {
    const struct journal_state *s = c->notes.left;
    for (uint32_t w = 0; w < s->life.workers; w++) {
        const struct journal_worker *was = &s->works[w];
        struct lease_answer *a = &c->answers[w];
        if (!was->answered || was->id == 0 || was->answer.shard >= c->ranges.count) {
            continue;
        }
        a->incarnation = was->incarnation;
        a->id = was->id;
        a->lease = was->answer;
        buf_clear(&a->bits);
        TRY(applied_bits(c->leases.done, a->lease.epoch, a->lease.shard, &a->bits));
    }
    return OK;
}

static enum status take_phase(struct coord *c, uint64_t now_ms) {
    const struct journal_state *s = c->notes.left;
    const struct journal_evaluation *e = &s->evaluation;
    switch (e->phase) {
    case JOURNAL_EVALUATING: keep_evaluation_begins(c); return evaluations_again(c, e->epoch);
    case JOURNAL_EVALUATED: return phase_after_evaluation(c, e->epoch, now_ms);
    default: c->phase = PHASE_TRAIN; return leases_train(&c->leases, s->epoch.epoch);
    }
}

static void say_taken_over(struct coord *c) {
    log_info("epoch %u, %llu batches done, %u leases out; term %llu", c->progress.epoch + 1,
             (unsigned long long)applied_count(c->leases.done), c->leases.out,
             (unsigned long long)c->notes.term);
    struct json *j = event_log_event(&c->event_log, "coordinator_restarted");
    json_u64(j, "term", c->notes.term);
    json_u64(j, "step", applied_count(c->leases.done));
    json_u64(j, "leases_out", c->leases.out);
    event_log_event_end(&c->event_log);
}

static void take_recovery(struct coord *c, uint64_t now_ms) {
    const struct journal_life *l = &c->notes.left->life;
    const struct journal_recovery *was = &l->recovery;
    struct recover *r = &c->recover;
    recover_init(r, l->job);
    r->life = (uint32_t)(l->job % WIRE_LIVES_MAX);
    r->servers_lost = was->servers_lost;
    r->rollbacks = was->rollbacks;
    r->fruitless = was->fruitless;
    r->lives = was->lives;
    r->batches_repeated = was->batches_repeated;
    r->from_step = was->from_step;
    r->to_step = was->to_step;
    r->hurry_ms = was->hurry_ms;
    r->seconds = was->seconds;
    r->from_ms = mono_of(was->from_s, now_ms);
    r->trains_ms = trains(c->notes.left) ? now_ms : 0;
    memcpy(r->cause, was->cause, sizeof r->cause);
    memcpy(r->first_cause, was->first_cause, sizeof r->first_cause);
    c->resumed_step = was->resumed_step;
    c->job = l->job;
}

/* Everything that follows from training having begun, perhaps in a life before. */
static enum status take_training(struct coord *c, uint64_t now_ms) {
    const struct journal_state *s = c->notes.left;
    take_counters(c, now_ms);
    take_clocks(c, now_ms);
    take_result(c);
    if (!trains(s)) {
        return OK;
    }
    if (s->ended_s > 0) {
        c->ended_ms = mono_of(s->ended_s, now_ms);
        c->last_epoch = true;
        c->stopped_early = !s->stopped && keep_patience_over(c);
        checkpoints_final(c);
    }
    TRY(take_phase(c, now_ms));
    if (c->phase == PHASE_TRAIN) {
        TRY(takeover_leases(&c->leases, s, now_ms));
        TRY(take_answers(c));
    }
    return OK;
}

enum status takeover_run(struct coord *c) {
    const struct journal_state *s = c->notes.left;
    const uint64_t now_ms = clock_mono_ms();
    c->notes.life = s->life;
    c->notes.begun_s = s->begun_s;
    c->stopped = s->stopped;
    take_recovery(c, now_ms);
    c->job_plan.rate_ctr = s->life.rate_ctr;
    c->job_plan.rate_cvr = s->life.rate_cvr;
    TRY(take_members(c, now_ms));
    TRY(take_checkpoints(c, now_ms));
    if (s->begun_s > 0) {
        TRY(take_training(c, now_ms));
    }
    say_taken_over(c);
    notes_forget(c);
    notes_renew(c);
    return OK;
}
