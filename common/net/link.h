/* link.h - a role's link to the coordinator: hello, heartbeats, requests with deadlines.
 *
 * One thread owns the link (the role's control thread) and calls link_next() often, which never
 * blocks longer than asked. Other threads use queues to the control thread, never the link.
 */
#pragma once

#include "transport.h"
#include "job_plan.h"

struct link;
struct link_hello { /* borrowed during the call */
    struct wire_hello hello;
    const char (*endpoints)[WIRE_ENDPOINT_MAX]; /* of a server's partitions */
    uint32_t endpoint_count;
    uint64_t timeout_ms; /* of silence */
};
/* Connects and sends HELLO until WELCOME.ready comes (servers list their partitions' endpoints;
 * they get ready=true as soon as all servers are known). The caller frees plan. ERR_TIMEOUT names
 * the coordinator's endpoint; ERR_CLOSED: the job has already ended or a stop signal came, so
 * nothing is left to do; ERR_PEER: the job has failed; ERR_CONFIG on any other REFUSE (text = its
 * reason). */
enum status link_open(struct link **l, struct transport *t, const char *coordinator,
                      const struct link_hello *hello, struct wire_welcome *welcome,
                      struct job_plan *plan);
/* After ORDER_REJOIN: drops every request and the heartbeat, and says HELLO again over the same
 * connection, as the same process. Otherwise as link_open; *plan must not hold anything. */
enum status link_rejoin(struct link *l, const struct link_hello *hello,
                        struct wire_welcome *welcome, struct job_plan *plan);
void link_close(struct link **l);

/* Sends an asynchronous request: fill msg (type and u); it gets an id, and link_next() returns the
 * answer. The request is sent again after request_ms, then less and less often, until it is
 * answered. link_next returns ERR_PEER, which names the coordinator, after give_up_ms without any
 * message from the coordinator, or after stall_ms without an answer to one request, even if other
 * messages come. (stall_ms does not apply to a CLOCK_ASK, whose answer waits for other workers: the
 * coordinator judges whether they make progress.) ERR_LIMIT: frames of more than
 * WIRE_LINK_BYTES_MAX.
 */
enum status link_request(struct link *l, struct wire_msg *msg, const void *keys, size_t keys_bytes,
                         const void *values, size_t values_bytes, uint64_t *id);
/* Next answer or ERR_TIMEOUT. This call also sends the heartbeat that link_beat set, every
 * heartbeat_ms; it returns the answers to heartbeats (COMMAND) like any others. */
enum status link_next(struct link *l, struct port_message *m, uint64_t timeout_ms);
void link_beat(struct link *l, const struct wire_heartbeat *beat); /* for the next heartbeats */
void link_beat_now(struct link *l); /* the next link_next sends one */
/* Sets the values frame of the next heartbeats (copied; bytes 0: no frame). ERR_MEMORY. */
enum status link_beat_values(struct link *l, const void *values, size_t bytes);
void link_timing(struct link *l, uint32_t heartbeat_ms, uint32_t request_ms, uint32_t give_up_ms,
                 uint32_t stall_ms);
