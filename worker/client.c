/* client.c - a trainer thread's ports, and the care for requests that are out.
 *
 * An answer is matched by partition and id; one that nobody waits for any more (a second answer, a
 * transfer that was reset) is dropped. A request is sent again when its wait is over, and each wait
 * is twice as long as the one before, up to RESEND_FACTOR_MAX times request_ms: a partition that is
 * merely slow is not buried under repeats of work it has queued already.
 *
 * A partition is called dead when nothing at all has come from it for give_up_ms while an answer
 * was due, and it was asked again in between. A trainer may compute for long between two steps; so
 * what has arrived is read first, and a repeat must have had its time before anybody is blamed. A
 * partition that answers, but never one request, is given stall_ms for that.
 */
#include "client.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "transfer.h"

#define RESEND_FACTOR_MAX 8
#define ATTEMPTS_MIN      3 /* nobody is blamed for one request who was asked less often */

/* --- making ----------------------------------------------------------------------------------- */

void client_destroy(struct client **inout) {
    struct client *c = *inout;
    if (c == NULL) {
        return;
    }
    for (uint32_t k = 0; c->ports != NULL && k < c->partitions; k++) {
        port_close(&c->ports[k]);
    }
    mem_free(&c->ports);
    mem_free(&c->ready);
    mem_free(&c->heard_ms);
    mem_free(&c->dense_begin);
    buf_fini(&c->keys);
    mem_free(inout);
}

static void cut_buckets(struct client *c) {
    uint64_t partitions = c->partitions;
    for (uint64_t k = 0; k < partitions; k++) {
        uint64_t end = BUCKETS * (k + 1) / partitions;
        for (uint64_t b = BUCKETS * k / partitions; b < end; b++) {
            c->home_of[b] = (uint16_t)k;
        }
        c->dense_begin[k] = layout_slice(c->spec.layout, (uint32_t)(BUCKETS * k / partitions));
    }
    c->dense_begin[partitions] = c->spec.layout->count;
}

