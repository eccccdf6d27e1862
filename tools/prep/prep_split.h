/* prep_split.h - decides the side of `esmm prep --split` that a group of impressions belongs to.
 *
 * --split TIME: a group goes to train if all its impressions came before TIME. So nothing that is
 * trained on came at or after TIME. A group that continues to TIME or later is held out whole.
 *
 * --split 90%: 90 % of the group keys go to train, chosen by their hash with the seed. So a user
 * (or session, or request: whatever the groups are) is on one side only, however often it comes,
 * and on the same side in tomorrow's log. The order of the log has no influence.
 */
#pragma once

#include "common/data/shard.h"

enum split_kind { SPLIT_NONE, SPLIT_SHARE, SPLIT_TIME };
struct prep_split {
    enum split_kind kind;
    double share;  /* share of the keys that go to train; above 0, below 1 */
    uint64_t time; /* seconds since 1970 */
};
#define SPLIT_TRAIN 0u
#define SPLIT_EVAL  1u
#define SPLIT_SIDES 2u

/* Reads "90%", seconds since 1970, or a date and time, which is in UTC unless it gives an offset
 * ("2017-05-01", "2017-05-01T06:00:00+02:00"). ERR_USAGE. */
enum status prep_split_parse(struct prep_split *s, const char *text);
/* Gives SPLIT_TRAIN or SPLIT_EVAL; without a split always SPLIT_TRAIN. The shard must have times if
 * the split needs them. */
uint32_t prep_split_side(const struct prep_split *s, uint64_t seed, const struct shard *shard,
                         uint32_t group);
