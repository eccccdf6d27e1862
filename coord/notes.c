/* notes.c - what the coordinator writes into its journal, and when (coord/journal/journal.h).
 *
 * Everything that a coordinator which takes the job over must know is written before anybody is
 * told of it. A process that is killed loses none of it. With the machine the end of the file may
 * be lost; journal_state.h says why that does no harm, with one exception: a member that the
 * journal does not know would be turned away. So members are synced, twice a turn at most, and
 * nobody is admitted before (notes_synced).
 *
 * The journal is written anew when a checkpoint was committed, and when it has grown: then it holds
 * the state as it is, not how it came to be. So its size is bounded by the job's.
 *
 * Times of the journal are those of the wall clock, because the other one ends with the machine.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "state.h"

#define RETRY_MS 10000u

/* --- writing ---------------------------------------------------------------------------------- */

static void journal_failed(struct coord *c) {
    if (c->notes.retry_ms == 0) {
        log_warn("the journal cannot be written, and will be tried again: %s; should the "
                 "coordinator die before, it goes on from what the journal says",
                 fail_text());
    }
    c->notes.retry_ms = clock_mono_ms() + RETRY_MS;
}

static void note(struct coord *c, const struct journal_record *r, bool must) {
    if (journal_append(&c->notes.journal, r, must) != OK) {
        journal_failed(c);
    }
}

/* The wall clock's time of a time of the other clock; 0 stays 0. */
static double wall_of(uint64_t ms) {
    const double ago = ((double)clock_mono_ms() - (double)ms) / 1000.0;
    return ms == 0 ? 0 : clock_wall_s() - ago;
}

/* --- the records ------------------------------------------------------------------------------ */

/* endpoints: holds those of the record. */
static enum status member_record(const struct coord *c, const struct member *m,
                                 struct buf *endpoints, struct journal_record *out) {
    struct journal_member *r = &out->u.member;
    *out = (struct journal_record){.kind = JOURNAL_MEMBER};
    *r = (struct journal_member){
        .role = m->role, .index = m->index, .pid = m->pid, .incarnation = m->incarnation};
    memcpy(r->host, m->host, sizeof r->host);
    r->rejoins = m->rejoins;
    progress_gone(&c->progress, &r->gone);
    buf_clear(endpoints);
    for (uint32_t k = 0; k < m->endpoints; k++) {
        TRY(buf_put(endpoints, m->endpoint[k], strlen(m->endpoint[k]) + 1));
    }
    r->endpoints = (struct journal_bytes){endpoints->data, endpoints->len};
    return OK;
}

static enum journal_phase phase_of(const struct coord *c) {
    return c->phase == PHASE_SCORE || c->phase == PHASE_COMPUTE ? JOURNAL_EVALUATING
           : c->phase == PHASE_SAVE || c->phase == PHASE_STOP   ? JOURNAL_EVALUATED
                                                                : JOURNAL_TRAINING;
}

static struct journal_record evaluation_record(const struct coord *c, enum journal_phase phase) {
    const struct evaluations *e = &c->evaluations;
    struct journal_record r = {.kind = JOURNAL_EVALUATION};
    r.u.evaluation = (struct journal_evaluation){
        .phase = phase,
        .epoch = phase == JOURNAL_TRAINING ? c->progress.epoch : c->eval_job.epoch,
        .within = e->within,
        .next = e->next,
        .before = e->before,
        .owed = e->owed,
        .still_s = e->still_s,
        .spent_s = e->spent_s,
        .from_s = wall_of(e->from_ms),
        .began_s = wall_of(e->began_ms)};
    return r;
}

static struct journal_record epoch_record(const struct coord *c) {
    struct journal_record r = {.kind = JOURNAL_EPOCH};
    r.u.epoch = (struct journal_epoch){.epoch = c->progress.epoch,
                                       .last_shards = c->checkpoints.last_shards,
                                       .totals = c->progress.epoch_start};
    return r;
}

static struct journal_record cut_record(const struct coord *c) {
    const struct checkpoints *s = &c->checkpoints;
    struct journal_record r = {.kind = JOURNAL_CUT};
    r.u.cut = (struct journal_cut){.number = s->cut.number,
                                   .final_begun = s->final_begun,
                                   .final_done = s->final_done,
                                   .last_s = wall_of(s->last_ms),
                                   .last_impressions = s->last_impressions,
                                   .last_shards = s->last_shards,
                                   .count = s->count};
    return r;
}

