/* prep_split.h - which side of `esmm prep --split` a group of impressions falls on.
 *
 * --split TIME: to train go the groups all of whose impressions came before it, so nothing that is
 * trained on came at or after TIME; a group that goes on beyond it is held out whole.
 *
 * --split 90%: to train goes 90 % of the group keys, by their hash with the seed. So a user
 * (session, request: whatever the groups are) is on one side only, however often they come, and on
 * the same side in tomorrow's log. How the log is sorted has no influence.
 */
#pragma once

#include "common/data/shard.h"

enum split_kind { SPLIT_NONE, SPLIT_SHARE, SPLIT_TIME };
struct prep_split {
    enum split_kind kind;
    double share;  /* above 0, below 1: of the keys, to train */
    uint64_t time; /* seconds since 1970 */
};
#define SPLIT_TRAIN 0u
#define SPLIT_EVAL  1u
#define SPLIT_SIDES 2u

/* "90%", seconds since 1970, or a date and time in UTC unless it says its offset ("2017-05-01",
 * "2017-05-01T06:00:00+02:00"). ERR_USAGE. */
enum status prep_split_parse(struct prep_split *s, const char *text);
/* SPLIT_TRAIN or SPLIT_EVAL; train without a split. The shard has times if the split needs them. */
uint32_t prep_split_side(const struct prep_split *s, uint64_t seed, const struct shard *shard,
                         uint32_t group);
