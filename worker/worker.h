/* worker.h - the worker role: a control thread (the caller's), two reader threads, trainer threads.
 *
 * The control thread owns the link to the coordinator: it asks for leases ahead of need, hands them
 * to the reader, returns complete ones, asks clocks for trainers near their staleness bound, sends
 * evaluation scores, and beats. See docs/threads.md for who owns what.
 */
#pragma once

#include <stdint.h>
#include "common/base/file.h"

struct worker_options {
    const char *coordinator; /* endpoint */
    uint32_t index;
    uint32_t threads;             /* trainer threads, 1..GATE_TRAINERS_MAX */
    uint64_t timeout_ms;          /* for the job to be ready */
    const char *trace_path;       /* NULL, or a file that gets one line per training batch */
    const struct file_list *data; /* empty: where the coordinator says; else copies here */
    const struct file_list *eval;
};
/* Runs until the job ends: OK, or the first cause. Blocking. */
enum status worker_run(const struct worker_options *o);
