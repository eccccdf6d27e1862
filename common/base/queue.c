#include "queue.h"

#include <assert.h>

#include "mem.h"
#include "thread.h"

enum status queue_init(struct queue *q, size_t cap) {
    assert(cap > 0);
    *q = (struct queue){.cap = cap};
    TRY(mem_array(&q->items, cap));
    pthread_mutex_init(&q->lock, NULL);
    thread_cond_init(&q->not_empty);
    thread_cond_init(&q->not_full);
    return OK;
}

void queue_fini(struct queue *q) {
    if (q->items != NULL) {
        pthread_cond_destroy(&q->not_full);
        pthread_cond_destroy(&q->not_empty);
        pthread_mutex_destroy(&q->lock);
        mem_free(&q->items);
    }
}

enum status queue_put(struct queue *q, void *item, uint64_t timeout_ms) {
    struct timespec deadline = thread_cond_until(timeout_ms);
    enum status status = OK;
    pthread_mutex_lock(&q->lock);
    while (!q->closed && q->count == q->cap && status == OK) {
        if (timeout_ms == 0 || pthread_cond_timedwait(&q->not_full, &q->lock, &deadline) != 0) {
            status = q->count == q->cap && !q->closed ? ERR_TIMEOUT : OK;
        }
    }
    if (q->closed) {
        status = ERR_CLOSED;
    } else if (status == OK) {
        q->items[(q->head + q->count) % q->cap] = item;
        q->count++;
        pthread_cond_signal(&q->not_empty);
    }
    pthread_mutex_unlock(&q->lock);
    return status;
}

enum status queue_take(struct queue *q, void **item, uint64_t timeout_ms) {
    struct timespec deadline = thread_cond_until(timeout_ms);
    enum status status = OK;
    pthread_mutex_lock(&q->lock);
    while (!q->closed && q->count == 0 && status == OK) {
        if (timeout_ms == 0 || pthread_cond_timedwait(&q->not_empty, &q->lock, &deadline) != 0) {
            status = q->count == 0 && !q->closed ? ERR_TIMEOUT : OK;
        }
    }
    if (q->count > 0) {
        *item = q->items[q->head];
        q->head = (q->head + 1) % q->cap;
        q->count--;
        pthread_cond_signal(&q->not_full);
        status = OK;
    } else if (q->closed) {
        status = ERR_CLOSED;
    }
    pthread_mutex_unlock(&q->lock);
    return status;
}

void queue_close(struct queue *q) {
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->not_empty);
    pthread_cond_broadcast(&q->not_full);
    pthread_mutex_unlock(&q->lock);
}

size_t queue_count(struct queue *q) {
    pthread_mutex_lock(&q->lock);
    size_t count = q->count;
    pthread_mutex_unlock(&q->lock);
    return count;
}
