/* coverage.c - counts transitions and prints them (see coverage.h). */
#include "coverage.h"

#include <stdio.h>

#include "common/net/wire.h"
#include "worker/flight.h"
#include "worker/transfer.h"

struct coverage coverage;
static uint32_t phase_now;

void coverage_note(enum cover what, uint32_t state, uint32_t event) {
    if (state < COVER_STATES && event < COVER_EVENTS) {
        coverage.seen[what][state][event]++;
    }
}

void coverage_phase(uint32_t phase) {
    phase_now = phase;
}

void coverage_fault(uint32_t fault) {
    coverage_note(COVER_FAULT, fault, phase_now);
}

void coverage_add(const struct coverage *other) {
    const uint64_t *from = &other->seen[0][0][0];
    uint64_t *to = &coverage.seen[0][0][0];
    for (size_t i = 0; i < sizeof coverage / sizeof *to; i++) {
        to[i] += from[i];
    }
}

/* --- printing --------------------------------------------------------------------------------- */

struct names {
    const char *title;
    const char *state[COVER_STATES], *event[COVER_EVENTS]; /* NULL where there is none */
};
static const struct names names[COVERS] = {
    [COVER_MESSAGE] = {"coordinator: phase x message",
                       {"gather", "train", "score", "compute", "save", "stop"},
                       {[WIRE_HELLO] = "HELLO",
                        [WIRE_HEARTBEAT] = "HEARTBEAT",
                        [WIRE_LEASE_ASK] = "LEASE_ASK",
                        [WIRE_CLOCK_ASK] = "CLOCK_ASK",
                        [WIRE_SCORES] = "SCORES",
                        [WIRE_PART_DONE] = "PART_DONE"}},
    [COVER_LEASE] = {"coordinator: holds back x answer to who asks for a lease",
                     {"free", "held"},
                     {"wait", "train", "eval", "finished"}},
    [COVER_PUSH] = {"partition: name x outcome of a push",
                    {"new", "duplicate"},
                    {"taken", "fenced", "ticket", "refused"}},
    [COVER_SLOT] = {"trainer: state of a slot x what was done with it",
                    {"free", "held", "pulling", "rows", "pulling-dense", "pulled", "pushing",
                     "done"},
                    {"take", "idle", "enter", "pull", "pull-rows", "pull-dense", "listen", "retire",
                     "compute", "end"}},
    [COVER_TRANSFER] = {"transfer: state x answer",
                        {"idle", "pulling", "rows", "pulling-dense", "pulled", "pushing", "done"},
                        {"answer", "error"}},
    [COVER_SUPERVISOR] = {"launcher: phase x event",
                          {"run", "save", "follow", "term", "kill", "cut"},
                          {"none", "up", "ended", "signal"}},
    [COVER_FAULT] = {"fault x phase of the coordinator",
                     {"kill", "kill-in-a-call", "stop", "slow", "cut", "cut-one-way", "reset",
                      "terminate", "power", "full-disk", "broken-disk"},
                     {"gather", "train", "score", "compute", "save", "stop"}},
};

static void print_table(const struct names *n, const uint64_t seen[COVER_STATES][COVER_EVENTS]) {
    for (uint32_t s = 0; s < COVER_STATES; s++) {
        if (n->state[s] == NULL) {
            continue;
        }
        printf("    %-14s", n->state[s]);
        for (uint32_t e = 0; e < COVER_EVENTS; e++) {
            if (n->event[e] != NULL && seen[s][e] > 0) {
                printf("  %s %llu", n->event[e], (unsigned long long)seen[s][e]);
            } else if (n->event[e] != NULL) {
                printf("  %s -", n->event[e]);
            }
        }
        printf("\n");
    }
}

void coverage_print(int all) {
    for (uint32_t c = 0; c < COVERS; c++) {
        uint32_t met = 0, pairs = 0;
        for (uint32_t s = 0; s < COVER_STATES; s++) {
            for (uint32_t e = 0; e < COVER_EVENTS; e++) {
                if (names[c].state[s] != NULL && names[c].event[e] != NULL) {
                    pairs++;
                    met += coverage.seen[c][s][e] > 0;
                }
            }
        }
        printf("%s: %u of %u pairs met\n", names[c].title, met, pairs);
        if (all) {
            print_table(&names[c], coverage.seen[c]);
        }
    }
}

/* --- where a trainer's machines are met ------------------------------------------------------- */

struct flight_order __real_flight_next(struct flight *f);
struct flight_order __wrap_flight_next(struct flight *f);
enum status __real_transfer_take(struct transfer *x, uint32_t k, const struct port_message *m);
enum status __wrap_transfer_take(struct transfer *x, uint32_t k, const struct port_message *m);

/* The state is the one before the order: an order to pull or to compute moves the slot on. */
struct flight_order __wrap_flight_next(struct flight *f) {
    enum slot_state before[FLIGHT_SLOTS_MAX];
    for (uint32_t i = 0; i < f->slots; i++) {
        before[i] = f->slot[i].state;
    }
    const struct flight_order o = __real_flight_next(f);
    if (o.slot < f->slots) {
        coverage_note(COVER_SLOT, before[o.slot], o.act);
    }
    return o;
}

enum status __wrap_transfer_take(struct transfer *x, uint32_t k, const struct port_message *m) {
    coverage_note(COVER_TRANSFER, x->state, m->msg.type == WIRE_ERROR);
    return __real_transfer_take(x, k, m);
}