static struct journal_record counters_record(const struct coord *c, uint32_t worker) {
    const struct progress_worker *w = &c->progress.worker[worker];
    struct journal_record r = {.kind = JOURNAL_COUNTERS};
    r.u.counters = (struct journal_counters){worker, w->incarnation, w->last};
    return r;
}

static struct journal_record grant_record(const struct coord *c, const struct lease *x) {
    const struct lease_answer *a = &c->answers[x->worker];
    const bool answered = a->incarnation == x->incarnation && a->lease.kind == LEASE_TRAIN &&
                          a->lease.fence == x->fence;
    struct journal_record r = {.kind = JOURNAL_ASK};
    r.u.ask = (struct journal_ask){.worker = x->worker,
                                   .incarnation = x->incarnation,
                                   .id = answered ? a->id : 0,
                                   .grants = true,
                                   .lease = {.kind = LEASE_TRAIN,
                                             .epoch = c->leases.epoch,
                                             .shard = x->shard,
                                             .fence = x->fence,
                                             .batch_limit = x->limit,
                                             .ahead = answered ? a->lease.ahead : 0}};
    return r;
}

static struct journal_record result_record(const struct coord *c, struct notes_result *out) {
    struct journal_record r = {.kind = JOURNAL_RESULT};
    memset(out, 0, sizeof *out);
    memcpy(out->evaluation, c->evaluation, sizeof out->evaluation);
    out->count = c->evaluations_made;
    out->epoch = c->evaluation_epoch;
    out->unseen = c->unseen;
    out->keep = c->keep;
    r.u.bytes = (struct journal_bytes){(const uint8_t *)out, sizeof *out};
    return r;
}

/* --- a whole journal -------------------------------------------------------------------------- */

static enum status collect(struct coord *c, const struct journal_record *r) {
    return journal_collect(&c->notes.journal, r);
}

static enum status collect_members(struct coord *c, const struct member *members, uint32_t count) {
    struct buf endpoints = BUF_EMPTY;
    enum status status = OK;
    for (uint32_t i = 0; i < count && status == OK; i++) {
        if (members[i].state == MEMBER_ABSENT) {
            continue;
        }
        struct journal_record r;
        status = member_record(c, &members[i], &endpoints, &r);
        if (status == OK) {
            status = collect(c, &r);
        }
    }
    buf_fini(&endpoints);
    return status;
}

static enum status collect_done(struct coord *c) {
    struct buf names = BUF_EMPTY;
    enum status status = applied_encode(c->leases.done, &names);
    if (status == OK) {
        const struct journal_record r = {.kind = JOURNAL_DONE, .u.bytes = {names.data, names.len}};
        status = collect(c, &r);
    }
    buf_fini(&names);
    return status;
}

static enum status collect_counters(struct coord *c) {
    for (uint32_t w = 0; w < c->members.workers; w++) {
        const struct journal_record r = counters_record(c, w);
        TRY(r.u.counters.incarnation != 0 ? collect(c, &r) : OK);
    }
    return OK;
}

/* Whether the lease is all of its range, which is no suspect (lease.h). Of others nothing is noted:
 * whoever takes the job over grants such a range again, from what is done. */
static bool plain(const struct lease *x) {
    return x->only == LEASE_NONE && x->deaths == 0;
}

static int by_fence(const void *a, const void *b) {
    const struct lease *x = *(const struct lease *const *)a, *y = *(const struct lease *const *)b;
    return x->fence < y->fence ? -1 : x->fence > y->fence;
}

/* The leases that are out, in the order of their fences. */
static enum status collect_leases(struct coord *c) {
    const struct leases *l = &c->leases;
    const struct lease **out = NULL;
    uint32_t count = 0;
    enum status status = OK;
    if (l->kind != LEASE_TRAIN || l->out == 0) {
        return OK;
    }
    TRY(mem_array(&out, l->out));
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->lease[i].state == LEASE_OUT && plain(&l->lease[i])) {
            out[count++] = &l->lease[i];
        }
    }
    qsort(out, count, sizeof(const struct lease *), by_fence);
    for (uint32_t i = 0; i < count && status == OK; i++) {
        const struct journal_record r = grant_record(c, out[i]);
        status = collect(c, &r);
    }
    mem_free(&out);
    return status;
}

