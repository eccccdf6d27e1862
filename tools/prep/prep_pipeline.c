#include "prep_pipeline.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "common/base/queue.h"
#include "common/base/thread.h"

#define THREADS_MAX 256u
#define PIECES_MAX  (THREADS_MAX + 2)
#define WAIT_MS     100u /* between two looks at signals and progress */
#define IDLE_MS     3600000u

struct run;
struct hand {
    struct run *run;
    void *worker;
    struct thread thread;
};

struct run {
    const struct prep_pipeline *job;
    struct queue todo, done;
    struct hand hands[THREADS_MAX];
    struct prep_piece pieces[PIECES_MAX];
    struct prep_piece *idle[PIECES_MAX];  /* a stack */
    struct prep_piece *ready[PIECES_MAX]; /* number modulo pieces */
    struct prep_piece *filling;           /* waits for more input */
    uint32_t piece_count, idle_count, away;
    uint64_t next; /* number of the piece that take() gets next */
    bool ended;
};

static enum status hand_run(void *arg) {
    struct hand *h = arg;
    void *item = NULL;
    for (;;) {
        const enum status status = queue_take(&h->run->todo, &item, IDLE_MS);
        if (status == ERR_CLOSED) {
            return OK;
        }
        if (status == ERR_TIMEOUT) {
            continue;
        }
        struct prep_piece *p = item;
        cause_keep(&p->cause, h->run->job->work(h->worker, p));
        if (queue_put(&h->run->done, p, IDLE_MS) != OK) { /* there is room for every piece */
            return OK;
        }
    }
}

static enum status start(struct run *r) {
    const struct prep_pipeline *job = r->job;
    TRY(queue_init(&r->todo, r->piece_count));
    TRY(queue_init(&r->done, r->piece_count));
    for (uint32_t k = 0; k < r->piece_count; k++) {
        r->idle[r->idle_count++] = &r->pieces[k];
    }
    for (uint32_t t = 0; t < job->threads; t++) {
        struct hand *h = &r->hands[t];
        h->run = r;
        TRY(job->open(job->arg, &h->worker));
        TRY(thread_start(&h->thread, "prep", hand_run, h));
    }
    return OK;
}

/* Everything that reads the queues ends before they go. */
static void stop(struct run *r) {
    if (r->todo.items != NULL) {
        queue_close(&r->todo);
    }
    if (r->done.items != NULL) {
        queue_close(&r->done);
    }
    for (uint32_t t = 0; t < r->job->threads; t++) {
        thread_join(&r->hands[t].thread);
        if (r->hands[t].worker != NULL) {
            r->job->close(r->hands[t].worker);
        }
    }
    queue_fini(&r->todo);
    queue_fini(&r->done);
    for (uint32_t k = 0; k < r->piece_count; k++) {
        prep_piece_fini(&r->pieces[k]);
    }
}

/* Reads one piece if there is one to fill. */
static enum status feed(struct run *r) {
    if (r->ended || (r->filling == NULL && r->idle_count == 0)) {
        return OK;
    }
    if (r->filling == NULL) {
        r->filling = r->idle[--r->idle_count];
        prep_piece_clear(r->filling);
    }
    const enum status status = prep_input_next(r->job->input, r->filling);
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
    TRY(queue_put(&r->todo, r->filling, IDLE_MS));
    r->away++;
    r->filling = NULL;
    return OK;
}

/* Gives take() what is next in order. */
static enum status deliver(struct run *r) {
    struct prep_piece **at = &r->ready[r->next % r->piece_count];
    while (*at != NULL) {
        struct prep_piece *p = *at;
        TRY(cause_again(&p->cause));
        TRY(r->job->take(r->job->arg, p));
        *at = NULL;
        r->idle[r->idle_count++] = p;
        r->next++;
        at = &r->ready[r->next % r->piece_count];
    }
    return OK;
}

/* Takes what the workers have finished; waits only if there is nothing else to do. */
static enum status collect(struct run *r) {
    void *item = NULL;
    const bool busy = !r->ended && (r->filling != NULL || r->idle_count > 0);
    while (r->away > 0 && queue_take(&r->done, &item, busy || item != NULL ? 0 : WAIT_MS) == OK) {
        struct prep_piece *p = item;
        r->ready[p->number % r->piece_count] = p;
        r->away--;
    }
    return deliver(r);
}

static enum status run(struct run *r) {
    TRY(start(r));
    while (!r->ended || r->away > 0) {
        TRY(r->job->tick(r->job->arg));
        TRY(feed(r));
        TRY(collect(r));
    }
    for (uint32_t t = 0; t < r->job->threads; t++) {
        TRY(r->job->join(r->job->arg, r->hands[t].worker));
    }
    return OK;
}

enum status prep_pipeline_run(const struct prep_pipeline *job) {
    struct run *r = NULL;
    TRY(mem_new(&r));
    r->job = job;
    r->piece_count = job->threads + 2;
    const enum status status = run(r);
    stop(r);
    mem_free(&r);
    return status;
}
