/* requests.c - one message in, one answer out.
 *
 * Every request may come twice, because its answer was lost or late. So every request is
 * idempotent: a hello or heartbeat by nature, a return by its fence, scores by their shard, a part
 * by its cut, a clock by its number. Only a lease question grants something: if it is repeated, it
 * gets its old answer again.
 *
 * Only current incarnations are served. A process that has been replaced is told so and ends.
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/fault/fault.h"
#include "common/net/scores.h"
#include "state.h"

static void send_to(struct coord *c, const void *peer, size_t peer_bytes, uint64_t id,
                    struct wire_msg *msg, const struct buf *keys) {
    msg->job = msg->job == 0 ? c->job : msg->job;
    msg->id = id;
    enum status status = port_send(c->port, peer, peer_bytes, msg, keys == NULL ? NULL : keys->data,
                                   keys == NULL ? 0 : keys->len, NULL, 0);
    if (status != OK && status != ERR_AGAIN) { /* a full queue: the peer will ask again */
        log_limited(&c->limited[LIMITED_SEND], LOG_WARN, "%s could not be sent: %s",
                    wire_type_name(msg->type), fail_text());
    }
}

static void requests_reply(struct coord *c, const struct port_message *m, struct wire_msg *msg,
                           const struct buf *keys) {
    send_to(c, m->peer, m->peer_bytes, m->msg.id, msg, keys);
}

static void reply_error(struct coord *c, const struct port_message *m, enum wire_type type,
                        enum status status, const char *text) {
    struct wire_msg msg = {.type = type};
    msg.u.error.status = status;
    snprintf(msg.u.error.text, sizeof msg.u.error.text, "%.511s", text);
    requests_reply(c, m, &msg, NULL);
}

static void reply_stranger(struct coord *c, const struct port_message *m) {
    reply_error(c, m, WIRE_ERROR, ERR_PEER,
                "this process is not, or no longer, part of the job: another took its place, or "
                "it never said hello");
}

/* --- hello ------------------------------------------------------------------------------------ */

void lost_leases(struct coord *c, const char *who, uint64_t now_ms) {
    if (!c->config->deterministic || c->leases.kind != LEASE_TRAIN) {
        return;
    }
    char cause[WIRE_TEXT_MAX];
    snprintf(cause, sizeof cause,
             "%.200s was lost in the middle of its work, and a batch that is half applied cannot "
             "be repeated exactly",
             who);
    rollback_want(c, cause, now_ms);
}

void drop_worker(struct coord *c, const struct member *worker, bool died, uint64_t now_ms) {
    const uint32_t released =
        died ? leases_died(&c->leases, worker->index) : leases_release(&c->leases, worker->index);
    staleness_leave(&c->staleness, worker->index);
    if (released == 0) {
        return;
    }
    notes_freed(c, worker->index);
    char who[256];
    member_describe(worker, who, sizeof who);
    log_limited(&c->limited[LIMITED_LOST], LOG_WARN, "%s: %u of its leases are pending again", who,
                released);
    lost_leases(c, who, now_ms);
}

/* The checkpoint that whoever joins now restores; "": none. */
static const char *restores(const struct coord *c) {
    return c->phase == PHASE_GATHER ? c->resume_dir : c->checkpoints.newest;
}

static void requests_welcome(struct coord *c, const struct port_message *m, uint32_t index,
                             bool ready) {
    struct wire_msg msg = {.type = WIRE_WELCOME};
    struct wire_welcome *w = &msg.u.welcome;
    FAULT("coord.welcome.send");
    w->job = c->job;
    w->ready = ready;
    w->partitions = c->job_plan.partitions;
    w->servers = c->members.servers;
    w->workers = c->members.awaited;
    w->resume = restores(c)[0] != '\0';
    snprintf(w->resume_dir, sizeof w->resume_dir, "%.511s", restores(c));
    w->index = index;
    requests_reply(c, m, &msg, ready ? &c->plan_bytes : NULL);
}

/* Answers a hello after the end; true: it was refused. A process that belongs to the job but was
 * not admitted yet is still admitted: the answer to its first heartbeat then tells it that the job
 * has ended well. Everybody else is refused. */
