#include "pace.h"

#include <time.h>

#include "common/base/clock.h"
#include "common/data/shard.h"

void pace_init(struct pace *p, uint32_t trainers, uint64_t staleness_max) {
    *p = (struct pace){.trainers = trainers, .staleness_max = staleness_max};
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void pace_fini(struct pace *p) {
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
}

/* A trainer counts only once it has asked; its first batch, and the first one after it was idle,
 * waits for that. */
static bool may_enter(const struct pace *p, uint32_t trainer) {
    const struct pace_trainer *t = &p->trainer[trainer];
    return t->joined && t->clock <= t->slowest + p->staleness_max;
}

void pace_idle(struct pace *p, uint32_t trainer) {
    pthread_mutex_lock(&p->lock);
    struct pace_trainer *t = &p->trainer[trainer];
    t->idle = t->joined;
    pthread_mutex_unlock(&p->lock);
}

enum status pace_enter(struct pace *p, uint32_t trainer, uint64_t timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    enum status status = OK;
    pthread_mutex_lock(&p->lock);
    struct pace_trainer *t = &p->trainer[trainer];
    t->idle = false;
    t->waiting = !may_enter(p, trainer);
    while (!p->closed && !may_enter(p, trainer) && status == OK) {
        if (pthread_cond_timedwait(&p->changed, &p->lock, &until) != 0) {
            status = ERR_TIMEOUT;
        }
    }
    if (p->closed) {
        status = ERR_CLOSED;
    } else if (may_enter(p, trainer)) {
        status = OK;
        t->waiting = false;
    }
    pthread_mutex_unlock(&p->lock);
    return status;
}

/* Does a record tell something new of the conversion? A second record at its final label does not,
 * unless that is a late conversion. */
static bool tells_ctcvr(uint8_t kind, uint8_t labels) {
    return kind_has_ctcvr(kind) && (kind != KIND_FINAL || (labels & LABEL_LATE) != 0);
}

/* To the running AUCs. Of records, each counts where it touches the loss: a click once, a late
 * conversion as a negative and a positive. */
static void add_bins(struct pace *p, const struct pace_report *r) {
    for (uint32_t i = 0; i < r->impressions; i++) {
        const uint8_t both = LABEL_CLICK | LABEL_CONVERSION;
        const uint8_t kind = r->kind == NULL ? KIND_LOG : r->kind[i], labels = r->labels[i];
        const struct score_ranks s = score_ranks(r->logit_a[i], r->logit_b[i], r->form);
        if (kind_has_ctr(kind)) {
            metric_bins_add(&p->bins_ctr, (float)s.ctr, (labels & LABEL_CLICK) != 0);
        }
        if (tells_ctcvr(kind, labels)) {
            metric_bins_add(&p->bins_ctcvr, (float)s.ctcvr, (labels & both) == both);
        }
    }
}

static void add_trained(struct pace *p, const struct pace_report *r) {
    struct wire_progress *w = &p->progress;
    w->finished++;
    w->impressions += r->impressions;
    w->batches++;
    w->loss_sum += r->loss;
    w->loss_ctr_sum += r->loss_ctr;
    w->loss_ctcvr_sum += r->loss_ctcvr;
    w->duplicates += r->duplicates;
    w->dropped_values += r->dropped_values;
    w->staleness_sum += r->staleness;
    raise_to(&w->staleness_max, r->staleness);
    w->dense_staleness_sum += r->dense_staleness;
    raise_to(&w->dense_staleness_max, r->dense_staleness);
    add_bins(p, r);
}

void pace_report(struct pace *p, uint32_t trainer, const struct pace_report *r) {
    pthread_mutex_lock(&p->lock);
    p->trainer[trainer].clock++;
    p->progress.resent += r->resent;
    p->progress.tickets_unknown += r->tickets_unknown;
    if (r->fenced) {
        p->progress.fenced++;
    } else {
        add_trained(p, r);
    }
    pthread_mutex_unlock(&p->lock);
}

void pace_scored(struct pace *p) {
    pthread_mutex_lock(&p->lock);
    p->progress.finished++;
    pthread_mutex_unlock(&p->lock);
}

/* A question goes out when a trainer is blocked, has never asked, or is half-way to its bound:
 * early enough that the answer is usually there before the bound is. */
static bool wants(const struct pace *p, const struct pace_trainer *t) {
    if (t->asking || t->asked == t->clock + 1) {
        return false;
    }
    return t->waiting || (t->joined && t->clock > t->slowest + p->staleness_max / 2);
}

/* The trainer leaves: what it has learnt does not hold when it comes back. */
static uint64_t leave(struct pace_trainer *t) {
    t->idle = false;
    t->joined = false;
    t->asked = 0;
    t->slowest = 0;
    return CLOCK_IDLE;
}

static uint64_t ask(struct pace_trainer *t) {
    t->asked = t->clock + 1;
    return t->clock;
}

bool pace_wants(struct pace *p, uint32_t *trainer, uint64_t *clock) {
    bool found = false;
    pthread_mutex_lock(&p->lock);
    for (uint32_t i = 0; i < p->trainers && !found; i++) {
        struct pace_trainer *t = &p->trainer[i];
        const bool leaves = t->idle && !t->asking;
        if (leaves || wants(p, t)) {
            *clock = leaves ? leave(t) : ask(t);
            t->asking = true;
            *trainer = i;
            found = true;
        }
    }
    pthread_mutex_unlock(&p->lock);
    return found;
}

void pace_learn(struct pace *p, uint32_t trainer, uint64_t slowest) {
    pthread_mutex_lock(&p->lock);
    struct pace_trainer *t = &p->trainer[trainer];
    t->asking = false;
    if (t->asked > 0) { /* else the answer to CLOCK_IDLE */
        t->joined = true;
        t->slowest = slowest > t->slowest ? slowest : t->slowest;
    }
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void pace_progress(struct pace *p, struct wire_progress *out) {
    pthread_mutex_lock(&p->lock);
    *out = p->progress;
    pthread_mutex_unlock(&p->lock);
}

void pace_use(struct pace *p, const struct usage *used) {
    pthread_mutex_lock(&p->lock);
    usage_add(&p->usage, used);
    pthread_mutex_unlock(&p->lock);
}

void pace_usage(struct pace *p, struct usage *into) {
    pthread_mutex_lock(&p->lock);
    usage_add(into, &p->usage);
    pthread_mutex_unlock(&p->lock);
}

void pace_take_bins(struct pace *p, struct metric_bins *ctr, struct metric_bins *ctcvr) {
    pthread_mutex_lock(&p->lock);
    metric_bins_merge(ctr, &p->bins_ctr);
    metric_bins_merge(ctcvr, &p->bins_ctcvr);
    p->bins_ctr = (struct metric_bins){0};
    p->bins_ctcvr = (struct metric_bins){0};
    pthread_mutex_unlock(&p->lock);
}

void pace_close(struct pace *p) {
    pthread_mutex_lock(&p->lock);
    p->closed = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}
