#include "serving.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "common/fault/fault.h"
#include "common/net/wire_keys.h"
#include "common/net/wire_values.h"

void serving_leave(struct serving *v) {
    partition_destroy(&v->partition);
    push_log_close(&v->log, false);
    v->job = NULL;
}

void serving_fini(struct serving *v) {
    for (size_t i = 0; i < STATUSES; i++) {
        log_limit_end(&v->refused[i]);
    }
    serving_leave(v);
    port_close(&v->port);
    mem_free(&v->ids);
    mem_free(&v->floats);
    mem_free(&v->missing);
}

static void answer_keys(struct serving *v, const void *keys, size_t key_bytes, const void *values,
                        size_t bytes) {
    v->out.job = v->in.msg.job;
    v->out.id = v->in.msg.id;
    enum status status =
        port_send(v->port, v->in.peer, v->in.peer_bytes, &v->out, keys, key_bytes, values, bytes);
    if (status != OK) {
        v->unsent++;
        log_debug("an answer was dropped: %s",
                  status == ERR_AGAIN ? "the peer is gone or slow" : fail_text());
    }
}

static void serving_reply(struct serving *v, const void *values, size_t bytes) {
    answer_keys(v, NULL, 0, values, bytes);
}

static void answer_error(struct serving *v, enum status why) {
    if (why == ERR_TICKET) {
        FAULT("ps.push.ticket");
    } else if (why == ERR_FENCED) {
        FAULT("ps.push.fenced");
    }
    v->out.type = WIRE_ERROR;
    v->out.u.error.status = why;
    snprintf(v->out.u.error.text, WIRE_TEXT_MAX, "%s", fail_text_of(why));
    if (why != ERR_TICKET && why != ERR_FENCED) {
        log_limited(&v->refused[why], LOG_WARN, "partition %u refuses a %s: %s", v->number,
                    wire_type_name(v->in.msg.type), fail_text());
    }
    serving_reply(v, NULL, 0);
}

void serving_not_ready(struct serving *v) {
    if (v->in.msg.job == v->job->job) {
        v->out.type = WIRE_ERROR;
        v->out.u.error.status = ERR_AGAIN;
        snprintf(v->out.u.error.text, WIRE_TEXT_MAX, "partition %u restores its rows", v->number);
        serving_reply(v, NULL, 0);
    }
}

/* Takes the ids from the keys frame; counts stay in the message. */
static enum status take_keys(struct serving *v, const uint32_t *counts, uint32_t fields,
                             struct key_list *keys) {
    if (fields != v->job->plan.schema.count) {
        return fail(ERR_PROTOCOL, "request has counts of %u fields, the job has %u", fields,
                    v->job->plan.schema.count);
    }
    uint64_t total = 0;
    for (uint32_t f = 0; f < fields; f++) {
        total += counts[f];
    }
    if (total > v->in.keys_bytes) {
        return fail(ERR_PROTOCOL, "request announces %llu keys, its keys frame has %zu bytes",
                    (unsigned long long)total, v->in.keys_bytes);
    }
    TRY(mem_room(&v->ids, &v->ids_cap, (size_t)total));
    TRY(wire_keys_unpack(counts, fields, v->in.keys, v->in.keys_bytes, v->ids));
    *keys = (struct key_list){.counts = counts, .ids = v->ids, .total = (size_t)total};
    return OK;
}

static enum status check_answer_bytes(const struct serving *v, size_t bytes) {
    if (bytes > v->job->config.message_bytes_max) {
        return fail(ERR_LIMIT,
                    "the answer would take %zu bytes, net.message_bytes_max is %u: use a "
                    "smaller train.batch or more partitions",
                    bytes, v->job->config.message_bytes_max);
    }
    return OK;
}

static enum status serve_pull(struct serving *v, uint64_t now_ms) {
    const struct wire_pull *pull = &v->in.msg.u.pull;
    struct key_list keys;
    FAULT("ps.pull.taken");
    TRY(take_keys(v, pull->count, pull->fields, &keys));
    size_t n = partition_pull_floats(v->partition, &keys, pull->want_dense);
    size_t bytes = wire_values_bytes(pull->values, n);
    TRY(check_answer_bytes(v, bytes));
    void *values;
    TRY(port_values_room(v->port, bytes, &values));
    float *floats = values;
    if (pull->values != VALUE_F32) {
        TRY(mem_room(&v->floats, &v->floats_cap, n));
        floats = v->floats;
    }
    if (pull->want_missing) {
        TRY(mem_room(&v->missing, &v->missing_cap, keys.total));
        keys.missing = v->missing;
    }
    struct pull_result result;
    TRY(partition_serve_pull(v->partition, &keys, pull->want_dense, pull->want_ticket, now_ms,
                             floats, &result));
    if (pull->values != VALUE_F32) {
        wire_values_pack(pull->values, v->floats, n, values);
    }
    v->out.type = WIRE_PULLED;
    v->out.u.pulled = (struct wire_pulled){
        .ticket = result.ticket, .version = result.version, .values = pull->values};
    FAULT("ps.pull.read");
    const size_t bits = pull->want_missing ? wire_bits_pack(keys.missing, keys.total) : 0;
    answer_keys(v, keys.missing, bits, values, bytes);
    FAULT("ps.pull.answered");
    return OK;
}