static bool refuse_late(struct coord *c, const struct port_message *m,
                        const struct wire_hello *hello, uint64_t now_ms) {
    struct member *member =
        membership_heard(&c->members, hello->role, hello->index, hello->incarnation, now_ms);
    const bool ready = hello->role == ROLE_SERVER || membership_servers_serving(&c->members);
    if (member != NULL && !member->rejoins && !c->failed && c->plan_bytes.len > 0 && ready) {
        return false;
    }
    if (member != NULL) {
        member->told_stop = true;
    }
    if (c->failed) {
        reply_error(c, m, WIRE_REFUSE, ERR_PEER, c->cause);
    } else {
        reply_error(c, m, WIRE_REFUSE, ERR_CLOSED, "the job has ended already");
    }
    return true;
}

/* Another process has taken the place of this server, and does not have its rows. */
static void server_replaced(struct coord *c, const struct member *old, uint64_t now_ms) {
    const struct member *s = &c->members.server[old->index];
    char why[256];
    snprintf(why, sizeof why, "is gone: a new process (host %s, pid %u) takes its place", s->host,
             s->pid);
    rollback_server_lost(c, old, why, now_ms);
}

/* Whether a new process under the index of a server has logs that lead from the newest checkpoint
 * to what the one before had, at the same endpoints. */
static bool brings_log(const struct coord *c, const struct wire_hello *h) {
    const struct member *s = &c->members.server[h->index];
    const uint64_t base = wire_base(c->checkpoints.newest_cut, restores(c));
    bool has = false;
    uint32_t first, count;
    for (uint32_t i = 0; i < h->log_bases; i++) {
        has = has || h->log_base[i] == base;
    }
    if (!has || h->log_job != c->job || c->recover.wanted || c->plan_bytes.len == 0) {
        return false;
    }
    membership_partition_range(&c->members, h->index, &first, &count);
    for (uint32_t k = 0; k < count; k++) {
        if (first + k >= c->job_plan.partitions ||
            strcmp(s->endpoint[k], c->job_plan.endpoint[first + k]) != 0) {
            return false;
        }
    }
    return true;
}

static void server_comes_back(struct coord *c, const struct member *old) {
    const struct member *s = &c->members.server[old->index];
    char who[160];
    member_describe(old, who, sizeof who);
    log_warn(
        "%s is gone: a new process (host %s, pid %u) goes on with its push log; nobody goes back",
        who, s->host, s->pid);
    c->recover.servers_back++;
    struct json *j = event_log_event(&c->event_log, "server_back");
    json_u64(j, "server", s->index);
    event_log_event_end(&c->event_log);
}

/* A member that is welcome is new, or says hello again after a rollback. */
static void hello_taken(struct coord *c, const struct wire_hello *hello, const struct member *old,
                        bool fresh, uint64_t now_ms) {
    FAULT("coord.hello.fresh");
    if (fresh) {
        log_limited(&c->limited[LIMITED_JOINED], LOG_INFO, "%s %u: host %s, pid %u, %u threads",
                    hello->role == ROLE_SERVER ? "server" : "worker", hello->index, hello->host,
                    hello->pid, hello->threads);
    }
    if (fresh && hello->role == ROLE_WORKER) {
        drop_worker(c, &c->members.worker[hello->index], true, now_ms);
    } else if (fresh && (old->state == MEMBER_PRESENT || old->state == MEMBER_SERVING)) {
        if (brings_log(c, hello)) {
            server_comes_back(c, old);
        } else {
            server_replaced(c, old, now_ms);
        }
    } else if (hello->role == ROLE_WORKER && old->rejoins) {
        progress_worker_rejoins(&c->progress, hello->index, hello->incarnation);
    }
}

/* The hello, with a place for a worker that named none. */
static struct wire_hello placed_hello(const struct coord *c, const struct port_message *m) {
    struct wire_hello hello = m->msg.u.hello;
    if (hello.role == ROLE_WORKER && hello.index == WIRE_INDEX_ANY) {
        hello.index = membership_place(&c->members, hello.incarnation);
    }
    return hello;
}

