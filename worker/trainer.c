/* trainer.c - the training loop. flight.h decides what is done next. This file does it, with one
 * model, and a transfer for each slot that pulls and pushes the slot's batch. */
#include "trainer.h"

#include <string.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/fault/fault.h"
#include "flight.h"
#include "worker/model/model.h"

#define WAIT_MS  20
#define USAGE_MS 100

struct slot {
    struct reader_item item; /* its batch is NULL after it was given back */
    struct transfer *transfer;
    struct transfer *bags; /* pulls the shared fields' rows of a range's first batch; or NULL */
    float *logit_a, *logit_b;
    size_t logit_cap;
    struct loss_sums sums;
};
struct trainer {
    struct trainer_spec *spec;
    struct flight flight;
    struct client *client;
    struct model *model;
    struct slot slot[FLIGHT_SLOTS_MAX];
    float *gradients; /* rows of all fields, then dense */
    size_t gradient_cap;
    struct laps laps;
    struct client_figures reported;   /* the client's figures at the last report */
    uint64_t used_ms;                 /* time of the last usage report */
    struct buf line;                  /* of the trace */
    struct log_limit dropped, fenced; /* limits of the lines about gradients and leases */
};

static void give_batch_back(struct trainer *t, struct slot *s) {
    if (s->item.batch != NULL) {
        reader_give_back(t->spec->reader, s->item.batch);
        s->item.batch = NULL;
    }
}

