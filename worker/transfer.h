/* transfer.h - one batch's pull and push, over all partitions: what to ask, and what the answers
 * say.
 *
 * A transfer knows no sockets and no time. Every step that it is told to take makes it ask each
 * partition something; what it asks is a message (transfer_message) that its client sends, as often
 * as it must, and the first answer goes into transfer_take. When all partitions have answered, the
 * step is done:
 *
 *     IDLE -- pull --> PULLING --> PULLED -- push --> PUSHING --> DONE
 *     IDLE -- pull, no dense --> PULLING --> ROWS -- pull_dense --> PULLING_DENSE --> PULLED ...
 *
 * Keys are given per field, in the batch's order; values come back in that order (split.h). Sending
 * again needs no copy of a message: keys and packed gradients stay here, and the header and the
 * keys' frame are made anew. Every partition takes part in every batch, even with no key: it has a
 * slice of the dense vector, and it must learn the batch's name.
 */
#pragma once

#include "common/net/transport.h"
#include "split.h"

enum transfer_state {
    TRANSFER_IDLE,
    TRANSFER_PULLING,
    TRANSFER_ROWS, /* rows are here, the dense vector is not */
    TRANSFER_PULLING_DENSE,
    TRANSFER_PULLED,
    TRANSFER_PUSHING,
    TRANSFER_DONE
};

struct ask_sending { /* how a request is sent: the client's business */
    uint64_t id;
    uint64_t first_ms; /* of the first attempt */
    uint64_t sent_ms;  /* of the last one that was taken (at first: first_ms) */
    uint64_t tried_ms; /* of the last one */
    uint64_t wait_ms;  /* from being taken to the next attempt */
    uint32_t attempts;
    bool queued; /* the last attempt to send it was taken by the socket */
};
struct ask { /* the request that is out to one partition, if any, and what its last answer said */
    bool waiting;
    bool fresh;       /* not sent yet: the client takes it for a new request */
    bool with_keys;   /* a push that repeats its keys */
    uint64_t ticket;  /* of the answer that had the rows */
    uint64_t version; /* of the rows, of the dense vector */
    uint64_t dense_version;
    uint8_t *push; /* packed gradients, kept until acknowledged */
    size_t push_bytes, push_cap;
    struct ask_sending sending;
};
/* What a push came to; complete in DONE. staleness: the largest over partitions of pushes applied
 * since the rows were pulled, since the dense vector was. fenced: a partition refused an old lease
 * (the batch is someone else's now, who trains it again where it is new). */
struct transfer_outcome {
    uint64_t staleness, dense_staleness;
    uint32_t duplicates; /* partitions that had this name */
    bool fenced;
    uint64_t dropped_values;
};
struct transfer {
    struct split split;
    enum transfer_state state;
    bool train;
    bool wants_rows, wants_dense; /* of the pull */
    uint32_t asks_waiting;
    struct ask *ask; /* [partitions] */
    struct batch_name name;
    uint64_t fence;
    uint32_t shard_batches;
    uint64_t tickets_unknown; /* pushes whose keys had to be sent again, ever */
    struct transfer_outcome outcome;
    struct transfer *next; /* in the client's list */
};
/* The route outlives it. ERR_MEMORY; fini accepts what init left. */
enum status transfer_init(struct transfer *x, const struct route *r);
void transfer_fini(struct transfer *x);

/* From IDLE. ids[slot][count[slot]] are copied. train: tickets are asked for. dense: the dense
 * vector is pulled too; else it ends in ROWS, and goes on with transfer_pull_dense, so that the
 * dense vector is newer than the rows. ERR_LIMIT: too many keys for a message. */
enum status transfer_pull(struct transfer *x, const uint64_t *const *ids, const uint32_t *count,
                          bool train, bool dense);
void transfer_pull_dense(struct transfer *x);
/* From PULLED of a pull for training. Gradients in the shapes of the values (drows[slot] NULL:
 * zeros), copied before return. shard_batches: how many batches the shard of `name` has. */
enum status transfer_push(struct transfer *x, struct batch_name name, uint64_t fence,
                          uint32_t shard_batches, const float *const *drows, const float *ddense);
/* Back to IDLE; late answers are ignored. */
void transfer_reset(struct transfer *x);

/* After PULLED: rows[slot] = [count][dim], dense = [layout.count]; owned by the transfer, valid
 * until the next pull. They are writable scratch for the caller. */
float *transfer_rows(struct transfer *x, uint32_t slot);
float *transfer_dense(struct transfer *x);
/* After PULLED of a pull that was not for training: missing[count[slot]] of a slot, 1 where there
 * is no row and the values are initial ones, else 0. NULL after one for training: nobody asked. */
const uint8_t *transfer_missing(const struct transfer *x, uint32_t slot);

/* For the client. The message that asks partition k what the state calls for: type and fields of
 * *m, the frame of keys (*keys is cleared first), and values that stay the transfer's. */
enum status transfer_message(const struct transfer *x, uint32_t k, struct wire_msg *m,
                             struct buf *keys, const uint8_t **values, size_t *values_bytes);
/* Takes the answer of partition k, which is waited for. ERR_PROTOCOL. */
enum status transfer_take(struct transfer *x, uint32_t k, const struct port_message *m);
