/* retention.c - see retention.h. */
#include "retention.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HOUR_S 3600.0
#define DAY_S  86400.0

struct retention retention_of(const struct config *c) {
    return (struct retention){
        .newest = c->keep, .hourly = c->keep_hourly, .daily = c->keep_daily, .best = c->keep_best};
}

static int by_step(const void *a, const void *b) {
    const struct retention_item *x = a, *y = b;
    return x->step < y->step ? -1 : x->step > y->step;
}

static int by_time(const void *a, const void *b) {
    const struct retention_item *x = a, *y = b;
    return x->saved_at < y->saved_at ? -1 : x->saved_at > y->saved_at ? 1 : by_step(a, b);
}

/* Of each of the newest `count` periods that have a checkpoint, the last one stays. The items are
 * in order of time. */
static void keep_periods(struct retention_item *items, size_t n, uint32_t count, double seconds,
                         enum kept why) {
    double last = NAN;
    for (size_t i = n; i > 0 && count > 0; i--) {
        const double period = floor(items[i - 1].saved_at / seconds);
        if (period != last) { /* true for the first, since last is NaN */
            items[i - 1].kept |= why;
            last = period;
            count--;
        }
    }
}

/* Of equal ones the oldest is the best: none that came later was better. */
static void keep_best(struct retention_item *items, size_t n) {
    struct retention_item *best = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(items[i].figure) && (best == NULL || items[i].figure > best->figure)) {
            best = &items[i];
        }
    }
    if (best != NULL) {
        best->kept |= KEPT_BEST;
    }
}

/* Whether a base that stays only for that was found. */
static bool keep_bases(struct retention_item *items, size_t n) {
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; items[i].kept != 0 && items[i].base != 0 && k < n; k++) {
            if (items[k].cut == items[i].base && (items[k].kept & KEPT_BASE) == 0) {
                any = any || items[k].kept == 0;
                items[k].kept |= KEPT_BASE;
            }
        }
    }
    return any;
}

void retention_decide(const struct retention *r, uint64_t published, struct retention_item *items,
                      size_t count) {
    if (count == 0) {
        return;
    }
    qsort(items, count, sizeof *items, by_time);
    for (size_t i = 0; i < count; i++) {
        items[i].kept = items[i].pinned ? KEPT_PINNED : 0;
    }
    keep_periods(items, count, r->hourly, HOUR_S, KEPT_HOURLY);
    keep_periods(items, count, r->daily, DAY_S, KEPT_DAILY);
    qsort(items, count, sizeof *items, by_step);
    for (size_t i = 0; i < count; i++) {
        const bool newest = count - i <= r->newest || items[i].step == published;
        items[i].kept |= newest ? KEPT_NEWEST : 0;
    }
    if (r->best != BEST_OFF) {
        keep_best(items, count);
    }
    while (keep_bases(items, count)) {
    }
}

void retention_words(uint32_t kept, enum keep_best best, char *out, size_t bytes) {
    static const char *const words[] = {"newest", "hourly", "daily", "best", "pinned", "base"};
    static const char *const metrics[] = {
        [BEST_OFF] = "", [BEST_CTCVR] = " ctcvr", [BEST_CTR] = " ctr", [BEST_CVR] = " cvr"};
    size_t used = 0;
    out[0] = '\0';
    for (size_t k = 0; k < sizeof words / sizeof *words && used < bytes; k++) {
        if ((kept >> k & 1) != 0) {
            used += (size_t)snprintf(out + used, bytes - used, "%s%s%s", used > 0 ? ", " : "",
                                     words[k], (1u << k) == KEPT_BEST ? metrics[best] : "");
        }
    }
}
