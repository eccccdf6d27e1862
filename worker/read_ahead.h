/* read_ahead.h - what a reader does next: leases in, shards loaded ahead, batches out.
 *
 * This makes the decisions of reader.c, without threads, files and time; the reader's lock guards
 * all of it. Leases are read in the order they come. Each goes through these states:
 *
 *     WAITING --load--> LOADING --loaded--> LOADED --cut--> CUTTING --ended--> (gone)
 *
 * A loader loads one shard at a time. It goes on while fewer than READ_SHARDS_MAX are in memory,
 * the one that is being cut included. A cutter cuts the batches of the first lease, each into a
 * batch of the pool. It leaves out batches beyond the lease's limit, and batches that the lease's
 * bitmap marks as done. Batches and end marks wait in a queue that has room for all of them. If
 * trainers stop giving batches back, the cutter stops, and then the loader.
 *
 * The first failure is kept. It ends loading and cutting. What is queued can still be taken; after
 * that every caller gets the failure. Closing does the same without a failure.
 */
#pragma once

#include "common/data/batch.h"
#include "common/net/link_messages.h"

#define READ_LEASES_MAX 64
#define READ_SHARDS_MAX 3

enum reading_stage { READING_WAITING, READING_LOADING, READING_LOADED, READING_CUTTING };
struct reading { /* a lease on its way through the reader */
    struct wire_lease lease;
    uint8_t *done; /* [done_bytes] bitmap of applied batches, owned; NULL: none */
    size_t done_bytes;
    enum reading_stage stage;
    struct shard shard;   /* the loader fills it; owned once `filled` */
    bool filled;          /* likewise */
    uint32_t impressions; /* of the shard before a sample was taken; likewise */
    uint32_t batches;     /* of the shard; likewise */
    uint32_t at;          /* the batch to be cut next */
    uint32_t queued;      /* batches cut */
    struct reading *next; /* the lease after it */
};
/* The bitmap is copied. ERR_MEMORY. */
enum status reading_create(struct reading **x, const struct wire_lease *lease, const void *done,
                           size_t done_bytes);
void reading_destroy(struct reading **x);

struct reader_item {
    struct batch *batch;     /* NULL: the end mark */
    struct wire_lease lease; /* which lease it belongs to */
    uint32_t lease_batches;  /* at the end mark: how many batches were queued */
};

struct read_ahead {
    struct reading *first; /* owned; in the order they came */
    uint32_t leases;
    struct batch **free; /* [free_count] of the pool: nobody holds them */
    uint32_t pool, free_count;
    struct reader_item *items; /* [pool + READ_LEASES_MAX] a ring */
    uint32_t item_first, item_count;
    bool closed;
    struct cause failure;
};
/* batches[pool] still belong to the caller. ERR_MEMORY; fini accepts what init left. */
enum status read_ahead_init(struct read_ahead *a, struct batch *batches, uint32_t pool);
void read_ahead_fini(struct read_ahead *a);

/* Takes ownership of *x on OK. ERR_LIMIT: there are READ_LEASES_MAX already; the first failure;
 * ERR_CLOSED. */
enum status read_ahead_lease(struct read_ahead *a, struct reading *x);
/* Returns the lease whose shard is to be loaded now, and makes it LOADING; NULL: none, or not
 * yet. */
struct reading *read_ahead_load(struct read_ahead *a);
void read_ahead_loaded(struct reading *x); /* shard, filled and batches are set */

struct read_cut {
    struct reading *lease;
    struct batch *batch; /* to cut batch lease->at into; NULL: all are cut, free the shard */
    bool begins;         /* it is the first one of the lease */
};
/* Says what is to be cut now; false: nothing, or not yet. Then call read_ahead_batch or
 * read_ahead_end. */
bool read_ahead_cut(struct read_ahead *a, struct read_cut *cut);
void read_ahead_batch(struct read_ahead *a, const struct read_cut *cut);
/* Queues the end mark, and frees the lease. */
void read_ahead_end(struct read_ahead *a, const struct read_cut *cut);

/* Takes the next item. ERR_TIMEOUT (no fail text): none yet; the failure; ERR_CLOSED (no fail
 * text). */
enum status read_ahead_take(struct read_ahead *a, struct reader_item *item);
void read_ahead_give_back(struct read_ahead *a, struct batch *b);
/* True if nothing can be done until the shard that is being loaded has come: nobody holds a
 * batch. */
bool read_ahead_waits(const struct read_ahead *a);

/* status ERR_CLOSED: the end without a failure. */
void read_ahead_close(struct read_ahead *a, enum status status);
