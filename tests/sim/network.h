/* network.h - the network of the simulated processes, behind socket_ops.h.
 *
 * Ports behave as ZeroMQ's do: a DEALER connects to one endpoint, waits for it to be bound, and
 * keeps up to 64 messages for it; a ROUTER knows its peers by an identity that is new with each
 * connection, and refuses to send to one that has gone. Messages take time. What may happen to them
 * on the way is set for a seed; without faults each connection keeps its order and loses nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct network_faults {
    uint64_t delay_ns;    /* a message takes up to so long */
    uint64_t loss;        /* messages of a million that are lost */
    uint64_t twice;       /* that come twice */
    uint64_t overtaken;   /* that may be overtaken by later ones */
    uint64_t overtake_ns; /* by how much */
};
void network_begin(void); /* mounts it, without sockets */
void network_faults(const struct network_faults *f);
/* Until that time nothing passes from a process to another; what was on its way then comes later,
 * or is lost. */
void network_cut(uint32_t from, uint32_t to, uint64_t until_ns, bool loses);
/* Closes the sockets of a process that has ended. */
void network_hang_up(uint32_t process);
/* All connections of a process break and are made again; what is on its way is lost. */
void network_reset(uint32_t process);
/* The time of the next arrival; NEVER: nothing is on its way. */
uint64_t network_next_ns(void);
void network_step(void); /* brings what has arrived by now */
/* Says every message to standard error. */
void network_trace(bool on);
struct network_figures {
    uint64_t sent, lost, doubled, overtaken, refused;
};
struct network_figures network_figures(void);
