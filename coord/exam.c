#include "exam.h"

#include "common/mem.h"
#include "common/plan.h"
#include "common/scores.h"

enum status exam_init(struct exam *e, const struct dataset *data, uint32_t batch_max) {
    *e = (struct exam){.data = data};
    uint32_t shards = data->shard_count;
    enum status status;
    TRY_OUT(mem_array((void **)&e->batches, shards, sizeof *e->batches));
    TRY_OUT(mem_array((void **)&e->offset, (size_t)shards + 1, sizeof *e->offset));
    TRY_OUT(mem_array((void **)&e->got, shards, sizeof *e->got));
    for (uint32_t s = 0; s < shards; s++) {
        e->batches[s] = plan_batches(data->shards[s].impressions, batch_max);
        e->offset[s + 1] = e->offset[s] + data->shards[s].impressions;
    }
    return OK;
out:
    exam_fini(e);
    return status;
}

void exam_fini(struct exam *e) {
    thread_join(&e->thread);
    exam_end(e);
    mem_free(&e->batches);
    mem_free(&e->offset);
    mem_free(&e->got);
}

enum status exam_begin(struct exam *e, uint32_t epoch) {
    uint32_t shards = e->data->shard_count;
    exam_end(e);
    TRY(mem_array((void **)&e->scores, e->offset[shards], sizeof *e->scores));
    e->epoch = epoch;
    e->received = 0;
    for (uint32_t s = 0; s < shards; s++) {
        e->got[s] = e->data->shards[s].impressions == 0;
        e->received += e->got[s];
    }
    return OK;
}

enum status exam_take(struct exam *e, uint32_t epoch, uint32_t shard, uint32_t count,
                      const void *values, size_t bytes, bool *fresh) {
    *fresh = false;
    if (shard >= e->data->shard_count) {
        return fail(ERR_PROTOCOL, "scores of evaluation shard %u; there are %u", shard,
                    e->data->shard_count);
    }
    if (e->scores == NULL || epoch != e->epoch || e->got[shard]) {
        return OK;
    }
    uint32_t impressions = e->data->shards[shard].impressions;
    if (count != impressions) {
        return fail(ERR_PROTOCOL, "%u scores of evaluation shard %s, which has %u impressions",
                    count, e->data->shards[shard].name, impressions);
    }
    TRY(wire_scores_unpack(values, bytes, count, e->scores + e->offset[shard]));
    e->got[shard] = true;
    e->received++;
    *fresh = true;
    return OK;
}

bool exam_complete(const struct exam *e) {
    return e->received == e->data->shard_count;
}

static enum status compute(void *arg) {
    struct exam *e = arg;
    const struct evaluation_spec spec = {.form = e->form}; /* no bootstrap: others want the cores */
    return evaluation_compute(&e->evaluation, e->scores, e->offset[e->data->shard_count], &spec);
}

enum status exam_compute(struct exam *e) {
    return thread_start(&e->thread, "evaluation", compute, e);
}

bool exam_computed(struct exam *e, enum status *status, struct evaluation *out) {
    if (!thread_ended(&e->thread)) {
        return false;
    }
    *status = thread_join(&e->thread);
    *out = e->evaluation;
    return true;
}

void exam_end(struct exam *e) {
    mem_free(&e->scores);
}
