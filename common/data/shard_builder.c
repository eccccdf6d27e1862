/* shard_builder.c - collects impressions.
 *
 * Prep runs at the speed of its parser only if adding a feature costs almost nothing. So adding
 * only appends one record of 16 bytes {id, entry, weight} to the list of its field; entry is the
 * number of the group or impression. All work that needs a whole column is done at the end
 * (shard_write.c).
 */
#include "shard_builder.h"
#include "shard_builder.h"
#include "shard_format.h"
#include "shard_write.h"
#include "shard_weights.h"
#include "shard_builder.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/base/mem.h"

#define GROUPS_FIRST 1024u
#define VALUES_FIRST 256u

enum status shard_builder_create(struct shard_builder **b) {
    return mem_new(b);
}

void shard_builder_destroy(struct shard_builder **b) {
    if (*b == NULL) {
        return;
    }
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        mem_free(&(*b)->pile[f].values);
    }
    mem_free(&(*b)->group_key);
    mem_free(&(*b)->group_size);
    mem_free(&(*b)->impression_id);
    mem_free(&(*b)->labels);
    mem_free(&(*b)->weight);
    mem_free(&(*b)->moment);
    mem_free(b);
}

static void builder_clear(struct shard_builder *b) {
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        b->pile[f].count = 0;
        b->pile[f].on_side[0] = b->pile[f].on_side[1] = false;
    }
    b->groups = b->impressions = b->timed = b->weighed = 0;
    b->values = 0;
}

/* Makes room for one more entry in two arrays that share a capacity. The capacity changes only
 * after both have grown, so a failure between them loses nothing. */
#define room_for_both(a, b, cap, count)                                                            \
    room_of_two((void **)(a), sizeof **(a), (void **)(b), sizeof **(b), (cap), (count))
static enum status room_of_two(void **a, size_t a_size, void **b, size_t b_size, size_t *cap,
                               size_t count) {
    size_t grown = *cap, same = *cap;
    const size_t need = *cap == 0 ? GROUPS_FIRST : count + 1;
    TRY(mem_room_of(a, &grown, need, a_size));
    TRY(mem_room_of(b, &same, need, b_size));
    *cap = grown;
    return OK;
}

/* Removes the values of the last `entry` on a side, after a failure or for a group without
 * impressions. */
static void take_back(struct shard_builder *b, enum side side, uint32_t entry) {
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        struct pile *p = &b->pile[f];
        while (p->on_side[side] && p->count > 0 && p->values[p->count - 1].entry == entry) {
            p->count--;
            b->values--;
        }
    }
}

