/* gate.h - how a trainer keeps within the staleness bound.
 *
 * Trainers never speak to the coordinator. A trainer that wants to begin a batch calls gate_enter.
 * The call returns at once while the trainer's clock (batches it has finished) is at most
 * staleness_max ahead of the slowest trainer's, as last learnt. Otherwise the trainer waits there
 * until the control thread learns a newer clock. Clocks are on the asker's own scale
 * (coord/grant/staleness.h), so trainers do not share answers. If a trainer finds no batch, the
 * control thread tells the coordinator with CLOCK_IDLE; the trainer joins again with its next
 * question.
 *
 * The control thread finds out with gate_wants which clocks to ask for, and hands in the answers
 * with gate_learn. `lock` guards everything; `changed` is signalled by gate_learn and gate_close.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "common/base/status.h"

#define GATE_TRAINERS_MAX 64

struct gate_trainer {
    uint64_t clock;   /* batches finished */
    uint64_t asked;   /* clock + 1 of the last question sent; 0: none since it was last idle */
    uint64_t slowest; /* slowest active trainer's clock, as last learnt, on this one's scale */
    bool asking;      /* a question is not answered yet */
    bool joined;      /* an answer has come since it was last idle */
    bool waiting;     /* blocked in gate_enter */
    bool idle;        /* has no batch; the coordinator must be told */
};
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t staleness_max;
    bool closed;
    uint32_t trainers;
    struct gate_trainer trainer[GATE_TRAINERS_MAX];
};

/* staleness_max 0: a barrier per step. */
void gate_init(struct gate *g, uint32_t trainers, uint64_t staleness_max);
void gate_fini(struct gate *g);

/* Trainer side. It has no batch, and no other trainer waits for it until it enters again. */
void gate_idle(struct gate *g, uint32_t trainer);
/* Trainer side. ERR_TIMEOUT (no fail text) after timeout_ms: step the client and come again.
 * ERR_CLOSED when the job stops. */
enum status gate_enter(struct gate *g, uint32_t trainer, uint64_t timeout_ms);
/* Trainer side. All partitions have answered the push of a batch: the clock advances by one. */
void gate_finish(struct gate *g, uint32_t trainer);

/* Control side. Finds a trainer whose question should be sent now (it is near or at its bound), or
 * that has become idle (*clock is CLOCK_IDLE), and marks it as asked; false: there is none. */
bool gate_wants(struct gate *g, uint32_t *trainer, uint64_t *clock);
void gate_learn(struct gate *g, uint32_t trainer, uint64_t slowest);
void gate_close(struct gate *g);