static void trainer_fini(struct trainer *t) {
    for (uint32_t i = 0; i < FLIGHT_SLOTS_MAX; i++) {
        struct slot *s = &t->slot[i];
        give_batch_back(t, s);
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
    const struct config *config = spec->client.config;
    flight_init(&t->flight, spec->in_flight, config->consistency == CONSISTENCY_HYBRID);
    laps_start(&t->laps);
    spec->client.laps = &t->laps;
    TRY(client_create(&t->client, &spec->client));
    struct loss_spec loss = loss_spec_of(config);
    loss.ctr_shift = loss_shift_of(config, spec->client.plan->sample_rate);
    const struct kernel *kernel;
    TRY(kernel_find(config->kernel, config->precision, &kernel));
    TRY(model_create(&t->model, spec->client.layout, &loss, kernel));
    model_charge(t->model, &t->laps);
    model_drop(t->model, dropout_of(config));
    for (uint32_t i = 0; i < spec->in_flight; i++) {
        TRY(client_transfer(t->client, &t->slot[i].transfer));
    }
    return OK;
}

/* --- taking, entering, pulling ---------------------------------------------------------------- */

/* Takes an item for the slot, if there is one. */
static enum status take_item(struct trainer *t, struct slot *s, uint64_t timeout_ms,
                             enum flight_taken *took) {
    struct held_leases *held = t->spec->held;
    *took = FLIGHT_TOOK_NONE;
    lap(&t->laps, STAGE_RETIRE);
    enum status status = reader_take(t->spec->reader, t->spec->index, &s->item, timeout_ms);
    lap(&t->laps, STAGE_WAIT);
    if (status == ERR_TIMEOUT || status == ERR_CLOSED) {
        *took = status == ERR_CLOSED ? FLIGHT_TOOK_LAST : FLIGHT_TOOK_NONE;
        return OK;
    }
    TRY(status);
    const struct wire_lease *lease = &s->item.lease;
    if (s->item.batch == NULL) {
        held_leases_end(held, lease, s->item.lease_batches);
        return OK;
    }
    if (held_leases_lost(held, lease)) { /* another worker has it: not worth computing */
        TRY(held_leases_finish(held, lease, s->item.batch, NULL, NULL, NULL));
        give_batch_back(t, s);
        return OK;
    }
    FAULT("worker.batch.taken");
    *took = lease->kind == LEASE_TRAIN ? FLIGHT_TOOK_TRAIN : FLIGHT_TOOK_EVAL;
    return OK;
}

/* Asks whether a batch may begin, or would run too far ahead of the slowest trainer. */
static enum status ask_gate(struct trainer *t, uint64_t timeout_ms) {
    enum status status = gate_enter(t->spec->gate, t->spec->index, timeout_ms);
    lap(&t->laps, STAGE_WAIT);
    FAULT("worker.gate.asked");
    flight_entered(&t->flight, status == OK);
    return status == ERR_TIMEOUT || status == ERR_CLOSED ? OK : status;
}

/* Whether the rows of a field are read but not pushed by the batch: a later one does that. */
static bool only_reads(const struct batch *b, uint32_t f) {
    return b->field[f].shared && b->shared_first && !b->shared_last;
}

/* The keys of the fields of which only_reads is `reading`; returns how many. */
static uint32_t batch_keys(const struct batch *b, bool reading, const uint64_t **ids,
                           uint32_t *count) {
    uint32_t keys = 0;
    for (uint32_t f = 0; f < b->fields; f++) {
        ids[f] = b->field[f].ids;
        count[f] = only_reads(b, f) == reading ? b->field[f].unique : 0;
        keys += count[f];
    }
    return keys;
}

/* A push names all that its pull asked for. So what is only read has a pull of its own. */
static enum status pull_bags(struct trainer *t, struct slot *s) {
    const uint64_t *ids[FIELDS_MAX];
    uint32_t count[FIELDS_MAX];
    if (batch_keys(s->item.batch, true, ids, count) == 0) {
        return OK;
    }
    TRY(s->bags == NULL ? client_transfer(t->client, &s->bags) : OK);
    TRY(transfer_pull(s->bags, ids, count, false, false));
    return client_send(t->client, s->bags);
}

static enum status pull_batch(struct trainer *t, struct slot *s, enum flight_act act) {
    const uint64_t *ids[FIELDS_MAX];
    uint32_t count[FIELDS_MAX];
    if (act == FLIGHT_PULL_DENSE) {
        transfer_pull_dense(s->transfer);
    } else {
        batch_keys(s->item.batch, false, ids, count);
        TRY(transfer_pull(s->transfer, ids, count, s->item.lease.kind == LEASE_TRAIN,
                          act == FLIGHT_PULL));
        TRY(pull_bags(t, s));
    }
    FAULT("worker.pull.send");
    TRY(client_send(t->client, s->transfer));
    FAULT("worker.pull.sent");
    lap(&t->laps, STAGE_ASK);
    return OK;
}

static enum status listen_to_servers(struct trainer *t, uint64_t timeout_ms) {
    TRY(client_step(t->client, timeout_ms));
    for (uint32_t i = 0; i < t->spec->in_flight; i++) {
        const struct slot *s = &t->slot[i];
        if (flight_awaits(&t->flight, i) && s->transfer->asks_waiting == 0 &&
            (s->bags == NULL || s->bags->asks_waiting == 0)) {
            FAULT("worker.answer.whole");
            flight_arrived(&t->flight, i);
        }
    }
    return OK;
}

/* --- computing -------------------------------------------------------------------------------- */

static enum status grow_logits(struct slot *s, uint32_t impressions) {
    size_t cap = s->logit_cap;
    TRY(mem_room(&s->logit_a, &cap, impressions));
    return mem_room(&s->logit_b, &s->logit_cap, impressions);
}

static void gradient_views(struct trainer *t, const struct batch *b, float **drows,
                           float **ddense) {
    float *at = t->gradients;
    for (uint32_t f = 0; f < b->fields; f++) {
        drows[f] = at;
        at += only_reads(b, f) ? 0 : (size_t)b->field[f].unique * t->spec->client.layout->dim[f];
    }
    *ddense = at;
}

static enum status compute_batch(struct trainer *t, struct slot *s) {
    const struct batch *b = s->item.batch;
    const struct layout *layout = t->spec->client.layout;
    const float *rows[FIELDS_MAX];
    size_t floats = layout->count;
    for (uint32_t f = 0; f < b->fields; f++) {
        rows[f] = transfer_rows(only_reads(b, f) && s->bags != NULL ? s->bags : s->transfer, f);
        floats += (size_t)b->field[f].unique * layout->dim[f];
    }
    TRY(grow_logits(s, b->impressions));
    TRY(mem_room(&t->gradients, &t->gradient_cap, floats));
    const float *dense = transfer_dense(s->transfer);
    if (s->item.lease.kind == LEASE_EVAL) {
        return model_forward(t->model, b, rows, dense, s->logit_a, s->logit_b);
    }
    float *drows[FIELDS_MAX];
    float *ddense;
    gradient_views(t, b, drows, &ddense);
    s->sums = (struct loss_sums){0};
    TRY(model_train(t->model, b, rows, dense, s->logit_a, s->logit_b, drows, ddense, &s->sums));
    FAULT("worker.batch.computed");
    TRY(transfer_push(s->transfer, b->name, b->fence, b->shard_batches, (const float *const *)drows,
                      ddense));
    TRY(client_send(t->client, s->transfer));
    FAULT("worker.push.sent");
    lap(&t->laps, STAGE_PUSH);
    return OK;
}

/* --- what is finished ------------------------------------------------------------------------- */

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
static enum status trace_batch(struct trainer *t, const struct slot *s) {
    if (t->spec->trace == NULL) {
        return OK;
    }
    TRY(trace_line(t, s));
    return file_write(t->spec->trace, t->line.data, t->line.len);
}

static void report_batch(struct trainer *t, struct slot *s) {
    const struct batch *b = s->item.batch;
    struct transfer_outcome outcome = s->transfer->outcome;
    if (outcome.dropped_values > 0) {
        log_limited(&t->dropped, LOG_WARN,
                    "batch epoch %u shard %u batch %u: %llu gradient values were "
                    "not finite and dropped",
                    b->name.epoch, b->name.shard, b->name.batch,
                    (unsigned long long)outcome.dropped_values);
    }
    if (outcome.fenced && held_leases_lose(t->spec->held, &s->item.lease)) {
        log_limited(&t->fenced, LOG_WARN,
                    "epoch %u shard %u is another worker's now: what is left of it is dropped",
                    b->name.epoch, b->name.shard);
    }
    const struct client_figures now = client_figures(t->client);
    gate_finish(t->spec->gate, t->spec->index);
    meter_report(t->spec->meter,
                 &(struct meter_report){
                     .fenced = outcome.fenced,
                     .impressions = b->impressions,
                     .loss = s->sums.total,
                     .loss_ctr = s->sums.ctr,
                     .loss_ctcvr = s->sums.ctcvr,
                     .resent = now.resent - t->reported.resent,
                     .duplicates = outcome.duplicates,
                     .dropped_values = outcome.dropped_values,
                     .tickets_unknown = now.tickets_unknown - t->reported.tickets_unknown,
                     .staleness = outcome.staleness,
                     .dense_staleness = outcome.dense_staleness,
                     .form = score_form_of(t->spec->client.config),
                     .logit_a = s->logit_a,
                     .logit_b = s->logit_b,
                     .labels = b->labels,
                     .kind = b->records ? b->kind : NULL,
                 });
    t->reported.resent = now.resent;
    t->reported.tickets_unknown = now.tickets_unknown;
}

/* Counts the values of an evaluation batch that have no row at the servers. */
static void count_unseen(const struct slot *s, struct unseen *unseen) {
    const struct batch *b = s->item.batch;
    *unseen = (struct unseen){.fields = b->fields};
    for (uint32_t f = 0; f < b->fields; f++) {
        unseen_count(&unseen->field[f], b->field[f].index, b->field[f].values,
                     transfer_missing(s->transfer, f), b->field[f].unique);
    }
}

static enum status retire_batch(struct trainer *t, struct slot *s) {
    struct unseen unseen;
    FAULT("worker.batch.retire");
    if (s->item.lease.kind == LEASE_TRAIN) {
        report_batch(t, s);
        TRY(s->transfer->outcome.fenced ? OK : trace_batch(t, s));
    } else {
        count_unseen(s, &unseen);
        meter_scored(t->spec->meter);
    }
    TRY(held_leases_finish(t->spec->held, &s->item.lease, s->item.batch, s->logit_a, s->logit_b,
                           &unseen));
    give_batch_back(t, s);
    transfer_reset(s->transfer);
    if (s->bags != NULL) {
        transfer_reset(s->bags);
    }
    lap(&t->laps, STAGE_RETIRE);
    FAULT("worker.batch.retired");
    return OK;
}

/* Tells the control thread, every USAGE_MS, what was used since the last report. */
static void report_usage(struct trainer *t) {
    if (clock_mono_ms() < t->used_ms + USAGE_MS) {
        return;
    }
    const struct client_figures now = client_figures(t->client);
    struct usage used = {.sent_bytes = now.sent_bytes - t->reported.sent_bytes,
                         .received_bytes = now.received_bytes - t->reported.received_bytes};
    usage_add_laps(&used, &t->laps);
    memset(t->laps.ns, 0, sizeof t->laps.ns);
    t->reported.sent_bytes = now.sent_bytes;
    t->reported.received_bytes = now.received_bytes;
    t->used_ms = clock_mono_ms();
    meter_use(t->spec->meter, &used);
}

static enum status trainer_obey(struct trainer *t, struct flight_order o) {
    struct slot *s = &t->slot[o.slot];
    const uint64_t wait_ms = o.wait ? WAIT_MS : 0;
    enum flight_taken took;
    switch (o.act) {
    case FLIGHT_TAKE:
        TRY(take_item(t, s, wait_ms, &took));
        flight_took(&t->flight, o.slot, took);
        return OK;
    case FLIGHT_IDLE: gate_idle(t->spec->gate, t->spec->index); return OK;
    case FLIGHT_ENTER: return ask_gate(t, wait_ms);
    case FLIGHT_PULL:
    case FLIGHT_PULL_ROWS:
    case FLIGHT_PULL_DENSE: return pull_batch(t, s, o.act);
    case FLIGHT_LISTEN: report_usage(t); return listen_to_servers(t, wait_ms);
    case FLIGHT_RETIRE: return retire_batch(t, s);
    case FLIGHT_COMPUTE: return compute_batch(t, s);
    case FLIGHT_END: break;
    }
    return OK;
}

enum status trainer_run(struct trainer_spec *spec) {
    struct trainer t;
    enum status status = trainer_init(&t, spec);
    struct flight_order order = {0};
    while (status == OK && order.act != FLIGHT_END) {
        if (atomic_load(spec->stop)) {
            flight_stop(&t.flight);
        }
        order = flight_next(&t.flight);
        status = trainer_obey(&t, order);
    }
    trainer_fini(&t);
    return status;
}
