/* window.c - see window.h.
 *
 * A slice is kept as a small shard of its own, with exactly the memory that it needs. Its codes are
 * offsets into the ids that it uses: the shard's whole dictionary if the slice is the whole shard,
 * so that codes are only copied; else a list of ids in the order in which they are met, which takes
 * one look into a table per value. At the end the lists of all slices are sorted together, and the
 * codes are copied through a table of where each id went. So a value is moved twice; growing the
 * result slice by slice would move it once, but hold up to three times the memory.
 */
#include "window.h"

#include <assert.h>
#include <string.h>

#include "batch.h"
#include "common/base/mem.h"
#include "common/base/rank.h"
#include "common/base/rng.h"

struct window_builder {
    uint32_t columns, user_fields;
    uint64_t mix;
    struct shard **slice; /* [count] */
    uint32_t count;
    size_t slice_cap;
    uint64_t impressions, groups, values[FIELDS_MAX];
    /* Of the slice that is being cut: its impressions, as runs in their new order; its groups. */
    struct run *item, *user;
    uint32_t items, users;
    size_t item_cap, user_cap;
    uint32_t *place; /* of a code of the shard in the slice's list, plus 1; between columns all 0 */
    size_t place_cap;
};

enum status window_begin(struct window_builder **b, const struct schema *schema, uint64_t mix) {
    TRY(mem_new(b));
    (*b)->mix = mix;
    (*b)->columns = schema->count;
    (*b)->user_fields = schema->user_count;
    return OK;
}

void window_destroy(struct window_builder **b) {
    if (*b == NULL) {
        return;
    }
    for (uint32_t k = 0; k < (*b)->count; k++) {
        shard_free((*b)->slice[k]);
        mem_free(&(*b)->slice[k]);
    }
    mem_free(&(*b)->slice);
    mem_free(&(*b)->item);
    mem_free(&(*b)->user);
    mem_free(&(*b)->place);
    mem_free(b);
}

/* --- a slice ---------------------------------------------------------------------------------- */

/* Adds impressions [begin, end) of a group: as they lie, or each by itself in a random order
 * (Fisher-Yates, from the inside out). */
static void add_items(struct window_builder *b, uint64_t key, uint32_t group, uint32_t begin,
                      uint32_t end) {
    if (b->mix == 0) {
        b->item[b->items++] = (struct run){group, begin, end};
        return;
    }
    struct run *item = b->item + b->items;
    for (uint32_t n = 0; begin + n < end; n++) {
        const uint32_t k = (uint32_t)rng_below(b->mix, key, begin + n, n + 1);
        item[n] = item[k];
        item[k] = (struct run){group, begin + n, begin + n + 1};
    }
    b->items += end - begin;
}

static enum status find_runs(struct window_builder *b, const struct shard *s, const uint32_t *order,
                             uint32_t begin, uint32_t end) {
    uint32_t at = 0;
    TRY(mem_room(&b->item, &b->item_cap, b->mix == 0 ? s->groups : s->impressions));
    TRY(mem_room(&b->user, &b->user_cap, s->groups));
    b->items = b->users = 0;
    for (uint32_t g = 0; g < s->groups && at < end; g++) {
        const uint32_t group = order[g], base = s->group_start[group];
        const uint32_t size = s->group_start[group + 1] - base, next = at + size;
        const uint32_t from = begin > at ? begin - at : 0, to = end < next ? end - at : size;
        if (from < to) {
            add_items(b, s->group_key[group], group, base + from, base + to);
            b->user[b->users++] = (struct run){group, group, group + 1};
        }
        at = next;
    }
    return OK;
}

static enum status cut_impressions(const struct window_builder *b, const struct shard *s,
                                   struct shard *to) {
    const struct run *run = b->item;
    TRY(mem_array(&to->group_key, to->groups));
    TRY(mem_array(&to->group_start, (size_t)to->groups + 1));
    for (uint32_t g = 0, r = 0; g < to->groups; g++) {
        to->group_key[g] = s->group_key[b->user[g].group];
        to->group_start[g + 1] = to->group_start[g];
        for (; r < b->items && run[r].group == b->user[g].group; r++) {
            to->group_start[g + 1] += run[r].end - run[r].begin;
        }
    }
#define CUT(array)                                                                                 \
    TRY(mem_array(&to->array, s->array == NULL ? 0 : to->impressions));                            \
    for (uint32_t r = 0, at = 0; r < b->items && s->array != NULL; r++) {                          \
        for (uint32_t i = run[r].begin; i < run[r].end; i++) {                                     \
            to->array[at++] = s->array[i];                                                         \
        }                                                                                          \
    }
    CUT(impression_id)
    CUT(labels)
    CUT(weight)
    CUT(time)
    CUT(click_time)
    CUT(conversion_time)
    CUT(kind)
    return OK;
}