static enum status on_hello(struct coord *c, const struct port_message *m, uint64_t now_ms) {
    const struct wire_hello placed = placed_hello(c, m), *hello = &placed;
    struct member *const member = membership_find(&c->members, hello->role, hello->index);
    const struct member old = member == NULL ? (struct member){0} : *member; /* before the hello */
    char why[WIRE_TEXT_MAX];
    bool fresh = false;
    if (c->phase == PHASE_STOP && refuse_late(c, m, hello, now_ms)) {
        return OK;
    }
    enum hello_verdict verdict =
        membership_hello(&c->members, hello, m->keys, m->keys_bytes, now_ms, &fresh, why);
    if (verdict == HELLO_REFUSE) {
        log_limited(&c->limited[LIMITED_HELLO], LOG_WARN, "refused: %s", why);
        reply_error(c, m, WIRE_REFUSE, ERR_CONFIG, why);
        return OK;
    }
    if (verdict == HELLO_WAIT) {
        requests_welcome(c, m, hello->index, false);
        return OK;
    }
    hello_taken(c, hello, &old, fresh, now_ms);
    if (c->recover.wanted) { /* this life is over, and the next one will tell */
        requests_welcome(c, m, hello->index, false);
        return OK;
    }
    if (fresh || old.rejoins) {
        notes_member(c, member);
    }
    if (c->plan_bytes.len == 0 && membership_servers_known(&c->members)) {
        TRY(setup_plan(c));
    }
    bool ready = hello->role == ROLE_SERVER ? c->plan_bytes.len > 0
                                            : membership_servers_serving(&c->members);
    requests_welcome(c, m, hello->index, ready && notes_synced(c));
    return OK;
}

/* --- heartbeats ------------------------------------------------------------------------------- */

/* A server that came back must have all that the one before had acknowledged. */
static void check_version(struct coord *c, struct member *s, uint64_t version, uint64_t now_ms) {
    if (version < s->version) {
        char why[256];
        snprintf(why, sizeof why, "has %llu batches, but had %llu before it came back",
                 (unsigned long long)version, (unsigned long long)s->version);
        rollback_server_lost(c, s, why, now_ms);
    }
    s->version = version;
}

static void server_beat(struct coord *c, const struct port_message *m,
                        const struct wire_heartbeat *beat, uint64_t now_ms) {
    uint64_t rows[FIELDS_MAX];
    bool have = m->values_bytes == c->progress.fields * sizeof *rows;
    if (beat->reading) {
        return; /* it has no figures yet */
    }
    for (uint32_t f = 0; have && f < c->progress.fields; f++) {
        rows[f] = load_u64((const uint8_t *)m->values + f * sizeof *rows);
    }
    check_version(c, &c->members.server[beat->index], beat->version, now_ms);
    checkpoints_log(c, beat->log_bytes, now_ms);
    progress_server_beat(&c->progress, beat->index, beat, have ? rows : NULL);
    progress_server_use(&c->progress, beat->index, beat->incarnation, &beat->usage);
}

static enum status worker_beat(struct coord *c, const struct port_message *m,
                               const struct wire_heartbeat *beat, uint64_t now_ms) {
    leases_renew(&c->leases, beat->index, beat->incarnation, now_ms);
    progress_worker_beat(&c->progress, beat->index, beat->incarnation, &beat->progress, now_ms);
    progress_worker_use(&c->progress, beat->index, beat->incarnation, &beat->usage);
    if (m->values_bytes == 0) {
        return OK;
    }
    struct metric_bins *bins = NULL;
    TRY(mem_array(&bins, 2));
    if (wire_bins_unpack(m->values, m->values_bytes, &bins[0], &bins[1]) == OK) {
        progress_worker_bins(&c->progress, beat->index, &bins[0], &bins[1]);
    } else {
        log_limited(&c->limited[LIMITED_BINS], LOG_WARN, "worker %u: %s", beat->index, fail_text());
    }
    mem_free(&bins);
    return OK;
}

static void requests_order(struct coord *c, const struct member *member, struct wire_command *out) {
    uint32_t first, count;
    out->term = c->notes.term;
    if (c->phase == PHASE_STOP) {
        FAULT("coord.order.stop");
        out->order = ORDER_STOP;
        out->failed = c->failed;
        snprintf(out->text, sizeof out->text, "%s", c->cause);
        return;
    }
    if (member->role != ROLE_SERVER) {
        return;
    }
    out->committed = c->checkpoints.newest_cut;
    if (member->leaving && member->leaves_after > 0 && !c->stopped &&
        !c->checkpoints.final_wanted && c->checkpoints.saved >= member->leaves_after) {
        out->order = ORDER_LEAVE;
        return;
    }
    if (!c->checkpoints.cut.busy) {
        return;
    }
    membership_partition_range(&c->members, member->index, &first, &count);
    if (cut_wants(&c->checkpoints.cut, first, count)) {
        FAULT("coord.order.cut");
        out->order = ORDER_CUT;
        out->cut = c->checkpoints.cut.number;
        out->cut_id = c->checkpoints.cut.id;
        out->committed = c->checkpoints.cut.committed;
        out->delta = c->checkpoints.cut.delta;
        snprintf(out->dir, sizeof out->dir, "%s", c->checkpoints.cut.dir);
    }
}

