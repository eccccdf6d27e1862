/* client.h - the connections of one trainer thread to all partitions, and the transfers that go
 * over them.
 *
 * The client belongs to one trainer thread and has its own connected port per partition. It is
 * asynchronous: tell a transfer to pull or push, send that, compute something else, and step until
 * the transfer's state says that the answers are here. A request without an answer after request_ms
 * is sent again with the same id. The client fails with ERR_PEER if a partition is silent for
 * give_up_ms, or has not answered a request for stall_ms although it answers others; the text names
 * the endpoint and what was awaited. The number of batches in flight bounds the bytes in flight.
 */
#pragma once

#include "transfer.h"
#include "common/net/job_plan.h"

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
/* Makes another transfer, which lives as long as the client. */
enum status client_transfer(struct client *c, struct transfer **x);

/* Sends what the transfer asks for and has not been sent yet. Without this call client_step sends
 * it, later. */
enum status client_send(struct client *c, struct transfer *x);
/* Sends what is new, receives what has come, resends what is due, and waits up to timeout_ms if
 * nothing is there. ERR_PEER: a partition is dead (the text names it). ERR_PROTOCOL: a partition
 * answered nonsense or an error. */
enum status client_step(struct client *c, uint64_t timeout_ms);
struct client_figures {                  /* since it was made */
    uint64_t sent_bytes, received_bytes; /* of all messages */
    uint64_t resent, tickets_unknown; /* requests sent again, pushes that had to name their keys */
};
struct client_figures client_figures(const struct client *c);
