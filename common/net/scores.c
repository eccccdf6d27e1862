#include "scores.h"

#include <math.h>

#include "common/data/record.h"
#include "common/data/shard_format.h"

enum status wire_scores_pack(const struct score *scores, size_t n, struct buf *out) {
    if (n > SHARD_IMPRESSIONS_MAX) {
        return fail(ERR_LIMIT, "%zu scores in one message, at most %u are allowed", n,
                    SHARD_IMPRESSIONS_MAX);
    }
    const size_t bytes = scores_weighted(scores, n) ? WIRE_SCORE_WEIGHED_BYTES : WIRE_SCORE_BYTES;
    TRY(buf_reserve(out, n * bytes));
    for (size_t i = 0; i < n; i++) {
        uint8_t row[WIRE_SCORE_WEIGHED_BYTES];
        store_u64(row, scores[i].impression_id);
        store_u64(row + 8, scores[i].user);
        memcpy(row + 16, &scores[i].a, 4);
        memcpy(row + 20, &scores[i].b, 4);
        row[24] = scores[i].labels;
        memcpy(row + 25, &scores[i].weight, 4);
        TRY(buf_put(out, row, bytes));
    }
    return OK;
}

static enum status score_check(const struct score *s, size_t row) {
    if (isnan(s->a) || isnan(s->b)) {
        return fail(ERR_PROTOCOL, "score %zu (impression %llu): a logit is not a number", row,
                    (unsigned long long)s->impression_id);
    }
    if (!isfinite(s->weight) || s->weight < 0.0f) {
        return fail(ERR_PROTOCOL, "score %zu (impression %llu): weight %g", row,
                    (unsigned long long)s->impression_id, (double)s->weight);
    }
    if (s->labels != 0 && s->labels != LABEL_CLICK &&
        s->labels != (LABEL_CLICK | LABEL_CONVERSION)) {
        return fail(ERR_PROTOCOL, "score %zu (impression %llu): labels %u, expected 0, 1 or 3", row,
                    (unsigned long long)s->impression_id, s->labels);
    }
    return OK;
}

enum status wire_scores_unpack(const void *data, size_t bytes, size_t n, struct score *scores) {
    const bool weighed = bytes == n * WIRE_SCORE_WEIGHED_BYTES && n > 0;
    if (n > SHARD_IMPRESSIONS_MAX || (!weighed && bytes != n * WIRE_SCORE_BYTES)) {
        return fail(ERR_PROTOCOL,
                    "a frame of %zu bytes for %zu scores, expected %u or %u bytes each", bytes, n,
                    WIRE_SCORE_BYTES, WIRE_SCORE_WEIGHED_BYTES);
    }
    const uint8_t *at = data;
    bool other = !weighed; /* than 1 */
    for (size_t i = 0; i < n; i++, at += weighed ? WIRE_SCORE_WEIGHED_BYTES : WIRE_SCORE_BYTES) {
        struct score *s = &scores[i];
        *s = (struct score){.impression_id = load_u64(at), .user = load_u64(at + 8)};
        memcpy(&s->a, at + 16, 4);
        memcpy(&s->b, at + 20, 4);
        s->labels = at[24];
        s->weight = 1.0f;
        if (weighed) {
            memcpy(&s->weight, at + 25, 4);
            other = other || s->weight != 1.0f;
        }
        TRY(score_check(s, i));
    }
    return other ? OK : fail(ERR_PROTOCOL, "scores with weights, all of them 1");
}

static enum status bins_pack_table(const struct metric_bins *b, struct buf *out) {
    uint32_t used = 0;
    for (uint32_t k = 0; k < METRIC_BINS; k++) {
        used += (b->positive[k] | b->negative[k]) != 0;
    }
    TRY(buf_put_varint(out, used));
    uint32_t next = 0; /* one past the last bin written */
    for (uint32_t k = 0; k < METRIC_BINS; k++) {
        if ((b->positive[k] | b->negative[k]) != 0) {
            TRY(buf_put_varint(out, k + 1 - next));
            TRY(buf_put_varint(out, b->positive[k]));
            TRY(buf_put_varint(out, b->negative[k]));
            next = k + 1;
        }
    }
    return OK;
}

enum status wire_bins_pack(const struct metric_bins *ctr, const struct metric_bins *ctcvr,
                           struct buf *out) {
    TRY(bins_pack_table(ctr, out));
    return bins_pack_table(ctcvr, out);
}

static bool bins_unpack_table(struct cursor *c, struct metric_bins *b) {
    memset(b, 0, sizeof *b);
    uint64_t used = cursor_varint(c);
    uint64_t next = 0;
    for (uint64_t i = 0; i < used && !c->bad; i++) {
        uint64_t gap = cursor_varint(c);
        uint64_t positive = cursor_varint(c);
        uint64_t negative = cursor_varint(c);
        if (c->bad || gap == 0 || gap > METRIC_BINS - next || positive > UINT32_MAX ||
            negative > UINT32_MAX) {
            return false;
        }
        next += gap;
        b->positive[next - 1] = (uint32_t)positive;
        b->negative[next - 1] = (uint32_t)negative;
    }
    return !c->bad;
}

enum status wire_bins_unpack(const void *data, size_t bytes, struct metric_bins *ctr,
                             struct metric_bins *ctcvr) {
    struct cursor c = cursor_of(data, bytes);
    if (!bins_unpack_table(&c, ctr) || !bins_unpack_table(&c, ctcvr) || cursor_left(&c) != 0) {
        return fail(ERR_PROTOCOL, "metric bins: a frame of %zu bytes does not parse", bytes);
    }
    return OK;
}