/* The starts of a column, and how many values it has. */
static enum status cut_starts(const struct window_builder *b, const struct shard *s,
                              struct shard *to, uint32_t slot) {
    const bool user = slot < b->user_fields;
    const struct run *run = user ? b->user : b->item;
    const struct column *from = &s->column[slot];
    struct column *c = &to->column[slot];
    const enum side side = user ? SIDE_USER : SIDE_ITEM;
    c->n = user ? to->groups : to->impressions;
    for (uint32_t each = 0; each < 2; each++) {
        if (from->start == s->shared_start[side][each]) {
            c->values = c->n * each;
            return shard_share_start(to, side, each, &c->start);
        }
    }
    TRY(mem_array(&c->start, (size_t)c->n + 1));
    uint32_t values = 0;
    for (uint32_t r = 0, bag = 0; r < (user ? b->users : b->items); r++) {
        for (uint32_t i = run[r].begin; i < run[r].end; i++) {
            c->start[bag++] = values;
            values += from->start[i + 1] - from->start[i];
        }
    }
    c->start[c->n] = c->values = values;
    return OK;
}

/* Copies the values of the runs' bags: codes or weights, 4 bytes each. */
static void copy_values(const uint32_t *start, const struct run *run, uint32_t runs,
                        const void *from, void *to) {
    size_t at = 0;
    for (uint32_t r = 0; r < runs; r++) {
        const size_t begin = start[run[r].begin], count = start[run[r].end] - begin;
        if (count > 0) {
            memcpy((char *)to + 4 * at, (const char *)from + 4 * begin, 4 * count);
        }
        at += count;
    }
}

/* With the shard's dictionary. */
static enum status cut_codes_whole(const struct column *from, struct column *c,
                                   const struct run *run, uint32_t runs) {
    TRY(mem_array(&c->dict, from->dict_count));
    for (; c->dict_count < from->dict_count; c->dict_count++) {
        c->dict[c->dict_count] = from->dict[c->dict_count];
    }
    copy_values(from->start, run, runs, from->code, c->code);
    return OK;
}

/* Numbers the ids in the order in which they are met. place[code] is 1 + number; met[number]: the
 * code. */
static uint32_t number_codes(const struct column *from, struct column *c, const struct run *run,
                             uint32_t runs, uint32_t *place, uint32_t *met) {
    uint32_t at = 0, numbers = 0;
    for (uint32_t r = 0; r < runs; r++) {
        for (uint32_t v = from->start[run[r].begin]; v < from->start[run[r].end]; v++) {
            const uint32_t code = from->code[v];
            if (place[code] == 0) {
                met[numbers++] = code;
                place[code] = numbers;
            }
            c->code[at++] = place[code] - 1;
        }
    }
    return numbers;
}

static enum status cut_codes_part(struct window_builder *b, const struct column *from,
                                  struct column *c, const struct run *run, uint32_t runs) {
    enum status status = OK;
    uint32_t *met = NULL;
    TRY(mem_room(&b->place, &b->place_cap, from->dict_count));
    TRY(mem_array(&met, from->dict_count));
    c->dict_count = number_codes(from, c, run, runs, b->place, met);
    TRY_OUT(mem_array(&c->dict, c->dict_count));
    for (uint32_t k = 0; k < c->dict_count; k++) {
        c->dict[k] = from->dict[met[k]];
    }
out:
    for (uint32_t k = 0; k < c->dict_count; k++) {
        b->place[met[k]] = 0;
    }
    mem_free(&met);
    return status;
}

