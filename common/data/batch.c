/* batch.c - cutting batches out of a shard.
 *
 * For each field a batch needs its distinct features in ascending order, and every occurrence as a
 * position among them. The columns of the shard are coded by an ascending dictionary, so this takes
 * three linear passes, without hashing or sorting:
 *
 *     1. copy the batch's runs of codes and set one bit per code in a bitmap of the dictionary,
 *     2. walk the bitmap upwards: the k-th set bit is the k-th distinct feature; rank[code] = k,
 *        write ids[k], and clear the word for the next field,
 *     3. replace every copied code by its rank.
 *
 * The impressions of a run lie together in a shard, so its item bags are copied at once. A user bag
 * is copied once per group. Which bags these are is the same for all fields of a side, so it is
 * found once per batch. The walk reads one word per 64 dictionary
 * entries, which costs far less than the copies for any usual ratio of shard to batch. A sorted
 * list of the used codes instead of the bitmap would be faster only for batches of a few
 * impressions.
 *
 * The groups that several batches share are found in the same way: one bit per group of the shard.
 *
 * Invariant: between calls the bitmap is all zero.
 */
#include "batch.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

struct batch_cutter {
    const struct shard *shard;
    const struct run *runs;
    uint32_t count;
    uint32_t user_fields;
    int user_slot;
    uint32_t *position; /* [count+1] first position of each run */
    size_t position_cap;
    /* Of the batch that is being cut: */
    struct run *part; /* [parts] what it has of the runs; none is empty */
    uint32_t parts;
    struct run *user; /* [groups] their user bags: entries [group, group + 1) */
    uint32_t groups;
    const struct batch_share *share; /* NULL: no field is shared */
    struct run *bags;                /* [shares] the groups' bags of the shared fields */
    uint32_t shares;
    size_t part_cap, user_cap, bags_cap;
    uint64_t *bits; /* one bit per dictionary entry of the widest column, or per group */
    uint32_t *rank; /* [dict_count] of the widest column; valid where a bit was set */
    size_t bits_cap, rank_cap;
};

void runs_of_groups(const struct shard *s, const uint32_t *order, struct run *runs) {
    for (uint32_t g = 0; g < s->groups; g++) {
        const uint32_t group = order[g];
        runs[g] = (struct run){group, s->group_start[group], s->group_start[group + 1]};
    }
}

enum status batch_cutter_create(struct batch_cutter **c) {
    return mem_new(c);
}

void batch_cutter_destroy(struct batch_cutter **c) {
    if (*c == NULL) {
        return;
    }
    mem_free(&(*c)->position);
    mem_free(&(*c)->part);
    mem_free(&(*c)->user);
    mem_free(&(*c)->bags);
    mem_free(&(*c)->bits);
    mem_free(&(*c)->rank);
    mem_free(c);
}

static uint32_t widest_dictionary(const struct shard *s) {
    uint32_t widest = 0;
    for (uint32_t f = 0; f < s->columns; f++) {
        if (s->column[f].dict_count > widest) {
            widest = s->column[f].dict_count;
        }
    }
    return widest;
}

enum status batch_cutter_runs(struct batch_cutter *c, const struct shard *s, const struct run *runs,
                              uint32_t count, uint32_t user_fields, int user_slot) {
    const uint32_t widest = widest_dictionary(s), bits = widest > s->groups ? widest : s->groups;
    c->shard = NULL;
    TRY(mem_room(&c->position, &c->position_cap, (size_t)count + 1));
    TRY(mem_room(&c->bits, &c->bits_cap, ((size_t)bits + 63) / 64));
    TRY(mem_room(&c->rank, &c->rank_cap, widest));
    uint32_t at = 0;
    for (uint32_t r = 0; r < count; r++) {
        c->position[r] = at;
        at += runs[r].end - runs[r].begin;
    }
    c->position[count] = at;
    c->shard = s;
    c->runs = runs;
    c->count = count;
    c->user_fields = user_fields;
    c->user_slot = user_slot;
    return OK;
}