static enum status client_init(struct client *c) {
    const struct job_plan *plan = c->spec.plan;
    c->partitions = plan->partitions;
    c->fields = c->spec.schema->count;
    if (c->partitions == 0 || c->partitions > WIRE_PARTITIONS_MAX || c->partitions > BUCKETS) {
        return fail(ERR_PROTOCOL, "the job has %u partitions, expected 1 to %u", c->partitions,
                    WIRE_PARTITIONS_MAX);
    }
    TRY(mem_array(&c->ports, c->partitions));
    TRY(mem_array(&c->ready, c->partitions));
    TRY(mem_array(&c->heard_ms, c->partitions));
    TRY(mem_array(&c->dense_begin, (size_t)c->partitions + 1));
    cut_buckets(c);
    for (uint32_t k = 0; k < c->partitions; k++) {
        TRY(port_connect(&c->ports[k], c->spec.transport, plan->endpoint[k],
                         c->spec.config->message_bytes_max));
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

void client_bytes(const struct client *c, uint64_t *sent, uint64_t *received) {
    *sent = *received = 0;
    for (uint32_t k = 0; k < c->partitions; k++) {
        *sent += port_sent_bytes(c->ports[k]);
        *received += port_received_bytes(c->ports[k]);
    }
}

uint64_t client_resent(const struct client *c) {
    return c->resent;
}

uint64_t client_tickets_unknown(const struct client *c) {
    return c->tickets_unknown;
}

/* --- receiving -------------------------------------------------------------------------------- */

static struct transfer *find_waiting(const struct client *c, uint32_t k, uint64_t id) {
    for (struct transfer *x = c->transfers; x != NULL; x = x->next) {
        if (x->asks_waiting > 0 && x->ask[k].waiting && x->ask[k].id == id) {
            return x;
        }
    }
    return NULL;
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
        if (x != NULL) {
            *heard = true;
            TRY(transfer_take(x, k, &c->in));
        }
    }
}

static enum status receive(struct client *c, uint64_t timeout_ms, bool *heard) {
    TRY(port_poll(c->ports, c->partitions, c->ready, timeout_ms));
    lap(c->spec.laps, STAGE_WAIT);
    for (uint32_t k = 0; k < c->partitions; k++) {
        if (c->ready[k]) {
            TRY(receive_port(c, k, heard));
        }
    }
    lap(c->spec.laps, STAGE_RECEIVE);
    return OK;
}

/* --- what is due ------------------------------------------------------------------------------ */

static enum status resend(struct transfer *x, uint32_t k, uint64_t now_ms) {
    struct ask *a = &x->ask[k];
    uint64_t longest_ms = (uint64_t)x->client->spec.config->request_ms * RESEND_FACTOR_MAX;
    if (a->queued) {
        x->client->resent++;
        a->wait_ms = 2 * a->wait_ms < longest_ms ? 2 * a->wait_ms : longest_ms;
        log_debug("asking partition %u again", k);
    }
    return transfer_send(x, k, now_ms);
}

/* When the partition counts as dead, should it stay silent. */
static uint64_t dead_at_ms(const struct transfer *x, uint32_t k) {
    const struct ask *a = &x->ask[k];
    const struct config *config = x->client->spec.config;
    uint64_t heard_ms = x->client->heard_ms[k];
    uint64_t since_ms = heard_ms > a->first_ms ? heard_ms : a->first_ms;
    uint64_t grace_ms = config->give_up_ms - config->request_ms;
    grace_ms = grace_ms < config->request_ms ? grace_ms : config->request_ms;
    uint64_t at_ms = since_ms + config->give_up_ms;
    return at_ms > a->sent_ms + grace_ms ? at_ms : a->sent_ms + grace_ms;
}

static void describe(const struct transfer *x, uint32_t k, char *what, size_t bytes) {
    if (x->state == TRANSFER_PUSHING) {
        snprintf(what, bytes, "PUSH of epoch %u shard %u batch %u", x->name.epoch, x->name.shard,
                 x->name.batch);
    } else {
        snprintf(what, bytes, "PULL of %zu keys", x->wants_rows ? x->ask[k].n : 0);
    }
}

static enum status is_dead(const struct transfer *x, uint32_t k, uint64_t now_ms) {
    const struct client *c = x->client;
    char what[96];
    describe(x, k, what, sizeof what);
    return fail(ERR_PEER,
                "partition %u at %s has been silent for %llu ms; its answer to a %s was "
                "awaited",
                k, port_endpoint(c->ports[k]), (unsigned long long)(now_ms - x->ask[k].first_ms),
                what);
}

/* One request is passed over while the partition answers others. */
static enum status is_ignored(const struct transfer *x, uint32_t k, uint64_t now_ms) {
    const struct ask *a = &x->ask[k];
    char what[96];
    describe(x, k, what, sizeof what);
    return fail(ERR_PEER,
                "partition %u at %s answers others, but has not answered a %s that it was "
                "sent %u times in %llu ms",
                k, port_endpoint(x->client->ports[k]), what, a->attempts,
                (unsigned long long)(now_ms - a->first_ms));
}

static bool stalls(const struct transfer *x, uint32_t k, uint64_t now_ms) {
    const struct ask *a = &x->ask[k];
    const struct config *config = x->client->spec.config;
    return a->attempts >= ATTEMPTS_MIN && now_ms >= a->first_ms + config->stall_ms &&
           now_ms >= a->sent_ms + config->request_ms;
}

/* Sends what is due; *due_ms becomes the time something is due next, if that is earlier. */
static enum status look_after(struct transfer *x, uint64_t now_ms, uint64_t *due_ms) {
    for (uint32_t k = 0; x->asks_waiting > 0 && k < x->client->partitions; k++) {
        struct ask *a = &x->ask[k];
        if (!a->waiting) {
            continue;
        }
        if (a->attempts > 1 && now_ms >= dead_at_ms(x, k)) {
            return is_dead(x, k, now_ms);
        }
        if (stalls(x, k, now_ms)) {
            return is_ignored(x, k, now_ms);
        }
        if (now_ms >= transfer_due_ms(a)) {
            TRY(resend(x, k, now_ms));
        }
        uint64_t dead_ms = dead_at_ms(x, k);
        uint64_t next_ms = transfer_due_ms(a);
        next_ms = a->attempts > 1 && dead_ms < next_ms ? dead_ms : next_ms;
        *due_ms = next_ms < *due_ms ? next_ms : *due_ms;
    }
    return OK;
}

enum status client_step(struct client *c, uint64_t timeout_ms) {
    bool heard = false;
    bool waiting = false;
    TRY(receive(c, 0, &heard));
    uint64_t now_ms = clock_mono_ms();
    uint64_t due_ms = now_ms + timeout_ms;
    for (struct transfer *x = c->transfers; x != NULL; x = x->next) {
        TRY(look_after(x, now_ms, &due_ms));
        waiting = waiting || x->asks_waiting > 0;
    }
    if (heard || !waiting || due_ms <= now_ms) {
        return OK;
    }
    return receive(c, due_ms - now_ms, &heard);
}