static enum status cut_column(struct window_builder *b, const struct shard *s, struct shard *to,
                              uint32_t slot) {
    const bool user = slot < b->user_fields;
    const struct run *run = user ? b->user : b->item;
    const uint32_t runs = user ? b->users : b->items;
    const struct column *from = &s->column[slot];
    struct column *c = &to->column[slot];
    TRY(cut_starts(b, s, to, slot));
    TRY(mem_array(&c->code, c->values));
    TRY(to->impressions == s->impressions ? cut_codes_whole(from, c, run, runs)
                                          : cut_codes_part(b, from, c, run, runs));
    if (from->weight != NULL) {
        TRY(mem_array(&c->weight, c->values));
        copy_values(from->start, run, runs, from->weight, c->weight);
    }
    return OK;
}

static enum status cut_slice(struct window_builder *b, const struct shard *s, uint32_t impressions,
                             struct shard *to) {
    to->columns = b->columns;
    to->impressions = impressions;
    to->groups = b->users;
    uint64_t most = b->impressions;
    TRY(cut_impressions(b, s, to));
    for (uint32_t f = 0; f < b->columns; f++) {
        TRY(cut_column(b, s, to, f));
        b->values[f] += to->column[f].values;
        most = b->values[f] > most ? b->values[f] : most;
    }
    return most <= UINT32_MAX
               ? OK
               : fail(ERR_LIMIT, "a window of more than %u impressions, or values of a column",
                      UINT32_MAX);
}

