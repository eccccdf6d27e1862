/* placement.h - decides on which host and which port each role of a job runs.
 *
 * The coordinator runs on the first host and takes no slot, because it needs little. Then the
 * servers and after them the workers are dealt out in turn to the hosts that have a free slot. The
 * servers of a host use the ports after the coordinator's port, one port per partition thread.
 */
#pragma once

#include "hosts.h"
#include "supervisor.h"

struct place {
    enum child_kind kind;
    uint32_t host; /* index in struct hosts */
    uint32_t port; /* its first port; 0: none (a worker) */
};
struct placement {
    struct place *places; /* [1 + servers + workers]: the coordinator, servers, workers */
    uint32_t servers, workers;
    uint32_t server_threads; /* ports per server */
};

/* Fills *p. The caller sets servers, workers and server_threads before, and zeroes the rest.
 * ERR_USAGE: there are too few slots, or a port exceeds 65535. */
enum status placement_make(struct placement *p, const struct hosts *h, uint32_t port_base);
void placement_fini(struct placement *p); /* safe on a zeroed struct */
