/* pipeline.h - one thread gives out work, several threads do it, and the results come back in
 * order.
 *
 * The calling thread fills items and hands them to worker threads. Finished items are put back into
 * the order in which they were filled before `take` sees them, so the output does not depend on the
 * number of threads. The caller sets the number of items, which bounds the memory. When all items
 * are in use, the calling thread waits. If several items fail, the failure of the first one in
 * order is reported.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

#define PIPELINE_THREADS_MAX 256u

struct pipeline {
    const char *name;  /* name of the threads */
    uint32_t threads;  /* 1..PIPELINE_THREADS_MAX */
    uint32_t items;    /* > threads, so that no thread waits for `take` */
    size_t item_bytes; /* zeroed at first; later reused as the functions left it */
    /* On the calling thread. ERR_CLOSED: there is no more work. ERR_AGAIN: there is none yet; fill
     * is called again with the same item. */
    enum status (*fill)(void *arg, void *item);
    /* On a worker thread. */
    enum status (*work)(void *worker, void *item);
    /* On the calling thread, in order. NULL: nothing to do. */
    enum status (*take)(void *arg, void *item);
    /* Frees the contents of an item, which may be zeroed. NULL: nothing. */
    void (*fini)(void *item);
    /* Makes a worker thread's own state, on the calling thread. NULL: all threads use `arg`. */
    enum status (*open)(void *arg, void **worker);
    void (*close)(void *worker);
    /* On the calling thread, after the last item, once per worker. NULL: nothing to do. */
    enum status (*join)(void *arg, void *worker);
    /* On the calling thread, often. NULL: nothing to do. */
    enum status (*tick)(void *arg);
    void *arg;
};

/* Runs until there is no more work. Blocks. Returns any status of the functions above; ERR_CLOSED
 * after a stop signal; ERR_MEMORY. */
enum status pipeline_run(const struct pipeline *p);
