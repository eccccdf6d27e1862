/* server_thread.h - one thread of a server: one bound port, one partition.
 *
 * The control thread (server.c) starts the thread and talks to it through two queues and one set of
 * figures under a lock; it never touches the port or the partition of the thread:
 *
 *   orders   control -> thread   BEGIN (what the job is), CUT
 *   reports  thread -> control   BOUND (the endpoint), READY (rows restored), DAMAGED (so is the
 *                                checkpoint), PART (a cut's result), LEFT (server_thread_leave)
 *   figures  thread -> control   partition_stats and usage, at most STATS_MS old, under
 *                                figures_lock
 *
 * If the thread fails, it ends; server_thread_check gives its status. Items of the queues are heap
 * objects; whoever takes an item owns it.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/queue.h"
#include "common/base/thread.h"
#include "serving.h"
#include "snapshot.h"

enum server_order_kind { SERVER_ORDER_BEGIN, SERVER_ORDER_CUT, SERVER_ORDER_FIGURES };
struct server_order {
    enum server_order_kind kind;
    uint32_t partition;           /* BEGIN: number in the whole job */
    const struct server_job *job; /* BEGIN */
    uint64_t cut, cut_id;         /* CUT: its number, and the id in its parts */
    uint64_t committed;           /* CUT: as in struct cut_order; so is delta */
    bool delta;
    char dir[WIRE_TEXT_MAX]; /* CUT */
};
enum server_report_kind {
    SERVER_REPORT_BOUND,
    SERVER_REPORT_READY,
    SERVER_REPORT_DAMAGED, /* status and text say what; the thread waits to be told to leave */
    SERVER_REPORT_PART,
    SERVER_REPORT_FIGURES, /* server_thread_figures now gives figures newer than the order */
    SERVER_REPORT_LEFT
};
struct server_report {
    enum server_report_kind kind;
    char endpoint[WIRE_ENDPOINT_MAX]; /* BOUND */
    uint64_t cut;                     /* PART; so are all below */
    enum status status;
    char text[WIRE_TEXT_MAX];
    struct part_info info;
};

struct server_thread {
    struct transport *transport;
    char listen[WIRE_ENDPOINT_MAX];
    uint32_t number; /* in its server */
    struct thread thread;
    struct queue orders, reports;
    atomic_bool stop;
    atomic_bool leave;              /* set by the control thread, cleared by the thread */
    atomic_uint_fast64_t committed; /* id of the newest committed cut; 0: none yet */
    pthread_mutex_t figures_lock;   /* guards figures and used */
    struct partition_stats figures;
    struct usage used; /* usage of the thread: bytes and stages */
    bool made;         /* queues and lock exist */
};

/* Starts the thread; it binds and reports BOUND. */
enum status server_thread_start(struct server_thread *s, struct transport *t, const char *listen,
                                uint32_t number);
/* Ends and joins the thread and frees what is in the queues. *s may be zeroed or have failed to
 * start. */
void server_thread_stop(struct server_thread *s);
/* The job was rolled back: the thread gives up a restore or a snapshot that is under way, drops its
 * partition and the orders that wait, keeps its port, reports LEFT, and waits for BEGIN. After LEFT
 * it reads nothing of the job any more, and no older report comes. Does not wait. */
void server_thread_leave(struct server_thread *s);
/* OK while the thread runs. Once it has ended, the status with which it ended (never OK: nobody
 * asked it to end). */
enum status server_thread_check(struct server_thread *s);
/* Copies *order. ERR_AGAIN: its queue is full. */
enum status server_thread_order(struct server_thread *s, const struct server_order *order);
/* Next report; the caller frees it with server_report_free. NULL: none within timeout_ms. */
struct server_report *server_thread_report(struct server_thread *s, uint64_t timeout_ms);
void server_report_free(struct server_report **r);
/* For the thread: puts a copy of *from into `reports`. The names of from->info move with it; they
 * are freed if the report cannot be put. *from has no names afterwards. ERR_MEMORY, ERR_TIMEOUT,
 * ERR_CLOSED. */
enum status server_report_put(struct queue *reports, struct server_report *from,
                              uint64_t timeout_ms);
/* Copies the figures to *out and adds the usage of the thread to *used. */
void server_thread_figures(struct server_thread *s, struct partition_stats *out,
                           struct usage *used);
