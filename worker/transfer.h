/* transfer.h - the pull and the push of one batch, over all partitions: what to ask, and what the
 * answers say.
 *
 * A transfer knows no sockets and no time. Each step makes it ask every partition something. The
 * question is a message (transfer_message), which the client sends as often as it must; the client
 * gives the first answer to transfer_take. When all partitions have answered, the step is done:
 *
 *     IDLE -- pull --> PULLING --> PULLED -- push --> PUSHING --> DONE
 *     IDLE -- pull, no dense --> PULLING --> ROWS -- pull_dense --> PULLING_DENSE --> PULLED ...
 *
 * Keys are given per field, in the batch's order; values come back in that order (split.h). No
 * message is copied in order to be sent again: keys and packed gradients stay here, and the header
 * and the keys' frame are made anew. Every partition takes part in every batch, even without a key:
 * it has a slice of the dense vector, and it must learn the batch's name.
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
    uint64_t sent_ms;  /* of the last one that the socket took (at first: first_ms) */
    uint64_t tried_ms; /* of the last attempt */
    uint64_t wait_ms;  /* from sent_ms to the next attempt */
    uint32_t attempts;
    bool queued; /* the socket took the last attempt */
};
struct ask { /* the unanswered request to one partition, if any, and what the last answer said */
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
/* The result of a push; complete in DONE. staleness: the pushes applied since the rows were pulled;
 * dense_staleness: since the dense vector was; both the largest over partitions. fenced: a
 * partition refused an old lease (another worker has the batch now, and trains it again on the
 * partitions where it is new). */
struct transfer_outcome {
    uint64_t staleness, dense_staleness;
    uint32_t duplicates; /* partitions that had this name already */
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
    uint64_t tickets_unknown; /* pushes whose keys had to be sent again, since init */
    struct transfer_outcome outcome;
    struct transfer *next; /* in the client's list */
};
/* The route must outlive the transfer. ERR_MEMORY; fini accepts what init left. */
enum status transfer_init(struct transfer *x, const struct route *r);
void transfer_fini(struct transfer *x);

/* From IDLE. Copies ids[slot][count[slot]]. train: tickets are asked for. dense: the dense vector
 * is pulled too. Without dense the pull ends in ROWS and goes on with transfer_pull_dense, so that
 * the dense vector is newer than the rows. ERR_LIMIT: too many keys for a message. */
enum status transfer_pull(struct transfer *x, const uint64_t *const *ids, const uint32_t *count,
                          bool train, bool dense);
void transfer_pull_dense(struct transfer *x);
/* From PULLED of a pull for training. Gradients have the shapes of the values (drows[slot] NULL:
 * zeros) and are copied before return. shard_batches: how many batches the shard of `name` has. */
enum status transfer_push(struct transfer *x, struct batch_name name, uint64_t fence,
                          uint32_t shard_batches, const float *const *drows, const float *ddense);
/* Back to IDLE; late answers are ignored. */
void transfer_reset(struct transfer *x);

/* After PULLED: rows[slot] = [count][dim], dense = [layout.count]. The transfer owns them; they are
 * valid until the next pull. The caller may use them as writable scratch. */
float *transfer_rows(struct transfer *x, uint32_t slot);
float *transfer_dense(struct transfer *x);
/* After PULLED of a pull that was not for training: missing[count[slot]] of a slot, 1 where there
 * is no row and the values are initial ones, else 0. NULL after a pull for training, which does not
 * ask for it. */
const uint8_t *transfer_missing(const struct transfer *x, uint32_t slot);

/* For the client. Makes the message that asks partition k what the state requires: type and fields
 * of *m, the frame of keys (*keys is cleared first), and values, which the transfer still owns. */
enum status transfer_message(const struct transfer *x, uint32_t k, struct wire_msg *m,
                             struct buf *keys, const uint8_t **values, size_t *values_bytes);
/* Takes the answer that partition k owes. ERR_PROTOCOL. */
enum status transfer_take(struct transfer *x, uint32_t k, const struct port_message *m);
