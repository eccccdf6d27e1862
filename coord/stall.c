/* stall.c - checks that the job makes progress: a phase that makes none fails.
 *
 * A heartbeat says that a process lives, not that it works. Without this check the job would wait
 * for ever for a worker whose scores never arrive, a trainer that hangs, or workers that ask for
 * nothing. So only progress counts: a batch was finished, scores were received, a lease came back,
 * a part was reported, or a shard of a stream arrived. Grants, questions and heartbeats are no
 * progress.
 *
 *   - If a phase makes no progress for net.stall_ms, the job fails, and the cause names who was
 *     awaited for what.
 *   - A worker that holds leases and has finished nothing for net.stall_ms loses them, as if it
 *     were silent, if there is another worker that has nothing to do or has made progress within
 *     half of that time. (If two workers stopped together, the one that stopped later is no help.)
 *     The job then has another net.stall_ms. If the first worker wakes up, its pushes are refused
 *     by their fence.
 *
 * Two waits are excused, and logged once every net.stall_ms: for the next shard of a stream, and
 * for the disk (a worker says in its heartbeats that it has nothing to do until a shard is read).
 * Phases with deadlines of their own are not checked here: GATHER (--timeout), a cut that is being
 * made (cut.h), STOP.
 */
#include <stdio.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "state.h"

#define NAMED_MAX 3 /* at most so many workers are named */

/* A number that changes with every progress. */
static uint64_t progress_mark(const struct coord *c) {
    uint64_t finished = 0;
    for (uint32_t w = 0; w < c->members.workers; w++) {
        finished += c->members.worker[w].finished;
    }
    const uint64_t counts[] = {(uint64_t)c->phase,
                               c->leases.epoch,
                               c->leases.back,
                               c->eval_job.taken,
                               finished,
                               c->ranges.count,
                               c->checkpoints.cut.number,
                               c->checkpoints.cut.reports};
    return hash_bytes(counts, sizeof counts);
}

/* --- words ------------------------------------------------------------------------------------ */

static const struct lease *a_lease_of(const struct coord *c, uint32_t worker) {
    return leases_held(&c->leases, worker) == 0 ? NULL
                                                : &c->leases.lease[c->leases.holder[worker].first];
}

/* "worker 1 (host h, pid 7), which holds shard 3" */
static size_t name_holder(const struct coord *c, uint32_t w, char *out, size_t bytes) {
    char who[160];
    member_describe(&c->members.worker[w], who, sizeof who);
    const int n = snprintf(out, bytes, "%s, which holds %s %u and has finished %llu batches", who,
                           leases_unit(&c->leases), a_lease_of(c, w)->shard,
                           (unsigned long long)c->members.worker[w].finished);
    return (size_t)n < bytes ? (size_t)n : bytes - 1;
}

/* Names the workers that hold leases; if none does, the workers that could ask for one. */
static void name_awaited(const struct coord *c, char *out, size_t bytes) {
    uint32_t named = 0, more = 0;
    size_t used = 0;
    for (uint32_t w = 0; w < c->members.workers; w++) {
        if (leases_held(&c->leases, w) == 0) {
            continue;
        }
        if (named++ >= NAMED_MAX) {
            more++;
            continue;
        }
        used += (size_t)snprintf(out + used, bytes - used, "%s", used > 0 ? "; " : "");
        used += name_holder(c, w, out + used, bytes - used);
    }
    if (more > 0) {
        snprintf(out + used, bytes - used, "; and %u others", more);
    }
    if (named == 0) {
        snprintf(out, bytes, "%u %ss are pending, and none of %u workers asks for one",
                 c->leases.count - c->leases.back, leases_unit(&c->leases),
                 membership_workers_alive(&c->members));
    }
}

static enum status stalled(struct coord *c, uint64_t now_ms) {
    const unsigned long long ms = now_ms - c->stall.changed_ms;
    char who[700], what[64];
    if (c->phase == PHASE_COMPUTE) {
        eval_job_leave(&c->eval_job);
        return fail(ERR_TIMEOUT,
                    "the metrics of %llu evaluation impressions were not computed within "
                    "%llu ms (net.stall_ms)",
                    (unsigned long long)c->eval.impressions, ms);
    }
    name_awaited(c, who, sizeof who);
    snprintf(what, sizeof what,
             c->phase != PHASE_SCORE ? "epoch %u"
             : c->evaluations.within ? "the evaluation within epoch %u"
                                     : "the evaluation after epoch %u",
             c->leases.epoch + 1);
    return fail(ERR_TIMEOUT, "%s has made no progress for %llu ms (net.stall_ms); awaited: %s",
                what, ms, who);
}

