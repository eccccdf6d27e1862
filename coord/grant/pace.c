#include "pace.h"

#include <stdlib.h>

#include "common/base/mem.h"

enum status pace_init(struct pace *p, uint32_t workers) {
    *p = (struct pace){.workers = workers};
    TRY(mem_array(&p->worker, workers));
    return mem_array(&p->sorted, workers);
}

void pace_fini(struct pace *p) {
    mem_free(&p->worker);
    mem_free(&p->sorted);
}

void pace_idle(struct pace *p, uint32_t worker) {
    p->worker[worker].idle = true;
}

bool pace_due(const struct pace *p, uint64_t now_ms) {
    return p->begun_ms == 0 || now_ms >= p->begun_ms + PACE_MS;
}

void pace_worker(struct pace *p, uint32_t worker, uint64_t incarnation, uint64_t finished) {
    struct pace_worker *w = &p->worker[worker];
    const bool same = w->incarnation == incarnation && finished >= w->finished;
    w->counts = p->begun_ms != 0 && same && !w->idle && incarnation != 0;
    w->batches = same ? finished - w->finished : 0;
    w->incarnation = incarnation;
    w->finished = finished;
    w->idle = false;
}

static int compare(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void pace_judge(struct pace *p, uint64_t now_ms) {
    uint32_t n = 0;
    for (uint32_t w = 0; w < p->workers; w++) {
        if (p->worker[w].counts) {
            p->sorted[n++] = p->worker[w].batches;
        }
    }
    qsort(p->sorted, n, sizeof *p->sorted, compare);
    p->median = n > 1 && p->sorted[n / 2] >= PACE_BATCHES ? p->sorted[n / 2] : 0;
    p->begun_ms = now_ms;
}

bool pace_became_slow(struct pace *p, uint32_t worker) {
    struct pace_worker *w = &p->worker[worker];
    if (!w->counts || p->median == 0) {
        return false;
    }
    const bool was = w->slow;
    w->slow = w->batches * PACE_TIMES <= p->median;
    return w->slow && !was;
}