static enum status on_heartbeat(struct coord *c, const struct port_message *m, uint64_t now_ms) {
    const struct wire_heartbeat *beat = &m->msg.u.heartbeat;
    struct member *member =
        membership_heard(&c->members, beat->role, beat->index, beat->incarnation, now_ms);
    if (member == NULL) {
        reply_stranger(c, m);
        return OK;
    }
    membership_beat(member, beat);
    memcpy(member->peer, m->peer, m->peer_bytes);
    member->peer_bytes = m->peer_bytes;
    member->said_last = member->told_stop;
    if (member->role == ROLE_SERVER) {
        FAULT("coord.beat.server");
        server_beat(c, m, beat, now_ms);
        TRY(beat->reading && beat->text[0] != '\0' ? rollback_damaged(c, member, beat->text, now_ms)
                                                   : OK);
    } else {
        FAULT("coord.beat.worker");
        TRY(worker_beat(c, m, beat, now_ms));
    }
    struct wire_msg msg = {.type = WIRE_COMMAND};
    requests_order(c, member, &msg.u.command);
    member->told_stop = msg.u.command.order == ORDER_STOP;
    requests_reply(c, m, &msg, NULL);
    return OK;
}

/* --- leases and clocks ------------------------------------------------------------------------ */

/* Notes a question of worker `index` as a sign of life and renews the leases of the worker. */
static bool heard_worker(struct coord *c, uint32_t index, uint64_t incarnation, uint64_t now_ms) {
    if (membership_heard(&c->members, ROLE_WORKER, index, incarnation, now_ms) == NULL) {
        return false;
    }
    leases_renew(&c->leases, index, incarnation, now_ms);
    return true;
}

static enum status requests_remember(struct lease_answer *a, const struct wire_lease_ask *ask,
                                     uint64_t id, const struct wire_lease *lease,
                                     const struct buf *bits) {
    a->incarnation = ask->incarnation;
    a->id = id;
    a->lease = *lease;
    buf_clear(&a->bits);
    return buf_put(&a->bits, bits->data, bits->len);
}

static void say_lease(const struct coord *c, const struct wire_lease *lease, uint32_t worker) {
    if (lease->kind == LEASE_TRAIN || lease->kind == LEASE_EVAL) {
        log_debug("epoch %u %s %u (%s, batches below %u, fence %llu) to worker %u", lease->epoch,
                  leases_unit(&c->leases), lease->shard,
                  lease->kind == LEASE_TRAIN ? "training" : "evaluation", lease->batch_limit,
                  (unsigned long long)lease->fence, worker);
    }
}

/* Whether the worker waits for others before an evaluation, and notes since when. */
static void note_wait(struct coord *c, uint32_t worker, bool waits, uint64_t now_ms) {
    uint64_t *idle_ms = &c->answers[worker].idle_ms;
    *idle_ms = !waits ? 0 : *idle_ms > 0 ? *idle_ms : now_ms;
}

/* What follows from the answer to a question. */
static void lease_granted(struct coord *c, const struct wire_lease *lease, uint32_t worker,
                          uint64_t now_ms) {
    const bool idle = leases_idle(&c->leases, worker);
    say_lease(c, lease, worker);
    note_wait(c, worker, idle && evaluations_hold(c), now_ms);
    if (lease->kind == LEASE_TRAIN) {
        evaluations_resume_clock(c, now_ms);
    }
    if (lease->kind == LEASE_TRAIN || lease->kind == LEASE_EVAL) {
        membership_busy(&c->members.worker[worker], now_ms);
    }
    if (idle) {
        staleness_rest(&c->staleness, worker);
    }
}

