/* stream_plan.c - a job on a stream: its plan grows while it trains.
 *
 * A new shard is cut into batches, a range of its own (common/job/ranges.h), and added to the plan,
 * the set of done names, the names of a cut that is being made, and the leases, in this order; from
 * then on it is like any other shard. Servers learn of it from its first push, which says how many
 * batches the shard has (ps/partition.h), so nobody has to be told before a lease is granted.
 * Shards are trained in the order of their numbers. There is one epoch; its phase is complete when
 * the stream has ended and all leases are back.
 *
 * A damaged shard ends the stream: the shards before it are trained and saved, then the job fails
 * with the name of the file.
 */
#include <stdio.h>

#include "common/base/log.h"
#include "common/fault/fault.h"
#include "state.h"

#define LOOK_MS         200
#define SHARDS_PER_TURN 16 /* there may be a thousand; peers must not wait for all of them */

/* *limit: how many batches of the shard belong to the job. */
static enum status plan_add(struct coord *c, const struct shard_info *info, uint32_t *limit) {
    struct ranges_shard shard;
    TRY(data_ranges_shard(c->config, &c->data, info, &shard));
    TRY(ranges_add(&c->ranges, shard));
    const uint32_t range = c->ranges.count - 1, batches = c->ranges.batches[range];
    const uint64_t left = c->plan.max_steps - c->job_batches;
    *limit = left < batches ? (uint32_t)left : batches;
    c->job_batches += *limit;
    c->job_impressions += ranges_impressions(&c->ranges, range, *limit);
    return OK;
}

enum status stream_plan_restore(struct coord *c, uint32_t shards, const char *from) {
    while (c->ranges.count < shards) {
        struct shard_info info;
        bool found;
        uint32_t limit;
        TRY(shard_stream_look(&c->stream, &info, &found));
        if (!found) {
            return fail(ERR_NOT_FOUND,
                        "cannot resume from %s: shard %u of %s is not there any "
                        "more; the run knew %u",
                        from, c->stream.next, c->stream.dir, shards);
        }
        TRY(plan_add(c, &info, &limit));
    }
    return OK;
}

enum status stream_plan_catch_up(struct coord *c) {
    bool found = c->options->stream;
    while (found && c->job_batches < c->plan.max_steps) {
        struct shard_info info;
        uint32_t limit;
        const enum status status = shard_stream_look(&c->stream, &info, &found);
        if (status != OK && status != ERR_MEMORY) { /* training will come upon it again */
            return OK;
        }
        TRY(status);
        TRY(found ? plan_add(c, &info, &limit) : OK);
    }
    return OK;
}

static enum status plan_join(struct coord *c, const struct shard_info *info) {
    uint32_t limit, shard = c->ranges.count;
    TRY(plan_add(c, info, &limit));
    const uint32_t batches = c->ranges.batches[shard];
    if (batches > 0) { /* the model may train on none of its impressions */
        TRY(applied_grow(c->leases.done, shard, batches));
    }
    if (batches > 0 && c->checkpoints.cut.applied != NULL) {
        TRY(applied_grow(c->checkpoints.cut.applied, shard, batches));
    }
    c->progress.job_impressions = c->job_impressions;
    log_info("shard %u has come: %u impressions in %u batches", shard, info->impressions, batches);
    return leases_add(&c->leases, shard, limit);
}

static void stream_end(struct coord *c) {
    c->stream.ended = true;
    c->progress.open = false;
}

enum status stream_plan_step(struct coord *c, uint64_t now_ms) {
    struct shard_stream *s = &c->stream;
    if (!c->options->stream || c->phase != PHASE_TRAIN || c->stopped || s->ended ||
        now_ms < s->look_ms) {
        return OK;
    }
    for (int i = 0; i < SHARDS_PER_TURN && c->job_batches < c->plan.max_steps; i++) {
        struct shard_info info;
        bool found = false;
        enum status status = shard_stream_look(s, &info, &found);
        if (status == ERR_MEMORY) {
            return status;
        }
        if (status != OK) {
            snprintf(s->damage, sizeof s->damage, "%s", fail_text());
            log_error("the stream ends here: %s", s->damage);
            stream_end(c);
            return OK;
        }
        if (!found) {
            s->look_ms = now_ms + LOOK_MS;
            break;
        }
        FAULT("coord.stream.shard");
        TRY(plan_join(c, &info));
    }
    if (s->ended || c->job_batches >= c->plan.max_steps) {
        log_info("the stream has %u shards and no more to train", c->ranges.count);
        stream_end(c);
    }
    return OK;
}

bool stream_plan_over(const struct coord *c) {
    return !c->options->stream || c->stream.ended;
}