/* The floats of a push: where they lie if they are floats there, else unpacked. */
static enum status take_values(struct serving *v, enum value_type type, size_t n,
                               const float **floats) {
    if (type == VALUE_F32 && (uintptr_t)v->in.values % _Alignof(float) == 0) {
        *floats = v->in.values;
        return OK;
    }
    TRY(mem_room(&v->floats, &v->floats_cap, n));
    wire_values_unpack(type, v->in.values, n, v->floats);
    *floats = v->floats;
    return OK;
}

static void log_push(void *self, const struct push_note *note) {
    struct serving *v = self;
    push_log_note(v->log, note, &v->frames);
}

void serving_log(struct serving *v) {
    partition_listen(v->partition, log_push, v);
}

static enum status serve_push(struct serving *v) {
    const struct wire_push *push = &v->in.msg.u.push;
    struct key_list keys;
    bool with_keys = push->fields > 0;
    if (with_keys) {
        TRY(take_keys(v, push->count, push->fields, &keys));
    }
    size_t each = wire_values_bytes(push->values, 1);
    if (v->in.values_bytes % each != 0) {
        return fail(ERR_PROTOCOL, "push of %zu value bytes, not a multiple of %zu",
                    v->in.values_bytes, each);
    }
    size_t n = v->in.values_bytes / each;
    const float *floats;
    TRY(take_values(v, push->values, n, &floats));
    struct push_result result;
    FAULT("ps.push.taken");
    if (v->job->plan.stream) {
        TRY(partition_grow(v->partition, push->name.shard, push->shard_batches));
    }
    v->frames =
        (struct push_frames){.keys = with_keys ? v->in.keys : NULL,
                             .keys_bytes = with_keys ? v->in.keys_bytes : 0,
                             .values = push->values,
                             .data = v->in.values,
                             .data_bytes = v->in.values_bytes,
                             .shard_batches = v->job->plan.stream ? push->shard_batches : 0};
    TRY(partition_push(v->partition, push->name, push->fence, push->ticket,
                       with_keys ? &keys : NULL, floats, n, &result));
    TRY(v->log == NULL ? OK : push_log_check(v->log));
    if (result.duplicate) {
        FAULT("ps.push.duplicate");
    }
    FAULT("ps.push.applied");
    v->out.type = WIRE_PUSHED;
    v->out.u.pushed = (struct wire_pushed){.duplicate = result.duplicate,
                                           .version = result.version,
                                           .dropped_values = result.dropped_values};
    serving_reply(v, NULL, 0);
    FAULT("ps.push.answered");
    return OK;
}

static enum status serve_stats(struct serving *v) {
    struct partition_stats s;
    partition_stats(v->partition, &s);
    v->out.type = WIRE_STATS_REPLY;
    v->out.u.heartbeat = (struct wire_heartbeat){
        .role = ROLE_SERVER,
        .index = v->number,
        .rows = s.rows_total,
        .bytes = s.bytes_total,
        .version = s.version,
        .evicted = s.evicted_age + s.evicted_memory,
        .refused = s.refused,
        .created = s.created,
        .duplicates = s.duplicates,
    };
    serving_reply(v, s.rows, v->job->plan.schema.count * sizeof s.rows[0]);
    return OK;
}

static enum status serve_request(struct serving *v, uint64_t now_ms) {
    if (v->in.msg.job != v->job->job) {
        return fail(ERR_PROTOCOL, "request of job %016llx at a partition of job %016llx",
                    (unsigned long long)v->in.msg.job, (unsigned long long)v->job->job);
    }
    if (v->in.keys_bytes > v->job->config.message_bytes_max ||
        v->in.values_bytes > v->job->config.message_bytes_max) {
        return fail(ERR_LIMIT,
                    "request with frames of %zu and %zu bytes, net.message_bytes_max "
                    "is %u",
                    v->in.keys_bytes, v->in.values_bytes, v->job->config.message_bytes_max);
    }
    switch (v->in.msg.type) {
    case WIRE_PULL: return serve_pull(v, now_ms);
    case WIRE_PUSH: return serve_push(v);
    case WIRE_STATS: return serve_stats(v);
    default:
        return fail(ERR_PROTOCOL, "a partition does not answer %s", wire_type_name(v->in.msg.type));
    }
}

enum status serving_answer(struct serving *v, uint64_t now_ms) {
    const uint64_t job = v->in.msg.job;
    if (job != v->job->job && wire_same_run(job, v->job->job)) {
        v->former++;
        return OK;
    }
    enum status status = serve_request(v, now_ms);
    TRY(v->log == NULL ? OK : push_log_check(v->log));
    if (status != OK) {
        answer_error(v, status);
    }
    return OK;
}
