#include "gate.h"

#include "common/base/thread.h"
#include "common/net/link_messages.h"

void gate_init(struct gate *g, uint32_t trainers, uint64_t staleness_max) {
    *g = (struct gate){.trainers = trainers, .staleness_max = staleness_max};
    pthread_mutex_init(&g->lock, NULL);
    thread_cond_init(&g->changed);
}

void gate_fini(struct gate *g) {
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
}

/* A trainer counts only once it has asked. So its first batch, and the first one after it was idle,
 * waits for the answer. */
static bool may_enter(const struct gate *g, uint32_t trainer) {
    const struct gate_trainer *t = &g->trainer[trainer];
    return t->joined && t->clock <= t->slowest + g->staleness_max;
}

void gate_idle(struct gate *g, uint32_t trainer) {
    pthread_mutex_lock(&g->lock);
    struct gate_trainer *t = &g->trainer[trainer];
    t->idle = t->joined;
    pthread_mutex_unlock(&g->lock);
}

enum status gate_enter(struct gate *g, uint32_t trainer, uint64_t timeout_ms) {
    const struct timespec until = thread_cond_until(timeout_ms);
    enum status status = OK;
    pthread_mutex_lock(&g->lock);
    struct gate_trainer *t = &g->trainer[trainer];
    t->idle = false;
    t->waiting = !may_enter(g, trainer);
    while (!g->closed && !may_enter(g, trainer) && status == OK) {
        if (pthread_cond_timedwait(&g->changed, &g->lock, &until) != 0) {
            status = ERR_TIMEOUT;
        }
    }
    if (g->closed) {
        status = ERR_CLOSED;
    } else if (may_enter(g, trainer)) {
        status = OK;
        t->waiting = false;
    }
    pthread_mutex_unlock(&g->lock);
    return status;
}

void gate_finish(struct gate *g, uint32_t trainer) {
    pthread_mutex_lock(&g->lock);
    g->trainer[trainer].clock++;
    pthread_mutex_unlock(&g->lock);
}

/* A question is sent when a trainer is blocked, has never asked, or is half-way to its bound: early
 * enough that the answer usually comes before the bound is reached. */
static bool question_due(const struct gate *g, const struct gate_trainer *t) {
    if (t->asking || t->asked == t->clock + 1) {
        return false;
    }
    return t->waiting || (t->joined && t->clock > t->slowest + g->staleness_max / 2);
}

/* The trainer leaves: when it comes back, what it has learnt is no longer valid. */
static uint64_t leave_gate(struct gate_trainer *t) {
    t->idle = false;
    t->joined = false;
    t->asked = 0;
    t->slowest = 0;
    return CLOCK_IDLE;
}

static uint64_t ask_at_gate(struct gate_trainer *t) {
    t->asked = t->clock + 1;
    return t->clock;
}

bool gate_wants(struct gate *g, uint32_t *trainer, uint64_t *clock) {
    bool found = false;
    pthread_mutex_lock(&g->lock);
    for (uint32_t i = 0; i < g->trainers && !found; i++) {
        struct gate_trainer *t = &g->trainer[i];
        const bool leaves = t->idle && !t->asking;
        if (leaves || question_due(g, t)) {
            *clock = leaves ? leave_gate(t) : ask_at_gate(t);
            t->asking = true;
            *trainer = i;
            found = true;
        }
    }
    pthread_mutex_unlock(&g->lock);
    return found;
}

void gate_learn(struct gate *g, uint32_t trainer, uint64_t slowest) {
    pthread_mutex_lock(&g->lock);
    struct gate_trainer *t = &g->trainer[trainer];
    t->asking = false;
    if (t->asked > 0) { /* else this is the answer to CLOCK_IDLE */
        t->joined = true;
        t->slowest = slowest > t->slowest ? slowest : t->slowest;
    }
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

void gate_close(struct gate *g) {
    pthread_mutex_lock(&g->lock);
    g->closed = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}
