/* network.c - sockets, messages on their way, and what happens to them (see network.h). */
#include "network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/net/socket_ops.h"
#include "common/net/wire.h"
#include "fibers.h"

#define SOCKS_MAX  256
#define FRAMES     4
#define QUEUE_MAX  64
#define FLIGHT_MAX 8192
#define AGAIN_NS   20000000u /* a connection that cannot be made is tried again after */
#define IDENTITY   5u

struct message {
    uint32_t frames;
    struct {
        uint8_t *data;
        size_t bytes;
    } frame[FRAMES];
};
struct sock {
    bool used, bound;
    uint32_t process, serial; /* serial: of the connection, part of its identity */
    char endpoint[256];
    struct message queue[QUEUE_MAX]; /* arrived */
    uint32_t head, count, flying;    /* flying: on their way to it */
    struct message in, out;          /* being read, being written */
    uint32_t in_at;
    struct fiber *poller;
    uint64_t sent_last_ns, came_last_ns; /* of a DEALER's connection, each way, to keep the order */
};
struct flight {
    uint64_t at_ns, order;
    uint32_t from, to; /* to: of an answer; the endpoint of `from` otherwise */
    uint32_t serial;
    bool up; /* to the ROUTER */
    struct message m;
};

static struct {
    struct sock sock[SOCKS_MAX];
    uint32_t socks;
    struct flight flight[FLIGHT_MAX];
    uint32_t flights;
    uint64_t orders;
    uint32_t serials;
    struct network_faults faults;
    struct {
        uint64_t until_ns;
        bool loses;
    } cut[PROCESSES_MAX][PROCESSES_MAX];
    bool trace, more;
    struct network_figures figures;
} net;

static void message_free(struct message *m) {
    for (uint32_t i = 0; i < m->frames; i++) {
        free(m->frame[i].data);
    }
    m->frames = 0;
}

static struct message message_copy(const struct message *m) {
    struct message out = *m;
    for (uint32_t i = 0; i < m->frames; i++) {
        out.frame[i].data = malloc(m->frame[i].bytes + 1);
        memcpy(out.frame[i].data, m->frame[i].data, m->frame[i].bytes);
    }
    return out;
}

static void say(const char *what, const struct sock *from, const struct message *m, uint32_t to) {
    struct wire_msg msg;
    if (!net.trace) {
        return;
    }
    const uint32_t header = m->frames > 1 && m->frame[0].bytes == IDENTITY ? 1 : 0;
    const bool known = wire_decode(&msg, m->frame[header].data, m->frame[header].bytes) == OK;
    fprintf(stderr, "%9.3f  net: %s %s of %u to %u (id %llu)\n", (double)sim_now_ns() / 1e9 - 1000,
            what, known ? wire_type_name(msg.type) : "?", from->process, to,
            known ? (unsigned long long)msg.id : 0);
}

/* --- on the way ------------------------------------------------------------------------------- */

static struct sock *bound_at(const char *endpoint) {
    for (uint32_t i = 0; i < net.socks; i++) {
        if (net.sock[i].used && net.sock[i].bound && strcmp(net.sock[i].endpoint, endpoint) == 0) {
            return &net.sock[i];
        }
    }
    return NULL;
}

static void launch(struct flight f) {
    if (net.flights == FLIGHT_MAX) {
        abort();
    }
    f.order = net.orders++;
    net.flight[net.flights++] = f;
}

static uint64_t arrival_ns(uint64_t *last_ns) {
    uint64_t at_ns = sim_now_ns() + 1000 + sim_below(net.faults.delay_ns + 1);
    if (sim_chance(net.faults.overtaken)) {
        net.figures.overtaken++;
        return at_ns + sim_below(net.faults.overtake_ns + 1);
    }
    at_ns = at_ns > *last_ns ? at_ns : *last_ns;
    *last_ns = at_ns;
    return at_ns;
}

/* Takes over the message. */
static void send_off(struct sock *from, struct sock *connection, struct sock *to, bool up,
                     struct message *m) {
    uint64_t *last_ns = up ? &connection->sent_last_ns : &connection->came_last_ns;
    struct flight f = {.from = (uint32_t)(from - net.sock),
                       .to = to == NULL ? 0 : (uint32_t)(to - net.sock),
                       .serial = connection->serial,
                       .up = up};
    net.figures.sent++;
    if (sim_chance(net.faults.loss)) {
        net.figures.lost++;
        say("lost", from, m, to == NULL ? 0 : to->process);
        message_free(m);
        return;
    }
    connection->flying++;
    if (sim_chance(net.faults.twice)) {
        net.figures.doubled++;
        f.at_ns = arrival_ns(last_ns);
        f.m = message_copy(m);
        connection->flying++;
        launch(f);
    }
    f.at_ns = arrival_ns(last_ns);
    f.m = *m;
    m->frames = 0;
    launch(f);
}

static void put_in(struct sock *to, struct message *m) {
    if (to->count == QUEUE_MAX) { /* the connection waits for room */
        abort();
    }
    to->queue[(to->head + to->count++) % QUEUE_MAX] = *m;
    m->frames = 0;
    if (to->poller != NULL) {
        fiber_wake(to->poller);
    }
}

