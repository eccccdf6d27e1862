#include "journal_state.h"

#include <stdio.h>

#include "common/base/mem.h"

static void processes_free(struct journal_process **list, uint32_t count) {
    for (uint32_t i = 0; *list != NULL && i < count; i++) {
        buf_fini(&(*list)[i].endpoints);
    }
    mem_free(list);
}

void journal_state_fini(struct journal_state *s) {
    processes_free(&s->server, s->life.servers);
    processes_free(&s->worker, s->life.workers);
    mem_free(&s->works);
    mem_free(&s->back);
    mem_free(&s->out);
    buf_fini(&s->done);
    buf_fini(&s->result);
    *s = (struct journal_state){0};
}

static enum status state_error(const char *what) {
    return fail(ERR_CORRUPT, "a record that does not fit to those before it: %s", what);
}

/* --- members ---------------------------------------------------------------------------------- */

static enum status take_life(struct journal_state *s, const struct journal_life *l) {
    if (l->servers == 0 || l->servers > JOURNAL_SERVERS_MAX || l->workers == 0 ||
        l->workers > JOURNAL_WORKERS_MAX) {
        return state_error("a number of servers or workers that cannot be");
    }
    journal_state_fini(s);
    s->life = *l;
    TRY(mem_array(&s->server, l->servers));
    TRY(mem_array(&s->worker, l->workers));
    return mem_array(&s->works, l->workers);
}

static enum status put_bytes(struct buf *to, const struct journal_bytes *from) {
    buf_clear(to);
    return buf_put(to, from->data, from->bytes);
}

static void free_outs(struct journal_state *s, uint32_t worker) {
    for (size_t i = 0; i < s->outs; i++) {
        if (s->out[i].worker == worker && !s->out[i].gone) {
            s->out[i].gone = true;
            s->gone++;
        }
    }
}

static enum status take_member(struct journal_state *s, const struct journal_member *m) {
    const bool server = m->role == ROLE_SERVER;
    const uint32_t count = server ? s->life.servers : s->life.workers;
    if ((!server && m->role != ROLE_WORKER) || m->index >= count) {
        return state_error("a member that the job has not");
    }
    struct journal_process *p = server ? &s->server[m->index] : &s->worker[m->index];
    if (!server) {
        s->gone_progress = m->gone;
    }
    if (!server && p->incarnation != m->incarnation) {
        free_outs(s, m->index);
        s->works[m->index].counters = (struct journal_counters){0};
    }
    p->known = true;
    p->incarnation = m->incarnation;
    p->pid = m->pid;
    p->rejoins = m->rejoins;
    memcpy(p->host, m->host, sizeof p->host);
    return server ? put_bytes(&p->endpoints, &m->endpoints) : OK;
}

/* --- leases ----------------------------------------------------------------------------------- */

static enum status take_back(struct journal_state *s, const struct journal_back *b) {
    TRY(mem_room(&s->back, &s->backs_cap, s->backs + 1));
    s->back[s->backs++] = *b;
    return OK;
}

/* Marks the lease with that fence, if it is out, as gone. */
static void out_gone(struct journal_state *s, uint64_t fence) {
    size_t low = 0, high = s->outs;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (s->out[middle].lease.fence < fence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < s->outs && s->out[low].lease.fence == fence && !s->out[low].gone) {
        s->out[low].gone = true;
        s->gone++;
    }
}

/* Drops those that are gone if they are the most. */
static void drop_gone(struct journal_state *s) {
    if (s->gone < 64 || 2 * s->gone < s->outs) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < s->outs; i++) {
        if (!s->out[i].gone) {
            s->out[kept++] = s->out[i];
        }
    }
    s->outs = kept;
    s->gone = 0;
}

static enum status take_grant(struct journal_state *s, const struct journal_ask *a) {
    if (s->outs > 0 && a->lease.fence <= s->out[s->outs - 1].lease.fence) {
        return state_error("a fence that is not larger than the one before");
    }
    if (a->lease.kind == LEASE_TRAIN) {
        drop_gone(s);
        TRY(mem_room(&s->out, &s->outs_cap, s->outs + 1));
        s->out[s->outs++] = (struct journal_out){a->worker, a->incarnation, a->lease, false};
    }
    struct journal_worker *w = &s->works[a->worker];
    w->answered = true;
    w->incarnation = a->incarnation;
    w->id = a->id;
    w->answer = a->lease;
    return OK;
}

