#include "journal_record.h"

#include <stdio.h>

#include "common/base/hash.h"

#define MARK 0x4345524au /* "JREC" */
#define KIND 0x4c4e524au /* "JRNL" */
static const char MAGIC[8] = {'E', 'S', 'M', 'M', 'P', 'S', '\r', '\n'};

/* --- bodies ----------------------------------------------------------------------------------- */

/* Goes through the fields of a body in one order for both directions: it writes them if `out` is
 * set, else reads them from `in`. */
struct coder {
    struct buf *out;
    struct cursor in;
    enum status status; /* of writing */
};

static void code_u64(struct coder *c, uint64_t *v) {
    if (c->out == NULL) {
        *v = cursor_varint(&c->in);
    } else if (c->status == OK) {
        c->status = buf_put_varint(c->out, *v);
    }
}

/* Reads a number that is at most `most`. */
static uint64_t code_below(struct coder *c, uint64_t v, uint64_t most) {
    code_u64(c, &v);
    if (v > most) {
        c->in.bad = true;
        v = 0;
    }
    return v;
}

static void code_u32(struct coder *c, uint32_t *v) {
    *v = (uint32_t)code_below(c, *v, UINT32_MAX);
}

static void code_bool(struct coder *c, bool *v) {
    *v = code_below(c, *v, 1) != 0;
}

/* Eight bytes, for numbers that use all of their bits. */
static void code_fixed(struct coder *c, uint64_t *v) {
    if (c->out == NULL) {
        *v = cursor_u64(&c->in);
    } else if (c->status == OK) {
        c->status = buf_put_u64(c->out, *v);
    }
}

static void code_f64(struct coder *c, double *v) {
    uint64_t bits;
    memcpy(&bits, v, sizeof bits);
    code_fixed(c, &bits);
    memcpy(v, &bits, sizeof bits);
}

static void code_bytes(struct coder *c, struct journal_bytes *b) {
    b->bytes = (size_t)code_below(c, b->bytes, JOURNAL_BODY_MAX);
    if (c->out == NULL) {
        b->data = cursor_take(&c->in, b->bytes);
        b->bytes = b->data == NULL ? 0 : b->bytes;
    } else if (c->status == OK) {
        c->status = buf_put(c->out, b->data, b->bytes);
    }
}

static void code_text(struct coder *c, char *text, size_t cap) {
    struct journal_bytes b = {(const uint8_t *)text, c->out == NULL ? 0 : strnlen(text, cap - 1)};
    code_bytes(c, &b);
    if (c->out != NULL) {
        return;
    }
    if (b.bytes >= cap || (b.bytes > 0 && memchr(b.data, 0, b.bytes) != NULL)) {
        c->in.bad = true;
        b.bytes = 0;
    }
    memset(text, 0, cap);
    if (b.bytes > 0) {
        memcpy(text, b.data, b.bytes);
    }
}
#define code_array(c, text) code_text(c, text, sizeof(text))

static void code_progress(struct coder *c, struct wire_progress *p) {
    code_u64(c, &p->impressions);
    code_u64(c, &p->batches);
    code_f64(c, &p->loss_sum);
    code_f64(c, &p->loss_ctr_sum);
    code_f64(c, &p->loss_ctcvr_sum);
    code_u64(c, &p->resent);
    code_u64(c, &p->duplicates);
    code_u64(c, &p->dropped_values);
    code_u64(c, &p->tickets_unknown);
    code_u64(c, &p->staleness_sum);
    code_u64(c, &p->staleness_max);
    code_u64(c, &p->dense_staleness_sum);
    code_u64(c, &p->dense_staleness_max);
    code_u64(c, &p->finished);
    code_u64(c, &p->fenced);
}

static void code_recovery(struct coder *c, struct journal_recovery *r) {
    code_u32(c, &r->servers_lost);
    code_u32(c, &r->rollbacks);
    code_u32(c, &r->fruitless);
    code_u32(c, &r->lives);
    code_u64(c, &r->batches_repeated);
    code_u64(c, &r->from_step);
    code_u64(c, &r->to_step);
    code_u64(c, &r->hurry_ms);
    code_u64(c, &r->resumed_step);
    code_f64(c, &r->seconds);
    code_f64(c, &r->from_s);
    code_array(c, r->cause);
    code_array(c, r->first_cause);
    code_progress(c, &r->life_start);
}

