/* sample.c - removes impressions from a shard and copies others.
 *
 * First it makes an ascending list of the indices that stay. Of the U unclicked impressions K stay,
 * by selection sampling (Knuth, The Art of Computer Programming 3.4.2, algorithm S): in one pass
 * each impression stays with probability (still wanted) / (still to come). Then it builds the item
 * side of a new shard beside the old shard and replaces the old one. Dictionaries and the user side
 * move over unchanged, since a batch counts only the features that occur in it (batch.c).
 */
#include "sample.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "shard_format.h"

#define STREAM_SAMPLE 0x73616d706c650000u

struct picked {
    uint32_t *index; /* [n] indices of old impressions */
    uint32_t n;
};

static void count_labels(const struct shard *s, uint32_t *clicks, uint32_t *conversions) {
    *clicks = *conversions = 0;
    for (uint32_t i = 0; i < s->impressions; i++) {
        *clicks += (s->labels[i] & LABEL_CLICK) != 0;
        *conversions += (s->labels[i] & LABEL_CONVERSION) != 0;
    }
}

static enum status pick(const struct shard *s, const struct sampling *sampling, uint64_t seed,
                        uint32_t shard, struct picked *p) {
    uint32_t clicks, conversions;
    count_labels(s, &clicks, &conversions);
    const uint64_t total = sampling_count(sampling, s->impressions, clicks, conversions);
    if (total > UINT32_MAX) {
        return fail(ERR_LIMIT, "%llu impressions of one shard", (unsigned long long)total);
    }
    uint32_t to_come = s->impressions - clicks;
    uint32_t wanted = (uint32_t)sampling_count(sampling, to_come, 0, 0);
    TRY(mem_array(&p->index, total));
    for (uint32_t i = 0; i < s->impressions; i++) {
        uint32_t times = 1;
        if ((s->labels[i] & LABEL_CLICK) == 0) {
            times = rng_unit(seed ^ STREAM_SAMPLE, shard, i) * (double)to_come < (double)wanted;
            wanted -= times;
            to_come--;
        } else if ((s->labels[i] & LABEL_CONVERSION) != 0) {
            times = sampling->copies;
        }
        for (uint32_t k = 0; k < times; k++) {
            p->index[p->n++] = i;
        }
    }
    return OK;
}

/* Copies the times of the picked impressions, if the shard has times. */
static enum status take_times(struct shard *to, const struct shard *from, const struct picked *p) {
    uint64_t *const old[] = {from->time, from->click_time, from->conversion_time};
    uint64_t **const new[] = {&to->time, &to->click_time, &to->conversion_time};
    for (int k = 0; k < 3 && from->time != NULL; k++) {
        TRY(mem_array(new[k], p->n));
        for (uint32_t i = 0; i < p->n; i++) {
            (*new[k])[i] = old[k][p->index[i]];
        }
    }
    if (from->kind != NULL) {
        TRY(mem_array(&to->kind, p->n));
        for (uint32_t i = 0; i < p->n; i++) {
            to->kind[i] = from->kind[p->index[i]];
        }
    }
    return OK;
}

/* Copies the arrays that have one entry per impression and are not columns. */
static enum status take_impressions(struct shard *to, const struct shard *from,
                                    const struct picked *p) {
    TRY(mem_array(&to->impression_id, p->n));
    TRY(mem_array(&to->labels, p->n));
    TRY(mem_array(&to->group_start, (size_t)from->groups + 1));
    if (from->weight != NULL) {
        TRY(mem_array(&to->weight, p->n));
    }
    for (uint32_t i = 0; i < p->n; i++) {
        to->impression_id[i] = from->impression_id[p->index[i]];
        to->labels[i] = from->labels[p->index[i]];
    }
    for (uint32_t i = 0; i < p->n && from->weight != NULL; i++) {
        to->weight[i] = from->weight[p->index[i]];
    }
    TRY(take_times(to, from, p));
    uint32_t at = 0;
    for (uint32_t g = 0; g <= from->groups; g++) {
        while (at < p->n && p->index[at] < from->group_start[g]) {
            at++;
        }
        to->group_start[g] = at;
    }
    return OK;
}

static enum status take_column(struct column *to, const struct column *from,
                               const struct picked *p) {
    uint64_t values = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        values += from->start[p->index[i] + 1] - from->start[p->index[i]];
    }
    if (values > SHARD_VALUES_MAX) {
        return fail(ERR_LIMIT, "%llu values in a column of one shard", (unsigned long long)values);
    }
    to->n = p->n;
    TRY(mem_array(&to->start, (size_t)p->n + 1));
    TRY(mem_array(&to->code, values));
    if (from->weight != NULL) {
        TRY(mem_array(&to->weight, values));
    }
    for (uint32_t i = 0; i < p->n; i++) {
        const uint32_t begin = from->start[p->index[i]];
        const uint32_t count = from->start[p->index[i] + 1] - begin;
        if (count > 0) {
            memcpy(to->code + to->values, from->code + begin, count * sizeof *to->code);
        }
        if (count > 0 && from->weight != NULL) {
            memcpy(to->weight + to->values, from->weight + begin, count * sizeof *to->weight);
        }
        to->start[i] = to->values;
        to->values += count;
    }
    to->start[p->n] = to->values;
    return OK;
}

/* Moves all that does not change from the old shard to the new one, which already has its item
 * columns. */
static void move_rest(struct shard *to, struct shard *from, uint32_t user_fields) {
    to->groups = from->groups;
    to->group_key = from->group_key;
    from->group_key = NULL;
    memcpy(to->shared_start[SIDE_USER], from->shared_start[SIDE_USER],
           sizeof to->shared_start[SIDE_USER]);
    for (uint32_t f = 0; f < from->columns; f++) {
        if (f < user_fields) {
            to->column[f] = from->column[f];
            from->column[f] = (struct column){0};
        } else {
            to->column[f].dict = from->column[f].dict;
            to->column[f].dict_count = from->column[f].dict_count;
            from->column[f].dict = NULL;
        }
    }
    memset(from->shared_start[SIDE_USER], 0, sizeof from->shared_start[SIDE_USER]);
}

enum status shard_sample(struct shard *s, uint32_t user_fields, const struct sampling *sampling,
                         uint64_t seed, uint32_t shard) {
    struct picked picked = {0};
    struct shard next = {.columns = s->columns};
    enum status status;
    if (sampling_is_all(sampling)) {
        return OK;
    }
    TRY_OUT(pick(s, sampling, seed, shard, &picked));
    next.impressions = picked.n;
    TRY_OUT(take_impressions(&next, s, &picked));
    for (uint32_t f = user_fields; f < s->columns; f++) {
        TRY_OUT(take_column(&next.column[f], &s->column[f], &picked));
    }
    move_rest(&next, s, user_fields);
    shard_free(s);
    *s = next;
out:
    mem_free(&picked.index);
    if (status != OK) {
        shard_free(&next);
    }
    return status;
}
