/* trainer.c - the loop in which the training happens.
 *
 * A trainer has `in_flight` slots, each a batch with its transfer. A slot goes round:
 *
 *   empty -> (item from the reader) -> held -> pulling -> pulled -> (compute) -> pushing -> done
 *   -> empty
 *
 * One turn of the loop fills empty slots, hears from the servers, computes the OLDEST pulled slot,
 * and retires what is done. Computing one batch lasts long against everything else, so while it
 * runs the network threads of ZeroMQ carry the other slots' bytes; nothing else is needed to
 * overlap reading, pulling, computing and pushing.
 *
 * With one slot (deterministic, synchronous) a pull sees every push before it: the sequence is that
 * of a plain single-threaded program.
 *
 * A hybrid job pulls in two steps: rows ahead, as soon as there is a batch; the dense vector when
 * the batch is the next to be computed, the last one is acknowledged and the barrier lets it pass:
 *
 *   held -> pulling -> rows here -> (barrier) -> pulling dense -> pulled -> ...
 */
#include "trainer.h"

#include <string.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "worker/model/model.h"

#define SLOTS_MAX 16
#define WAIT_MS   20
#define USAGE_MS  100

struct slot {
    bool used;
    bool held; /* waiting for the staleness bound */
    bool computed;
    uint64_t order; /* of taking: the oldest is computed first */
    struct reader_item item;
    struct transfer *transfer;
    float *logit_a, *logit_b;
    uint32_t logit_cap;
    struct loss_sums sums;
};
struct trainer {
    struct trainer_spec *spec;
    struct client *client;
    struct model *model;
    struct slot slot[SLOTS_MAX];
    uint32_t slots;
    uint64_t taken;
    bool drained;     /* the reader is closed */
    float *gradients; /* rows of all fields, then dense */
    size_t gradient_cap;
    uint64_t resent, tickets_unknown; /* of the client, as last reported */
    struct laps laps;
    uint64_t sent_bytes, received_bytes; /* likewise */
    uint64_t used_ms;                    /* when the usage was last reported */
    struct buf line;                     /* of the trace */
    struct log_limit dropped, fenced;    /* lines about gradients and leases */
};

static void trainer_fini(struct trainer *t) {
    for (uint32_t i = 0; i < t->slots; i++) {
        struct slot *s = &t->slot[i];
        if (s->used) {
            reader_give_back(t->spec->reader, s->item.batch);
        }
        mem_free(&s->logit_a);
        mem_free(&s->logit_b);
    }
    log_limit_end(&t->dropped);
    log_limit_end(&t->fenced);
    mem_free(&t->gradients);
    buf_fini(&t->line);
    model_destroy(&t->model);
    client_destroy(&t->client);
}

static enum status trainer_init(struct trainer *t, struct trainer_spec *spec) {
    *t = (struct trainer){.spec = spec};
    const struct config *config = spec->config;
    t->slots = spec->in_flight;
    laps_start(&t->laps);
    spec->client.laps = &t->laps;
    TRY(client_create(&t->client, &spec->client));
    struct loss_spec loss = loss_spec_of(config);
    loss.ctr_shift = loss_shift_of(config, spec->client.plan->sample_rate);
    const struct kernel *kernel;
    TRY(kernel_find(config->kernel, config->precision, &kernel));
    TRY(model_create(&t->model, spec->layout, &loss, kernel));
    model_charge(t->model, &t->laps);
    model_drop(t->model, dropout_of(config));
    for (uint32_t i = 0; i < t->slots; i++) {
        TRY(client_transfer(t->client, &t->slot[i].transfer));
    }
    return OK;
}

static enum status grow(float **array, size_t *cap, size_t need) {
    if (need <= *cap) {
        return OK;
    }
    mem_free(array);
    *cap = 0;
    TRY(mem_array(array, need));
    *cap = need;
    return OK;
}

static enum status grow_logits(struct slot *s, uint32_t impressions) {
    if (impressions <= s->logit_cap) {
        return OK;
    }
    mem_free(&s->logit_a);
    mem_free(&s->logit_b);
    s->logit_cap = 0;
    TRY(mem_array(&s->logit_a, impressions));
    TRY(mem_array(&s->logit_b, impressions));
    s->logit_cap = impressions;
    return OK;
}