static void code_life(struct coder *c, struct journal_life *l) {
    code_fixed(c, &l->job);
    code_array(c, l->launch);
    code_array(c, l->listen);
    code_array(c, l->bound);
    code_array(c, l->build);
    code_u32(c, &l->servers);
    code_u32(c, &l->workers);
    code_fixed(c, &l->plan);
    code_array(c, l->resume_dir);
    code_u64(c, &l->resume_bytes);
    code_u64(c, &l->restored_step);
    code_u64(c, &l->restored_impressions);
    code_u32(c, &l->restored_epoch);
    code_f64(c, &l->rate_ctr);
    code_f64(c, &l->rate_cvr);
    code_recovery(c, &l->recovery);
}

static void code_member(struct coder *c, struct journal_member *m) {
    m->role = (enum wire_role)code_below(c, (uint64_t)m->role, ROLE_WORKER);
    code_u32(c, &m->index);
    code_u32(c, &m->pid);
    code_fixed(c, &m->incarnation);
    code_array(c, m->host);
    code_bool(c, &m->rejoins);
    if (m->role == ROLE_SERVER) {
        code_bytes(c, &m->endpoints);
    } else {
        code_progress(c, &m->gone);
    }
}

static void code_back(struct coder *c, struct journal_back *b) {
    code_u32(c, &b->epoch);
    code_u32(c, &b->range);
    code_u32(c, &b->limit);
}

static void code_ask(struct coder *c, struct journal_ask *a) {
    code_u32(c, &a->worker);
    code_fixed(c, &a->incarnation);
    code_u64(c, &a->id);
    code_bool(c, &a->returns);
    if (a->returns) {
        code_back(c, &a->back);
        code_u64(c, &a->back_fence);
    }
    code_bool(c, &a->grants);
    if (a->grants) {
        a->lease.kind = (enum lease_kind)code_below(c, (uint64_t)a->lease.kind, LEASE_FINISHED);
        code_u32(c, &a->lease.epoch);
        code_u32(c, &a->lease.shard);
        code_u64(c, &a->lease.fence);
        code_u32(c, &a->lease.batch_limit);
        code_u32(c, &a->lease.ahead);
    }
}

static void code_evaluation(struct coder *c, struct journal_evaluation *e) {
    e->phase = (enum journal_phase)code_below(c, (uint64_t)e->phase, JOURNAL_EVALUATED);
    code_u32(c, &e->epoch);
    code_bool(c, &e->within);
    code_u64(c, &e->next);
    code_u64(c, &e->before);
    code_u32(c, &e->owed);
    code_f64(c, &e->still_s);
    code_f64(c, &e->spent_s);
    code_f64(c, &e->from_s);
    code_f64(c, &e->began_s);
}

static void code_cut(struct coder *c, struct journal_cut *k) {
    code_u64(c, &k->number);
    code_bool(c, &k->final_begun);
    code_bool(c, &k->final_done);
    code_f64(c, &k->last_s);
    code_u64(c, &k->last_impressions);
    code_u64(c, &k->last_shards);
    code_u64(c, &k->count);
}

static void code_epoch(struct coder *c, struct journal_epoch *e) {
    code_u32(c, &e->epoch);
    code_u64(c, &e->last_shards);
    code_progress(c, &e->totals);
}

static void code_counters(struct coder *c, struct journal_counters *k) {
    code_u32(c, &k->worker);
    code_fixed(c, &k->incarnation);
    code_progress(c, &k->progress);
}

static void code_body(struct coder *c, struct journal_record *r) {
    switch (r->kind) {
    case JOURNAL_LIFE: code_life(c, &r->u.life); break;
    case JOURNAL_TERM: code_u64(c, &r->u.term.term); break;
    case JOURNAL_MEMBER: code_member(c, &r->u.member); break;
    case JOURNAL_DONE:
    case JOURNAL_RESULT: code_bytes(c, &r->u.bytes); break;
    case JOURNAL_BACK: code_back(c, &r->u.back); break;
    case JOURNAL_BEGUN:
    case JOURNAL_ENDED: code_f64(c, &r->u.wall_s); break;
    case JOURNAL_EPOCH: code_epoch(c, &r->u.epoch); break;
    case JOURNAL_ASK: code_ask(c, &r->u.ask); break;
    case JOURNAL_FREED: code_u32(c, &r->u.worker); break;
    case JOURNAL_EVALUATION: code_evaluation(c, &r->u.evaluation); break;
    case JOURNAL_CUT: code_cut(c, &r->u.cut); break;
    case JOURNAL_COUNTERS: code_counters(c, &r->u.counters); break;
    case JOURNAL_STOPPED: break;
    default: c->in.bad = true;
    }
}

