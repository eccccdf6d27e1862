/* network_calls.c - the calls of socket_ops.h on the simulated network. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network_state.h"

static void *call_ctx_new(void) {
    return &net;
}

static int call_ctx_set(void *context, int option, int value) {
    (void)context;
    (void)option;
    (void)value;
    return 0;
}

static int call_ctx_term(void *context) {
    (void)context;
    return 0;
}

static void sock_clear(struct sock *s) {
    message_free(&s->in);
    message_free(&s->out);
    while (s->count > 0) {
        message_free(&s->queue[s->head]);
        s->head = (s->head + 1) % QUEUE_MAX;
        s->count--;
    }
    s->in_at = s->flying = 0;
}

static void *call_open(void *context, int type) {
    (void)context;
    (void)type;
    uint32_t i = 0;
    while (i < net.socks && net.sock[i].used) {
        i++;
    }
    if (i == SOCKS_MAX) {
        abort();
    }
    net.socks += i == net.socks;
    struct sock *s = &net.sock[i];
    s->used = true;
    s->bound = false;
    s->process = process_now();
    s->serial = ++net.serials;
    s->endpoint[0] = '\0';
    s->head = s->count = s->flying = s->in_at = 0;
    s->poller = NULL;
    s->sent_last_ns = s->came_last_ns = 0;
    return s;
}

void sock_close(struct sock *s) {
    sock_clear(s);
    s->used = false;
    s->serial = 0;
}

static int call_close(void *socket) {
    sock_close(socket);
    return 0;
}

static int call_set(void *socket, int option, const void *value, size_t bytes) {
    (void)socket;
    (void)option;
    (void)value;
    (void)bytes;
    return 0;
}

static int call_get(void *socket, int option, void *value, size_t *bytes) {
    const struct sock *s = socket;
    if (option != ZMQ_LAST_ENDPOINT) {
        errno = EINVAL;
        return -1;
    }
    snprintf(value, *bytes, "%s", s->endpoint);
    return 0;
}

static int call_bind(void *socket, const char *endpoint) {
    struct sock *s = socket;
    if (sock_bound_at(endpoint) != NULL) {
        errno = EADDRINUSE;
        return -1;
    }
    snprintf(s->endpoint, sizeof s->endpoint, "%s", endpoint);
    s->bound = true;
    return 0;
}

static int call_connect(void *socket, const char *endpoint) {
    struct sock *s = socket;
    snprintf(s->endpoint, sizeof s->endpoint, "%s", endpoint);
    return 0;
}

/* The connection that a ROUTER's message names in its first frame. */
static struct sock *named_peer(const struct sock *router, const struct message *m) {
    const uint8_t *id = m->frame[0].data;
    uint32_t serial = 0;
    if (m->frame[0].bytes != IDENTITY || id[1] >= net.socks) {
        return NULL;
    }
    memcpy(&serial, id + 2, 3);
    struct sock *s = &net.sock[id[1]];
    return s->used && !s->bound && s->serial == serial && strcmp(s->endpoint, router->endpoint) == 0
               ? s
               : NULL;
}

static int refuse_message(struct sock *s, int why) {
    net.figures.refused++;
    message_free(&s->out);
    errno = why;
    return -1;
}

static int pass_on(struct sock *s) {
    if (!s->bound) {
        if (s->flying >= QUEUE_MAX) {
            return refuse_message(s, EAGAIN);
        }
        network_send(s, s, NULL, true, &s->out);
        return 0;
    }
    struct sock *peer = named_peer(s, &s->out);
    if (peer == NULL) {
        return refuse_message(s, EHOSTUNREACH);
    }
    if (peer->flying + peer->count >= QUEUE_MAX) {
        return refuse_message(s, EAGAIN);
    }
    free(s->out.frame[0].data);
    s->out.frames--;
    memmove(&s->out.frame[0], &s->out.frame[1], sizeof s->out.frame[0] * s->out.frames);
    network_send(s, peer, peer, false, &s->out);
    return 0;
}

static int call_send(zmq_msg_t *frame, void *socket, int flags) {
    struct sock *s = socket;
    const size_t bytes = zmq_msg_size(frame);
    if (s->out.frames == FRAMES) {
        abort();
    }
    uint8_t *data = malloc(bytes + 1);
    memcpy(data, zmq_msg_data(frame), bytes);
    s->out.frame[s->out.frames].data = data;
    s->out.frame[s->out.frames++].bytes = bytes;
    if ((flags & ZMQ_SNDMORE) == 0 && pass_on(s) != 0) {
        return -1;
    }
    zmq_msg_close(frame);
    zmq_msg_init(frame);
    return (int)bytes;
}

static int call_recv(zmq_msg_t *frame, void *socket, int flags) {
    struct sock *s = socket;
    (void)flags;
    if (s->in_at == s->in.frames) {
        message_free(&s->in);
        s->in_at = 0;
        if (s->count == 0) {
            errno = EAGAIN;
            return -1;
        }
        s->in = s->queue[s->head];
        s->head = (s->head + 1) % QUEUE_MAX;
        s->count--;
    }
    const size_t bytes = s->in.frame[s->in_at].bytes;
    zmq_msg_close(frame);
    zmq_msg_init_size(frame, bytes);
    memcpy(zmq_msg_data(frame), s->in.frame[s->in_at].data, bytes);
    s->in_at++;
    net.more = s->in_at < s->in.frames;
    return (int)bytes;
}

/* Whether the frame that was just received is followed by another. */
int __wrap_zmq_msg_more(const zmq_msg_t *frame);
int __wrap_zmq_msg_more(const zmq_msg_t *frame) {
    (void)frame;
    return net.more;
}

static int look(zmq_pollitem_t *items, int count) {
    int ready = 0;
    for (int i = 0; i < count; i++) {
        struct sock *s = items[i].socket;
        items[i].revents = s->count > 0 ? ZMQ_POLLIN : 0;
        ready += s->count > 0;
        s->poller = fiber_now();
    }
    return ready;
}

static int call_poll(zmq_pollitem_t *items, int count, long timeout_ms) {
    int ready = look(items, count);
    if (ready == 0 && timeout_ms != 0) {
        fiber_wait(fiber_now(),
                   timeout_ms < 0 ? NEVER : sim_now_ns() + (uint64_t)timeout_ms * 1000000u);
        ready = look(items, count);
    }
    return ready;
}

const struct socket_ops network_ops = {.ctx_new = call_ctx_new,
                                       .ctx_set = call_ctx_set,
                                       .ctx_term = call_ctx_term,
                                       .open = call_open,
                                       .close = call_close,
                                       .set = call_set,
                                       .get = call_get,
                                       .bind = call_bind,
                                       .connect = call_connect,
                                       .send = call_send,
                                       .recv = call_recv,
                                       .poll = call_poll};