static uint32_t slots_used(const struct trainer *t) {
    uint32_t used = 0;
    for (uint32_t i = 0; i < t->slots; i++) {
        used += t->slot[i].used;
    }
    return used;
}

static bool pulls_ahead(const struct trainer *t, const struct slot *s) {
    return t->spec->config->consistency == CONSISTENCY_HYBRID && s->item.lease.kind == LEASE_TRAIN;
}

static enum status begin_pull(struct trainer *t, struct slot *s) {
    const struct batch *b = s->item.batch;
    const uint64_t *ids[FIELDS_MAX];
    uint32_t count[FIELDS_MAX];
    for (uint32_t f = 0; f < b->fields; f++) {
        ids[f] = b->field[f].ids;
        count[f] = b->field[f].unique;
    }
    TRY(pulls_ahead(t, s)
            ? transfer_pull_rows(s->transfer, ids, count)
            : transfer_pull(s->transfer, ids, count, s->item.lease.kind == LEASE_TRAIN));
    return client_send(t->client, s->transfer);
}

/* Takes one item for an empty slot, if there is one. */
static enum status take_item(struct trainer *t, struct slot *s, uint64_t timeout_ms) {
    lap(&t->laps, STAGE_RETIRE);
    enum status status = reader_take(t->spec->reader, &s->item, timeout_ms);
    lap(&t->laps, STAGE_WAIT);
    if (status == ERR_TIMEOUT) {
        return OK;
    }
    if (status == ERR_CLOSED) {
        t->drained = true;
        return OK;
    }
    TRY(status);
    if (s->item.batch == NULL) {
        held_leases_end(t->spec->held, &s->item.lease, s->item.lease_batches);
        return OK;
    }
    if (held_leases_lost(t->spec->held,
                         &s->item.lease)) { /* somebody else's now: not worth computing */
        TRY(held_leases_finish(t->spec->held, &s->item.lease, s->item.batch, NULL, NULL));
        reader_give_back(t->spec->reader, s->item.batch);
        return OK;
    }
    s->used = true;
    s->held = true;
    s->computed = false;
    s->order = t->taken++;
    return OK;
}

/* May a batch begin, or would it run too far ahead of the slowest trainer? */
static enum status enter(struct trainer *t, uint64_t timeout_ms, bool *may) {
    enum status status = gate_enter(t->spec->gate, t->spec->index, timeout_ms);
    lap(&t->laps, STAGE_WAIT);
    *may = status == OK;
    return status == ERR_TIMEOUT || status == ERR_CLOSED ? OK : status;
}

static enum status start_item(struct trainer *t, struct slot *s, uint64_t timeout_ms) {
    if (s->item.lease.kind == LEASE_TRAIN && !pulls_ahead(t, s)) {
        bool may;
        TRY(enter(t, timeout_ms, &may));
        if (!may) {
            return OK;
        }
    }
    s->held = false;
    TRY(begin_pull(t, s));
    lap(&t->laps, STAGE_ASK);
    return OK;
}

static bool in_flight(const struct trainer *t) {
    for (uint32_t i = 0; i < t->slots; i++) {
        if (t->slot[i].used && !t->slot[i].held) {
            return true;
        }
    }
    return false;
}

/* Fills and starts slots. Waits only when nothing is in flight. */
static enum status fill(struct trainer *t) {
    for (uint32_t i = 0; i < t->slots; i++) {
        struct slot *s = &t->slot[i];
        if (!s->used && !t->drained) {
            TRY(take_item(t, s, slots_used(t) == 0 ? WAIT_MS : 0));
        }
        if (!s->used && slots_used(t) == 0) {
            gate_idle(t->spec->gate, t->spec->index);
        }
        if (s->used && s->held) {
            TRY(start_item(t, s, in_flight(t) ? 0 : WAIT_MS));
        }
    }
    return OK;
}

static void gradient_views(struct trainer *t, const struct batch *b, float **drows,
                           float **ddense) {
    float *at = t->gradients;
    for (uint32_t f = 0; f < b->fields; f++) {
        drows[f] = at;
        at += (size_t)b->field[f].unique * t->spec->layout->dim[f];
    }
    *ddense = at;
}

