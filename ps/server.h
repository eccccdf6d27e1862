/* server.h - the partition threads of one server process and their sockets.
 *
 * Each thread owns one bound port and one partition: receive, decode, partition_pull/push, answer,
 * tick. Orders (cut) and results (part written, failure) pass between the control thread and the
 * partition threads through small queues; the control thread owns the link to the coordinator.
 */
#pragma once

#include <stdint.h>
#include "common/base/status.h"

struct server_options {
    const char *coordinator; /* endpoint */
    const char *listen;      /* "ipc://DIR/ps-0" (".K" is added per thread) or "tcp://host:0" */
    const char *advertise;   /* host name put into tcp endpoints; NULL: that of listen */
    uint32_t index;
    uint32_t threads;
    uint64_t timeout_ms; /* for the coordinator and peers to appear */
};
/* Runs the whole role until the job ends: OK, or the first cause. Blocking. */
enum status server_run(const struct server_options *o);
