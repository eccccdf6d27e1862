/* pace.h - which workers are much slower than the others.
 *
 * Every PACE_MS the owner tells how many batches each worker has finished since it began, and
 * whether it has had work all the time since the last call. A worker whose rate is at most a
 * PACE_TIMES-th of the median of those that had work is slow; it is told once, and again only if it
 * was not slow in between. Windows in which the median is below PACE_BATCHES say nothing, nor does
 * one in which a worker was started again. No clocks, no sockets; single thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/status.h"

#define PACE_MS      30000u
#define PACE_TIMES   10u
#define PACE_BATCHES 20u

struct pace_worker {
    uint64_t incarnation, finished; /* at the beginning of the window */
    uint64_t batches;               /* in the window that is over */
    bool idle;                      /* has been without work in this window */
    bool counts;                    /* had work in all of the window that is over */
    bool slow;
};
struct pace {
    struct pace_worker *worker; /* [workers] */
    uint64_t *sorted;           /* [workers] */
    uint32_t workers;
    uint64_t median;   /* batches a worker in the window that is over; 0: says nothing */
    uint64_t begun_ms; /* 0: no window */
};

enum status pace_init(struct pace *p, uint32_t workers); /* ERR_MEMORY */
void pace_fini(struct pace *p);
void pace_idle(struct pace *p, uint32_t worker); /* it has no work now */
/* Whether a window is over, or none has begun: then pace_worker is called for every worker, and
 * pace_judge. */
bool pace_due(const struct pace *p, uint64_t now_ms);
void pace_worker(struct pace *p, uint32_t worker, uint64_t incarnation, uint64_t finished);
void pace_judge(struct pace *p, uint64_t now_ms);
/* Whether the worker has become slow in the window that pace_judge looked at. */
bool pace_became_slow(struct pace *p, uint32_t worker);