static enum status compute(struct trainer *t, struct slot *s) {
    const struct batch *b = s->item.batch;
    const struct layout *layout = t->spec->layout;
    const float *rows[FIELDS_MAX];
    size_t floats = layout->count;
    for (uint32_t f = 0; f < b->fields; f++) {
        rows[f] = transfer_rows(s->transfer, f);
        floats += (size_t)b->field[f].unique * layout->dim[f];
    }
    TRY(grow_logits(s, b->impressions));
    TRY(grow(&t->gradients, &t->gradient_cap, floats));
    s->computed = true;
    const float *dense = transfer_dense(s->transfer);
    if (s->item.lease.kind == LEASE_EVAL) {
        return model_forward(t->model, b, rows, dense, s->logit_a, s->logit_b);
    }
    float *drows[FIELDS_MAX];
    float *ddense;
    gradient_views(t, b, drows, &ddense);
    s->sums = (struct loss_sums){0};
    TRY(model_train(t->model, b, rows, dense, s->logit_a, s->logit_b, drows, ddense, &s->sums));
    TRY(transfer_push(s->transfer, b->name, b->fence, b->shard_batches, (const float *const *)drows,
                      ddense));
    TRY(client_send(t->client, s->transfer));
    lap(&t->laps, STAGE_PUSH);
    return OK;
}

/* The line of one batch: its name, size, mean losses, and its impressions in order. */
static enum status trace_line(struct trainer *t, const struct slot *s) {
    const struct batch *b = s->item.batch;
    const double n = b->impressions;
    buf_clear(&t->line);
    TRY(buf_printf(&t->line, "%u\t%u\t%u\t%u\t%.9g\t%.9g\t%.9g\t", b->name.epoch, b->name.shard,
                   b->name.batch, b->impressions, s->sums.total / n, s->sums.ctr / n,
                   s->sums.ctcvr / n));
    for (uint32_t i = 0; i < b->impressions; i++) {
        TRY(buf_printf(&t->line, "%s%llu", i == 0 ? "" : ",",
                       (unsigned long long)b->impression_id[i]));
    }
    return buf_printf(&t->line, "\n");
}

/* One write, so that the lines of several trainers do not mix. */
static enum status trace(struct trainer *t, const struct slot *s) {
    if (t->spec->trace == NULL) {
        return OK;
    }
    TRY(trace_line(t, s));
    return file_write(t->spec->trace, t->line.data, t->line.len);
}

static void report(struct trainer *t, struct slot *s) {
    const struct batch *b = s->item.batch;
    struct transfer_outcome outcome = s->transfer->outcome;
    if (outcome.dropped_values > 0) {
        log_limited(&t->dropped, LOG_WARN,
                    "batch epoch %u shard %u batch %u: %llu gradient values were "
                    "not finite and dropped",
                    b->name.epoch, b->name.shard, b->name.batch,
                    (unsigned long long)outcome.dropped_values);
    }
    if (outcome.fenced) {
        if (held_leases_lose(t->spec->held, &s->item.lease)) {
            log_limited(&t->fenced, LOG_WARN,
                        "epoch %u shard %u is another worker's now: what is left "
                        "of it is dropped",
                        b->name.epoch, b->name.shard);
        }
    }
    uint64_t resent = client_resent(t->client);
    uint64_t unknown = client_tickets_unknown(t->client);
    gate_finish(t->spec->gate, t->spec->index);
    meter_report(t->spec->meter, &(struct meter_report){
                                     .fenced = outcome.fenced,
                                     .impressions = b->impressions,
                                     .loss = s->sums.total,
                                     .loss_ctr = s->sums.ctr,
                                     .loss_ctcvr = s->sums.ctcvr,
                                     .resent = resent - t->resent,
                                     .duplicates = outcome.duplicates,
                                     .dropped_values = outcome.dropped_values,
                                     .tickets_unknown = unknown - t->tickets_unknown,
                                     .staleness = outcome.staleness,
                                     .dense_staleness = outcome.dense_staleness,
                                     .form = score_form_of(t->spec->config),
                                     .logit_a = s->logit_a,
                                     .logit_b = s->logit_b,
                                     .labels = b->labels,
                                     .kind = b->records ? b->kind : NULL,
                                 });
    t->resent = resent;
    t->tickets_unknown = unknown;
}

