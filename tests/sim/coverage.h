/* coverage.h - which transitions the simulator has seen: how often each event was met in each state
 * of each state machine, over all seeds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum cover {
    COVER_MESSAGE,    /* coordinator: phase x message */
    COVER_LEASE,      /* coordinator: held back or not x answer to a worker that asks */
    COVER_PUSH,       /* partition: fresh or duplicate x outcome */
    COVER_SLOT,       /* trainer: state of the slot x order of flight.h */
    COVER_TRANSFER,   /* transfer: state x answer */
    COVER_SUPERVISOR, /* launcher: phase x event */
    COVER_FAULT,      /* fault x phase of the coordinator that it met */
    COVERS
};
#define COVER_STATES 20
#define COVER_EVENTS 24

struct coverage {
    uint64_t seen[COVERS][COVER_STATES][COVER_EVENTS];
};
extern struct coverage coverage;
void coverage_note(enum cover what, uint32_t state, uint32_t event);
void coverage_phase(uint32_t phase); /* of the coordinator, now; for faults */
void coverage_fault(uint32_t fault);
void coverage_add(const struct coverage *other);
/* A line per machine; with `all` its table, too. */
void coverage_print(bool all);
