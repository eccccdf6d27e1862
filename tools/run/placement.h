/* placement.h - which role of a job runs on which host, and on which port.
 *
 * The coordinator is on the first host and takes no slot: it needs little. Servers, then workers,
 * go round over the hosts that have a slot left. The servers of a host take the ports after the
 * coordinator's, one per partition thread.
 */
#pragma once

#include "hosts.h"
#include "supervisor.h"

struct place {
    enum child_kind kind;
    uint32_t host; /* in struct hosts */
    uint32_t port; /* the first it listens on; 0: none (a worker) */
};
struct placement {
    struct place *places; /* [1 + servers + workers]: the coordinator, servers, workers */
    uint32_t servers, workers;
    uint32_t server_threads; /* ports a server */
};

/* Fills *p, which is zeroed, but for servers, workers, server_threads. ERR_USAGE: too few slots, or
 * ports beyond 65535. */
enum status placement_make(struct placement *p, const struct hosts *h, uint32_t port_base);
void placement_fini(struct placement *p); /* safe on a zeroed struct */
