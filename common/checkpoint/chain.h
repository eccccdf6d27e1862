/* chain.h - a delta and the checkpoints it is made against, down to a full one.
 *
 * A delta's manifest names its base by step and cut. The base lies beside it: step-STEP in the same
 * directory, with this cut. A link's parts may cover other ranges of buckets than those of another.
 *
 * What a chain holds is what a full checkpoint in the place of the newest link would hold. Of one
 * bucket, from the newest link to the oldest:
 *     a record counts unless a newer link has a record of its id, or says that it is gone;
 *     sightings also do not count if a newer link has a row of the id, or says that it is gone;
 *     a record of an older link does not count if its age is up by the newest link's clocks;
 *     below a link whose part of the bucket is whole, nothing counts.
 * Dense parameters and names are those of the newest link.
 */
#pragma once

#include "part.h"

struct chain_link {
    char dir[PATH_BYTES_MAX];
    struct manifest manifest;
};
struct chain {
    struct chain_link *base; /* [count], from the newest to the full one */
    uint32_t count;          /* 0: the checkpoint is full itself */
};

/* Reads the manifests that the checkpoint `m` in `dir` needs. ERR_CORRUPT: a link is missing,
 * damaged or of another cut; the text names it. ERR_MEMORY. */
enum status chain_open(struct chain *c, const char *dir, const struct manifest *m);
void chain_close(struct chain *c);

/* Whether a row that was last updated at `last` is past its age. */
static inline bool chain_expired(uint32_t evict_age, uint64_t clock, uint32_t last) {
    return evict_age != 0 && (uint32_t)clock - last >= evict_age;
}
