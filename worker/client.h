/* client.h - pulls and pushes of one trainer thread, over all partitions.
 *
 * Owned by one trainer thread, with its own connected port per partition. Asynchronous: start a
 * pull, compute something else, step, finish. A request without an answer after request_ms is sent
 * again with the same id; a partition silent for give_up_ms, or one that has not answered a request
 * for stall_ms whatever else it answers, fails the client with ERR_PEER naming the endpoint and
 * what was awaited. Bytes in flight are bounded by the batches in flight.
 *
 * A transfer is one batch's pull and push. Keys are given per field, in the batch's order; the
 * client splits them by partition (bucket of the key) and puts values back in the batch's order.
 */
#ifndef WORKER_CLIENT_H
#define WORKER_CLIENT_H

#include "common/job/layout.h"
#include "common/net/transport.h"

struct client;
struct client_spec {
    struct transport *transport;
    const struct config *config;
    const struct schema *schema;
    const struct layout *layout;
    const struct job_plan *plan; /* endpoints */
    uint64_t job;
    struct laps *laps; /* client_step charges WAIT and RECEIVE to it; may be NULL */
};
enum status client_create(struct client **c, const struct client_spec *spec);
void client_destroy(struct client **c);

enum transfer_state {
    TRANSFER_IDLE,
    TRANSFER_PULLING,
    TRANSFER_ROWS, /* rows are here, the dense vector is not */
    TRANSFER_PULLING_DENSE,
    TRANSFER_PULLED,
    TRANSFER_PUSHING,
    TRANSFER_DONE
};
struct transfer;
enum status transfer_create(struct transfer **x, struct client *c);
void transfer_destroy(struct transfer **x);
enum transfer_state transfer_state(const struct transfer *x);

/* ids[slot][count[slot]] stay the caller's and must live until the transfer is DONE or reset.
 * train: tickets are asked for. */
enum status transfer_pull(struct transfer *x, const uint64_t *const *ids, const uint32_t *count,
                          bool train);
/* The same in two steps, for a dense vector that is newer than the rows: the first, for training,
 * ends in ROWS, the second goes on from there and ends in PULLED. */
enum status transfer_pull_rows(struct transfer *x, const uint64_t *const *ids,
                               const uint32_t *count);
enum status transfer_pull_dense(struct transfer *x);
/* After PULLED: rows[slot] = [count][dim], dense = [layout.count]; owned by the transfer, valid
 * until the next transfer_pull. They are writable scratch for the caller. */
float *transfer_rows(struct transfer *x, uint32_t slot);
float *transfer_dense(struct transfer *x);
/* After PULLED of a pull that was not for training: missing[count[slot]] of a slot, 1 where there
 * is no row and the values are initial ones, else 0. NULL after one for training: nobody asked. */
const uint8_t *transfer_missing(const struct transfer *x, uint32_t slot);
/* Gradients in the same shapes (drows[slot] NULL: zeros), copied before return. shard_batches: how
 * many batches the shard of `name` has. */
enum status transfer_push(struct transfer *x, struct batch_name name, uint64_t fence,
                          uint32_t shard_batches, const float *const *drows, const float *ddense);
/* After DONE of a push. staleness: the largest over partitions of pushes applied since the rows
 * were pulled, since the dense vector was. fenced: a partition refused an old lease (the batch is
 * someone else's now, who trains it again where it is new). */
struct transfer_outcome {
    uint64_t staleness, dense_staleness;
    uint32_t duplicates; /* partitions that had this name */
    bool fenced;
    uint64_t dropped_values;
};
struct transfer_outcome transfer_outcome(const struct transfer *x);
void transfer_reset(struct transfer *x); /* back to IDLE; late answers are ignored */

/* Receives what has come, resends what is due, waits up to timeout_ms if nothing is there.
 * ERR_PEER: a partition is dead (names it). ERR_PROTOCOL: it answered nonsense or an error. */
enum status client_step(struct client *c, uint64_t timeout_ms);
/* Bytes of all messages so far. */
void client_bytes(const struct client *c, uint64_t *sent, uint64_t *received);
uint64_t client_resent(const struct client *c);
uint64_t client_tickets_unknown(const struct client *c);

#endif