/* --- records ---------------------------------------------------------------------------------- */

enum status journal_head_put(struct buf *out) {
    TRY(buf_put(out, MAGIC, sizeof MAGIC));
    TRY(buf_put_u32(out, JOURNAL_VERSION));
    return buf_put_u32(out, KIND);
}

enum status journal_record_put(struct buf *out, const struct journal_record *r, uint64_t offset,
                               uint64_t synced) {
    const size_t begin = out->len;
    uint8_t header[JOURNAL_RECORD_BYTES] = {0};
    struct journal_record copy = *r; /* the fields are only read */
    struct coder c = {.out = out};
    TRY(buf_put(out, header, sizeof header));
    code_body(&c, &copy);
    TRY(c.status);
    const size_t body = out->len - begin - sizeof header;
    if (body > JOURNAL_BODY_MAX) {
        return fail(ERR_LIMIT, "a record of %zu bytes, at most %u are possible", body,
                    JOURNAL_BODY_MAX);
    }
    uint8_t *at = out->data + begin;
    store_u32(at + 8, MARK);
    store_u32(at + 12, (uint32_t)body);
    store_u32(at + 16, (uint32_t)r->kind);
    store_u64(at + 24, offset);
    store_u64(at + 32, synced);
    store_u64(at, hash_bytes(at + 8, JOURNAL_RECORD_BYTES - 8 + body));
    return OK;
}

/* --- reading ---------------------------------------------------------------------------------- */

enum status journal_scan_open(struct journal_scan *s, const char *name, const void *data,
                              size_t bytes) {
    *s = (struct journal_scan){.name = name, .data = data, .bytes = bytes};
    struct cursor c = cursor_of(data, bytes);
    const uint8_t *magic = cursor_take(&c, sizeof MAGIC);
    const uint32_t version = cursor_u32(&c), kind = cursor_u32(&c);
    if (c.bad || memcmp(magic, MAGIC, sizeof MAGIC) != 0 || kind != KIND) {
        return fail(ERR_CORRUPT, "%s: offset 0: not a coordinator's journal", name);
    }
    if (version != JOURNAL_VERSION) {
        return fail(ERR_CORRUPT, "%s: a journal of version %u, this program reads version %u", name,
                    version, JOURNAL_VERSION);
    }
    s->at = JOURNAL_HEAD_BYTES;
    return OK;
}

/* Whether a whole record is at `at`; *body: the bytes of its body. */
static bool record_at(const struct journal_scan *s, size_t at, size_t *body) {
    const uint8_t *p = s->data + at;
    if (s->bytes - at < JOURNAL_RECORD_BYTES || load_u32(p + 8) != MARK || load_u64(p + 24) != at) {
        return false;
    }
    *body = load_u32(p + 12);
    return *body <= s->bytes - at - JOURNAL_RECORD_BYTES &&
           load_u64(p) == hash_bytes(p + 8, JOURNAL_RECORD_BYTES - 8 + *body);
}

/* Whether a later record says that what lies at s->at was on disk. */
static bool was_synced(const struct journal_scan *s) {
    size_t body;
    for (size_t at = s->at + 1; at + JOURNAL_RECORD_BYTES <= s->bytes; at++) {
        if (record_at(s, at, &body) && load_u64(s->data + at + 32) > s->at) {
            return true;
        }
    }
    return false;
}

enum status journal_scan_next(struct journal_scan *s, struct journal_record *r, bool *got) {
    size_t body = 0;
    *got = false;
    if (s->torn || s->at == s->bytes) {
        return OK;
    }
    if (!record_at(s, s->at, &body)) {
        s->torn = !was_synced(s);
        return s->torn ? OK
                       : fail(ERR_CORRUPT,
                              "%s: offset %zu: a damaged record, and what follows was written "
                              "after it was on disk",
                              s->name, s->at);
    }
    struct coder c = {.in = cursor_of(s->data + s->at + JOURNAL_RECORD_BYTES, body)};
    memset(r, 0, sizeof *r);
    r->kind = (enum journal_kind)load_u32(s->data + s->at + 16);
    code_body(&c, r);
    if (c.in.bad || cursor_left(&c.in) > 0) {
        return fail(ERR_CORRUPT, "%s: offset %zu: a record of kind %u that makes no sense", s->name,
                    s->at, (unsigned)r->kind);
    }
    s->at += JOURNAL_RECORD_BYTES + body;
    *got = true;
    return OK;
}