static enum status on_lease_ask(struct coord *c, const struct port_message *m, uint64_t now_ms) {
    const struct wire_lease_ask *ask = &m->msg.u.lease_ask;
    if (!heard_worker(c, ask->index, ask->incarnation, now_ms)) {
        reply_stranger(c, m);
        return OK;
    }
    struct lease_answer *a = &c->answers[ask->index];
    if (a->id != m->msg.id || a->incarnation != ask->incarnation) {
        struct wire_lease lease;
        const uint32_t before = c->leases.back;
        if (ask->returns) {
            FAULT("coord.lease.return");
            TRY(leases_return(&c->leases, ask, now_ms));
            FAULT("coord.lease.returned");
        }
        const bool back = c->leases.back > before;
        bool hold = c->members.worker[ask->index].leaving || checkpoints_holds(c) ||
                    evaluations_hold(c) || notes_hold(c) || c->phase == PHASE_GATHER ||
                    c->phase == PHASE_STOP || (c->stopped && c->phase == PHASE_TRAIN);
        TRY(leases_ask(&c->leases, ask->index, ask->incarnation, hold, now_ms, &lease,
                       &c->scratch));
        TRY(requests_remember(a, ask, m->msg.id, &lease, &c->scratch));
        notes_ask(c, ask, m->msg.id, back, &lease);
        lease_granted(c, &lease, ask->index, now_ms);
        FAULT("coord.lease.grant");
    }
    struct wire_msg msg = {.type = WIRE_LEASE};
    msg.u.lease = a->lease;
    requests_reply(c, m, &msg, &a->bits);
    FAULT("coord.lease.answered");
    return OK;
}

static enum status on_clock_ask(struct coord *c, const struct port_message *m, uint64_t now_ms) {
    const struct wire_clock *ask = &m->msg.u.clock;
    struct staleness_address address = {.peer_bytes = m->peer_bytes, .id = m->msg.id};
    if (!heard_worker(c, ask->index, ask->incarnation, now_ms)) {
        reply_stranger(c, m);
        return OK;
    }
    FAULT("coord.clock.ask");
    memcpy(address.peer, m->peer, m->peer_bytes);
    enum status status =
        staleness_ask(&c->staleness, ask->index, ask->trainer, ask->clock, &address, now_ms);
    if (status == ERR_PROTOCOL || status == ERR_LIMIT) {
        reply_error(c, m, WIRE_ERROR, status, fail_text());
        return OK;
    }
    return status;
}

void requests_answer_clocks(struct coord *c, uint64_t now_ms) {
    struct staleness_answer due;
    uint64_t dropped = c->staleness.dropped;
    while (staleness_next(&c->staleness, now_ms, &due)) {
        struct wire_msg msg = {.type = WIRE_CLOCK};
        FAULT("coord.clock.answer");
        msg.u.clock.index = due.worker;
        msg.u.clock.trainer = due.trainer;
        msg.u.clock.incarnation = c->members.worker[due.worker].incarnation;
        msg.u.clock.clock = due.clock;
        send_to(c, due.address.peer, due.address.peer_bytes, due.address.id, &msg, NULL);
    }
    if (c->staleness.dropped > dropped) {
        log_limited(&c->limited[LIMITED_CLOCKS], LOG_WARN,
                    "a trainer that others waited for said "
                    "nothing for %llu ms and was passed over",
                    (unsigned long long)c->staleness.patience_ms);
    }
}

/* --- results ---------------------------------------------------------------------------------- */

static enum status on_scores(struct coord *c, const struct port_message *m) {
    const struct wire_scores *s = &m->msg.u.scores;
    bool complete = false;
    if (c->phase == PHASE_SCORE) {
        enum status status = eval_job_take(&c->eval_job, s, m->values, m->values_bytes, &complete);
        if (status != OK) {
            log_limited(&c->limited[LIMITED_SCORES], LOG_WARN, "refused: %s", fail_text());
            reply_error(c, m, WIRE_ERROR, status, fail_text());
            return OK;
        }
    }
    if (complete) {
        FAULT("coord.scores.whole");
        leases_complete(&c->leases, s->shard);
        if (eval_job_unseen(&c->eval_job, c->data.schema.count, m->keys, m->keys_bytes) != OK) {
            log_limited(&c->limited[LIMITED_SCORES], LOG_WARN, "%s", fail_text());
        }
    }
    struct wire_msg msg = {.type = WIRE_ACK};
    requests_reply(c, m, &msg, NULL);
    return OK;
}

