/* client.c - the ports of a trainer thread, and the care for unanswered requests.
 *
 * An answer is matched by partition and id. One that nobody waits for any more (a second answer, or
 * one to a transfer that was reset) is dropped. A request is sent again when its wait is over. Each
 * wait is twice as long as the one before, up to RESEND_FACTOR_MAX times request_ms, so that a
 * partition that is merely slow is not buried under repeats of work it has queued already.
 *
 * A partition counts as dead when nothing at all has come from it for twice give_up_ms while an
 * answer was due, and the request was repeated in that time: twice, because the coordinator, which
 * waits for give_up_ms, then rolls the job back, and nobody needs to fail. A trainer may compute
 * for long between two steps. So what has arrived is read first, and a repeat must have had its
 * time before a partition is blamed. A partition that answers, but never one particular request,
 * has stall_ms for that request. While its rows are being restored a partition says so (ERR_AGAIN):
 * that is an answer, and the time begins anew.
 */
#include "client.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/fault/fault.h"

#define RESEND_FACTOR_MAX 8
#define ATTEMPTS_MIN      3 /* no partition is blamed for a request sent less often */
#define GIVE_UP_FACTOR    2
#define SEND_AGAIN_MS     5 /* after a full queue */
#define NOT_READY_MS      500

struct client {
    struct client_spec spec;
    struct route route;
    struct port **ports;        /* [partitions] */
    bool *ready;                /* [partitions] scratch of port_poll */
    uint64_t *heard_ms;         /* [partitions] when it was last heard */
    struct transfer *transfers; /* owned */
    uint64_t last_id;
    uint64_t resent;
    struct port_message in;
    struct wire_msg out;
    struct buf keys; /* scratch: a packed keys frame */
    struct laps own; /* used if the caller gave none */
};

/* --- making ----------------------------------------------------------------------------------- */

void client_destroy(struct client **inout) {
    struct client *c = *inout;
    if (c == NULL) {
        return;
    }
    while (c->transfers != NULL) {
        struct transfer *x = c->transfers;
        c->transfers = x->next;
        transfer_fini(x);
        mem_free(&x);
    }
    for (uint32_t k = 0; c->ports != NULL && k < c->route.partitions; k++) {
        port_close(&c->ports[k]);
    }
    mem_free(&c->ports);
    mem_free(&c->ready);
    mem_free(&c->heard_ms);
    route_fini(&c->route);
    buf_fini(&c->keys);
    mem_free(inout);
}

static enum status client_init(struct client *c) {
    const struct client_spec *spec = &c->spec;
    c->route.config = spec->config;
    c->route.schema = spec->schema;
    c->route.layout = spec->layout;
    c->route.plan = spec->plan;
    TRY(route_init(&c->route));
    const uint32_t partitions = c->route.partitions;
    TRY(mem_array(&c->ports, partitions));
    TRY(mem_array(&c->ready, partitions));
    TRY(mem_array(&c->heard_ms, partitions));
    for (uint32_t k = 0; k < partitions; k++) {
        TRY(port_connect(&c->ports[k], spec->transport, spec->plan->endpoint[k],
                         spec->config->message_bytes_max));
    }
    return OK;
}

enum status client_create(struct client **c, const struct client_spec *spec) {
    *c = NULL;
    TRY(mem_new(c));
    (*c)->spec = *spec;
    if (spec->laps == NULL) {
        (*c)->spec.laps = &(*c)->own;
    }
    enum status status = client_init(*c);
    if (status != OK) {
        client_destroy(c);
    }
    return status;
}

enum status client_transfer(struct client *c, struct transfer **x) {
    *x = NULL;
    TRY(mem_new(x));
    enum status status = transfer_init(*x, &c->route);
    if (status != OK) {
        transfer_fini(*x);
        mem_free(x);
        return status;
    }
    (*x)->next = c->transfers;
    c->transfers = *x;
    return OK;
}

struct client_figures client_figures(const struct client *c) {
    struct client_figures f = {.resent = c->resent};
    for (uint32_t k = 0; k < c->route.partitions; k++) {
        f.sent_bytes += port_sent_bytes(c->ports[k]);
        f.received_bytes += port_received_bytes(c->ports[k]);
    }
    for (const struct transfer *x = c->transfers; x != NULL; x = x->next) {
        f.tickets_unknown += x->tickets_unknown;
    }
    return f;
}