static enum status add_values(struct shard_builder *b, enum side side, uint32_t entry,
                              const struct feature *features, size_t count) {
    if (count > SHARD_VALUES_MAX - b->values) {
        return fail(ERR_LIMIT, "a shard of more than %u values", SHARD_VALUES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const struct feature *f = &features[i];
        assert(f->field < FIELDS_MAX);
        struct pile *p = &b->pile[f->field];
        enum status status = OK;
        if (!isfinite(f->weight)) {
            status = fail(ERR_FORMAT, "feature %llu of field %u has a weight that is not finite",
                          (unsigned long long)f->id, f->field);
        } else if (p->on_side[1 - side]) {
            status = fail(ERR_FORMAT, "field %u has features on both sides", f->field);
        } else {
            status = mem_room(&p->values, &p->cap, p->cap == 0 ? VALUES_FIRST : p->count + 1);
        }
        if (status != OK) {
            take_back(b, side, entry);
            return status;
        }
        p->on_side[side] = true;
        p->values[p->count++] =
            (struct shard_value){.id = f->id, .entry = entry, .weight = f->weight};
        b->values++;
    }
    return OK;
}

static void drop_empty_group(struct shard_builder *b) {
    if (b->groups > 0 && b->group_size[b->groups - 1] == 0) {
        b->groups--;
        take_back(b, SIDE_USER, (uint32_t)b->groups);
    }
}

enum status shard_builder_group(struct shard_builder *b, uint64_t group_key,
                                const struct feature *user, size_t count) {
    drop_empty_group(b);
    if (b->groups == SHARD_IMPRESSIONS_MAX) {
        return fail(ERR_LIMIT, "a shard of more than %u groups", SHARD_IMPRESSIONS_MAX);
    }
    TRY(room_for_both(&b->group_key, &b->group_size, &b->groups_cap, b->groups));
    TRY(add_values(b, SIDE_USER, (uint32_t)b->groups, user, count));
    b->group_key[b->groups] = group_key;
    b->group_size[b->groups] = 0;
    b->groups++;
    return OK;
}

/* Checks the times that the labels require and copies them to *out; the others become 0. */
static enum status check_moment(uint64_t impression_id, uint8_t labels, const struct moment *when,
                                struct moment *out) {
    const bool click = (labels & LABEL_CLICK) != 0, conversion = (labels & LABEL_CONVERSION) != 0;
    *out = (struct moment){.time = when->time,
                           .click_time = click ? when->click_time : 0,
                           .conversion_time = conversion ? when->conversion_time : 0,
                           .kind = when->kind};
    if (!record_time_good(out->time) || (click && !record_time_good(out->click_time)) ||
        (conversion && !record_time_good(out->conversion_time)) ||
        (conversion && out->conversion_time < out->click_time)) {
        return fail(ERR_FORMAT,
                    "impression %llu: times %llu, click %llu, conversion %llu: expected "
                    "seconds since 1970 (not milliseconds), a conversion after its click",
                    (unsigned long long)impression_id, (unsigned long long)when->time,
                    (unsigned long long)when->click_time,
                    (unsigned long long)when->conversion_time);
    }
    return OK;
}

/* Stores the times of the impression that is added next, before it is added. So every impression
 * has its times.
 */
static enum status add_moment(struct shard_builder *b, const struct moment *when) {
    if (b->timed != b->impressions) {
        return fail(ERR_FORMAT, "impressions with and without times in one shard");
    }
    TRY(mem_room(&b->moment, &b->timed_cap, b->timed_cap == 0 ? GROUPS_FIRST : b->timed + 1));
    b->moment[b->timed] = *when;
    return OK;
}

enum status shard_builder_impression(struct shard_builder *b, uint64_t impression_id,
                                     uint8_t labels, const struct feature *item, size_t count) {
    return shard_builder_timed(b, impression_id, labels, NULL, item, count);
}

enum status shard_builder_timed(struct shard_builder *b, uint64_t impression_id, uint8_t labels,
                                const struct moment *when, const struct feature *item,
                                size_t count) {
    struct moment checked;
    assert(b->groups > 0);
    if (!record_good(labels, (uint8_t)(when == NULL ? KIND_LOG : when->kind))) {
        return fail(ERR_FORMAT,
                    "impression %llu has labels %u, expected 0, 1 or 3, and what its "
                    "kind of record asks for",
                    (unsigned long long)impression_id, labels);
    }
    if (when != NULL) {
        TRY(check_moment(impression_id, labels, when, &checked));
        TRY(add_moment(b, &checked));
    }
    if (b->impressions == SHARD_IMPRESSIONS_MAX) {
        return fail(ERR_LIMIT, "a shard of more than %u impressions", SHARD_IMPRESSIONS_MAX);
    }
    TRY(room_for_both(&b->impression_id, &b->labels, &b->impressions_cap, b->impressions));
    TRY(add_values(b, SIDE_ITEM, (uint32_t)b->impressions, item, count));
    b->impression_id[b->impressions] = impression_id;
    b->labels[b->impressions] = labels;
    b->impressions++;
    b->timed += when != NULL;
    b->group_size[b->groups - 1]++;
    return OK;
}

static enum status weights_fill(struct shard_builder *b) {
    if (b->impressions > b->weighed_cap) {
        TRY(mem_grow(&b->weight, b->weighed, b->impressions_cap));
        b->weighed_cap = b->impressions_cap;
    }
    while (b->weighed < b->impressions) {
        b->weight[b->weighed++] = 1.0f;
    }
    return OK;
}

/* Stores no weights until one is not 1; then the earlier impressions get the weight 1. */
enum status shard_builder_weigh(struct shard_builder *b, float weight) {
    assert(b->impressions > 0);
    if (!(weight >= 0.0f && weight <= SHARD_WEIGHT_MAX)) {
        return fail(ERR_FORMAT, "impression %llu has weight %g, expected 0 to %g",
                    (unsigned long long)b->impression_id[b->impressions - 1], (double)weight,
                    (double)SHARD_WEIGHT_MAX);
    }
    if (weight == 1.0f && b->weighed < b->impressions) {
        return OK;
    }
    TRY(weights_fill(b));
    b->weight[b->impressions - 1] = weight;
    return OK;
}

void shard_builder_fleeting(struct shard_builder *b) {
    b->fleeting = true;
}

uint32_t shard_builder_impressions(const struct shard_builder *b) {
    return (uint32_t)b->impressions;
}

size_t shard_builder_bytes(const struct shard_builder *b) {
    size_t bytes = sizeof *b + b->groups_cap * (sizeof *b->group_key + sizeof *b->group_size) +
                   b->impressions_cap * (sizeof *b->impression_id + sizeof *b->labels) +
                   b->timed_cap * sizeof *b->moment + b->weighed_cap * sizeof *b->weight;
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        bytes += b->pile[f].cap * sizeof(struct shard_value);
    }
    return bytes;
}

/* --- the end ---------------------------------------------------------------------------------- */

enum status shard_builder_write(struct shard_builder *b, const struct schema *schema,
                                const char *dir, const char *name, struct shard_info *info) {
    assert(strlen(name) < sizeof info->name);
    drop_empty_group(b);
    if (b->impressions == 0) {
        return fail(ERR_FORMAT, "%s/%s: a shard without impressions", dir, name);
    }
    TRY(b->weighed > 0 ? weights_fill(b) : OK);
    TRY(shard_write(b, schema, dir, name, info));
    builder_clear(b);
    return OK;
}
