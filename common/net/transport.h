/* transport.h - all use of ZeroMQ: sockets with deadlines and bounded messages.
 *
 * A socket belongs to the thread that made it. LINGER is 0 everywhere; HWM, MAXMSGSIZE and (tcp)
 * keepalive and heartbeat are set. Endpoints: ipc://path, tcp://host:port, inproc://name; a server
 * binds tcp://host:0 (or *) to let the system choose a port and asks port_endpoint() for it.
 */
#pragma once

#include "common/base/bytes.h"
#include "wire.h"

/* The process's ZeroMQ context. With the first one the allocator begins to keep freed memory for
 * the next frames, up to 256 MB a thread. */
struct transport;
enum status transport_create(struct transport **t, uint32_t io_threads);
void transport_destroy(struct transport **t); /* close all sockets first */

/* A received message; frames are valid until the next receive on the same port or port_close. */
struct port_message {
    struct wire_msg msg;
    const void *keys;
    size_t keys_bytes;
    const void *values;
    size_t values_bytes;
    uint8_t peer[64]; /* identity of the peer to answer (bound ports) */
    size_t peer_bytes;
};

/* A bound port (ROUTER): has many peers, answers go to the message's peer. A connected port
 * (DEALER) has one peer.
 */
struct port;
enum status port_bind(struct port **p, struct transport *t, const char *endpoint,
                      uint32_t message_bytes_max);
enum status port_connect(struct port **p, struct transport *t, const char *endpoint,
                         uint32_t message_bytes_max);
void port_close(struct port **p);
const char *port_endpoint(const struct port *p); /* as bound (with the chosen port) or connected */

/* Memory for the values of the next message, so that large ones need not be copied: write all
 * `bytes` of them there and give the pointer to port_send. It is 8-aligned and the port's; valid
 * until that port_send, the next port_values_room or port_close. ERR_MEMORY. */
enum status port_values_room(struct port *p, size_t bytes, void **values);
/* Never blocks beyond the socket buffer: ERR_AGAIN if the peer's queue is full. peer NULL on a
 * connected port. keys and values are copied, unless values are from port_values_room: those are
 * gone afterwards, sent or not. Sends the whole message or nothing. */
enum status port_send(struct port *p, const void *peer, size_t peer_bytes,
                      const struct wire_msg *msg, const void *keys, size_t keys_bytes,
                      const void *values, size_t values_bytes);
/* Waits up to timeout_ms for one message. ERR_TIMEOUT (no fail text). A malformed message is
 * counted, logged (log_limited), and skipped. */
enum status port_receive(struct port *p, struct port_message *m, uint64_t timeout_ms);
/* Waits until one of n ports has a message or timeout_ms passes; sets ready[i]. */
enum status port_poll(struct port **ports, size_t n, bool *ready, uint64_t timeout_ms);
uint64_t port_malformed(const struct port *p);
/* Bytes of all frames handed to the socket and taken from it. */
uint64_t port_sent_bytes(const struct port *p);
uint64_t port_received_bytes(const struct port *p);