static enum status collect_training(struct coord *c) {
    const struct journal_record begun = {.kind = JOURNAL_BEGUN, .u.wall_s = c->notes.begun_s};
    const struct journal_record ended = {.kind = JOURNAL_ENDED, .u.wall_s = wall_of(c->ended_ms)};
    const struct journal_record stopped = {.kind = JOURNAL_STOPPED};
    const struct journal_record evaluation = evaluation_record(c, phase_of(c));
    const struct journal_record epoch = epoch_record(c), cut = cut_record(c);
    struct notes_result result;
    TRY(c->notes.begun_s > 0 ? collect(c, &begun) : OK);
    TRY(c->phase != PHASE_GATHER ? collect(c, &epoch) : OK);
    TRY(collect_counters(c));
    TRY(collect_leases(c));
    TRY(collect(c, &evaluation));
    if (c->evaluated) {
        const struct journal_record r = result_record(c, &result);
        TRY(collect(c, &r));
    }
    TRY(collect(c, &cut));
    TRY(c->ended_ms > 0 ? collect(c, &ended) : OK);
    return c->stopped ? collect(c, &stopped) : OK;
}

static void fill_recovery(struct coord *c) {
    const struct recover *r = &c->recover;
    struct journal_recovery *out = &c->notes.life.recovery;
    *out = (struct journal_recovery){.servers_lost = r->servers_lost,
                                     .rollbacks = r->rollbacks,
                                     .fruitless = r->fruitless,
                                     .lives = r->lives,
                                     .batches_repeated = r->batches_repeated,
                                     .from_step = r->from_step,
                                     .to_step = r->to_step,
                                     .hurry_ms = r->hurry_ms,
                                     .resumed_step = c->resumed_step,
                                     .seconds = r->seconds,
                                     .from_s = wall_of(r->from_ms),
                                     .life_start = c->progress.life_start};
    memcpy(out->cause, r->cause, sizeof out->cause);
    memcpy(out->first_cause, r->first_cause, sizeof out->first_cause);
}

static enum status write_whole(struct coord *c) {
    char path[PATH_BYTES_MAX];
    fill_recovery(c);
    const struct journal_record life = {.kind = JOURNAL_LIFE, .u.life = c->notes.life};
    const struct journal_record term = {.kind = JOURNAL_TERM, .u.term = {c->notes.term}};
    TRY(path_join(path, c->out_dir, "journal"));
    TRY(journal_begin(&c->notes.journal));
    TRY(collect(c, &life));
    TRY(collect_members(c, c->members.server, c->members.servers));
    TRY(collect_members(c, c->members.worker, c->members.workers));
    TRY(collect_done(c));
    TRY(collect_training(c));
    TRY(collect(c, &term));
    return journal_publish(&c->notes.journal, path);
}

void notes_renew(struct coord *c) {
    if (write_whole(c) != OK) {
        journal_failed(c);
        return;
    }
    c->notes.written_term = c->notes.term;
    if (c->notes.retry_ms != 0) {
        c->notes.retry_ms = 0;
        log_info("the journal is written again");
    }
}

bool notes_hold(const struct coord *c) {
    return c->notes.term > 1 && c->notes.written_term != c->notes.term;
}

enum status notes_plan(const struct coord *c, uint64_t *hash) {
    struct buf text = BUF_EMPTY;
    const enum status status = config_text(c->config, &text);
    const bool stream = c->options->stream; /* its ranges grow */
    const uint64_t words[] = {
        hash_bytes(text.data, text.len),
        c->data_checksum,
        stream,
        stream ? 0 : c->ranges.count,
        stream ? 0 : hash_bytes(c->ranges.batches, c->ranges.count * sizeof *c->ranges.batches),
        c->has_eval ? c->eval.impressions : 0};
    *hash = hash_bytes(words, sizeof words);
    buf_fini(&text);
    return status;
}

void notes_begin(struct coord *c) {
    struct journal_life *l = &c->notes.life;
    *l = (struct journal_life){.job = c->job,
                               .servers = c->members.servers,
                               .workers = c->members.workers,
                               .resume_bytes = c->resume_bytes,
                               .restored_step = c->restored_step,
                               .restored_impressions = c->restored_impressions,
                               .restored_epoch = c->restored_epoch,
                               .rate_ctr = c->job_plan.rate_ctr,
                               .rate_cvr = c->job_plan.rate_cvr};
    snprintf(l->launch, sizeof l->launch, "%s", launch_of(c));
    snprintf(l->listen, sizeof l->listen, "%s", c->options->listen);
    snprintf(l->bound, sizeof l->bound, "%s", port_endpoint(c->port));
    snprintf(l->build, sizeof l->build, "%s", ESMM_VERSION);
    snprintf(l->resume_dir, sizeof l->resume_dir, "%.511s", c->resume_dir);
    if (notes_plan(c, &l->plan) != OK) {
        journal_failed(c);
        return;
    }
    notes_renew(c);
}

/* --- what happens ----------------------------------------------------------------------------- */