static void add_identity(struct message *m, const struct sock *dealer) {
    uint8_t *id = malloc(IDENTITY + 1);
    const uint32_t number = (uint32_t)(dealer - net.sock);
    id[0] = 0;
    id[1] = (uint8_t)number;
    memcpy(id + 2, &dealer->serial, 3);
    memmove(&m->frame[1], &m->frame[0], sizeof m->frame[0] * m->frames);
    m->frame[0].data = id;
    m->frame[0].bytes = IDENTITY;
    m->frames++;
}

/* Brings a message, keeps it for later, or loses it. */
static void arrive(struct flight *f) {
    struct sock *from = &net.sock[f->from];
    struct sock *dealer = f->up ? from : &net.sock[f->to];
    struct sock *to = f->up ? bound_at(dealer->endpoint) : dealer;
    const bool alive = dealer->used && dealer->serial == f->serial;
    if (!alive || (to != NULL && net.cut[from->process][to->process].until_ns > sim_now_ns() &&
                   net.cut[from->process][to->process].loses)) {
        net.figures.lost++;
        dealer->flying -= alive;
        message_free(&f->m);
        return;
    }
    if (to == NULL || to->count >= QUEUE_MAX ||
        net.cut[from->process][to->process].until_ns > sim_now_ns()) {
        f->at_ns = sim_now_ns() + AGAIN_NS;
        launch(*f);
        return;
    }
    dealer->flying--;
    for (uint32_t i = 0; i < f->m.frames; i++) {
        sim_note(hash_bytes(f->m.frame[i].data, f->m.frame[i].bytes));
    }
    say("brought", from, &f->m, to->process);
    if (f->up) {
        add_identity(&f->m, dealer);
    }
    put_in(to, &f->m);
}

uint64_t network_next_ns(void) {
    uint64_t next_ns = NEVER;
    for (uint32_t i = 0; i < net.flights; i++) {
        next_ns = net.flight[i].at_ns < next_ns ? net.flight[i].at_ns : next_ns;
    }
    return next_ns;
}

void network_step(void) {
    for (;;) {
        uint32_t first = net.flights;
        for (uint32_t i = 0; i < net.flights; i++) {
            const struct flight *f = &net.flight[i];
            if (f->at_ns <= sim_now_ns() &&
                (first == net.flights || f->at_ns < net.flight[first].at_ns ||
                 (f->at_ns == net.flight[first].at_ns && f->order < net.flight[first].order))) {
                first = i;
            }
        }
        if (first == net.flights) {
            return;
        }
        struct flight f = net.flight[first];
        net.flight[first] = net.flight[--net.flights];
        arrive(&f);
    }
}

/* --- the calls -------------------------------------------------------------------------------- */

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

static int call_close(void *socket) {
    struct sock *s = socket;
    sock_clear(s);
    s->used = false;
    s->serial = 0;
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
    if (bound_at(endpoint) != NULL) {
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
        send_off(s, s, NULL, true, &s->out);
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
    send_off(s, peer, peer, false, &s->out);
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

static const struct socket_ops network_ops = {.ctx_new = call_ctx_new,
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

/* --- for the simulator ------------------------------------------------------------------------ */

void network_begin(void) {
    for (uint32_t i = 0; i < net.socks; i++) {
        if (net.sock[i].used) {
            call_close(&net.sock[i]);
        }
    }
    for (uint32_t i = 0; i < net.flights; i++) {
        message_free(&net.flight[i].m);
    }
    net.flights = net.socks = net.serials = 0;
    net.orders = 0;
    net.faults = (struct network_faults){.delay_ns = 100000};
    memset(net.cut, 0, sizeof net.cut);
    net.figures = (struct network_figures){0};
    socket_ops_set(&network_ops);
}

void network_faults(const struct network_faults *f) {
    net.faults = *f;
}

void network_cut(uint32_t from, uint32_t to, uint64_t until_ns, bool loses) {
    net.cut[from][to].until_ns = until_ns;
    net.cut[from][to].loses = loses;
}

void network_hang_up(uint32_t process) {
    for (uint32_t i = 0; i < net.socks; i++) {
        struct sock *s = &net.sock[i];
        if (!s->used || s->process != process) {
            continue;
        }
        if (s->bound) { /* its peers connect anew to whoever binds the endpoint next */
            for (uint32_t k = 0; k < net.socks; k++) {
                struct sock *peer = &net.sock[k];
                if (peer->used && !peer->bound && strcmp(peer->endpoint, s->endpoint) == 0) {
                    peer->serial = ++net.serials;
                    peer->flying = 0;
                }
            }
        }
        call_close(s);
    }
    for (uint32_t k = 0; k < PROCESSES_MAX; k++) {
        net.cut[process][k].until_ns = net.cut[k][process].until_ns = 0;
    }
}

void network_reset(uint32_t process) {
    for (uint32_t i = 0; i < net.socks; i++) {
        struct sock *s = &net.sock[i];
        if (s->used && !s->bound && s->process == process) {
            s->serial = ++net.serials;
            s->flying = 0;
        }
    }
}

void network_trace(bool on) {
    net.trace = on;
}

struct network_figures network_figures(void) {
    return net.figures;
}