/* The values of an evaluation batch of which the servers have no row. */
static void count_unseen(struct trainer *t, const struct slot *s) {
    const struct batch *b = s->item.batch;
    struct unseen unseen = {.fields = b->fields};
    for (uint32_t f = 0; f < b->fields; f++) {
        unseen_count(&unseen.field[f], b->field[f].index, b->field[f].values,
                     transfer_missing(s->transfer, f), b->field[f].unique);
    }
    held_leases_unseen(t->spec->held, &s->item.lease, &unseen);
}

static enum status retire(struct trainer *t, struct slot *s) {
    if (s->item.lease.kind == LEASE_TRAIN) {
        report(t, s);
        TRY(s->transfer->outcome.fenced ? OK : trace(t, s));
    } else {
        count_unseen(t, s);
        meter_scored(t->spec->meter);
    }
    TRY(held_leases_finish(t->spec->held, &s->item.lease, s->item.batch, s->logit_a, s->logit_b));
    reader_give_back(t->spec->reader, s->item.batch);
    transfer_reset(s->transfer);
    s->used = false;
    return OK;
}

static bool finished(const struct slot *s) {
    if (!s->computed) {
        return false;
    }
    return s->item.lease.kind == LEASE_EVAL || s->transfer->state == TRANSFER_DONE;
}

static enum status retire_all(struct trainer *t) {
    for (uint32_t i = 0; i < t->slots; i++) {
        if (t->slot[i].used && finished(&t->slot[i])) {
            TRY(retire(t, &t->slot[i]));
        }
    }
    return OK;
}

/* Tells the control thread what was used since it was last told. */
static void report_usage(struct trainer *t) {
    struct usage used = {0};
    uint64_t sent, received;
    client_bytes(t->client, &sent, &received);
    used.sent_bytes = sent - t->sent_bytes;
    used.received_bytes = received - t->received_bytes;
    usage_add_laps(&used, &t->laps);
    memset(t->laps.ns, 0, sizeof t->laps.ns);
    t->sent_bytes = sent;
    t->received_bytes = received;
    t->used_ms = clock_mono_ms();
    meter_use(t->spec->meter, &used);
}

static struct slot *oldest_waiting(struct trainer *t) {
    struct slot *oldest = NULL;
    for (uint32_t i = 0; i < t->slots; i++) {
        struct slot *s = &t->slot[i];
        if (s->used && !s->held && !s->computed && (oldest == NULL || s->order < oldest->order)) {
            oldest = s;
        }
    }
    return oldest;
}

static bool pushing(const struct trainer *t) {
    for (uint32_t i = 0; i < t->slots; i++) {
        if (t->slot[i].used && t->slot[i].computed) {
            return true;
        }
    }
    return false;
}

/* Is it a hybrid job's batch that nothing keeps from being computed but the barrier? */
static bool at_barrier(const struct trainer *t, const struct slot *next) {
    return next != NULL && next->transfer->state == TRANSFER_ROWS && !pushing(t);
}

/* Past the barrier, the dense vector is asked for. */
static enum status pull_dense(struct trainer *t, struct slot *next) {
    bool may;
    TRY(enter(t, WAIT_MS, &may));
    if (may) {
        transfer_pull_dense(next->transfer);
        TRY(client_send(t->client, next->transfer));
        lap(&t->laps, STAGE_ASK);
    }
    return OK;
}

static enum status turn(struct trainer *t) {
    TRY(fill(t));
    struct slot *next = oldest_waiting(t);
    if (at_barrier(t, next)) {
        TRY(pull_dense(t, next));
    }
    bool ready = next != NULL && next->transfer->state == TRANSFER_PULLED;
    bool answer_due = in_flight(t) && !ready && !at_barrier(t, next);
    TRY(client_step(t->client, answer_due ? WAIT_MS : 0));
    TRY(retire_all(t));
    lap(&t->laps, STAGE_RETIRE);
    if (next != NULL && next->used && next->transfer->state == TRANSFER_PULLED) {
        TRY(compute(t, next));
    }
    if (clock_mono_ms() >= t->used_ms + USAGE_MS) {
        report_usage(t);
    }
    return OK;
}

enum status trainer_run(struct trainer_spec *spec) {
    struct trainer t;
    enum status status = trainer_init(&t, spec);
    while (status == OK && !atomic_load(spec->stop) && !(t.drained && slots_used(&t) == 0)) {
        status = turn(&t);
    }
    trainer_fini(&t);
    return status;
}
