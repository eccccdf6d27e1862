/* pipeline.h - one thread gives out work, many do it, the results come back in order.
 *
 * The calling thread fills items and hands them to worker threads; what comes back is put into the
 * order in which it was filled before `take` sees it, so nothing that is written depends on the
 * number of threads. There are so many items as the caller says, which bounds the memory; when all
 * are away the calling thread waits. The first failure in the order of the items is the one that is
 * told.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

#define PIPELINE_THREADS_MAX 256u

struct pipeline {
    const char *name;  /* of the threads */
    uint32_t threads;  /* 1..PIPELINE_THREADS_MAX */
    uint32_t items;    /* > threads, so that no thread waits for `take` */
    size_t item_bytes; /* zeroed at first; used again as the functions left it */
    /* On the calling thread. ERR_CLOSED: there is no more work. ERR_AGAIN: none yet; it is asked
     * again with the same item. */
    enum status (*fill)(void *arg, void *item);
    /* On a worker thread. */
    enum status (*work)(void *worker, void *item);
    /* On the calling thread, in order. NULL: nothing to do. */
    enum status (*take)(void *arg, void *item);
    /* Frees what is in an item, also in a zeroed one. NULL: nothing. */
    void (*fini)(void *item);
    /* A worker thread's own state, made and freed by the calling thread; NULL: `arg` for all. */
    enum status (*open)(void *arg, void **worker);
    void (*close)(void *worker);
    /* On the calling thread, after the last item, for every worker. NULL: nothing to do. */
    enum status (*join)(void *arg, void *worker);
    /* On the calling thread, often. NULL: nothing to do. */
    enum status (*tick)(void *arg);
    void *arg;
};

/* Runs until there is no more work. Blocks. Any status of the functions above; ERR_CLOSED after a
 * stop signal; ERR_MEMORY. */
enum status pipeline_run(const struct pipeline *p);