/* --- sending ---------------------------------------------------------------------------------- */

static enum status send_ask(struct client *c, struct transfer *x, uint32_t k, uint64_t now_ms) {
    struct ask_sending *a = &x->ask[k].sending;
    const uint8_t *values;
    size_t bytes;
    TRY(transfer_message(x, k, &c->out, &c->keys, &values, &bytes));
    c->out.job = c->spec.job;
    c->out.id = a->id;
    enum status status =
        port_send(c->ports[k], NULL, 0, &c->out, c->keys.data, c->keys.len, values, bytes);
    a->attempts++;
    a->tried_ms = now_ms;
    a->queued = status == OK;
    a->sent_ms = status == OK ? now_ms : a->sent_ms;
    return status == ERR_AGAIN ? OK : status;
}

enum status client_send(struct client *c, struct transfer *x) {
    const uint64_t now_ms = clock_mono_ms();
    for (uint32_t k = 0; x->asks_waiting > 0 && k < c->route.partitions; k++) {
        struct ask *a = &x->ask[k];
        if (a->waiting && a->fresh) {
            a->fresh = false;
            a->sending = (struct ask_sending){.id = ++c->last_id,
                                              .first_ms = now_ms,
                                              .sent_ms = now_ms,
                                              .wait_ms = c->spec.config->request_ms};
            TRY(send_ask(c, x, k, now_ms));
        }
    }
    return OK;
}

/* --- receiving -------------------------------------------------------------------------------- */

static struct transfer *find_waiting(const struct client *c, uint32_t k, uint64_t id) {
    for (struct transfer *x = c->transfers; x != NULL; x = x->next) {
        const struct ask *a = &x->ask[k];
        if (x->asks_waiting > 0 && a->waiting && !a->fresh && a->sending.id == id) {
            return x;
        }
    }
    return NULL;
}

/* The partition is there, but has its rows not back yet. */
static bool is_not_ready(const struct wire_msg *m) {
    return m->type == WIRE_ERROR && m->u.error.status == ERR_AGAIN;
}

/* Waits as if the request had just been sent for the first time, but not as long. */
static void ask_anew(const struct client *c, struct ask_sending *a, uint64_t now_ms) {
    const uint32_t request_ms = c->spec.config->request_ms;
    a->first_ms = a->sent_ms = now_ms;
    a->wait_ms = request_ms < NOT_READY_MS ? request_ms : NOT_READY_MS;
    a->attempts = 1;
    a->queued = true;
}

static enum status receive_port(struct client *c, uint32_t k, bool *heard) {
    for (;;) {
        enum status status = port_receive(c->ports[k], &c->in, 0);
        if (status == ERR_TIMEOUT) {
            return OK;
        }
        TRY(status);
        if (c->in.msg.job != c->spec.job) {
            continue;
        }
        c->heard_ms[k] = clock_mono_ms();
        struct transfer *x = find_waiting(c, k, c->in.msg.id);
        if (x != NULL && is_not_ready(&c->in.msg)) {
            ask_anew(c, &x->ask[k].sending, c->heard_ms[k]);
        } else if (x != NULL) {
            *heard = true;
            FAULT("worker.answer.part");
            TRY(transfer_take(x, k, &c->in));
            TRY(client_send(c, x)); /* it may send again, with keys */
        }
    }
}

static enum status receive_ready(struct client *c, uint64_t timeout_ms, bool *heard) {
    const uint32_t partitions = c->route.partitions;
    TRY(port_poll(c->ports, partitions, c->ready, timeout_ms));
    lap(c->spec.laps, STAGE_WAIT);
    for (uint32_t k = 0; k < partitions; k++) {
        if (c->ready[k]) {
            TRY(receive_port(c, k, heard));
        }
    }
    lap(c->spec.laps, STAGE_RECEIVE);
    return OK;
}

/* --- what is due ------------------------------------------------------------------------------ */

/* The time when the request is sent again if no answer comes. */
static uint64_t due_ms_of(const struct ask_sending *a) {
    return a->queued ? a->sent_ms + a->wait_ms : a->tried_ms + SEND_AGAIN_MS;
}

