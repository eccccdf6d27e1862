/* wire.h - every message of the system as a plain C struct, and its frames (design D9).
 *
 * A message is up to three frames: [header: protobuf, at most 4 KiB][keys, raw][values, raw]. The
 * second and third may be absent. The header carries everything small; bulk never enters protobuf.
 * Decoding copies into fixed-size structs: no allocation outlives it, no received byte is cast.
 * proto/wire.proto holds the messages; common/net/wire.c alone sees the generated code and converts
 * enums. Little-endian raw frames: keys as wire_keys.c says; values f32 or bf16 as the header says.
 *
 *   who → whom             request            answer
 *   role → coordinator     HELLO              WELCOME (frame 2: config INI text + plan, see
 *                                             below) or REFUSE
 *   worker → coordinator   HEARTBEAT          COMMAND
 *                          values frame: running metric bins, scores.h (may be absent)
 *   worker → coordinator   LEASE_ASK          LEASE (or "nothing now, ask again" / "finished")
 *   worker → coordinator   CLOCK_ASK          CLOCK (answered when the staleness bound allows)
 *   worker → coordinator   SCORES             ACK  (evaluation results of one shard; frame 3 raw)
 *   server → coordinator   HEARTBEAT          COMMAND (may carry a cut order)
 *                          values frame: u64 rows of each field slot, summed over partitions
 *   server → coordinator   PART_DONE          ACK
 *                          keys frame (ok only): applied_encode of the names the part has, the
 *                          intersection of its domains (struct part_info.applied)
 *   worker → partition     PULL               PULLED or ERROR
 *   worker → partition     PUSH               PUSHED or ERROR
 *   worker → partition     STATS              STATS_REPLY
 *
 * Every request has an id chosen by the sender, echoed in the answer; a request that gets no answer
 * by its deadline is sent again with the same id. All requests are idempotent.
 */
#ifndef COMMON_NET_WIRE_H
#define COMMON_NET_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/job/applied.h"
#include "common/base/bytes.h"
#include "common/job/precision.h"
#include "common/base/file.h"
#include "common/job/schema.h"
#include "common/job/usage.h"

#define WIRE_VERSION        1u
#define WIRE_HEADER_MAX     4096u
#define WIRE_TEXT_MAX       512
#define WIRE_ENDPOINT_MAX   128
#define WIRE_PARTITIONS_MAX 1024
/* The largest frame between the coordinator and the others, both ways. What may grow with the data
 * is checked against it when the job begins (the plan, a cut's names) or sent in pieces (SCORES).
 */
#define WIRE_LINK_BYTES_MAX (64u << 20)

enum wire_type {
    WIRE_HELLO = 1,
    WIRE_WELCOME,
    WIRE_REFUSE,
    WIRE_HEARTBEAT,
    WIRE_COMMAND,
    WIRE_LEASE_ASK,
    WIRE_LEASE,
    WIRE_CLOCK_ASK,
    WIRE_CLOCK,
    WIRE_SCORES,
    WIRE_ACK,
    WIRE_PART_DONE,
    WIRE_PULL,
    WIRE_PULLED,
    WIRE_PUSH,
    WIRE_PUSHED,
    WIRE_ERROR,
    WIRE_STATS,
    WIRE_STATS_REPLY
};
enum wire_role { ROLE_COORD = 1, ROLE_SERVER = 2, ROLE_WORKER = 3 };

struct wire_hello {
    enum wire_role role;
    uint32_t index; /* server 0..N-1, worker 0..M-1 */
    char build[64]; /* program version; unequal is refused */
    char host[64];
    uint32_t pid;
    uint32_t threads;
    uint64_t incarnation; /* random per process start */
};
/* A server's HELLO has its partitions' endpoints in the keys frame, NUL-separated. The keys frame
 * of a WELCOME that is ready has the job's plan (job_plan_encode), all endpoints among it. */
