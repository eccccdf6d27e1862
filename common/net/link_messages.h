/* link_messages.h - messages of servers and workers to the coordinator, and its answers.
 *
 *   who -> coordinator   request      answer
 *   server, worker       HELLO        WELCOME or REFUSE
 *   server, worker       HEARTBEAT    COMMAND
 *   worker               LEASE_ASK    LEASE
 *   worker               CLOCK_ASK    CLOCK, once the staleness bound allows the trainer to go on
 *   server               PART_DONE    ACK
 *
 * (A worker's SCORES are in eval_messages.h; the answer to a request that makes no sense is ERROR.)
 * Frames of the messages that have any:
 *
 *   HELLO      keys    of a server: its partitions' endpoints, NUL-separated
 *   WELCOME    keys    with `ready`: the job's plan (job_plan.h), all endpoints among it
 *   HEARTBEAT  values  of a worker: bins of the running metrics (scores.h), may be absent;
 *                      of a server: u64 rows of each field slot, summed over its partitions
 *   LEASE      keys    bitmap of the shard's batches already applied; absent: none
 *   PART_DONE  keys    with `ok`: applied_encode of the names that the part has
 *
 * Texts end with NUL within their arrays. All requests may come twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "common/job/usage.h"

#define WIRE_TEXT_MAX       512
#define WIRE_LIVES_MAX      (1u << 20)
#define WIRE_ENDPOINT_MAX   128
#define WIRE_PARTITIONS_MAX 1024
#define WIRE_BASES_MAX      16

enum wire_role { ROLE_COORD = 1, ROLE_SERVER = 2, ROLE_WORKER = 3 };

/* The number of a job says which run it is, and in its low bits which life of the run. A rollback
 * begins a new life; frames of another life are not served. */
static inline bool wire_same_run(uint64_t a, uint64_t b) {
    return a / WIRE_LIVES_MAX == b / WIRE_LIVES_MAX;
}

#define WIRE_INDEX_ANY UINT32_MAX /* a worker that joins a job without a place of its own */
struct wire_hello {
    enum wire_role role;
    uint32_t index; /* server 0..N-1, worker 0..M-1, or WIRE_INDEX_ANY */
    char build[64]; /* program version; unequal is refused */
    char host[64];
    uint32_t pid;
    uint32_t threads;
    uint64_t incarnation; /* random per process start */
    /* Servers: the push logs that an earlier process left. With them the server can go on with the
     * life `log_job` of the job (0: there are none) from these states (wire_base). */
    uint64_t log_job;
    uint64_t log_base[WIRE_BASES_MAX];
    uint32_t log_bases;
};
struct wire_welcome {
    uint64_t job; /* number of this life of the job; every later message has it */
    bool ready;   /* false: other roles are still missing, send HELLO again */
    uint32_t partitions;
    uint32_t servers, workers;
    bool resume;
    char resume_dir[WIRE_TEXT_MAX]; /* checkpoint to load; "": none */
    uint32_t index;                 /* the role's place: the one it named, or was given */
};

/* Counters since the worker's start, cumulative. */
struct wire_progress {
    uint64_t impressions, batches;
    double loss_sum, loss_ctr_sum, loss_ctcvr_sum; /* sums over impressions */
    uint64_t resent, duplicates, dropped_values, tickets_unknown;
    uint64_t staleness_sum, staleness_max;             /* per push, of its rows */
    uint64_t dense_staleness_sum, dense_staleness_max; /* per push, of its dense vector */
    uint64_t finished; /* batches of any kind, training and evaluation: its progress */
    uint64_t fenced;   /* training batches that now belong to another worker; not in the sums */
};
/* For counters that hold a maximum. */
static inline void raise_to(uint64_t *most, uint64_t value) {
    *most = value > *most ? value : *most;
}
/* A partition also answers STATS with it, about itself alone. */
struct wire_heartbeat {
    enum wire_role role;
    uint32_t index;
    uint64_t incarnation;
    struct wire_progress progress; /* workers */
    uint64_t rows, bytes, version; /* servers: sums over partitions (version: minimum) */
    uint64_t evicted, refused, created, duplicates;
    uint64_t log_bytes; /* servers: of the push logs since the newest committed cut */
    struct usage usage; /* of the process since its start */
    bool reading;       /* workers: nothing to do until a shard is read; servers: rows are being
                           restored, none is served yet */
    bool leaving;       /* it was told to end and wants no more work; with `failing`: it goes now */
    bool failing;       /* text says why; the sender is about to exit */
    char text[WIRE_TEXT_MAX]; /* of a server that is reading: why it cannot restore */
};
enum wire_order {
    ORDER_NONE = 0,
    ORDER_STOP = 1,
    ORDER_CUT = 2,
    ORDER_REJOIN = 3, /* the job was rolled back: say HELLO again, as the same process; text: why */
    ORDER_LEAVE = 4   /* to a server that was told to end: all that it has is in a checkpoint */
};
struct wire_command {
    enum wire_order order;
    uint64_t cut;            /* cut number, 1, 2, ...; repeated until PART_DONE */
    uint64_t cut_id;         /* number stored in its parts (docs/format-checkpoint.md) */
    uint64_t committed;      /* id of the newest committed cut; 0: there is none */
    bool delta;              /* with ORDER_CUT: only what changed since `committed` */
    char dir[WIRE_TEXT_MAX]; /* where to write parts */
    uint64_t term;           /* of the coordinator: another one has not heard older requests */
    bool failed;             /* with ORDER_STOP: the job failed; text = first cause */
    char text[WIRE_TEXT_MAX];
};

enum lease_kind { LEASE_WAIT = 0, LEASE_TRAIN = 1, LEASE_EVAL = 2, LEASE_FINISHED = 3 };
struct wire_lease_ask {
    uint32_t index;
    uint64_t incarnation;
    bool returns; /* this ask also returns a finished lease */
    uint32_t epoch, shard;
    uint64_t fence;
};
struct wire_lease {
    enum lease_kind kind; /* WAIT: no work now, ask again */
    uint32_t epoch, shard;
    uint64_t fence;
    uint32_t batch_limit; /* process only batches below this (--max-steps) */
    uint32_t ahead; /* 1 + the first pending range of the window that this worker will probably
                             be given next, so that it can be read already; 0: nothing is known */
};

/* In a CLOCK_ASK: this trainer has no batch. The answer comes at once, and the trainer does not
 * count until its next CLOCK_ASK. */
#define CLOCK_IDLE UINT64_MAX
struct wire_clock {
    uint32_t index, trainer;
    uint64_t incarnation;
    uint64_t clock; /* ask: batches this trainer has finished; answer: the slowest active trainer's,
                       on the scale of this trainer's own clock (coord/grant/staleness.h) */
};

struct wire_part_done {
    uint32_t partition;
    uint64_t cut;
    bool ok; /* else text says why not */
    char text[WIRE_TEXT_MAX];
    char name[64]; /* of the part's file */
    uint32_t bucket_begin, bucket_end;
    uint64_t bytes, checksum, rows, version;
    bool whole; /* a delta was ordered, but it has all rows of its buckets */
};
