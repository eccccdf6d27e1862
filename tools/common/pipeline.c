#include "pipeline.h"

#include <stdbool.h>

#include "common/base/mem.h"
#include "common/base/queue.h"
#include "common/base/thread.h"

#define WAIT_MS 100u /* between two checks for signals and progress */
#define IDLE_MS 3600000u

/* An item on its way. */
struct load {
    void *item;
    uint64_t number;    /* in the order of filling */
    struct cause cause; /* the failure of the work */
};

struct pipeline_state;
struct hand {
    struct pipeline_state *run;
    void *worker;
    struct thread thread;
};

struct pipeline_state {
    const struct pipeline *job;
    struct queue todo, done;
    struct hand *hands;  /* [threads] */
    struct load *loads;  /* [items] */
    uint8_t *items;      /* [items] of item_bytes each */
    struct load **idle;  /* [items], used as a stack */
    struct load **ready; /* [items], at number modulo items */
    struct load *filling;
    uint32_t idle_count, away;
    uint64_t filled, taken;
    bool ended;
};

static enum status hand_run(void *arg) {
    struct hand *h = arg;
    void *next = NULL;
    for (;;) {
        const enum status status = queue_take(&h->run->todo, &next, IDLE_MS);
        if (status == ERR_CLOSED) {
            return OK;
        }
        if (status == ERR_TIMEOUT) {
            continue;
        }
        struct load *l = next;
        cause_keep(&l->cause, h->run->job->work(h->worker, l->item));
        if (queue_put(&h->run->done, l, IDLE_MS) != OK) { /* the queue has room for every item */
            return OK;
        }
    }
}

static enum status pipeline_start(struct pipeline_state *r) {
    const struct pipeline *job = r->job;
    TRY(mem_array(&r->hands, job->threads));
    TRY(mem_array(&r->loads, job->items));
    TRY(mem_array(&r->idle, job->items));
    TRY(mem_array(&r->ready, job->items));
    TRY(mem_array_of((void **)&r->items, job->items, job->item_bytes));
    TRY(queue_init(&r->todo, job->items));
    TRY(queue_init(&r->done, job->items));
    for (uint32_t k = 0; k < job->items; k++) {
        r->loads[k].item = r->items + k * job->item_bytes;
        r->idle[r->idle_count++] = &r->loads[k];
    }
    for (uint32_t t = 0; t < job->threads; t++) {
        struct hand *h = &r->hands[t];
        h->run = r;
        h->worker = job->arg;
        if (job->open != NULL) {
            h->worker = NULL;
            TRY(job->open(job->arg, &h->worker));
        }
        TRY(thread_start(&h->thread, job->name, hand_run, h));
    }
    return OK;
}

/* Ends all threads that read the queues before the queues are freed. */
static void pipeline_stop(struct pipeline_state *r) {
    const struct pipeline *job = r->job;
    if (r->todo.items != NULL) {
        queue_close(&r->todo);
    }
    if (r->done.items != NULL) {
        queue_close(&r->done);
    }
    for (uint32_t t = 0; t < job->threads && r->hands != NULL; t++) {
        thread_join(&r->hands[t].thread);
        if (job->close != NULL && r->hands[t].worker != NULL) {
            job->close(r->hands[t].worker);
        }
    }
    queue_fini(&r->todo);
    queue_fini(&r->done);
    for (uint32_t k = 0; k < job->items && r->items != NULL && job->fini != NULL; k++) {
        job->fini(r->items + k * job->item_bytes);
    }
    mem_free(&r->hands);
    mem_free(&r->loads);
    mem_free(&r->idle);
    mem_free(&r->ready);
    mem_free(&r->items);
}

/* Fills one item if there is one to fill. */
static enum status pipeline_feed(struct pipeline_state *r) {
    if (r->ended || (r->filling == NULL && r->idle_count == 0)) {
        return OK;
    }
    if (r->filling == NULL) {
        r->filling = r->idle[--r->idle_count];
    }
    const enum status status = r->job->fill(r->job->arg, r->filling->item);
    if (status == ERR_AGAIN) {
        return OK;
    }
    if (status == ERR_CLOSED) {
        r->ended = true;
        r->idle[r->idle_count++] = r->filling;
        r->filling = NULL;
        return OK;
    }
    TRY(status);
    r->filling->number = r->filled++;
    TRY(queue_put(&r->todo, r->filling, IDLE_MS));
    r->away++;
    r->filling = NULL;
    return OK;
}

/* Gives take() the items that are next in order. */
static enum status pipeline_deliver(struct pipeline_state *r) {
    const struct pipeline *job = r->job;
    struct load *l;
    while ((l = r->ready[r->taken % job->items]) != NULL) {
        TRY(cause_again(&l->cause));
        TRY(job->take == NULL ? OK : job->take(job->arg, l->item));
        r->ready[r->taken++ % job->items] = NULL;
        r->idle[r->idle_count++] = l;
    }
    return OK;
}

/* Takes the items that the workers have finished. Waits only if there is nothing else to do. */
static enum status pipeline_collect(struct pipeline_state *r) {
    void *next = NULL;
    const bool busy = !r->ended && (r->filling != NULL || r->idle_count > 0);
    while (r->away > 0 && queue_take(&r->done, &next, busy || next != NULL ? 0 : WAIT_MS) == OK) {
        struct load *l = next;
        r->ready[l->number % r->job->items] = l;
        r->away--;
    }
    return pipeline_deliver(r);
}

static enum status pipeline_work(struct pipeline_state *r) {
    const struct pipeline *job = r->job;
    TRY(pipeline_start(r));
    while (!r->ended || r->away > 0) {
        if (stop_requested()) {
            return fail(ERR_CLOSED, "stopped by signal %d; nothing was written", stop_signal());
        }
        TRY(job->tick == NULL ? OK : job->tick(job->arg));
        TRY(pipeline_feed(r));
        TRY(pipeline_collect(r));
    }
    for (uint32_t t = 0; t < job->threads && job->join != NULL; t++) {
        TRY(job->join(job->arg, r->hands[t].worker));
    }
    return OK;
}

enum status pipeline_run(const struct pipeline *job) {
    struct pipeline_state r = {.job = job};
    const enum status status = pipeline_work(&r);
    pipeline_stop(&r);
    return status;
}