struct wire_welcome {
    uint64_t job; /* random id of this job; in every later message */
    bool ready;   /* false: others are missing still, ask again (hello again) */
    uint32_t partitions;
    uint32_t servers, workers;
    bool resume;
    char resume_dir[WIRE_TEXT_MAX]; /* checkpoint to load, "" none */
};
struct wire_progress { /* counters since the worker's start, cumulative */
    uint64_t impressions, batches;
    double loss_sum, loss_ctr_sum, loss_ctcvr_sum; /* sums over impressions */
    uint64_t resent, duplicates, dropped_values, tickets_unknown;
    uint64_t staleness_sum, staleness_max;             /* per push: of its rows */
    uint64_t dense_staleness_sum, dense_staleness_max; /* of its dense vector */
    uint64_t finished; /* batches of any kind, training and evaluation: its progress */
    uint64_t fenced;   /* training batches that are another worker's now; not in the sums */
};
/* For counters that hold the largest of what there was. */
static inline void raise_to(uint64_t *most, uint64_t value) {
    *most = value > *most ? value : *most;
}
struct wire_heartbeat {
    enum wire_role role;
    uint32_t index;
    uint64_t incarnation;
    struct wire_progress progress; /* workers */
    uint64_t rows, bytes, version; /* servers: sums over partitions (version: minimum) */
    uint64_t evicted, refused, created, duplicates;
    struct usage usage; /* of the process since its start */
    bool reading;       /* workers: nothing to do until a shard is read */
    bool failing;       /* text says why; the sender is about to exit */
    char text[WIRE_TEXT_MAX];
};
enum wire_order { ORDER_NONE = 0, ORDER_STOP = 1, ORDER_CUT = 2 };
struct wire_command {
    enum wire_order order;
    uint64_t cut;            /* cut number, 1, 2, ...; repeated until PART_DONE */
    uint64_t cut_id;         /* what its parts bear (docs/format-checkpoint.md) */
    char dir[WIRE_TEXT_MAX]; /* where to write parts */
    bool failed;             /* with ORDER_STOP: the job failed; text = first cause */
    char text[WIRE_TEXT_MAX];
};
enum lease_kind { LEASE_WAIT = 0, LEASE_TRAIN = 1, LEASE_EVAL = 2, LEASE_FINISHED = 3 };
struct wire_lease_ask {
    uint32_t index;
    uint64_t incarnation;
    bool returns; /* a finished lease is reported with the ask */
    uint32_t epoch, shard;
    uint64_t fence;
};
struct wire_lease {
    enum lease_kind kind;
    uint32_t epoch, shard;
    uint64_t fence;
    uint32_t batch_limit; /* process batches below this only (--max-steps) */
    /* keys frame: bitmap of batches of this shard already applied (may be empty: none) */
};
#define CLOCK_IDLE                                                                                 \
    UINT64_MAX /* ask: this trainer has no batch; answered at once. It does
                                            not count again until its next question */
struct wire_clock {
    uint32_t index, trainer;
    uint64_t incarnation;
    uint64_t clock; /* ask: batches this trainer has finished;
                                            answer: the slowest active trainer's, on the scale of
                                            this trainer's own clock (coord/staleness.h) */
};
struct wire_scores { /* values frame: see wire_scores_pack; keys frame: unseen.h,
                                            of the whole shard, with each piece */
    uint32_t epoch, shard;
    uint64_t fence;               /* of the sender's lease: whose pieces belong together */
    uint32_t first, count, total; /* scores [first, first + count) of the shard's total; pieces
                                    go out in order, each when the one before is acknowledged */
};
struct wire_part_done {
    uint32_t partition;
    uint64_t cut;
    bool ok;
    char text[WIRE_TEXT_MAX];
    char name[64];
    uint32_t bucket_begin, bucket_end;
    uint64_t bytes, checksum, rows, version;
};
struct wire_pull { /* keys frame: wire_keys_pack; counts per field below */
    uint32_t count[FIELDS_MAX];
    uint32_t fields;
    bool want_dense, want_ticket;
    bool want_missing;      /* which keys have no row: the answer's keys frame, a bit a
                                            key in their order, lowest bit first */
    enum value_type values; /* how the answer's values should travel */
};
struct wire_pulled { /* values frame; keys frame as the pull wants it */
    uint64_t ticket, version;
    enum value_type values;
};
struct wire_push { /* values frame: gradients; keys frame only on ERR_TICKET */
    struct batch_name name;
    uint64_t fence, ticket;
    uint32_t shard_batches;     /* of the batch's shard: how a server's plan of a stream
                                            grows; of no interest where the plan is fixed */
    uint32_t count[FIELDS_MAX]; /* as in the pull, with keys only */
    uint32_t fields;
    enum value_type values;
};
struct wire_pushed {
    bool duplicate;
    uint64_t version, dropped_values;
};
struct wire_error {
    enum status status; /* on the wire a stable number, converted in wire.c */
    char text[WIRE_TEXT_MAX];
};

