#include "affinity.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

void affinity_fini(struct affinity *a) {
    mem_free(&a->pending);
    mem_free(&a->window);
    mem_free(&a->worker);
    *a = (struct affinity){0};
}

static enum status affinity_alloc(struct affinity *a, const struct ranges *ranges) {
    if (a->ranges == NULL) {
        TRY(mem_array(&a->pending, ranges->count));
        const enum status status = mem_array(&a->window, ranges->windows);
        if (status != OK) {
            mem_free(&a->pending);
            return status;
        }
        a->ranges = ranges;
        a->epoch = AFFINITY_NONE;
    }
    assert(a->ranges == ranges);
    return OK;
}

enum status affinity_begin(struct affinity *a, const struct ranges *ranges, uint32_t epoch) {
    TRY(affinity_alloc(a, ranges));
    if (ranges->count > 0) {
        memset(a->pending, 0, ranges->count * sizeof *a->pending);
    }
    for (uint32_t w = 0; w < ranges->windows; w++) {
        a->window[w] = (struct affinity_window){.first = ranges->first_range[w + 1]};
    }
    a->first = a->first_free = ranges->windows;
    for (uint32_t i = 0; i < a->workers; i++) {
        struct affinity_worker *x = &a->worker[i];
        if (a->epoch != epoch) {
            *x = (struct affinity_worker){AFFINITY_NONE, AFFINITY_NONE};
        }
        if (x->on != AFFINITY_NONE) {
            a->window[x->on].on++;
        }
        if (x->ahead != AFFINITY_NONE) {
            a->window[x->ahead].reserved++;
        }
    }
    a->epoch = epoch;
    return OK;
}

/* The window has gained a pending range, or lost a worker: it may be free now. */
static void look_from(struct affinity *a, uint32_t window) {
    if (window < a->first) {
        a->first = window;
    }
    if (window < a->first_free) {
        a->first_free = window;
    }
}

void affinity_add(struct affinity *a, uint32_t range) {
    const uint32_t window = a->ranges->window[range];
    struct affinity_window *w = &a->window[window];
    assert(!a->pending[range]);
    a->pending[range] = true;
    w->pending++;
    if (range < w->first) {
        w->first = range;
    }
    look_from(a, window);
}

/* --- windows ---------------------------------------------------------------------------------- */

static uint32_t first_pending(struct affinity *a) {
    while (a->first < a->ranges->windows && a->window[a->first].pending == 0) {
        a->first++;
    }
    return a->first < a->ranges->windows ? a->first : AFFINITY_NONE;
}

static uint32_t first_free(struct affinity *a) {
    for (; a->first_free < a->ranges->windows; a->first_free++) {
        const struct affinity_window *w = &a->window[a->first_free];
        if (w->pending > 0 && w->on == 0 && w->reserved == 0) {
            return a->first_free;
        }
    }
    return AFFINITY_NONE;
}

static uint32_t first_left_alone(struct affinity *a) {
    for (uint32_t w = a->first; w < a->ranges->windows; w++) {
        if (a->window[w].pending > 0 && a->window[w].on == 0) {
            return w;
        }
    }
    return AFFINITY_NONE;
}

/* The pending window after `window`. */
static uint32_t next_pending_after(const struct affinity *a, uint32_t window) {
    while (++window < a->ranges->windows) {
        if (a->window[window].pending > 0) {
            return window;
        }
    }
    return AFFINITY_NONE;
}

static uint32_t first_range_in(struct affinity *a, uint32_t window) {
    struct affinity_window *w = &a->window[window];
    assert(w->pending > 0);
    while (!a->pending[w->first]) {
        w->first++;
    }
    return w->first;
}

/* --- workers ---------------------------------------------------------------------------------- */

static void affinity_leave(struct affinity *a, struct affinity_worker *x) {
    if (x->on != AFFINITY_NONE) {
        a->window[x->on].on--;
        look_from(a, x->on);
        x->on = AFFINITY_NONE;
    }
}

static void cancel_ahead(struct affinity *a, struct affinity_worker *x) {
    if (x->ahead != AFFINITY_NONE) {
        a->window[x->ahead].reserved--;
        look_from(a, x->ahead);
        x->ahead = AFFINITY_NONE;
    }
}

static enum status affinity_room(struct affinity *a, uint32_t worker) {
    TRY(mem_room(&a->worker, &a->workers_cap, (size_t)worker + 1));
    for (; a->workers <= worker; a->workers++) {
        a->worker[a->workers] = (struct affinity_worker){AFFINITY_NONE, AFFINITY_NONE};
    }
    return OK;
}

static bool still_pending(const struct affinity *a, uint32_t window) {
    return window != AFFINITY_NONE && a->window[window].pending > 0;
}

static uint32_t affinity_choose(struct affinity *a, const struct affinity_worker *x, bool strict) {
    uint32_t to = first_pending(a);
    if (strict || to == AFFINITY_NONE) {
        return to;
    }
    if (still_pending(a, x->on)) {
        return x->on;
    }
    if (still_pending(a, x->ahead)) {
        return x->ahead;
    }
    const uint32_t open = first_free(a), alone = open == AFFINITY_NONE ? first_left_alone(a) : open;
    return alone == AFFINITY_NONE ? to : alone;
}

/* The worker is on the window from now on. */
static void affinity_enter(struct affinity *a, struct affinity_worker *x, uint32_t window) {
    if (window != x->on) {
        affinity_leave(a, x);
        x->on = window;
        a->window[window].on++;
    }
    if (window == x->ahead) {
        cancel_ahead(a, x);
    }
}

static void take_pending(struct affinity *a, uint32_t range) {
    a->pending[range] = false;
    a->window[a->ranges->window[range]].pending--;
}

enum status affinity_take(struct affinity *a, uint32_t worker, bool strict, uint32_t *range) {
    TRY(affinity_room(a, worker));
    struct affinity_worker *x = &a->worker[worker];
    const uint32_t to = affinity_choose(a, x, strict);
    *range = AFFINITY_NONE;
    if (to == AFFINITY_NONE) {
        return OK;
    }
    affinity_enter(a, x, to);
    *range = first_range_in(a, to);
    take_pending(a, *range);
    return OK;
}

enum status affinity_restore(struct affinity *a, uint32_t worker, uint32_t range, uint32_t ahead) {
    TRY(affinity_room(a, worker));
    struct affinity_worker *x = &a->worker[worker];
    assert(a->pending[range]);
    affinity_enter(a, x, a->ranges->window[range]);
    take_pending(a, range);
    if (ahead < a->ranges->count && a->ranges->window[ahead] != x->on) {
        cancel_ahead(a, x);
        x->ahead = a->ranges->window[ahead];
        a->window[x->ahead].reserved++;
    }
    return OK;
}

uint32_t affinity_ahead(struct affinity *a, uint32_t worker, bool strict) {
    struct affinity_worker *x = &a->worker[worker];
    if (strict) {
        const uint32_t next = next_pending_after(a, x->on);
        return next == AFFINITY_NONE ? next : first_range_in(a, next);
    }
    if (!still_pending(a, x->ahead)) {
        cancel_ahead(a, x);
        x->ahead = first_free(a);
        if (x->ahead == AFFINITY_NONE) {
            return AFFINITY_NONE;
        }
        a->window[x->ahead].reserved++;
    }
    return first_range_in(a, x->ahead);
}

void affinity_drop(struct affinity *a, uint32_t worker) {
    if (worker < a->workers) {
        affinity_leave(a, &a->worker[worker]);
        cancel_ahead(a, &a->worker[worker]);
    }
}
