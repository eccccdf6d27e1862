/* shard_format.h - the numbers of the shard format on disk, shared by the code that writes shards
 * and the code that reads them. docs/format.md has the order of the blocks. The tag of a column's
 * blocks is the number of the column in META. */
#pragma once

/* The upper limits of a shard. */
#define SHARD_IMPRESSIONS_MAX (1u << 20)
#define SHARD_VALUES_MAX      (1u << 30) /* of all columns */
#define SHARD_WEIGHT_MAX      1e6f       /* of an impression */

#define SHARD_FORMAT      1u
#define SHARD_FORMAT_MORE 2u /* META has one more u32 with the SHARD_HAS_ bits below; not 0 */

#define SHARD_HAS_TIMES              1u
#define SHARD_HAS_KINDS              2u /* only with times */
#define SHARD_HAS_IMPRESSION_WEIGHTS 4u
#define SHARD_HAS_RECORDS            (SHARD_HAS_TIMES | SHARD_HAS_KINDS)
#define SHARD_HAS                    (SHARD_HAS_RECORDS | SHARD_HAS_IMPRESSION_WEIGHTS)

#define SHARD_META           1u /* counts, and every column's name and shape */
#define SHARD_GROUP_KEYS     2u /* u64 each */
#define SHARD_GROUP_SIZES    3u /* varint each, at least 1 */
#define SHARD_IMPRESSION_IDS 4u /* zigzag varint of the difference to the one before */
#define SHARD_LABELS         5u /* one byte each */
#define SHARD_DICT           6u /* varint of the difference to the one before */
#define SHARD_LENGTHS        7u /* varint each; only without COLUMN_ONES */
#define SHARD_CODES          8u /* u16 each if the dictionary has at most 65536 entries, else u32 */
#define SHARD_WEIGHTS        9u /* f32 each; only with COLUMN_WEIGHTED */
/* After LABELS, with SHARD_HAS_IMPRESSION_WEIGHTS. */
#define SHARD_IMPRESSION_WEIGHTS 14u /* f32 each, not negative */
/* Then come these, before the columns. The first three need SHARD_HAS_TIMES, the last one needs
 * SHARD_HAS_KINDS. */
#define SHARD_TIMES       10u /* zigzag varint of the difference to the one before */
#define SHARD_CLICKS      11u /* of each with a click: zigzag varint, difference to its time */
#define SHARD_CONVERSIONS 12u /* of each with a conversion: varint of the seconds since its click */
#define SHARD_KINDS       13u /* one byte each, SHARD_KIND_... */

#define SHARD_KIND_BOTH       1u
#define SHARD_KIND_CLICK      2u
#define SHARD_KIND_CONVERSION 3u
#define SHARD_KIND_LATE       4u
#define SHARD_KIND_FINAL      5u

#define COLUMN_ONES     1u /* every bag holds one value */
#define COLUMN_WEIGHTED 2u
#define COLUMN_FLAGS    (COLUMN_ONES | COLUMN_WEIGHTED)

#define SHARD_SIDE_USER 0u
#define SHARD_SIDE_ITEM 1u

#define SHARD_NARROW_MAX 65536u /* entries of a dictionary whose codes are u16 */
