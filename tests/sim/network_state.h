/* network_state.h - the inside of network.h, shared by network.c and network_calls.c. */
#pragma once

#include <stddef.h>

#include "common/net/socket_ops.h"
#include "fibers.h"
#include "network.h"

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
    bool up;   /* to the ROUTER */
    bool fifo; /* none of its connection comes before it that was sent after it */
    struct message m;
};

struct network {
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
};
extern struct network net;

void message_free(struct message *m);
struct sock *sock_bound_at(const char *endpoint); /* NULL: nobody */
/* Sends the message of `from` on its way over a connection, to `to` (up: to whoever is bound to the
 * connection's endpoint by then, `to` is NULL). Takes it over. */
void network_send(struct sock *from, struct sock *connection, struct sock *to, bool up,
                  struct message *m);
void sock_close(struct sock *s);
extern const struct socket_ops network_ops;