enum status window_add(struct window_builder *b, const struct shard *s, const uint32_t *order,
                       uint32_t begin, uint32_t end) {
    assert(s->columns == b->columns && begin <= end && end <= s->impressions);
    if (begin == end) {
        return OK;
    }
    if (b->count > 0 && (s->kind == NULL) != (b->slice[0]->kind == NULL)) {
        return fail(ERR_CORRUPT, "the shard holds %s, the ones before it in the window %s",
                    s->kind == NULL ? "impressions of a log" : "training records",
                    s->kind == NULL ? "training records" : "impressions of a log");
    }
    TRY(find_runs(b, s, order, begin, end));
    TRY(mem_room(&b->slice, &b->slice_cap, (size_t)b->count + 1));
    TRY(mem_new(&b->slice[b->count]));
    struct shard *to = b->slice[b->count++];
    b->impressions += end - begin;
    b->groups += b->users;
    return cut_slice(b, s, end - begin, to);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* Joins an array of the slices that has one entry per impression; slices without it have `none`. */
#define JOIN(array, none)                                                                          \
    TRY(mem_array(&out->array, out->impressions));                                                 \
    for (uint32_t k = 0, at = 0; k < b->count; at += b->slice[k]->impressions, k++) {              \
        struct shard *s = b->slice[k];                                                             \
        for (uint32_t i = 0; i < s->impressions; i++) {                                            \
            out->array[at + i] = s->array == NULL ? (none) : s->array[i];                          \
        }                                                                                          \
        mem_free(&s->array);                                                                       \
    }

static enum status join_impressions(struct window_builder *b, struct shard *out) {
    uint32_t timed = 0, weighted = 0, kinds = 0;
    TRY(mem_array(&out->group_key, out->groups));
    TRY(mem_array(&out->group_start, (size_t)out->groups + 1));
    for (uint32_t k = 0, group = 0, at = 0; k < b->count; at += b->slice[k++]->impressions) {
        const struct shard *s = b->slice[k];
        for (uint32_t g = 0; g < s->groups; g++) {
            out->group_key[group] = s->group_key[g];
            out->group_start[++group] = at + s->group_start[g + 1];
        }
        timed += s->time != NULL;
        weighted += s->weight != NULL;
        kinds += s->kind != NULL;
    }
    JOIN(impression_id, 0)
    JOIN(labels, 0)
    if (weighted > 0) {
        JOIN(weight, 1.0f)
    }
    if (timed == b->count) {
        JOIN(time, 0)
        JOIN(click_time, 0)
        JOIN(conversion_time, 0)
    }
    if (kinds > 0) {
        JOIN(kind, 0)
    }
    return OK;
}

static enum status join_starts(struct window_builder *b, struct shard *out, uint32_t slot) {
    const enum side side = slot < b->user_fields ? SIDE_USER : SIDE_ITEM;
    struct column *c = &out->column[slot];
    c->n = side == SIDE_USER ? out->groups : out->impressions;
    c->values = (uint32_t)b->values[slot];
    for (uint32_t each = 0; each < 2; each++) {
        uint32_t alike = 0;
        for (uint32_t k = 0; k < b->count; k++) {
            alike += b->slice[k]->column[slot].start == b->slice[k]->shared_start[side][each];
        }
        if (alike == b->count) {
            return shard_share_start(out, side, each, &c->start);
        }
    }
    TRY(mem_array(&c->start, (size_t)c->n + 1));
    uint32_t bag = 0, at = 0;
    for (uint32_t k = 0; k < b->count; k++) {
        const struct column *from = &b->slice[k]->column[slot];
        for (uint32_t i = 0; i < from->n; i++) {
            c->start[bag++] = at + from->start[i];
        }
        at += from->values;
    }
    c->start[bag] = at;
    return OK;
}

/* Makes the dictionary; code[k] is the code of the k-th id of all slices' lists laid end to end. */
static enum status join_dict(const struct window_builder *b, uint32_t slot, struct column *c,
                             struct ranked *rows, size_t entries, uint32_t *code) {
    size_t at = 0;
    for (uint32_t k = 0; k < b->count; k++) {
        const struct column *from = &b->slice[k]->column[slot];
        for (uint32_t e = 0; e < from->dict_count; e++, at++) {
            rows[at] = (struct ranked){from->dict[e], at};
        }
    }
    TRY(rank_sort(rows, entries));
    for (size_t e = 0; e < entries; e++) {
        c->dict_count += e == 0 || rows[e].key != rows[e - 1].key;
        code[rows[e].tag] = c->dict_count - 1;
    }
    TRY(mem_array(&c->dict, c->dict_count));
    for (size_t e = 0; e < entries; e++) {
        c->dict[code[rows[e].tag]] = rows[e].key;
    }
    return OK;
}

/* Moves the values of all slices into the column and frees them. */
static enum status join_values(struct window_builder *b, uint32_t slot, struct column *c,
                               const uint32_t *code) {
    uint32_t weighted = 0, at = 0;
    for (uint32_t k = 0; k < b->count; k++) {
        weighted += b->slice[k]->column[slot].weight != NULL;
    }
    TRY(mem_array(&c->code, c->values));
    TRY(mem_array(&c->weight, weighted > 0 ? c->values : 0));
    for (uint32_t k = 0; k < b->count; k++) {
        struct column *from = &b->slice[k]->column[slot];
        for (uint32_t v = 0; v < from->values; v++) {
            c->code[at + v] = code[from->code[v]];
        }
        for (uint32_t v = 0; c->weight != NULL && v < from->values; v++) {
            c->weight[at + v] = from->weight == NULL ? 1.0f : from->weight[v];
        }
        at += from->values;
        code += from->dict_count;
        mem_free(&from->dict);
        mem_free(&from->code);
        mem_free(&from->weight);
    }
    return OK;
}

static enum status join_column(struct window_builder *b, struct shard *out, uint32_t slot) {
    enum status status = OK;
    struct ranked *rows = NULL;
    uint32_t *code = NULL;
    size_t entries = 0;
    struct column *c = &out->column[slot];
    TRY(join_starts(b, out, slot));
    for (uint32_t k = 0; k < b->count; k++) {
        entries += b->slice[k]->column[slot].dict_count;
    }
    TRY_OUT(mem_array(&rows, entries));
    TRY_OUT(mem_array(&code, entries));
    TRY_OUT(join_dict(b, slot, c, rows, entries, code));
    mem_free(&rows);
    TRY_OUT(join_values(b, slot, c, code));
out:
    mem_free(&rows);
    mem_free(&code);
    return status;
}

static enum status join(struct window_builder *b, struct shard *out) {
    out->columns = b->columns;
    out->impressions = (uint32_t)b->impressions;
    out->groups = (uint32_t)b->groups;
    TRY(join_impressions(b, out));
    for (uint32_t f = 0; f < b->columns; f++) {
        TRY(join_column(b, out, f));
    }
    return OK;
}

enum status window_finish(struct window_builder *b, struct shard *out) {
    *out = (struct shard){0};
    const enum status status = join(b, out);
    if (status != OK) {
        shard_free(out);
    }
    return status;
}
