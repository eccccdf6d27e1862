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

/* A histogram of times, fine enough to tell 15 ms from 20 ms, small enough to be sent with every
 * heartbeat. Bucket b holds times of [latency_from_us(b), latency_from_us(b + 1)): 4 buckets an
 * octave, from 1 us to 16 s. A quantile is the upper end of its bucket, so it is at most 25 % too
 * high and never too low. */
#define LATENCY_BUCKETS 92u

struct latency {
    uint64_t count[LATENCY_BUCKETS];
    uint64_t max_us; /* exactly */
};
void latency_note(struct latency *l, uint64_t us);
void latency_add(struct latency *into, const struct latency *from);
uint64_t latency_total(const struct latency *l); /* times noted */
/* The time that a share q (0 to 1) of all do not exceed, at most max_us; 0 if there are none. */
uint64_t latency_quantile_us(const struct latency *l, double q);
uint32_t latency_bucket(uint64_t us);
uint64_t latency_from_us(uint32_t bucket);

struct usage {
    double cpu_s;                        /* user and system */
    uint64_t peak_bytes;                 /* resident set, the largest it has been */
    uint64_t sent_bytes, received_bytes; /* between workers and partitions */
    double stage_s[STAGES];
    /* Of a server's requests: from the moment when its partition could have taken it, had it not
     * been busy with its own housekeeping, to the answer. All; those while a cut was written. */
    struct latency latency, latency_cut;
};
/* Sets cpu_s and peak_bytes to this process's, the rest to zero. */
void usage_of_process(struct usage *u);
/* Adds the laps' times. */
void usage_add_laps(struct usage *u, const struct laps *l);
/* Adds all members, but takes the larger peak_bytes. */
void usage_add(struct usage *into, const struct usage *from);
