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
 * The impressions of a group lie together in a shard, so its item bags are one run per field, which
 * is copied at once. A user bag is copied once per group. The walk reads one word per 64 dictionary
 * entries, which costs far less than the copies for any usual ratio of shard to batch. A sorted
 * list of the used codes instead of the bitmap would be faster only for batches of a few
 * impressions.
 *
 * Invariant: between calls the bitmap is all zero.
 */
#include "batch.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

struct batch_cutter {
    const struct shard *shard;
    uint32_t user_fields;
    int user_slot;
    uint32_t *order;    /* [groups] groups in the epoch's order */
    uint32_t *position; /* [groups+1] first ordered impression of order[g] */
    size_t order_cap, position_cap;
    uint64_t *bits; /* one bit per dictionary entry of the widest column */
    uint32_t *rank; /* [dict_count] of the widest column; valid where a bit was set */
    size_t bits_cap, rank_cap;
};

/* The groups of the order that a batch touches. Only the first and the last may be incomplete. */
struct span {
    uint32_t begin, end;
    uint32_t first, last;
};

/* A run of impressions of one group, as indices into the shard. */
struct run {
    uint32_t group, begin, end;
};

enum status batch_cutter_create(struct batch_cutter **c) {
    return mem_new(c);
}

void batch_cutter_destroy(struct batch_cutter **c) {
    if (*c == NULL) {
        return;
    }
    mem_free(&(*c)->order);
    mem_free(&(*c)->position);
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

enum status batch_cutter_shard(struct batch_cutter *c, const struct shard *s, const uint32_t *order,
                               uint32_t user_fields, int user_slot) {
    uint32_t widest = widest_dictionary(s);
    c->shard = NULL;
    TRY(mem_room(&c->order, &c->order_cap, s->groups));
    TRY(mem_room(&c->position, &c->position_cap, (size_t)s->groups + 1));
    TRY(mem_room(&c->bits, &c->bits_cap, ((size_t)widest + 63) / 64));
    TRY(mem_room(&c->rank, &c->rank_cap, widest));
    uint32_t at = 0;
    for (uint32_t g = 0; g < s->groups; g++) {
        c->order[g] = order[g];
        c->position[g] = at;
        at += s->group_start[order[g] + 1] - s->group_start[order[g]];
    }
    c->position[s->groups] = at;
    assert(at == s->impressions);
    c->user_fields = user_fields;
    c->user_slot = user_slot;
    c->shard = s;
    return OK;
}

/* The last ordered group that begins at or before `position`. */
static uint32_t group_at(const struct batch_cutter *c, uint32_t position) {
    uint32_t low = 0, high = c->shard->groups;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (c->position[middle] <= position) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct run run_of(const struct batch_cutter *c, const struct span *span, uint32_t g) {
    uint32_t from = c->position[g], to = c->position[g + 1];
    uint32_t base = c->shard->group_start[c->order[g]];
    return (struct run){
        .group = c->order[g],
        .begin = base + (span->begin > from ? span->begin - from : 0),
        .end = base + (span->end < to ? span->end : to) - from,
    };
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

static void cut_impressions(const struct batch_cutter *c, const struct span *span,
                            struct batch *b) {
    const struct shard *s = c->shard;
    uint32_t at = 0;
    b->records = s->kind != NULL;
    b->weight = s->weight != NULL ? b->weight_store : NULL;
    for (uint32_t g = span->first; g < span->last; g++) {
        struct run run = run_of(c, span, g);
        if (b->weight != NULL && run.begin < run.end) {
            memcpy(b->weight + at, s->weight + run.begin,
                   (run.end - run.begin) * sizeof *b->weight);
        }
        for (uint32_t i = run.begin; i < run.end; i++, at++) {
            b->group_of[at] = b->groups;
            b->labels[at] = s->labels[i];
            b->impression_id[at] = s->impression_id[i];
            b->user[at] = user_of(c, run.group, i);
            b->kind[at] = s->kind == NULL ? KIND_LOG : s->kind[i];
            b->elapsed_days[at] = elapsed_days(s, i);
        }
        b->groups += run.begin < run.end;
    }
}

/* The bags [begin, end) of the column that belong to this run; an empty group has none. */
static struct run bags_of(struct run run, bool user) {
    if (user) {
        return (struct run){run.group, run.group, run.group + (run.begin < run.end)};
    }
    return run;
}

static size_t count_values(const struct batch_cutter *c, const struct span *span,
                           const struct column *column, bool user) {
    size_t values = 0;
    for (uint32_t g = span->first; g < span->last; g++) {
        struct run bags = bags_of(run_of(c, span, g), user);
        values += column->start[bags.end] - column->start[bags.begin];
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

static enum status cut_field(struct batch_cutter *c, const struct span *span, uint32_t slot,
                             const struct batch *b, struct batch_field *f) {
    const struct column *column = &c->shard->column[slot];
    bool user = slot < c->user_fields;
    size_t bags = user ? b->groups : b->impressions;
    size_t values = count_values(c, span, column, user);
    size_t words = ((size_t)column->dict_count + 63) / 64;
    f->plain = column->weight == NULL;
    TRY(mem_room(&f->start, &f->start_cap, bags + 1));
    TRY(reserve_values(f, values));
    f->bags = f->values = f->unique = 0;
    for (uint32_t g = span->first; g < span->last; g++) {
        copy_run(c, column, bags_of(run_of(c, span, g), user), f);
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

enum status batch_cut(struct batch_cutter *c, uint32_t begin, uint32_t end, struct batch *b) {
    const struct shard *s = c->shard;
    assert(s != NULL && begin < end && end <= s->impressions);
    struct span span = {begin, end, group_at(c, begin), group_at(c, end - 1) + 1};
    TRY(reserve_impressions(b, end - begin));
    b->impressions = end - begin;
    b->groups = 0;
    b->fields = s->columns;
    b->user_fields = c->user_fields;
    cut_impressions(c, &span, b);
    for (uint32_t f = 0; f < s->columns; f++) {
        TRY(cut_field(c, &span, f, b, &b->field[f]));
    }
    return OK;
}

void batch_fini(struct batch *b) {
    IMPRESSION_ARRAYS(FREE_ARRAY)
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        mem_free(&b->field[f].ids);
        mem_free(&b->field[f].start);
        mem_free(&b->field[f].index);
        mem_free(&b->field[f].weight_store);
    }
    *b = (struct batch){0};
}
