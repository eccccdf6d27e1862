/* eval_messages.h - a worker's message about a shard that it has scored: SCORES, answered with ACK.
 *
 * Keys frame: the output of unseen_pack (common/data/unseen.h) for the whole shard, in each piece.
 * Values frame: the scores, as scores.h packs them.
 */
#pragma once

#include <stdint.h>

struct wire_scores {
    uint32_t epoch, shard;
    uint64_t fence;               /* of the sender's lease; pieces with one fence belong together */
    uint32_t first, count, total; /* scores [first, first + count) of the shard's total; pieces
                                     are sent in order, each after the ACK of the one before */
};
