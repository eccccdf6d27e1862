/* held_leases.h - the leases that this worker holds, and how much of each is finished.
 *
 * The control thread opens a lease and hands it to the reader. Trainers count the lease's finished
 * batches. The control thread takes the lease out when it is complete: the reader's end mark has
 * come and every batch queued for it is finished (all partitions have acknowledged its push, or its
 * scores are added). A lease is lost when a partition has refused one of its pushes, because
 * another worker has a newer lease on the shard. The rest of a lost lease need not be computed, but
 * is counted in the same way. `lock` guards everything. It is held for a few instructions only,
 * except while scores are appended.
 */
#pragma once

#include <pthread.h>
#include "common/data/batch.h"
#include "common/metric/score.h"
#include "common/data/unseen.h"
#include "common/net/link_messages.h"

struct held_lease {
    struct wire_lease lease;
    uint32_t queued; /* batches, known once `ended` */
    uint32_t finished;
    bool ended;
    bool lost;
    struct score *scores; /* evaluation leases */
    size_t score_count, score_cap;
    struct unseen unseen;
    struct held_lease *next;
};
struct held_leases {
    pthread_mutex_t lock;
    struct held_lease *first;
};

void held_leases_init(struct held_leases *h);
void held_leases_fini(struct held_leases *h);
/* Adds a lease that was handed to the reader. ERR_MEMORY. */
enum status held_leases_open(struct held_leases *h, const struct wire_lease *lease);
/* The reader's end mark has come; `queued` batches were queued for the lease. */
void held_leases_end(struct held_leases *h, const struct wire_lease *lease, uint32_t queued);
/* A batch of the lease is done. For an evaluation this appends its logits and adds the number of
 * its values without a row; for training those three arguments are NULL. ERR_MEMORY. */
enum status held_leases_finish(struct held_leases *h, const struct wire_lease *lease,
                               const struct batch *batch, const float *logit_a,
                               const float *logit_b, const struct unseen *unseen);
/* A partition refused a push of the lease. Returns true the first time, if the lease is held. */
bool held_leases_lose(struct held_leases *h, const struct wire_lease *lease);
bool held_leases_lost(struct held_leases *h, const struct wire_lease *lease);
/* Returns a complete lease, or NULL. It is no longer held; the caller frees it with
 * held_lease_free. */
struct held_lease *held_leases_take_complete(struct held_leases *h);
void held_lease_free(struct held_lease **l);
