/* eval_messages.h - what a worker says of a shard that it has scored: SCORES, answered with ACK.
 *
 * Keys frame: what unseen_pack (common/data/unseen.h) makes of the whole shard, with each piece.
 * Values frame: the scores, as scores.h packs them.
 */
#pragma once

#include <stdint.h>

struct wire_scores {
    uint32_t epoch, shard;
    uint64_t fence;               /* of the sender's lease: whose pieces belong together */
    uint32_t first, count, total; /* scores [first, first + count) of the shard's total; pieces go
                                     out in order, each when the one before is acknowledged */
};
