/* trainer.h - one trainer thread: takes batches, pulls, computes and pushes, several in flight.
 *
 * While one batch is computed the next one's pull is on its way and the last one's push is being
 * acknowledged (flight.h). A trainer ends when the reader is closed and all its batches are
 * acknowledged, when it is told to stop, or with the first failure.
 */
#pragma once

#include <stdatomic.h>

#include "held_leases.h"
#include "client.h"
#include "common/base/file.h"
#include "gate.h"
#include "meter.h"
#include "reader.h"

struct trainer_spec {
    uint32_t index;     /* within the worker */
    uint32_t in_flight; /* batches under way, 1..16 */
    struct client_spec client;
    struct reader *reader;
    struct held_leases *held;
    struct gate *gate;
    struct meter *meter;
    atomic_bool *stop;  /* set: leave, and finish nothing more */
    struct file *trace; /* NULL, or one line per training batch (docs/model.md) */
};
/* The thread's body. */
enum status trainer_run(struct trainer_spec *spec);
