/* link.h - a role's link to the coordinator: hello, heartbeats, requests with deadlines.
 *
 * Owned by one thread (the role's control thread), which calls link_next() often; it never blocks
 * longer than asked. Other threads speak to the control thread through queues, never to the link.
 */
#pragma once

#include "transport.h"
#include "job_plan.h"

struct link;
/* Connects, says HELLO until WELCOME.ready comes (servers list their partitions' endpoints; they
 * get ready=true as soon as all servers are known). plan is the caller's to free.
 * ERR_TIMEOUT names the coordinator's endpoint; ERR_CLOSED: nothing to do any more, because the job
 * has ended already or a stop signal came; ERR_CONFIG on any other REFUSE (text = its reason). */
enum status link_open(struct link **l, struct transport *t, const char *coordinator,
                      const struct wire_hello *hello, const char (*endpoints)[WIRE_ENDPOINT_MAX],
                      uint32_t endpoint_count, uint64_t timeout_ms, struct wire_welcome *welcome,
                      struct job_plan *plan);
void link_close(struct link **l);

/* Asynchronous requests: give a filled msg (type and u), get an id; the answer comes out of
 * link_next(). Resent after request_ms until answered; give_up_ms without any word from the
 * coordinator, or stall_ms without an answer to one request whatever else it says, make link_next
 * return ERR_PEER naming it. (Not to a CLOCK_ASK, whose answer waits for other workers: whether
 * they get anywhere is the coordinator's to judge.) Frames: at most WIRE_LINK_BYTES_MAX, ERR_LIMIT.
 */
enum status link_request(struct link *l, struct wire_msg *msg, const void *keys, size_t keys_bytes,
                         const void *values, size_t values_bytes, uint64_t *id);
/* Next answer or ERR_TIMEOUT. The heartbeat given by link_beat is sent every heartbeat_ms by this
 * call; its answers (COMMAND) come out here like any other. */
enum status link_next(struct link *l, struct port_message *m, uint64_t timeout_ms);
void link_beat(struct link *l, const struct wire_heartbeat *beat); /* what the next beats say */
void link_beat_now(struct link *l); /* the next one goes out with the next link_next */
/* What the next beats carry in their values frame (copied; bytes 0: nothing). ERR_MEMORY. */
enum status link_beat_values(struct link *l, const void *values, size_t bytes);
void link_timing(struct link *l, uint32_t heartbeat_ms, uint32_t request_ms, uint32_t give_up_ms,
                 uint32_t stall_ms);
