/* reader.h - the threads that turn leases into batches: one reads windows ahead, one cuts batches.
 *
 * In: leases. Out: items (a batch, or the end mark of a lease after all its batches). Batches come
 * from a fixed pool and go back with reader_give_back. The next window is read while the batches of
 * the current one are trained on. read_ahead.h decides what is done when, loader.h reads.
 */
#pragma once

#include "common/job/usage.h"
#include "loader.h"
#include "read_ahead.h"

struct reader_spec {
    struct loader_spec loader;
    uint32_t batches_ahead; /* pool size; at least 2 for each trainer */
    uint32_t trainers;      /* that take batches */
};
struct reader;
enum status reader_start(struct reader **r, const struct reader_spec *spec);
void reader_stop(struct reader **r);
/* done[done_bytes] is a bitmap of the lease's batches that are applied already; it is copied.
 * ERR_CONFIG, ERR_PROTOCOL: there are no such data; ERR_LIMIT; after the reader has failed, its own
 * failure. */
enum status reader_lease_put(struct reader *r, const struct wire_lease *lease, const void *done,
                             size_t done_bytes);
/* For a trainer, 0 .. trainers - 1. ERR_TIMEOUT; ERR_CLOSED or the reader's own failure (bad shard:
 * file and offset). */
enum status reader_take(struct reader *r, uint32_t trainer, struct reader_item *item,
                        uint64_t timeout_ms);
/* True if the batches of a range share bags: then all of them go to one trainer, in order. */
bool reader_shares(const struct reader *r);
void reader_give_back(struct reader *r, struct batch *b);
/* True if nothing can be done until the window being read has come: nobody holds a batch. */
bool reader_waits(struct reader *r);
/* Adds the time spent on LOAD and CUT so far to *into. */
void reader_usage(struct reader *r, struct usage *into);