/* The last of the ascending values list[count] that is at most `value`; 0 if none is. */
static uint32_t last_at_most(const uint32_t *list, uint32_t count, uint32_t value) {
    uint32_t low = 0, high = count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (list[middle] <= value) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The last run that begins at or before `position`. */
static uint32_t run_at(const struct batch_cutter *c, uint32_t position) {
    return last_at_most(c->position, c->count, position);
}

/* Adds a part, and its group unless the part before is of the same one. */
static void add_part(struct batch_cutter *c, struct run part) {
    struct run *last = c->parts > 0 ? &c->part[c->parts - 1] : NULL;
    const bool same = last != NULL && last->group == part.group;
    if (same && last->end == part.begin) {
        last->end = part.end;
        return;
    }
    c->part[c->parts++] = part;
    if (!same) {
        c->user[c->groups++] = (struct run){part.group, part.group, part.group + 1};
    }
}

static enum status find_parts(struct batch_cutter *c, uint32_t begin, uint32_t end) {
    const uint32_t first = run_at(c, begin), last = run_at(c, end - 1) + 1;
    TRY(mem_room(&c->part, &c->part_cap, last - first));
    TRY(mem_room(&c->user, &c->user_cap, last - first));
    c->parts = c->groups = 0;
    for (uint32_t r = first; r < last; r++) {
        struct run part = c->runs[r];
        const uint32_t from = c->position[r];
        if (part.begin == part.end) {
            continue;
        }
        part.end = part.begin + (end < c->position[r + 1] ? end - from : part.end - part.begin);
        part.begin += begin > from ? begin - from : 0;
        add_part(c, part);
    }
    return OK;
}

/* The arrays that have one entry per impression. */
#define IMPRESSION_ARRAYS(X)                                                                       \
    X(group_of) X(labels) X(impression_id) X(user) X(weight_store) X(kind) X(elapsed_days)
#define FREE_ARRAY(array) mem_free(&b->array);
#define MAKE_ARRAY(array) TRY(mem_array(&b->array, cap));

static enum status reserve_impressions(struct batch *b, size_t need) {
    if (need <= b->impression_cap) {
        return OK;
    }
    const size_t cap = need + need / 4;
    b->impression_cap = 0;
    IMPRESSION_ARRAYS(FREE_ARRAY)
    IMPRESSION_ARRAYS(MAKE_ARRAY)
    b->impression_cap = cap;
    return OK;
}

/* The first feature of a bag, or `none` if the bag is empty. */
static uint64_t first_id(const struct column *column, uint32_t bag, uint64_t none) {
    uint32_t at = column->start[bag];
    return at < column->start[bag + 1] ? column->dict[column->code[at]] : none;
}

static uint64_t user_of(const struct batch_cutter *c, uint32_t group, uint32_t impression) {
    const struct shard *s = c->shard;
    if (c->user_slot < 0) {
        return s->group_key[group];
    }
    uint32_t slot = (uint32_t)c->user_slot;
    return first_id(&s->column[slot], slot < c->user_fields ? group : impression,
                    s->group_key[group]);
}

/* Never negative, even if the times in the file are wrong. */
static float elapsed_days(const struct shard *s, uint32_t i) {
    if (s->kind == NULL || (s->labels[i] & LABEL_CLICK) == 0) {
        return 0;
    }
    const bool converted = (s->labels[i] & LABEL_CONVERSION) != 0;
    const uint64_t end = converted ? s->conversion_time[i] : s->time[i];
    return end > s->click_time[i] ? (float)((double)(end - s->click_time[i]) / 86400.0) : 0;
}

static void cut_impressions(const struct batch_cutter *c, struct batch *b) {
    const struct shard *s = c->shard;
    uint32_t at = 0, group = 0;
    b->records = s->kind != NULL;
    b->weight = s->weight != NULL ? b->weight_store : NULL;
    for (uint32_t p = 0; p < c->parts; p++) {
        const struct run part = c->part[p];
        group += p > 0 && part.group != c->part[p - 1].group;
        if (b->weight != NULL) {
            memcpy(b->weight + at, s->weight + part.begin,
                   (part.end - part.begin) * sizeof *b->weight);
        }
        for (uint32_t i = part.begin; i < part.end; i++, at++) {
            b->group_of[at] = group;
            b->labels[at] = s->labels[i];
            b->impression_id[at] = s->impression_id[i];
            b->user[at] = user_of(c, part.group, i);
            b->kind[at] = s->kind == NULL ? KIND_LOG : s->kind[i];
            b->elapsed_days[at] = elapsed_days(s, i);
        }
    }
}

static size_t count_values(const struct run *bags, uint32_t runs, const struct column *column) {
    size_t values = 0;
    for (uint32_t r = 0; r < runs; r++) {
        values += column->start[bags[r].end] - column->start[bags[r].begin];
    }
    return values;
}

/* Pass 1 for one run: copies bag starts, codes and weights, and marks the codes. */
static void copy_run(struct batch_cutter *c, const struct column *column, struct run bags,
                     struct batch_field *f) {
    uint32_t from = column->start[bags.begin], count = column->start[bags.end] - from;
    uint32_t at = f->values;
    for (uint32_t i = bags.begin; i < bags.end; i++) {
        f->start[f->bags++] = at + (column->start[i] - from);
    }
    if (count == 0) {
        return;
    }
    memcpy(f->index + at, column->code + from, count * sizeof *f->index);
    if (!f->plain) {
        memcpy(f->weight_store + at, column->weight + from, count * sizeof *f->weight_store);
    }
    for (uint32_t v = 0; v < count; v++) {
        uint32_t code = f->index[at + v];
        c->bits[code / 64] |= (uint64_t)1 << (code % 64);
    }
    f->values = at + count;
}

static uint32_t count_marks(const struct batch_cutter *c, size_t words) {
    uint32_t marks = 0;
    for (size_t w = 0; w < words; w++) {
        marks += (uint32_t)__builtin_popcountll(c->bits[w]);
    }
    return marks;
}

/* Pass 2: turns the marks into ranks and ascending ids, and clears the marks. */
static void rank_marks(struct batch_cutter *c, const struct column *column, size_t words,
                       struct batch_field *f) {
    uint32_t rank = 0;
    for (size_t w = 0; w < words; w++) {
        uint64_t word = c->bits[w];
        c->bits[w] = 0;
        for (; word != 0; word &= word - 1) {
            uint32_t code = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(word);
            c->rank[code] = rank;
            f->ids[rank++] = column->dict[code];
        }
    }
    f->unique = rank;
}

/* Makes room for values in index and, unless the column is plain, in weight_store. */
static enum status reserve_values(struct batch_field *f, size_t values) {
    if (values <= f->value_cap && (f->plain || f->weight_store != NULL)) {
        return OK;
    }
    size_t cap = values > f->value_cap ? values + values / 4 : f->value_cap;
    mem_free(&f->index);
    mem_free(&f->weight_store);
    f->value_cap = 0;
    TRY(mem_array(&f->index, cap));
    if (!f->plain) {
        TRY(mem_array(&f->weight_store, cap));
    }
    f->value_cap = cap;
    return OK;
}

/* The bags of a field in the batch, as runs; returns how many runs. */
static uint32_t find_bags(const struct batch_cutter *c, uint32_t slot, const struct batch *b,
                          const struct run **bags, uint32_t *count) {
    if (slot >= c->user_fields) {
        *bags = c->part;
        *count = b->impressions;
        return c->parts;
    }
    if (c->share == NULL || !c->share->field[slot]) {
        *bags = c->user;
        *count = b->groups;
        return c->groups;
    }
    *bags = c->bags;
    *count = c->shares > 0 ? b->shared_groups : 0;
    return c->shares;
}

static enum status cut_field(struct batch_cutter *c, uint32_t slot, const struct batch *b,
                             struct batch_field *f) {
    const struct column *column = &c->shard->column[slot];
    const struct run *bags;
    uint32_t count;
    const uint32_t runs = find_bags(c, slot, b, &bags, &count);
    const size_t words = ((size_t)column->dict_count + 63) / 64;
    f->plain = column->weight == NULL;
    f->shared = c->share != NULL && c->share->field[slot];
    TRY(mem_room(&f->start, &f->start_cap, (size_t)count + 1));
    TRY(reserve_values(f, count_values(bags, runs, column)));
    f->bags = f->values = f->unique = 0;
    for (uint32_t r = 0; r < runs; r++) {
        copy_run(c, column, bags[r], f);
    }
    f->start[f->bags] = f->values;
    f->weight = f->plain ? NULL : f->weight_store;
    enum status status = mem_room(&f->ids, &f->ids_cap, count_marks(c, words));
    if (status != OK) {
        memset(c->bits, 0, words * sizeof *c->bits);
        return status;
    }
    rank_marks(c, column, words, f);
    for (uint32_t v = 0; v < f->values; v++) {
        f->index[v] = c->rank[f->index[v]];
    }
    return OK;
}

/* --- what several batches share --------------------------------------------------------------- */

enum status batch_cutter_share(struct batch_cutter *c, uint32_t begin, uint32_t end,
                               const bool *field, struct batch_share *s) {
    const size_t words = ((size_t)c->shard->groups + 63) / 64;
    assert(begin < end && end <= c->position[c->count]);
    s->groups = 0;
    TRY(mem_room(&s->group, &s->cap, c->shard->groups));
    for (uint32_t r = run_at(c, begin); r < c->count && c->position[r] < end; r++) {
        if (c->runs[r].begin < c->runs[r].end) {
            c->bits[c->runs[r].group / 64] |= (uint64_t)1 << (c->runs[r].group % 64);
        }
    }
    for (size_t w = 0; w < words; w++) {
        uint64_t word = c->bits[w];
        c->bits[w] = 0;
        for (; word != 0; word &= word - 1) {
            s->group[s->groups++] = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(word);
        }
    }
    s->field = field;
    s->begin = begin;
    s->end = end;
    return OK;
}

/* Finds the runs of bags that the first and the last batch have of the shared fields. */
static enum status find_shared_bags(struct batch_cutter *c) {
    const struct batch_share *s = c->share;
    TRY(mem_room(&c->bags, &c->bags_cap, s->groups));
    for (uint32_t i = 0; i < s->groups; i++) {
        const uint32_t group = s->group[i];
        if (c->shares > 0 && c->bags[c->shares - 1].end == group) {
            c->bags[c->shares - 1].end++;
        } else {
            c->bags[c->shares++] = (struct run){group, group, group + 1};
        }
    }
    return OK;
}

static enum status cut_shares(struct batch_cutter *c, uint32_t begin, uint32_t end,
                              struct batch *b) {
    const struct batch_share *s = c->share;
    b->shared_groups = s == NULL ? 0 : s->groups;
    b->shared_first = s != NULL && begin == s->begin;
    b->shared_last = s != NULL && end == s->end;
    c->shares = 0;
    if (s == NULL) {
        return OK;
    }
    TRY(mem_room(&b->shared_of, &b->shared_cap, b->groups));
    for (uint32_t g = 0; g < b->groups; g++) {
        b->shared_of[g] = last_at_most(s->group, s->groups, c->user[g].group);
        assert(s->group[b->shared_of[g]] == c->user[g].group);
    }
    return b->shared_first || b->shared_last ? find_shared_bags(c) : OK;
}

static enum status cut_batch(struct batch_cutter *c, uint32_t begin, uint32_t end,
                             struct batch *b) {
    const struct shard *s = c->shard;
    assert(s != NULL && begin < end && end <= c->position[c->count]);
    TRY(find_parts(c, begin, end));
    TRY(reserve_impressions(b, end - begin));
    b->impressions = end - begin;
    b->groups = c->groups;
    b->fields = s->columns;
    b->user_fields = c->user_fields;
    cut_impressions(c, b);
    TRY(cut_shares(c, begin, end, b));
    for (uint32_t f = 0; f < s->columns; f++) {
        TRY(cut_field(c, f, b, &b->field[f]));
    }
    return OK;
}

enum status batch_cut(struct batch_cutter *c, uint32_t begin, uint32_t end, struct batch *b) {
    c->share = NULL;
    return cut_batch(c, begin, end, b);
}

enum status batch_cut_shared(struct batch_cutter *c, uint32_t begin, uint32_t end,
                             const struct batch_share *s, struct batch *b) {
    assert(s->begin <= begin && end <= s->end);
    c->share = s;
    return cut_batch(c, begin, end, b);
}

void batch_share_fini(struct batch_share *s) {
    mem_free(&s->group);
    *s = (struct batch_share){0};
}

void batch_fini(struct batch *b) {
    mem_free(&b->shared_of);
    IMPRESSION_ARRAYS(FREE_ARRAY)
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        mem_free(&b->field[f].ids);
        mem_free(&b->field[f].start);
        mem_free(&b->field[f].index);
        mem_free(&b->field[f].weight_store);
    }
    *b = (struct batch){0};
}
