/* sizes.c - checks at the start, from the sizes of the job, whether peers will accept its messages.
 *
 * If a frame is larger than the receiver accepts, it breaks the connection, and it would be sent
 * again for ever. So everything that grows with the data is either sent in pieces (SCORES) or
 * checked here.
 */
#include "common/job/layout.h"
#include "state.h"
#include "common/net/wire_values.h"

static const char *range_word(const struct coord *c) {
    return ranges_mixed(&c->ranges) ? "ranges" : "shards";
}

/* A part reports the names it has: one bit per batch, for at most two epochs. */
enum status sizes_of_names(const struct coord *c) {
    uint64_t bytes = 64;
    for (uint32_t s = 0; s < c->ranges.count; s++) {
        bytes += 2 * (4 + ((uint64_t)c->ranges.batches[s] + 7) / 8);
    }
    if (bytes > WIRE_LINK_BYTES_MAX) {
        return fail(ERR_LIMIT,
                    "the names of an epoch's %llu batches in %u %s take %llu bytes in one "
                    "message, at most %u are possible: raise train.batch%s",
                    (unsigned long long)c->ranges.epoch_batches, c->ranges.count, range_word(c),
                    (unsigned long long)bytes, WIRE_LINK_BYTES_MAX,
                    ranges_mixed(&c->ranges) ? "" : ", or use larger shards");
    }
    return OK;
}

/* Every batch sends the slice of the dense parameters of each partition: it must fit into a
 * message. (The number of rows that a batch needs is known only when the batch is cut;
 * worker/transfer.c reports it then.) */
static enum status check_slices(const struct coord *c) {
    struct layout layout;
    const struct job_plan *p = &c->job_plan;
    const uint64_t most = c->config->message_bytes_max;
    TRY(layout_init(&layout, c->config, &p->schema, p->rate_ctr, p->rate_cvr));
    for (uint64_t k = 0; k < p->partitions; k++) {
        const uint64_t floats = layout_slice(&layout, bucket_begin(k + 1, p->partitions)) -
                                layout_slice(&layout, bucket_begin(k, p->partitions));
        const size_t bytes = wire_values_bytes(c->config->wire_values, (size_t)floats);
        if (bytes > most) {
            return fail(ERR_LIMIT,
                        "%zu bytes of dense parameters lie on partition %u of %u and move "
                        "with each batch, net.message_bytes_max is %llu: raise it, or use more "
                        "partitions",
                        bytes, (unsigned)k, p->partitions, (unsigned long long)most);
        }
    }
    return OK;
}

enum status sizes_with_servers(const struct coord *c) {
    TRY(check_slices(c));
    if (c->plan_bytes.len > WIRE_LINK_BYTES_MAX) {
        return fail(ERR_LIMIT,
                    "the plan of %u %s takes %zu bytes in one message, at most %u are "
                    "possible: %s",
                    c->ranges.count, range_word(c), c->plan_bytes.len, WIRE_LINK_BYTES_MAX,
                    ranges_mixed(&c->ranges) ? "raise train.batch" : "use fewer, larger shards");
    }
    return OK;
}
