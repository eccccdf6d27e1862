/* prep_pipeline.h - one reader, many workers, results in order.
 *
 * The calling thread cuts the input into pieces and hands them to worker threads; what comes back
 * is put into the order of the pieces before `take` sees it, so nothing that is written depends on
 * the number of threads. At most threads + 2 pieces exist, which bounds the memory; when all are
 * away the reader waits. The first failure in the order of the pieces is the one that is told.
 */
#ifndef TOOLS_PREP_PREP_PIPELINE_H
#define TOOLS_PREP_PREP_PIPELINE_H

#include "prep_input.h"

struct prep_pipeline {
    uint32_t threads;
    struct prep_input *input;
    /* A worker thread's own state, made and freed by the calling thread. */
    enum status (*open)(void *arg, void **worker);
    void (*close)(void *worker);
    /* On a worker thread. */
    enum status (*work)(void *worker, struct prep_piece *p);
    /* On the calling thread, in order. */
    enum status (*take)(void *arg, struct prep_piece *p);
    /* On the calling thread, after the last piece, for every worker. */
    enum status (*join)(void *arg, void *worker);
    /* On the calling thread, often. ERR_CLOSED ends the run. */
    enum status (*tick)(void *arg);
    void *arg;
};

/* Runs to the end of the input. Any status of the functions above. */
enum status prep_pipeline_run(const struct prep_pipeline *job);

#endif