static enum status send_again(struct client *c, struct transfer *x, uint32_t k, uint64_t now_ms) {
    struct ask_sending *a = &x->ask[k].sending;
    const uint64_t longest_ms = (uint64_t)c->spec.config->request_ms * RESEND_FACTOR_MAX;
    if (a->queued) {
        c->resent++;
        a->wait_ms = 2 * a->wait_ms < longest_ms ? 2 * a->wait_ms : longest_ms;
        log_debug("asking partition %u again", k);
        FAULT("worker.ask.again");
    }
    return send_ask(c, x, k, now_ms);
}

/* The time when the partition counts as dead if it stays silent. */
static uint64_t dead_at_ms(const struct client *c, const struct ask_sending *a, uint32_t k) {
    const struct config *config = c->spec.config;
    const uint64_t heard_ms = c->heard_ms[k];
    const uint64_t since_ms = heard_ms > a->first_ms ? heard_ms : a->first_ms;
    uint64_t grace_ms = config->give_up_ms - config->request_ms;
    grace_ms = grace_ms < config->request_ms ? grace_ms : config->request_ms;
    const uint64_t at_ms = since_ms + (uint64_t)GIVE_UP_FACTOR * config->give_up_ms;
    return at_ms > a->sent_ms + grace_ms ? at_ms : a->sent_ms + grace_ms;
}

static bool is_passed_over(const struct client *c, const struct ask_sending *a, uint64_t now_ms) {
    const struct config *config = c->spec.config;
    return a->attempts >= ATTEMPTS_MIN && now_ms >= a->first_ms + config->stall_ms &&
           now_ms >= a->sent_ms + config->request_ms;
}

/* OK, or the reason why no answer of the partition can be expected any more. */
static enum status check_alive(const struct client *c, const struct transfer *x, uint32_t k,
                               uint64_t now_ms) {
    const struct ask_sending *a = &x->ask[k].sending;
    const bool dead = a->attempts > 1 && now_ms >= dead_at_ms(c, a, k);
    if (!dead && !is_passed_over(c, a, now_ms)) {
        return OK;
    }
    const unsigned long long age_ms = now_ms - a->first_ms;
    char what[96];
    if (x->state == TRANSFER_PUSHING) {
        snprintf(what, sizeof what, "PUSH of epoch %u shard %u batch %u", x->name.epoch,
                 x->name.shard, x->name.batch);
    } else {
        snprintf(what, sizeof what, "PULL of %zu keys", x->wants_rows ? x->split.part[k].n : 0);
    }
    if (dead) {
        return fail(ERR_PEER,
                    "partition %u at %s has been silent for %llu ms; its answer to a %s was "
                    "awaited",
                    k, port_endpoint(c->ports[k]), age_ms, what);
    }
    return fail(ERR_PEER,
                "partition %u at %s answers others, but has not answered a %s that it was "
                "sent %u times in %llu ms",
                k, port_endpoint(c->ports[k]), what, a->attempts, age_ms);
}

/* Sends what is due. If something is due next before *due_ms, *due_ms becomes that time. */
static enum status look_after(struct client *c, struct transfer *x, uint64_t now_ms,
                              uint64_t *due_ms) {
    for (uint32_t k = 0; x->asks_waiting > 0 && k < c->route.partitions; k++) {
        const struct ask_sending *a = &x->ask[k].sending;
        if (!x->ask[k].waiting) {
            continue;
        }
        TRY(check_alive(c, x, k, now_ms));
        if (now_ms >= due_ms_of(a)) {
            TRY(send_again(c, x, k, now_ms));
        }
        const uint64_t dead_ms = dead_at_ms(c, a, k);
        uint64_t next_ms = due_ms_of(a);
        next_ms = a->attempts > 1 && dead_ms < next_ms ? dead_ms : next_ms;
        *due_ms = next_ms < *due_ms ? next_ms : *due_ms;
    }
    return OK;
}

enum status client_step(struct client *c, uint64_t timeout_ms) {
    bool heard = false;
    bool waiting = false;
    for (struct transfer *x = c->transfers; x != NULL; x = x->next) {
        TRY(client_send(c, x));
    }
    TRY(receive_ready(c, 0, &heard));
    uint64_t now_ms = clock_mono_ms();
    uint64_t due_ms = now_ms + timeout_ms;
    for (struct transfer *x = c->transfers; x != NULL; x = x->next) {
        TRY(look_after(c, x, now_ms, &due_ms));
        waiting = waiting || x->asks_waiting > 0;
    }
    if (heard || !waiting || due_ms <= now_ms) {
        return OK;
    }
    return receive_ready(c, due_ms - now_ms, &heard);
}
