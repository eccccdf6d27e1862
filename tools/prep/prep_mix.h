/* prep_mix.h - prep's second pass, for --shuffle and --split. It turns the shards of the first
 * pass, which are in the log's order, into mixed shards or into two sides.
 *
 * A group is moved whole, with all that its shard holds for it. Where it goes depends on the seed
 * and on the number of the group in the log, and so not on the number of threads.
 */
#pragma once

#include "prep_progress.h"
#include "prep_side.h"
#include "prep_split.h"

#define MIX_BYTES ((uint64_t)400 << 20) /* approximate limit of the groups held at once */

struct mix_spec {
    const char *dir;             /* of the shards; also for temporary ones */
    const struct schema *schema; /* finished */
    const struct shard_info *shards;
    size_t count;
    bool shuffle;
    uint64_t window; /* impressions within which groups are mixed; 0: the whole log */
    uint64_t seed;
    uint64_t bytes; /* as MIX_BYTES; smaller in tests */
    struct prep_split split;
    struct prep_side *side[SPLIT_SIDES]; /* opened; the second only with a split */
};
/* Removes the shards of the first pass as they are used up. ERR_CLOSED after a stop signal;
 * ERR_FORMAT: there are no times to split by. ERR_IO, ERR_MEMORY, ERR_CORRUPT. */
enum status prep_mix(const struct mix_spec *spec);
