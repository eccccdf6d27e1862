#include "synth_lanes.h"

#include "common/base/mem.h"
#include "common/base/queue.h"
#include "common/base/thread.h"

#define WAIT_MS 500 /* how often a waiting caller looks for a stop signal */

struct lane {
    const struct lanes_work *work;
    uint32_t index;
    struct thread thread;
    struct queue ready, spare; /* of slots */
    uint8_t *slots;
};

static enum status wait_take(struct queue *q, void **slot) {
    enum status status;
    do {
        if (stop_requested()) {
            return fail(ERR_CLOSED, "stopped by signal %d", stop_signal());
        }
        status = queue_take(q, slot, WAIT_MS);
    } while (status == ERR_TIMEOUT);
    if (status == ERR_CLOSED && stop_requested()) { /* the other side saw it first */
        return fail(ERR_CLOSED, "stopped by signal %d", stop_signal());
    }
    return status;
}

/* Ends early, with OK, when the caller has closed the queues. A failure closes `ready`, so the
 * caller comes to join. There are as many places in `ready` as slots: a put does not wait. */
static enum status lane_run(void *arg) {
    struct lane *lane = arg;
    enum status status = OK;
    for (uint64_t p = lane->index; p < lane->work->pieces; p += lane->work->threads) {
        void *slot;
        if (wait_take(&lane->spare, &slot) != OK) {
            break;
        }
        status = lane->work->make(lane->work->arg, p, slot);
        if (status != OK || queue_put(&lane->ready, slot, 0) != OK) {
            break;
        }
    }
    queue_close(&lane->ready);
    return status;
}

static enum status lane_init(struct lane *lane, const struct lanes_work *work, uint32_t index) {
    lane->work = work;
    lane->index = index;
    TRY(mem_array_of((void **)&lane->slots, LANE_SLOTS, work->slot_bytes));
    TRY(queue_init(&lane->ready, LANE_SLOTS));
    TRY(queue_init(&lane->spare, LANE_SLOTS));
    for (uint32_t i = 0; i < LANE_SLOTS; i++) {
        TRY(queue_put(&lane->spare, lane->slots + i * work->slot_bytes, 0));
    }
    return thread_start(&lane->thread, "synth", lane_run, lane);
}

static void lane_fini(struct lane *lane) {
    for (uint32_t i = 0; i < LANE_SLOTS && lane->slots != NULL && lane->work->fini != NULL; i++) {
        lane->work->fini(lane->slots + i * lane->work->slot_bytes);
    }
    mem_free(&lane->slots);
    queue_fini(&lane->ready);
    queue_fini(&lane->spare);
}

/* ERR_CLOSED from a lane that failed is found out by the join. */
static enum status take_all(const struct lanes_work *work, struct lane *lanes) {
    for (uint64_t p = 0; p < work->pieces; p++) {
        struct lane *lane = &lanes[p % work->threads];
        void *slot;
        TRY(wait_take(&lane->ready, &slot));
        if (work->take != NULL) {
            TRY(work->take(work->arg, p, slot));
        }
        TRY(queue_put(&lane->spare, slot, 0));
    }
    return OK;
}

/* The first cause: a lane's failure before the caller's having found its queue closed. */
static enum status join_all(struct lane *lanes, uint32_t started, enum status status) {
    for (uint32_t i = 0; i < started; i++) {
        queue_close(&lanes[i].spare);
        queue_close(&lanes[i].ready);
    }
    for (uint32_t i = 0; i < started; i++) {
        const enum status joined = thread_join(&lanes[i].thread);
        status = joined != OK ? joined : status;
    }
    return status;
}

enum status lanes_run(const struct lanes_work *work) {
    struct lane *lanes = NULL;
    uint32_t started = 0;
    enum status status = OK;
    TRY(mem_array(&lanes, work->threads));
    while (started < work->threads && status == OK) {
        status = lane_init(&lanes[started], work, started);
        started += status == OK;
    }
    if (status == OK) {
        status = take_all(work, lanes);
    }
    status = join_all(lanes, started, status);
    for (uint32_t i = 0; i < work->threads; i++) {
        if (lanes[i].work != NULL) {
            lane_fini(&lanes[i]);
        }
    }
    mem_free(&lanes);
    return status;
}
