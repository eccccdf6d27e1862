#include "eval_job.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/job/plan.h"
#include "common/net/scores.h"

enum status eval_job_init(struct eval_job *e, const struct dataset *data, uint32_t batch_max) {
    *e = (struct eval_job){.data = data};
    uint32_t shards = data->shard_count;
    enum status status;
    TRY_OUT(mem_array(&e->batches, shards));
    TRY_OUT(mem_array(&e->offset, (size_t)shards + 1));
    TRY_OUT(mem_array(&e->got, shards));
    TRY_OUT(mem_array(&e->fence, shards));
    TRY_OUT(mem_array(&e->have, shards));
    for (uint32_t s = 0; s < shards; s++) {
        e->batches[s] = plan_batches(data->shards[s].impressions, batch_max);
        e->offset[s + 1] = e->offset[s] + data->shards[s].impressions;
    }
    return OK;
out:
    eval_job_fini(e);
    return status;
}

void eval_job_fini(struct eval_job *e) {
    if (e->left) {
        return;
    }
    thread_join(&e->thread);
    eval_job_end(e);
    mem_free(&e->batches);
    mem_free(&e->offset);
    mem_free(&e->got);
    mem_free(&e->fence);
    mem_free(&e->have);
}

enum status eval_job_begin(struct eval_job *e, uint32_t epoch, uint64_t last_fence) {
    uint32_t shards = e->data->shard_count;
    eval_job_end(e);
    TRY(mem_array(&e->scores, e->offset[shards]));
    e->epoch = epoch;
    e->unseen = (struct unseen){0};
    e->received = 0;
    e->taken = 0;
    for (uint32_t s = 0; s < shards; s++) {
        e->got[s] = e->data->shards[s].impressions == 0;
        e->received += e->got[s];
        e->fence[s] = last_fence + 1;
        e->have[s] = 0;
    }
    return OK;
}

static enum status check_piece(const struct eval_job *e, const struct wire_scores *s) {
    if (s->shard >= e->data->shard_count) {
        return fail(ERR_PROTOCOL, "scores of evaluation shard %u; there are %u", s->shard,
                    e->data->shard_count);
    }
    const struct shard_info *info = &e->data->shards[s->shard];
    if (s->total != info->impressions || s->first > s->total || s->count > s->total - s->first) {
        return fail(ERR_PROTOCOL,
                    "scores [%u, %llu) of %u of evaluation shard %s, which has %u "
                    "impressions",
                    s->first, (unsigned long long)s->first + s->count, s->total, info->name,
                    info->impressions);
    }
    return OK;
}

enum status eval_job_take(struct eval_job *e, const struct wire_scores *s, const void *values,
                          size_t bytes, bool *complete) {
    *complete = false;
    TRY(check_piece(e, s));
    if (e->scores == NULL || s->epoch != e->epoch || e->got[s->shard] ||
        s->fence < e->fence[s->shard]) {
        return OK;
    }
    const uint32_t have = s->fence == e->fence[s->shard] ? e->have[s->shard] : 0;
    if (s->first > have) {
        return fail(ERR_PROTOCOL,
                    "scores of evaluation shard %s from %u on; those from %u on were "
                    "not sent",
                    e->data->shards[s->shard].name, s->first, have);
    }
    if (s->first < have) {
        return OK;
    }
    TRY(wire_scores_unpack(values, bytes, s->count, e->scores + e->offset[s->shard] + have));
    e->fence[s->shard] = s->fence;
    e->have[s->shard] = have + s->count;
    e->taken += s->count;
    *complete = e->have[s->shard] == s->total;
    e->got[s->shard] = *complete;
    e->received += *complete;
    return OK;
}

enum status eval_job_unseen(struct eval_job *e, uint32_t fields, const void *data, size_t bytes) {
    struct unseen unseen;
    if (bytes == 0) {
        return OK;
    }
    TRY(unseen_unpack(&unseen, fields, data, bytes));
    unseen_add(&e->unseen, &unseen);
    return OK;
}

bool eval_job_complete(const struct eval_job *e) {
    return e->received == e->data->shard_count;
}

static enum status eval_job_thread(void *arg) {
    struct eval_job *e = arg;
    const struct evaluation_spec spec = {.form = e->form}; /* no bootstrap: others need the cores */
    return evaluations_compute(e->evaluation, &e->evaluations, e->scores,
                               e->offset[e->data->shard_count], &spec);
}

enum status eval_job_compute(struct eval_job *e) {
    TRY(thread_start(&e->thread, "evaluation", eval_job_thread, e));
    e->computing = true;
    return OK;
}

bool eval_job_computed(struct eval_job *e, enum status *status, struct evaluation *out,
                       uint32_t *count) {
    if (!thread_ended(&e->thread)) {
        return false;
    }
    *status = thread_join(&e->thread);
    e->computing = false;
    memcpy(out, e->evaluation, sizeof e->evaluation);
    *count = e->evaluations;
    return true;
}

void eval_job_end(struct eval_job *e) {
    mem_free(&e->scores);
}

void eval_job_drop(struct eval_job *e) {
    e->taken = 0;
    e->dropped = e->computing;
    if (!e->computing) {
        eval_job_end(e);
    }
}

bool eval_job_idle(struct eval_job *e) {
    if (e->dropped && thread_ended(&e->thread)) {
        thread_join(&e->thread);
        e->dropped = e->computing = false;
        eval_job_end(e);
    }
    return !e->dropped;
}

void eval_job_leave(struct eval_job *e) {
    thread_leave(&e->thread);
    e->left = true;
}
