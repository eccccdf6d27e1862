/* reader.h - the thread that turns leases into batches: reads shards ahead, cuts batches, queues
 * them.
 *
 * In: leases (queue of struct reader_lease, owned by the queue). Out: items (batch, or the end mark
 * of a lease after all its batches were queued). Batches come from a fixed pool and go back with
 * reader_give_back. The next shard is read while the current one's batches are being trained on.
 */
#ifndef WORKER_READER_H
#define WORKER_READER_H

#include "common/data/batch.h"
#include "common/base/queue.h"
#include "common/job/usage.h"
#include "common/net/wire.h"

struct reader_lease {
    struct wire_lease lease;
    uint8_t *done; /* bitmap of applied batches, owned; NULL: none */
    size_t done_bytes;
};
struct reader_spec {
    const struct config *config;
    const struct schema *schema;         /* of the job: columns are mapped onto it */
    const struct file_list *data, *eval; /* directories; none: no such leases are expected */
    double sample_rate;     /* of the training data: unclicked impressions count 1 / that */
    bool stream;            /* the directory grows: its shards go by their number */
    uint32_t batches_ahead; /* pool size */
    uint32_t batch_max;
};
struct reader;
enum status reader_start(struct reader **r, const struct reader_spec *spec);
void reader_stop(struct reader **r);
/* Takes ownership of *lease on OK. The reader's own failure, once it has failed. */
enum status reader_lease_put(struct reader *r, struct reader_lease *lease);
struct reader_item {
    struct batch *batch;     /* NULL: the end mark */
    struct wire_lease lease; /* which lease it belongs to */
    uint32_t lease_batches;  /* at the end mark: batches that were queued for it */
    uint32_t shard_impressions;
};
/* ERR_TIMEOUT; ERR_CLOSED or the reader's own failure (bad shard: file and offset). */
enum status reader_take(struct reader *r, struct reader_item *item, uint64_t timeout_ms);
void reader_give_back(struct reader *r, struct batch *b);
/* Whether nothing can be done until the shard that is being read has come: no batch is with
 * anybody. */
bool reader_waits(struct reader *r);
/* Adds the time spent on LOAD and CUT so far. */
void reader_usage(struct reader *r, struct usage *into);

#endif
