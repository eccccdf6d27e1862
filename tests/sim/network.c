/* network.c - messages on their way, what happens to them, and what the simulator does to the
 * network (see network.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/net/wire.h"
#include "network_state.h"

#define AGAIN_NS 20000000u /* a connection that cannot be made is tried again after */

struct network net;

void message_free(struct message *m) {
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

struct sock *sock_bound_at(const char *endpoint) {
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
    f.order = f.order == 0 ? ++net.orders : f.order;
    net.flight[net.flights++] = f;
}

static uint64_t arrival_ns(uint64_t *last_ns, bool *fifo) {
    uint64_t at_ns = sim_now_ns() + 1000 + sim_below(net.faults.delay_ns + 1);
    *fifo = !sim_chance(net.faults.overtaken);
    if (!*fifo) {
        net.figures.overtaken++;
        return at_ns + sim_below(net.faults.overtake_ns + 1);
    }
    at_ns = at_ns > *last_ns ? at_ns : *last_ns;
    *last_ns = at_ns;
    return at_ns;
}

/* Takes over the message. */
void network_send(struct sock *from, struct sock *connection, struct sock *to, bool up,
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
        f.at_ns = arrival_ns(last_ns, &f.fifo);
        f.m = message_copy(m);
        connection->flying++;
        launch(f);
    }
    f.at_ns = arrival_ns(last_ns, &f.fifo);
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

/* When the first message comes that this one must not come before; 0: it may come. */
static uint64_t comes_after(const struct flight *f) {
    const uint32_t dealer = f->up ? f->from : f->to;
    uint64_t at_ns = 0;
    for (uint32_t i = 0; f->fifo && i < net.flights; i++) {
        const struct flight *g = &net.flight[i];
        if (g->fifo && g->up == f->up && (g->up ? g->from : g->to) == dealer &&
            g->serial == f->serial && g->order < f->order && g->at_ns > at_ns) {
            at_ns = g->at_ns;
        }
    }
    return at_ns;
}

/* Brings a message, keeps it for later, or loses it. */
static void arrive(struct flight *f) {
    struct sock *from = &net.sock[f->from];
    struct sock *dealer = f->up ? from : &net.sock[f->to];
    struct sock *to = f->up ? sock_bound_at(dealer->endpoint) : dealer;
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
    const uint64_t after_ns = comes_after(f);
    if (after_ns > 0) {
        f->at_ns = after_ns > sim_now_ns() ? after_ns : sim_now_ns();
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

/* --- for the simulator ------------------------------------------------------------------------ */

void network_begin(void) {
    for (uint32_t i = 0; i < net.socks; i++) {
        if (net.sock[i].used) {
            sock_close(&net.sock[i]);
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
        sock_close(s);
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
