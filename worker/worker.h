/* worker.h - the worker role: a control thread (the caller's), two reader threads, trainer threads.
 *
 * The control thread owns the link to the coordinator. It asks for leases ahead of need, hands them
 * to the reader, returns complete ones, asks for the clocks of trainers near their staleness bound,
 * sends evaluation scores, and sends heartbeats. docs/threads.md says which thread owns what.
 */
#pragma once

#include <stdint.h>
#include "common/base/file.h"

struct worker_options {
    const char *coordinator; /* endpoint */
    uint32_t index;
    uint32_t threads;             /* trainer threads, 1..GATE_TRAINERS_MAX */
    uint64_t timeout_ms;          /* how long to wait until the job is ready */
    const char *trace_path;       /* NULL, or a file that gets one line per training batch */
    const struct file_list *data; /* empty: the coordinator's paths; else copies here */
    const struct file_list *eval;
};
/* Runs until the job ends, and blocks. OK, or the first error. */
enum status worker_run(const struct worker_options *o);