static void on_part_done(struct coord *c, const struct port_message *m) {
    const struct wire_part_done *d = &m->msg.u.part_done;
    FAULT("coord.part.take");
    cut_part(&c->checkpoints.cut, d, m->keys, m->keys_bytes, c->ranges.batches, c->ranges.count);
    struct wire_msg msg = {.type = WIRE_ACK};
    requests_reply(c, m, &msg, NULL);
}

/* --- another life ---------------------------------------------------------------------------- */

/* The member that sent the frame. *named: it says who it is. */
static struct member *former_member(struct coord *c, const struct wire_msg *m, bool *named,
                                    uint64_t now_ms) {
    enum wire_role role = ROLE_WORKER;
    uint32_t index = 0;
    uint64_t incarnation = 0;
    *named = true;
    switch (m->type) {
    case WIRE_HEARTBEAT:
        role = m->u.heartbeat.role;
        index = m->u.heartbeat.index;
        incarnation = m->u.heartbeat.incarnation;
        break;
    case WIRE_LEASE_ASK:
        index = m->u.lease_ask.index;
        incarnation = m->u.lease_ask.incarnation;
        break;
    case WIRE_CLOCK_ASK:
        index = m->u.clock.index;
        incarnation = m->u.clock.incarnation;
        break;
    default: *named = false; return NULL;
    }
    return membership_heard(&c->members, role, index, incarnation, now_ms);
}

static void order_rejoin(const struct coord *c, struct wire_command *out) {
    out->order = ORDER_REJOIN;
    snprintf(out->text, sizeof out->text, "%s", c->recover.cause);
}

void requests_tell_rejoin(struct coord *c, uint64_t job) {
    for (uint32_t i = 0; i < c->members.servers + c->members.workers; i++) {
        const struct member *x = i < c->members.servers
                                     ? &c->members.server[i]
                                     : &c->members.worker[i - c->members.servers];
        if (x->rejoins && x->peer_bytes > 0) {
            struct wire_msg msg = {.type = WIRE_COMMAND, .job = job};
            order_rejoin(c, &msg.u.command);
            send_to(c, x->peer, x->peer_bytes, 0, &msg, NULL);
        }
    }
}

/* A frame of a former life: its sender has not heard of the rollback yet. What it says is void,
 * except that it lives, or fails. */
static void answer_former(struct coord *c, const struct port_message *m, uint64_t now_ms) {
    bool named;
    struct member *member = former_member(c, &m->msg, &named, now_ms);
    struct wire_msg msg = {.type = WIRE_COMMAND, .job = m->msg.job};
    if (named && member == NULL) {
        reply_stranger(c, m);
        return;
    }
    if (m->msg.type == WIRE_HEARTBEAT && m->msg.u.heartbeat.failing) {
        membership_beat(member, &m->msg.u.heartbeat);
    }
    if (c->phase == PHASE_STOP) {
        requests_order(c, member, &msg.u.command);
        if (member != NULL) {
            member->told_stop = true;
        }
    } else {
        order_rejoin(c, &msg.u.command);
    }
    requests_reply(c, m, &msg, NULL);
}

enum status requests_answer(struct coord *c, const struct port_message *m, uint64_t now_ms) {
    if (m->msg.type == WIRE_HELLO) {
        return on_hello(c, m, now_ms);
    }
    if (m->msg.job != c->job && wire_same_run(m->msg.job, c->job)) {
        answer_former(c, m, now_ms);
        return OK;
    }
    if (m->msg.job != c->job) {
        reply_error(c, m, WIRE_ERROR, ERR_PEER, "this coordinator runs another job");
        return OK;
    }
    switch (m->msg.type) {
    case WIRE_HEARTBEAT: return on_heartbeat(c, m, now_ms);
    case WIRE_LEASE_ASK: return on_lease_ask(c, m, now_ms);
    case WIRE_CLOCK_ASK: return on_clock_ask(c, m, now_ms);
    case WIRE_SCORES: return on_scores(c, m);
    case WIRE_PART_DONE: on_part_done(c, m); return OK;
    default:
        reply_error(c, m, WIRE_ERROR, ERR_PROTOCOL, "not a question for a coordinator");
        return OK;
    }
}
