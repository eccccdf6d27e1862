/* staleness.h - limits who may begin a batch: no trainer may be more than `max` batches ahead of
 * the slowest.
 *
 * Each trainer (a thread of a worker) has a clock: the number of batches it has finished. Before a
 * trainer goes beyond what it knows to be allowed, it asks and sends its clock. The answer is the
 * clock of the slowest active trainer; it is held back until the asker is at most `max` ahead of
 * that clock. max 0 is a barrier per step. The bound applies to the start of a batch: a trainer
 * with k batches in flight can have finished up to max + k more than the slowest.
 *
 * Active. A trainer can make others wait only if it has a batch or is waiting to begin one. A
 * trainer becomes active when it asks, and stays active until
 *   - it says that it has no batch (CLOCK_IDLE),
 *   - its worker holds no lease (staleness_rest), is lost or replaced (staleness_leave),
 *   - or, as the last resort, another trainer has waited for it for patience_ms and it said nothing
 *     in that time (counted in `dropped`; a trainer that reports when it is idle, and is quick
 *     enough, is never dropped).
 *
 * Scales. A trainer that has been away has a clock far behind. If that clock counted as it is,
 * everybody would wait until the trainer had caught up. So each trainer has an offset: when it
 * becomes active, its effective clock, clock + offset, is raised to the floor (the lowest effective
 * clock of the active trainers; while nobody is active, the last floor). An answer is the floor
 * minus the offset of the asker: a trainer compares it only with its own clock.
 *
 * Invariants, and why there is no deadlock:
 *   1. The floor never falls: clocks only grow, the active set loses members, and those who join
 *      join at the floor or above it.
 *   2. The trainer at the floor never waits: its distance is 0 <= max. So either it finishes its
 *      batch, and its next question raises its clock; or it becomes idle or is lost, and leaves the
 *      active set. Either way the floor rises until those who wait are released.
 *   3. A reported clock is at most the true one, so a late report can make others wait longer, but
 *      never loosens the bound.
 *
 * Each sender numbers its questions in rising order. A repeated question renews the address for its
 * answer; an older question is ignored.
 *
 * Uses no sockets; single thread.
 */
#pragma once

#include "common/net/link_messages.h"
#include "common/base/status.h"

#define STALENESS_TRAINERS_MAX 65536u
#define STALENESS_CLOCK_MAX    (1ull << 60) /* so that no sum here overflows */

struct staleness_address { /* where the answer goes; only the id is read here */
    uint8_t peer[64];
    size_t peer_bytes;
    uint64_t id;
};
struct staleness_trainer {
    uint32_t worker, trainer;
    bool active;
    bool asking;    /* a question waits for its answer */
    uint64_t clock; /* as last reported */
    uint64_t offset;
    uint64_t heard_ms;
    uint64_t asked_ms; /* when the open question came */
    struct staleness_address address;
};
struct staleness {
    uint64_t max;
    uint64_t patience_ms;
    uint64_t floor;
    struct staleness_trainer *trainers;
    uint32_t count, cap;
    uint64_t dropped;
};
struct staleness_answer {
    uint32_t worker, trainer;
    uint64_t clock;
    struct staleness_address address;
};

void staleness_init(struct staleness *s, uint64_t max, uint64_t patience_ms);
void staleness_fini(struct staleness *s);
/* Takes a question, or CLOCK_IDLE. ERR_MEMORY, ERR_LIMIT, ERR_PROTOCOL. */
enum status staleness_ask(struct staleness *s, uint32_t worker, uint32_t trainer, uint64_t clock,
                          const struct staleness_address *address, uint64_t now_ms);
/* Gives one answer that is due; false: none. Call it until false after every change. */
bool staleness_next(struct staleness *s, uint64_t now_ms, struct staleness_answer *out);
/* The worker holds no lease: its trainers that do not wait have no batch. */
void staleness_rest(struct staleness *s, uint32_t worker);
/* The worker is lost or replaced: removes its trainers. */
void staleness_leave(struct staleness *s, uint32_t worker);
