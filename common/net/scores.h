/* scores.h - the raw frames that carry predictions: evaluation scores and running-metric bins.
 *
 * SCORES' values frame: 25 bytes a row, little-endian: u64 impression id, u64 user, f32 a, f32 b,
 * u8 labels. If any impression of the message has a weight other than 1, a row takes 29 bytes, with
 * f32 weight after the labels. At most SHARD_IMPRESSIONS_MAX rows.
 *
 * A worker HEARTBEAT's values frame: two tables of bins (CTR on all impressions, CTCVR on all),
 * each: varint n, then n times varint gap (bin number minus the previous one's, where the first
 * bin's predecessor is -1), varint positive, varint negative. Empty bins are not sent. The counts
 * are CUMULATIVE since the worker's start, modulo 2^32, so a lost, repeated or reordered heartbeat
 * needs no bookkeeping: the receiver subtracts the last counts of that incarnation. The frame takes
 * ten to thirty kilobytes if the logits are spread widely.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/metric/metric_bins.h"
#include "common/metric/score.h"

#define WIRE_SCORE_BYTES         25u
#define WIRE_SCORE_WEIGHED_BYTES 29u
#define WIRE_SCORES_MAX          32768u /* in one message; a larger shard is sent in pieces */

/* Appends n rows to out. ERR_LIMIT, ERR_MEMORY. */
enum status wire_scores_pack(const struct score *scores, size_t n, struct buf *out);
/* Reads exactly n rows from `bytes` into scores[n]. ERR_PROTOCOL: wrong length, a logit that is
 * NaN, a weight that is negative or not finite, or impossible labels (a conversion without a click,
 * other bits). */
enum status wire_scores_unpack(const void *data, size_t bytes, size_t n, struct score *scores);

/* Appends both tables to out. ERR_MEMORY. */
enum status wire_bins_pack(const struct metric_bins *ctr, const struct metric_bins *ctcvr,
                           struct buf *out);
/* Reads both tables from hostile bytes; ERR_PROTOCOL leaves them undefined. */
enum status wire_bins_unpack(const void *data, size_t bytes, struct metric_bins *ctr,
                             struct metric_bins *ctcvr);
