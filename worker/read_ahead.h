/* read_ahead.h - what a reader does next: leases in, windows loaded ahead, batches out.
 *
 * This makes the decisions of reader.c, without threads, files and time; the reader's lock guards
 * all of it. Batches are cut from a window (common/job/ranges.h): impressions that are in memory
 * together. Leases are served in the order they come, each from its window; many leases may have
 * the same one, which is loaded once.
 *
 * A loader loads one window at a time: the first that a lease lacks, in the order of leases; if
 * none is lacking, the one that the coordinator has announced. A window stays in memory until
 * another one must be loaded and all places are taken. Then one goes that no lease needs. Only for
 * the first lease, before which nothing can be cut, one goes that another lease needs: the last.
 * What is loaded ahead of any lease does not drive out the window of the lease that came last,
 * since the next lease on that may be on the way.
 *
 *                places in memory
 *     mixed      READ_WINDOWS_MAX for windows of training, as many for shards of evaluations: so an
 *                evaluation in the midst of an epoch costs no window
 *     in order   READ_SHARDS_MAX, whatever they are for; a window is a shard
 *
 * A cutter cuts the batches of the first lease, each into a batch of the pool. It leaves out
 * batches beyond the lease's limit, and batches that the lease's bitmap marks as done. Batches and
 * end marks wait in a queue that has room for all of them. If trainers stop giving batches back,
 * the cutter stops, and then the loader.
 *
 * If the batches of a range share bags (read_ahead_share), one trainer gets all batches of a lease
 * on training data, in order: the one that takes the first has the lease until it takes the end
 * mark. Then the cutter cuts as many leases in turn as there are trainers, since each may have one
 * of its own: of those whose window is loaded, the first of which less than its part of the pool
 * waits in the queue. That part, half of the pool over the trainers, leaves batches for all. What
 * the bags' sum is made of must be there again, so a lease's batches are all left out or none.
 *
 * The first failure is kept. It ends loading and cutting. What is queued can still be taken; after
 * that every caller gets the failure. Closing does the same without a failure.
 */
#pragma once

#include "common/data/batch.h"
#include "common/net/link_messages.h"

#define READ_LEASES_MAX   64
#define READ_TRAINERS_MAX 64
#define READ_WINDOWS_MAX  2
#define READ_SHARDS_MAX   3
#define READ_PLACES       (2 * READ_WINDOWS_MAX)

struct window_key {
    enum lease_kind kind; /* LEASE_TRAIN or LEASE_EVAL; LEASE_WAIT: no window */
    uint32_t epoch, window;
};
struct read_window {
    struct window_key key;
    bool loaded;        /* else the loader has it alone */
    uint64_t serial;    /* of all loads the how manieth, from 1 */
    struct shard shard; /* the loader fills it; owned */
    struct run *runs;   /* [run_count] the order of its impressions; likewise */
    uint32_t run_count;
    uint32_t batches; /* that its impressions are cut into; likewise */
};
/* Frees shard and runs. */
void read_window_free(struct read_window *w);

struct reading_place { /* where a lease's batches are */
    struct window_key window;
    uint32_t first, count;   /* batches of the window, as many of them as it has */
    struct window_key ahead; /* the window that will probably be leased next; or none */
};
struct reading { /* a lease on its way through the reader */
    struct wire_lease lease;
    struct reading_place place;
    struct batch_share share; /* the cutter's; owned */
    uint8_t *done; /* [done_bytes] bitmap of the lease's applied batches, owned; NULL: none */
    size_t done_bytes;
    uint32_t at;          /* the batch to be cut next, within the lease */
    uint32_t queued;      /* batches cut */
    struct reading *next; /* the lease after it */
};
/* The bitmap is copied. ERR_MEMORY. */
enum status reading_create(struct reading **x, const struct wire_lease *lease,
                           const struct reading_place *place, const void *done, size_t done_bytes);
void reading_destroy(struct reading **x);

struct reader_item {
    struct batch *batch;     /* NULL: the end mark */
    struct wire_lease lease; /* which lease it belongs to */
    uint32_t lease_batches;  /* at the end mark: how many batches were queued */
};

struct read_ahead {
    bool mixed;
    struct reading *first; /* owned; in the order they came */
    uint32_t leases;
    struct read_window window[READ_PLACES];
    bool loading;                      /* one of them */
    const struct read_window *cutting; /* it is being cut from, so it stays; or NULL */
    uint64_t loads;                    /* begun so far */
    uint64_t cut_serial;               /* of the window that was cut from last */
    struct window_key recent;          /* the window of the last lease on training data; or none */
    struct window_key ahead;           /* what came with that lease */
    struct batch **free;               /* [free_count] of the pool: nobody holds them */
    uint32_t pool, free_count;
    struct reader_item *items; /* [item_count], in the order of cutting; room for pool +
                                  READ_LEASES_MAX */
    uint32_t item_count;
    uint32_t trainers;                        /* 0: every trainer takes the first item */
    struct wire_lease has[READ_TRAINERS_MAX]; /* by trainer; kind LEASE_WAIT: none */
    bool closed;
    struct cause failure;
};
/* batches[pool] still belong to the caller. ERR_MEMORY; fini accepts what init left. */
enum status read_ahead_init(struct read_ahead *a, bool mixed, struct batch *batches, uint32_t pool);
/* The batches of each range share bags. Call it before the first lease. trainers: at most
 * READ_TRAINERS_MAX, and at most half of the pool. */
void read_ahead_share(struct read_ahead *a, uint32_t trainers);
void read_ahead_fini(struct read_ahead *a); /* frees the windows, too */

/* Takes ownership of *x on OK. ERR_LIMIT: there are READ_LEASES_MAX already; the first failure;
 * ERR_CLOSED. */
enum status read_ahead_lease(struct read_ahead *a, struct reading *x);
/* Returns the window that is to be loaded now; NULL: none, or not yet. Its key is set. What else is
 * in it is of the window that it replaces: the loader frees that first. */
struct read_window *read_ahead_load(struct read_ahead *a);
void read_ahead_loaded(struct read_ahead *a, struct read_window *w);

struct read_cut {
    struct reading *lease;
    bool shares; /* bags, with the other batches of the lease */
    const struct read_window *window;
    struct batch *batch;    /* to cut batch lease->at of the lease into; NULL: all are cut */
    uint32_t lease_batches; /* of the whole range, whatever the lease's limit */
    bool begins;            /* the batch before was of another window */
};
/* Says what is to be cut now; false: nothing, or not yet. Then call read_ahead_batch or
 * read_ahead_end; until then the window stays. */
bool read_ahead_cut(struct read_ahead *a, struct read_cut *cut);
void read_ahead_batch(struct read_ahead *a, const struct read_cut *cut);
/* Queues the end mark, and frees the lease. */
void read_ahead_end(struct read_ahead *a, const struct read_cut *cut);

/* Takes the next item for a trainer, 0 .. trainers - 1. ERR_TIMEOUT (no fail text): none yet; the
 * failure; ERR_CLOSED (no fail text). */
enum status read_ahead_take(struct read_ahead *a, uint32_t trainer, struct reader_item *item);
void read_ahead_give_back(struct read_ahead *a, struct batch *b);
/* True if nothing can be done until the window that is being loaded has come: a lease needs it, and
 * nobody holds a batch. */
bool read_ahead_waits(const struct read_ahead *a);

/* status ERR_CLOSED: the end without a failure. */
void read_ahead_close(struct read_ahead *a, enum status status);
