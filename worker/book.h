/* book.h - which leases this worker holds and how far each is; filled by trainers, emptied by the
 * control thread.
 *
 * A lease is complete when the reader's end mark has come and every batch queued for it has been
 * finished (its push acknowledged by all partitions, or its scores added). A lease is lost when a
 * partition has refused one of its pushes: another worker has a newer one on the shard. What is
 * left of it need not be computed, but counts until it is complete like any other. `lock` guards
 * everything; it is held for a few instructions only, except when scores are appended.
 */
#ifndef WORKER_BOOK_H
#define WORKER_BOOK_H

#include <pthread.h>
#include "common/data/batch.h"
#include "common/metric/metric.h"
#include "common/data/unseen.h"
#include "common/net/wire.h"

struct book_lease {
    struct wire_lease lease;
    uint32_t queued; /* batches, known once `ended` */
    uint32_t finished;
    bool ended;
    bool lost;
    struct score *scores; /* evaluation leases */
    size_t score_count, score_cap;
    struct unseen unseen;
    struct book_lease *next;
};
struct book {
    pthread_mutex_t lock;
    struct book_lease *first;
};

void book_init(struct book *b);
void book_fini(struct book *b);
/* A lease was handed to the reader. ERR_MEMORY. */
enum status book_open(struct book *b, const struct wire_lease *lease);
/* The reader's end mark. */
void book_end(struct book *b, const struct wire_lease *lease, uint32_t queued);
/* A batch of the lease is done; for an evaluation batch its logits are appended. ERR_MEMORY. */
enum status book_finish(struct book *b, const struct wire_lease *lease, const struct batch *batch,
                        const float *logit_a, const float *logit_b);
/* Before that, of an evaluation batch: how many of its values have no row. */
void book_unseen(struct book *b, const struct wire_lease *lease, const struct unseen *unseen);
/* A partition refused a push of the lease. *first: it was the first. */
void book_lose(struct book *b, const struct wire_lease *lease, bool *first);
bool book_lost(struct book *b, const struct wire_lease *lease);
/* Takes a complete lease out of the book (the caller frees it with book_lease_free), or NULL. */
struct book_lease *book_take_complete(struct book *b);
void book_lease_free(struct book_lease **l);

#endif