/* --- excuses ---------------------------------------------------------------------------------- */

static bool awaits_stream(const struct coord *c) {
    return c->phase == PHASE_TRAIN && !stream_plan_over(c) && leases_phase_complete(&c->leases);
}

static const struct member *reader_of(const struct coord *c) {
    for (uint32_t w = 0; w < c->members.workers; w++) {
        if (c->members.worker[w].reading && leases_held(&c->leases, w) > 0) {
            return &c->members.worker[w];
        }
    }
    return NULL;
}

/* *why: the message to log; "": no message, because the wait has its own deadline. */
static bool excused(const struct coord *c, char *why, size_t bytes) {
    const struct member *reader = reader_of(c);
    why[0] = '\0';
    if (awaits_stream(c)) {
        snprintf(why, bytes, "shard %u of %s has not come", c->stream.next, c->stream.dir);
        return true;
    }
    if (c->checkpoints.cut.busy && c->leases.out == 0) {
        return true;
    }
    if (reader != NULL) {
        char who[160];
        member_describe(reader, who, sizeof who);
        snprintf(why, bytes, "%s is reading %s %u", who, leases_unit(&c->leases),
                 a_lease_of(c, reader->index)->shard);
    }
    return reader != NULL;
}

/* --- watching --------------------------------------------------------------------------------- */

static bool is_stuck(const struct coord *c, const struct member *x, uint64_t now_ms) {
    return leases_held(&c->leases, x->index) > 0 && now_ms - x->moved_ms >= c->config->stall_ms;
}

/* Whether a worker other than `x` can take over the leases of `x`. */
static bool another_works(const struct coord *c, const struct member *x, uint64_t now_ms) {
    for (uint32_t w = 0; w < c->members.workers; w++) {
        const struct member *other = &c->members.worker[w];
        const bool there = other->state == MEMBER_PRESENT || other->state == MEMBER_SERVING;
        const bool gets_on = leases_held(&c->leases, w) == 0 ||
                             2 * (now_ms - other->moved_ms) <= c->config->stall_ms;
        if (other != x && there && !other->stuck && gets_on) {
            return true;
        }
    }
    return false;
}

static void watch_each(struct coord *c, uint64_t now_ms) {
    for (uint32_t w = 0; w < c->members.workers; w++) {
        struct member *x = &c->members.worker[w];
        if (x->stuck || !is_stuck(c, x, now_ms) || !another_works(c, x, now_ms)) {
            continue;
        }
        char who[300];
        name_holder(c, w, who, sizeof who);
        log_warn("%s, has got nowhere for %llu ms (net.stall_ms)", who,
                 (unsigned long long)(now_ms - x->moved_ms));
        x->stuck = true;
        c->stall.moved_ms = now_ms;
        drop_worker(c, x, false, now_ms);
    }
}

static bool looked_at(enum phase phase) {
    return phase == PHASE_TRAIN || phase == PHASE_SCORE || phase == PHASE_COMPUTE;
}

enum status stall_step(struct coord *c, uint64_t now_ms) {
    struct stall *s = &c->stall;
    char why[600];
    const uint64_t mark = progress_mark(c);
    if (mark != s->mark || !looked_at(c->phase)) {
        *s = (struct stall){mark, now_ms, now_ms, now_ms};
    }
    watch_each(c, now_ms);
    if (excused(c, why, sizeof why)) {
        s->moved_ms = now_ms;
        if (why[0] != '\0' && now_ms - s->said_ms >= c->config->stall_ms) {
            s->said_ms = now_ms;
            log_info("waiting for %llu s: %s",
                     (unsigned long long)((now_ms - s->changed_ms) / 1000), why);
        }
        return OK;
    }
    return now_ms - s->moved_ms < c->config->stall_ms ? OK : stalled(c, now_ms);
}
