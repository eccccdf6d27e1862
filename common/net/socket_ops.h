/* socket_ops.h - the calls to ZeroMQ for ports, in one table, so that a test or a simulator can
 * replace the network: by one that loses messages or delivers them twice.
 *
 * Each function behaves as ZeroMQ's of that name: on failure it returns -1 or NULL and sets errno.
 * A message is sent as several frames, all except the last with ZMQ_SNDMORE. Frames (zmq_msg_t) are
 * memory; the table does not replace ZeroMQ's functions for them.
 */
#pragma once

#include <stddef.h>
#include <zmq.h>

struct socket_ops {
    void *(*ctx_new)(void);
    int (*ctx_set)(void *context, int option, int value);
    int (*ctx_term)(void *context);
    void *(*open)(void *context, int type); /* zmq_socket */
    int (*close)(void *socket);
    int (*set)(void *socket, int option, const void *value, size_t bytes); /* zmq_setsockopt */
    int (*get)(void *socket, int option, void *value, size_t *bytes);      /* zmq_getsockopt */
    int (*bind)(void *socket, const char *endpoint);
    int (*connect)(void *socket, const char *endpoint);
    int (*send)(zmq_msg_t *frame, void *socket, int flags); /* zmq_msg_send */
    int (*recv)(zmq_msg_t *frame, void *socket, int flags); /* zmq_msg_recv */
    int (*poll)(zmq_pollitem_t *items, int count, long timeout_ms);
};

/* ZeroMQ's own. */
extern const struct socket_ops socket_ops_system;

/* Sets the table of the whole process; NULL: ZeroMQ's, which is the default. Not thread-safe: call
 * it before the first thread starts. The caller keeps the table and must not free it. */
void socket_ops_set(const struct socket_ops *ops);
const struct socket_ops *socket_ops(void);
