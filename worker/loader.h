/* loader.h - where the batches of a lease are, and the windows that they are cut from, read from
 * shards.
 *
 * A lease on training data grants a range of an epoch (common/job/ranges.h), one on evaluation data
 * or on a stream a shard. A window is put together from slices of its shards, which are read one
 * after the other: in memory are the window and one shard. In order, a window is a shard as it was
 * read. What a window holds, and the order of its runs, is a pure function of manifest,
 * configuration, epoch and number; so all workers and a resumed job cut the same batches.
 */
#pragma once

#include <stdatomic.h>

#include "common/data/data_ranges.h"
#include "common/data/dataset.h"
#include "read_ahead.h"

struct loader_spec {
    const struct config *config;
    const struct schema *schema;         /* of the job: columns are mapped onto it */
    const struct file_list *data, *eval; /* directories; none: no such leases are expected */
    double sample_rate; /* of the training data: unclicked impressions count 1 / that */
    bool stream;        /* the directory grows: shards are named by number */
};
struct loader {
    struct loader_spec spec;
    struct dataset train, eval;  /* empty without directories */
    struct ranges ranges;        /* of train; of a stream: none */
    struct shared_fields shared; /* whose bags the batches of a range of train share */
    atomic_bool stop;            /* ends loader_load early */
};
/* *spec is copied, what it points to is borrowed. Reads the manifests. fini accepts what init left.
 * ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO, ERR_MEMORY, ERR_LIMIT. */
enum status loader_init(struct loader *l, const struct loader_spec *spec);
void loader_fini(struct loader *l);
/* True if a window is put together from many shards. */
bool loader_mixes(const struct loader *l);
/* ERR_CONFIG: no data directory for such a lease; ERR_PROTOCOL: no such range or shard. */
enum status loader_place(const struct loader *l, const struct wire_lease *lease,
                         struct reading_place *place);
/* Fills the window of w->key, after freeing what *w holds. Of a stream, waits for the shard to
 * appear. ERR_CORRUPT with file and offset or counts, ERR_NOT_FOUND, ERR_IO, ERR_MEMORY;
 * ERR_CLOSED (no fail text): `stop` is set. After a failure read_window_free is still due. */
enum status loader_load(struct loader *l, struct read_window *w);
