#include "socket_ops.h"

const struct socket_ops socket_ops_system = {.ctx_new = zmq_ctx_new,
                                             .ctx_set = zmq_ctx_set,
                                             .ctx_term = zmq_ctx_term,
                                             .open = zmq_socket,
                                             .close = zmq_close,
                                             .set = zmq_setsockopt,
                                             .get = zmq_getsockopt,
                                             .bind = zmq_bind,
                                             .connect = zmq_connect,
                                             .send = zmq_msg_send,
                                             .recv = zmq_msg_recv,
                                             .poll = zmq_poll};

static const struct socket_ops *the_ops = &socket_ops_system;

void socket_ops_set(const struct socket_ops *ops) {
    the_ops = ops != NULL ? ops : &socket_ops_system;
}

const struct socket_ops *socket_ops(void) {
    return the_ops;
}
