/* server.h - the partition threads of one server process and their sockets.
 *
 * Each thread owns one bound port and one partition; its loop is: receive, decode, partition_pull
 * or partition_push, answer, tick. Small queues carry orders (cut) from the control thread to the
 * partition threads and results (part written, failure) back. The control thread owns the link to
 * the coordinator.
 */
#pragma once

#include <stdint.h>
#include "common/base/status.h"

struct server_options {
    const char *coordinator; /* endpoint */
    const char *listen;      /* "ipc://DIR/ps-0" (".K" is added per thread) or "tcp://host:0" */
    const char *advertise;   /* host name put into tcp endpoints; NULL: the one of listen */
    const char *push_log;    /* directory of the push logs, where they are kept; NULL: never */
    uint32_t index;
    uint32_t threads;
    uint64_t timeout_ms; /* how long to wait for the coordinator and peers */
};
/* Runs the whole role until the job ends. Returns OK or the first failure. Blocking. */
enum status server_run(const struct server_options *o);
