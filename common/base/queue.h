/* queue.h - a bounded queue of pointers between threads; the only lock in `common`.
 *
 * `lock` guards items, head, count, closed. Any number of producers and consumers. Waits have a
 * deadline; queue_close wakes everybody: after that a put gives ERR_CLOSED at once; a take gives
 * the remaining items, then ERR_CLOSED. The taker of an item owns it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "status.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    void **items;
    size_t cap;
    size_t head;
    size_t count;
    bool closed;
};

enum status queue_init(struct queue *q, size_t cap);
void queue_fini(struct queue *q); /* the caller first takes and frees the items left */
/* timeout_ms 0: do not wait. ERR_TIMEOUT (no fail text), ERR_CLOSED. */
enum status queue_put(struct queue *q, void *item, uint64_t timeout_ms);
enum status queue_take(struct queue *q, void **item, uint64_t timeout_ms);
void queue_close(struct queue *q);
size_t queue_count(struct queue *q);