struct wire_msg {
    enum wire_type type;
    uint64_t job;
    uint64_t id;
    union {
        struct wire_hello hello;
        struct wire_welcome welcome;
        struct wire_heartbeat heartbeat;
        struct wire_command command;
        struct wire_lease_ask lease_ask;
        struct wire_lease lease;
        struct wire_clock clock;
        struct wire_scores scores;
        struct wire_part_done part_done;
        struct wire_pull pull;
        struct wire_pulled pulled;
        struct wire_push push;
        struct wire_pushed pushed;
        struct wire_error error;
    } u;
};

/* Appends the header's bytes to out. ERR_LIMIT if over WIRE_HEADER_MAX. */
enum status wire_encode(const struct wire_msg *m, struct buf *out);
/* Hostile bytes give ERR_PROTOCOL; other versions say which. Memory is budgeted. */
enum status wire_decode(struct wire_msg *m, const void *data, size_t bytes);
const char *wire_type_name(enum wire_type type);

/* Key frames (wire_keys.c): ids of each field in slot order, counts[fields] of them. Packing
 * returns the bytes written, at most wire_keys_bytes_max of the total. Unpacking hostile bytes into
 * room for sum(counts) ids: ERR_PROTOCOL. A frame of n bytes cannot hold more than n keys: check
 * that before making room. */
size_t wire_keys_bytes_max(size_t n, uint32_t fields);
size_t wire_keys_pack(const uint32_t *counts, uint32_t fields, const uint64_t *ids, void *out);
enum status wire_keys_unpack(const uint32_t *counts, uint32_t fields, const void *data,
                             size_t bytes, uint64_t *ids);

/* Bits of flags (0 or 1), the lowest first, in their own place; returns the bytes that they take.
 */
size_t wire_bits_pack(uint8_t *flags, size_t n);
static inline bool wire_bit(const uint8_t *bits, size_t i) {
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}

/* Raw value frames. bf16 rounds to nearest even; n floats take 4n or 2n bytes. */
size_t wire_values_bytes(enum value_type type, size_t n);
void wire_values_pack(enum value_type type, const float *values, size_t n, void *out);
void wire_values_unpack(enum value_type type, const void *bytes, size_t n, float *out);

/* What WELCOME's keys frame holds: everything a role needs that does not fit a header. */
struct job_plan {
    char *config_text;           /* owned */
    struct schema schema;        /* of the training data: slots of keys and layout */
    uint32_t *batches_per_shard; /* owned */
    uint32_t shards;
    bool stream; /* its directory grows: batches_per_shard is what was known */
    double rate_ctr, rate_cvr;
    double sample_rate; /* of the training data (struct dataset); 0 counts as 1 */
    char (
        *endpoint)[WIRE_ENDPOINT_MAX]; /* one per partition, owned; bucket ranges are equal cuts: */
    uint32_t partitions;               /* partition k owns [BUCKETS*k/P, BUCKETS*(k+1)/P) */
    struct file_list data_dirs, eval_dirs; /* owned */
};
enum status job_plan_encode(const struct job_plan *p, struct buf *out);
enum status job_plan_decode(struct job_plan *p, const void *data, size_t bytes);
void job_plan_free(struct job_plan *p);

#endif
