/* usage.h - what a process has used: CPU, memory, network, and its threads' time per stage.
 *
 * Time is measured in laps: a thread with a `struct laps` charges all its time to stages, so the
 * stages of a trainer or partition thread sum up to its life. A lap reads the clock once (some 25
 * ns), a few times per 256 impressions, so it is always on.
 */
#pragma once

#include <stdint.h>
#include "common/base/clock.h"

/* Order and names are part of the protocol (docs/wire.md): append only. */
#define STAGE_LIST(X)                                                                              \
    X(STAGE_LOAD, "load")       /* worker: shards read and decoded (loader thread) */              \
    X(STAGE_CUT, "cut")         /* batches cut from shards (cutter thread) */                      \
    X(STAGE_ASK, "ask")         /* trainer: keys split by partition, PULLs sent */                 \
    X(STAGE_WAIT, "wait")       /* a batch, rows, or the staleness bound awaited */                \
    X(STAGE_RECEIVE, "receive") /* answers taken, rows dealt out */                                \
    X(STAGE_POOL, "pool")       /* bags pooled, and gradients dealt back to rows */                \
    X(STAGE_FORWARD, "forward")                                                                    \
    X(STAGE_LOSS, "loss")                                                                          \
    X(STAGE_BACKWARD, "backward")                                                                  \
    X(STAGE_PUSH, "push")     /* gradients gathered, PUSHes sent */                                \
    X(STAGE_RETIRE, "retire") /* running metrics, bookkeeping */                                   \
    X(STAGE_IDLE, "idle")     /* partition thread: a request awaited */                            \
    X(STAGE_LOOKUP, "lookup") /* PULLs answered */                                                 \
    X(STAGE_APPLY, "apply")   /* PUSHes applied */                                                 \
    X(STAGE_KEEP, "keep")     /* snapshots, expiry, orders */

enum stage {
#define X(name, text) name,
    STAGE_LIST(X)
#undef X
        STAGES
};
const char *stage_name(enum stage s);

struct laps {
    uint64_t mark_ns;
    uint64_t ns[STAGES];
};
static inline void laps_start(struct laps *l) {
    l->mark_ns = clock_mono_ns();
}
/* Charges the time since the last lap (or start) to a stage. */
static inline void lap(struct laps *l, enum stage s) {
    const uint64_t now_ns = clock_mono_ns();
    l->ns[s] += now_ns - l->mark_ns;
    l->mark_ns = now_ns;
}

struct usage {
    double cpu_s;                        /* user and system */
    uint64_t peak_bytes;                 /* resident set, the largest it has been */
    uint64_t sent_bytes, received_bytes; /* between workers and partitions */
    double stage_s[STAGES];
};
/* Sets cpu_s and peak_bytes to this process's, the rest to zero. */
void usage_of_process(struct usage *u);
/* Adds the laps' times. */
void usage_add_laps(struct usage *u, const struct laps *l);
/* Adds all members, but takes the larger peak_bytes. */
void usage_add(struct usage *into, const struct usage *from);