void notes_member(struct coord *c, const struct member *member) {
    struct journal_record r;
    struct buf endpoints = BUF_EMPTY;
    if (member->role == ROLE_WORKER) { /* the counters of its predecessor are complete */
        progress_worker_new(&c->progress, member->index, member->incarnation);
    }
    if (member_record(c, member, &endpoints, &r) == OK) {
        note(c, &r, true);
    } else {
        journal_failed(c);
    }
    buf_fini(&endpoints);
}

static void notes_sync(struct coord *c) {
    if (journal_sync(&c->notes.journal) != OK) {
        journal_failed(c);
    }
}

bool notes_synced(struct coord *c) {
    if (!c->notes.synced) { /* ten thousand may join within a turn */
        c->notes.synced = true;
        notes_sync(c);
    }
    return !c->notes.journal.must;
}

/* A second lease is not noted either: its fence is the holder's. */
static bool notes_grant(const struct leases *l, const struct wire_lease_ask *ask,
                        const struct wire_lease *lease) {
    if (lease->kind != LEASE_TRAIN) {
        return false;
    }
    const struct lease *x = &l->lease[l->place[lease->shard]];
    return plain(x) && x->worker == ask->index && x->incarnation == ask->incarnation;
}

void notes_ask(struct coord *c, const struct wire_lease_ask *ask, uint64_t id, bool back,
               const struct wire_lease *lease) {
    const struct leases *l = &c->leases;
    const struct lease *x = back ? &l->lease[l->place[ask->shard]] : NULL;
    struct journal_record r = {.kind = JOURNAL_ASK};
    struct journal_ask *a = &r.u.ask;
    *a = (struct journal_ask){.worker = ask->index,
                              .incarnation = ask->incarnation,
                              .id = id,
                              .returns = back && plain(x),
                              .back_fence = ask->fence,
                              .grants = notes_grant(l, ask, lease),
                              .lease = *lease};
    if (a->returns) {
        a->back = (struct journal_back){ask->epoch, ask->shard, x->limit};
    }
    if (a->returns || a->grants) {
        note(c, &r, false);
    }
}

void notes_freed(struct coord *c, uint32_t worker) {
    const struct journal_record r = {.kind = JOURNAL_FREED, .u.worker = worker};
    note(c, &r, false);
}

void notes_begun(struct coord *c) {
    c->notes.begun_s = c->notes.begun_s > 0 ? c->notes.begun_s : clock_wall_s();
    const struct journal_record r = {.kind = JOURNAL_BEGUN, .u.wall_s = c->notes.begun_s};
    note(c, &r, false);
    notes_cut(c); /* whose clock begins too */
}

void notes_epoch(struct coord *c) {
    const struct journal_record r = epoch_record(c);
    note(c, &r, false);
}

void notes_evaluation(struct coord *c, bool ended) {
    struct notes_result result;
    const enum journal_phase phase = ended ? JOURNAL_EVALUATED : phase_of(c);
    const struct journal_record r = evaluation_record(c, phase);
    if (ended) {
        const struct journal_record figures = result_record(c, &result);
        note(c, &figures, false);
    }
    note(c, &r, false);
}

void notes_cut(struct coord *c) {
    const struct journal_record r = cut_record(c);
    note(c, &r, false);
}

void notes_ended(struct coord *c) {
    const struct journal_record r = {.kind = JOURNAL_ENDED, .u.wall_s = wall_of(c->ended_ms)};
    note(c, &r, false);
}

void notes_stopped(struct coord *c) {
    const struct journal_record r = {.kind = JOURNAL_STOPPED};
    note(c, &r, false);
}

void notes_step(struct coord *c, uint64_t now_ms) {
    struct notes *n = &c->notes;
    if ((n->retry_ms != 0 && now_ms >= n->retry_ms) || journal_large(&n->journal)) {
        notes_renew(c);
    } else {
        notes_sync(c);
    }
    n->synced = false;
}

void notes_forget(struct coord *c) {
    if (c->notes.left != NULL) {
        journal_state_fini(c->notes.left);
        mem_free(&c->notes.left);
    }
}

void notes_fini(struct coord *c) {
    journal_close(&c->notes.journal);
    notes_forget(c);
}

void notes_end(struct coord *c) {
    char path[PATH_BYTES_MAX];
    journal_close(&c->notes.journal);
    c->notes.retry_ms = UINT64_MAX;
    if (c->notes.life.servers == 0) { /* none was begun */
        return;
    }
    if (path_join(path, c->out_dir, "journal") != OK || file_remove_tree(path) != OK) {
        log_warn("the journal of the ended job stays: %s", fail_text());
    }
}
