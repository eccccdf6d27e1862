/* staleness.h - who may begin a batch: nobody more than `max` batches ahead of the slowest.
 *
 * Each trainer (a thread of a worker) has a clock: the batches it has finished. Before it would run
 * past what it knows to be allowed, it asks with its clock; the answer, the clock of the slowest
 * active trainer, is kept back until the asker is at most `max` ahead of it. max 0 is a barrier per
 * step. The bound is on the start of a batch: a trainer with k batches in flight can have finished
 * up to max + k more than the slowest.
 *
 * Active. Only trainers that have a batch, or are waiting to begin one, may hold others back. A
 * trainer is active from a question until
 *   - it says that it has no batch (CLOCK_IDLE),
 *   - its worker holds no lease (staleness_rest), is lost or replaced (staleness_leave),
 *   - or, as the last resort, someone has waited for it for patience_ms in which it said nothing
 *     (counted in `dropped`; a trainer that does say when it is idle is never dropped while it is
 *     quick enough).
 *
 * Scales. A trainer that has been away has a clock far behind; counted as it is, it would stop
 * everybody until it had caught up. So each has an offset: on becoming active its effective clock,
 * clock + offset, is raised to the floor (the slowest active effective clock; while nobody is
 * active, the last floor). Answers are the floor minus the asker's own offset: a trainer compares
 * them with its own clock and with nobody else's.
 *
 * Invariants, and why there is no deadlock:
 *   1. The floor never falls: clocks only grow, the active set loses members, and those who join
 *      join at the floor or above it.
 *   2. The trainer at the floor is never kept waiting: its distance is 0 <= max. So it has a batch
 *      that it will finish, and then its next question raises its clock; or it becomes idle, or is
 *      lost, and leaves the set. Either way the floor rises until the waiting are released.
 *   3. A reported clock is at most the true one, so a late report delays, and never loosens, the
 *      bound.
 *
 * Questions are numbered by their sender in rising order; a repeated one renews the address its
 * answer goes to, an older one is ignored.
 *
 * Socket-free; single thread.
 */
#pragma once

#include "common/net/link_messages.h"
#include "common/base/status.h"

#define STALENESS_TRAINERS_MAX 65536u
#define STALENESS_CLOCK_MAX    (1ull << 60) /* so that no sum here overflows */

struct staleness_address { /* of the answer; opaque here but for the id */
    uint8_t peer[64];
    size_t peer_bytes;
    uint64_t id;
};
struct staleness_trainer {
    uint32_t worker, trainer;
    bool active;
    bool asking;    /* a question waits for its answer */
    uint64_t clock; /* as last told */
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
/* A question, or CLOCK_IDLE. ERR_MEMORY, ERR_LIMIT, ERR_PROTOCOL. */
enum status staleness_ask(struct staleness *s, uint32_t worker, uint32_t trainer, uint64_t clock,
                          const struct staleness_address *address, uint64_t now_ms);
/* Takes one answer that is due; false: none. Call until false after every change. */
bool staleness_next(struct staleness *s, uint64_t now_ms, struct staleness_answer *out);
/* The worker holds no lease: those of its trainers that do not wait have no batch. */
void staleness_rest(struct staleness *s, uint32_t worker);
/* The worker is lost or replaced: forgets its trainers. */
void staleness_leave(struct staleness *s, uint32_t worker);