static enum status take_ask(struct journal_state *s, const struct journal_ask *a) {
    if (a->worker >= s->life.workers) {
        return state_error("a question of a worker that the job has not");
    }
    if (a->returns) {
        out_gone(s, a->back_fence);
        TRY(take_back(s, &a->back));
    }
    return a->grants ? take_grant(s, a) : OK;
}

/* --- the rest --------------------------------------------------------------------------------- */

static enum status take_done(struct journal_state *s, const struct journal_bytes *b) {
    s->backs = 0;
    return put_bytes(&s->done, b);
}

/* Nothing is out between two epochs, and in an evaluation. */
static void none_out(struct journal_state *s) {
    s->outs = s->gone = 0;
}

static void take_epoch(struct journal_state *s, const struct journal_epoch *e) {
    none_out(s);
    s->has_epoch = true;
    s->epoch = *e;
    s->cut.last_shards = e->last_shards;
    s->evaluation.phase = JOURNAL_TRAINING;
}

static void take_evaluation(struct journal_state *s, const struct journal_evaluation *e) {
    if (e->phase == JOURNAL_EVALUATING) {
        none_out(s);
    }
    s->evaluation = *e;
}

static enum status take_counters(struct journal_state *s, const struct journal_counters *k) {
    if (k->worker >= s->life.workers) {
        return state_error("counters of a worker that the job has not");
    }
    s->works[k->worker].counters = *k;
    return OK;
}

static enum status take_term(struct journal_state *s, uint64_t term) {
    if (term <= s->term) {
        return state_error("a term that is not larger than the one before");
    }
    s->term = term;
    s->whole = true;
    return OK;
}

enum status journal_state_apply(struct journal_state *s, const struct journal_record *r) {
    if (r->kind != JOURNAL_LIFE && s->life.servers == 0) {
        return state_error("no life has begun");
    }
    switch (r->kind) {
    case JOURNAL_LIFE: return take_life(s, &r->u.life);
    case JOURNAL_TERM: return take_term(s, r->u.term.term);
    case JOURNAL_MEMBER: return take_member(s, &r->u.member);
    case JOURNAL_DONE: return take_done(s, &r->u.bytes);
    case JOURNAL_BACK: return take_back(s, &r->u.back);
    case JOURNAL_BEGUN: s->begun_s = r->u.wall_s; return OK;
    case JOURNAL_EPOCH: take_epoch(s, &r->u.epoch); return OK;
    case JOURNAL_ASK: return take_ask(s, &r->u.ask);
    case JOURNAL_FREED: free_outs(s, r->u.worker); return OK;
    case JOURNAL_EVALUATION: take_evaluation(s, &r->u.evaluation); return OK;
    case JOURNAL_RESULT: return put_bytes(&s->result, &r->u.bytes);
    case JOURNAL_CUT: s->cut = r->u.cut; return OK;
    case JOURNAL_COUNTERS: return take_counters(s, &r->u.counters);
    case JOURNAL_ENDED: s->ended_s = r->u.wall_s; return OK;
    case JOURNAL_STOPPED: s->stopped = true; return OK;
    default: return state_error("its kind is unknown");
    }
}

enum status journal_state_read(struct journal_state *s, const char *name, const void *data,
                               size_t bytes, size_t *torn) {
    struct journal_scan scan;
    struct journal_record r;
    bool got = true;
    *torn = 0;
    TRY(journal_scan_open(&scan, name, data, bytes));
    for (;;) {
        const size_t at = scan.at;
        TRY(journal_scan_next(&scan, &r, &got));
        if (!got) {
            break;
        }
        const enum status status = journal_state_apply(s, &r);
        if (status != OK) {
            return fail(status, "%s: offset %zu: %s", name, at, fail_text());
        }
    }
    *torn = bytes - scan.at;
    return s->whole
               ? OK
               : fail(ERR_CORRUPT, "%s: offset %zu: ends before the state is whole", name, scan.at);
}
