/* row_messages.h - messages of a trainer to a partition, and its answers.
 *
 *   request   answer            frames
 *   PULL      PULLED or ERROR   keys: ids (wire_keys.h) of `count`
 *   PUSH      PUSHED or ERROR   keys: ids, only after ERR_TICKET; values: gradients (wire_values.h)
 *   STATS     STATS_REPLY       (a heartbeat, link_messages.h) values: u64 rows of each field slot
 *
 * Values have the order of the ids, in both directions: for each row its field's `dim` floats, then
 * the partition's slice of the dense vector. If the pull wants it, PULLED has a keys frame with one
 * bit per key, in the order of the keys, lowest bit first; a set bit means that the key has no row.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "common/job/applied.h"
#include "common/job/precision.h"
#include "common/job/schema.h"

struct wire_pull {
    uint32_t count[FIELDS_MAX]; /* ids of each field slot */
    uint32_t fields;
    bool want_dense, want_ticket, want_missing;
    enum value_type values; /* how to send the answer's values */
};
struct wire_pulled {
    uint64_t ticket, version;
    enum value_type values;
};
struct wire_push {
    struct batch_name name;
    uint64_t fence, ticket;
    uint32_t shard_batches; /* batches of the batch's shard; a server's plan of a stream grows by
                               it; unused if the plan is fixed */
    uint32_t count[FIELDS_MAX]; /* as in the pull, with keys only */
    uint32_t fields;
    enum value_type values;
};
struct wire_pushed {
    bool duplicate;
    uint64_t version, dropped_values;
};
