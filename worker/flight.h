/* flight.h - the batches that a trainer has in flight, and what it does next.
 *
 * A trainer has a few slots, each for one batch. Decisions are made here, without threads, sockets
 * and time: flight_next says what to do, the trainer does it (trainer.c) and reports the result. A
 * slot goes round:
 *
 *     FREE -took-> HELD -entered-> PULLING -arrived-> PULLED -compute-> PUSHING -arrived-> DONE
 *     DONE -retire-> FREE
 *
 * A batch of an evaluation need not enter, and is DONE once it is computed. In a hybrid job a
 * training batch pulls in two steps. It pulls its rows ahead, as soon as there is a batch. It pulls
 * the dense vector when it is the next to be computed, the batch before it is acknowledged and the
 * gate (here a barrier) lets it pass:
 *
 *     HELD -> PULLING -arrived-> ROWS -entered-> PULLING_DENSE -arrived-> PULLED ...
 *
 * Orders come in turns. A turn fills and starts slots, passes the barrier, listens to the servers,
 * retires what is done, and computes the oldest batch, if that is pulled. So training batches begin
 * and are computed in the order in which they were taken. Computing takes much
 * longer than everything else; while it runs, the network threads of ZeroMQ carry the other slots'
 * bytes. With one slot (deterministic, synchronous) a pull sees every push before it: the sequence
 * is that of a plain single-threaded program.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FLIGHT_SLOTS_MAX 16

enum slot_state {
    SLOT_FREE,
    SLOT_HELD,    /* has a batch that may not begin yet */
    SLOT_PULLING, /* rows and dense vector; in a hybrid job's training only rows */
    SLOT_ROWS,    /* has its rows and waits at the barrier */
    SLOT_PULLING_DENSE,
    SLOT_PULLED, /* can be computed */
    SLOT_PUSHING,
    SLOT_DONE
};
struct flight_slot {
    enum slot_state state;
    bool train;     /* else of an evaluation */
    uint64_t order; /* in which it was taken: the oldest is computed first */
};

enum flight_act {
    FLIGHT_TAKE,       /* an item from the reader; tell flight_took */
    FLIGHT_IDLE,       /* tell the gate that this trainer has no batch */
    FLIGHT_ENTER,      /* ask the gate; tell flight_entered */
    FLIGHT_PULL,       /* rows and dense vector */
    FLIGHT_PULL_ROWS,  /* rows only */
    FLIGHT_PULL_DENSE, /* the rest */
    FLIGHT_LISTEN,     /* to the servers; tell flight_arrived of every slot with all answers */
    FLIGHT_RETIRE,     /* the slot's batch is finished */
    FLIGHT_COMPUTE,    /* and push, if it is for training */
    FLIGHT_END         /* leave */
};
struct flight_order {
    enum flight_act act;
    uint32_t slot; /* unused by IDLE, LISTEN, END */
    bool wait;     /* TAKE, ENTER, LISTEN: there is nothing else to do meanwhile */
};

struct flight {
    uint32_t slots;
    bool hybrid;
    struct flight_slot slot[FLIGHT_SLOTS_MAX];
    uint64_t taken;
    bool drained, stopped;
    bool may;       /* what the gate said last */
    uint32_t at;    /* the slot that is being started; `slots`: all are */
    uint32_t phase; /* of starting it, or of the rest of the turn */
    uint32_t next;  /* the slot to be computed next; `slots`: none */
};
/* slots 1..FLIGHT_SLOTS_MAX. hybrid: training batches pull in two steps. */
void flight_init(struct flight *f, uint32_t slots, bool hybrid);
/* What to do now. Do it and report the result before asking again. */
struct flight_order flight_next(struct flight *f);

enum flight_taken {
    FLIGHT_TOOK_NONE, /* there was nothing, or nothing that needs computing */
    FLIGHT_TOOK_TRAIN,
    FLIGHT_TOOK_EVAL,
    FLIGHT_TOOK_LAST /* nothing, and nothing will come any more */
};
void flight_took(struct flight *f, uint32_t slot, enum flight_taken what);
void flight_entered(struct flight *f, bool may);
/* For a slot that flight_awaits: all partitions have answered. */
void flight_arrived(struct flight *f, uint32_t slot);
bool flight_awaits(const struct flight *f, uint32_t slot);
/* Makes END the next order, whatever is in flight. */
void flight_stop(struct flight *f);
