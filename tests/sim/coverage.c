/* coverage.c - counts transitions and prints them (see coverage.h). */
#include "coverage.h"

#include <stdio.h>
#include <string.h>

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
    uint32_t never[COVER_STATES]; /* the events that cannot be met in a state, a bit each */
};
#define NOT(event) (1u << (event))
#define ONLY(bits) (~(uint32_t)(bits))
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
                     {"wait", "train", "eval", "finished"},
                     {[1] = NOT(1) | NOT(2)}},
    [COVER_PUSH] = {"partition: name x outcome of a push",
                    {"new", "duplicate"},
                    {"taken", "fenced", "ticket", "refused"},
                    {NOT(3), ONLY(NOT(0))}},
    [COVER_SLOT] = {"trainer: state of a slot x what was done with it",
                    {"free", "held", "pulling", "rows", "pulling-dense", "pulled", "pushing",
                     "done"},
                    {[FLIGHT_TAKE] = "take",
                     [FLIGHT_ENTER] = "enter",
                     [FLIGHT_PULL] = "pull",
                     [FLIGHT_PULL_ROWS] = "pull-rows",
                     [FLIGHT_PULL_DENSE] = "pull-dense",
                     [FLIGHT_RETIRE] = "retire",
                     [FLIGHT_COMPUTE] = "compute"},
                    {ONLY(NOT(FLIGHT_TAKE)),
                     ONLY(NOT(FLIGHT_ENTER) | NOT(FLIGHT_PULL) | NOT(FLIGHT_PULL_ROWS)), ONLY(0),
                     ONLY(NOT(FLIGHT_ENTER) | NOT(FLIGHT_PULL_DENSE)), ONLY(0),
                     ONLY(NOT(FLIGHT_COMPUTE)), ONLY(0), ONLY(NOT(FLIGHT_RETIRE))}},
    [COVER_TRANSFER] = {"transfer: state x answer",
                        {"idle", "pulling", "rows", "pulling-dense", "pulled", "pushing", "done"},
                        {"answer", "error"},
                        {ONLY(0), NOT(1), ONLY(0), NOT(1), ONLY(0), 0, ONLY(0)}},
    [COVER_SUPERVISOR] = {"launcher: phase x event",
                          {"run", "save", "follow", "term", "kill"},
                          {"none", "up", "ended", "signal"},
                          {0, 0, 0, 0, ONLY(NOT(2))}},
    [COVER_FAULT] = {"fault x phase of the coordinator",
                     {"kill", "kill-in-a-call", "stop", "slow", "cut", "cut-one-way", "reset",
                      "terminate", "power", "full-disk", "broken-disk"},
                     {"gather", "train", "score", "compute", "save", "stop"}},
};

static bool may_be(const struct names *n, uint32_t state, uint32_t event) {
    return n->state[state] != NULL && n->event[event] != NULL &&
           (n->never[state] >> event & 1) == 0;
}

static void print_table(const struct names *n, const uint64_t seen[COVER_STATES][COVER_EVENTS]) {
    for (uint32_t s = 0; s < COVER_STATES; s++) {
        bool any = false;
        for (uint32_t e = 0; e < COVER_EVENTS; e++) {
            if (may_be(n, s, e)) {
                printf(any ? "" : "    %-14s", n->state[s]);
                printf("  %s %llu", n->event[e], (unsigned long long)seen[s][e]);
                any = true;
            }
        }
        printf(any ? "\n" : "");
    }
}

static void print_machine(const struct names *n, const uint64_t seen[COVER_STATES][COVER_EVENTS],
                          bool all) {
    uint32_t met = 0, pairs = 0;
    char missing[512] = "";
    for (uint32_t s = 0; s < COVER_STATES; s++) {
        for (uint32_t e = 0; e < COVER_EVENTS; e++) {
            const size_t at = strlen(missing);
            pairs += may_be(n, s, e);
            met += may_be(n, s, e) && seen[s][e] > 0;
            if (may_be(n, s, e) && seen[s][e] == 0) {
                snprintf(missing + at, sizeof missing - at, "%s %s/%s",
                         at == 0 ? "; not met:" : ",", n->state[s], n->event[e]);
            }
        }
    }
    printf("%s: %u of %u met%s\n", n->title, met, pairs, missing);
    if (all) {
        print_table(n, seen);
    }
}

void coverage_print(bool all) {
    for (uint32_t c = 0; c < COVERS; c++) {
        print_machine(&names[c], coverage.seen[c], all);
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
