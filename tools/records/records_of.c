/* records_of.c - decides which records an impression gives, when, and with which labels. This is
 * the table of docs/stream.md as code. */
#include "records_of.h"

#include <stdlib.h>

#include "common/base/mem.h"

/* What a joiner sees of an impression that was clicked in time. */
struct click {
    uint64_t clicked, converted; /* times; converted is 0 if not within the attribution window */
};

static struct record make_record(uint64_t time, uint8_t labels, enum record_kind kind) {
    return (struct record){.time = time, .labels = labels, .kind = (uint8_t)kind};
}

/* Gives the labels with the conversion as far as it is known at `time`. */
static uint8_t labels_at(const struct click *c, uint64_t time) {
    return c->converted > 0 && c->converted <= time ? LABEL_CLICK | LABEL_CONVERSION : LABEL_CLICK;
}

#define LATE_LABELS (LABEL_CLICK | LABEL_CONVERSION | LABEL_LATE)

/* One record per click, as if nobody knew of delays, and one more whole record for a late
 * conversion. */
static uint32_t vanilla(const struct records_rule *rule, const struct click *c,
                        struct record *out) {
    const uint64_t observed = c->clicked + rule->window;
    out[0] = make_record(observed, labels_at(c, observed), KIND_BOTH);
    if (c->converted <= observed) {
        return 1;
    }
    out[1] = make_record(c->converted, LABEL_CLICK | LABEL_CONVERSION, KIND_BOTH);
    return 2;
}

/* The label is given at the end of the window, and a late conversion corrects it. */
static uint32_t records_es_dfm(const struct records_rule *rule, const struct click *c,
                               struct record *out) {
    const uint64_t observed = c->clicked + rule->window;
    out[0] = make_record(observed, labels_at(c, observed), KIND_CONVERSION);
    if (c->converted <= observed) {
        return 1;
    }
    out[1] = make_record(c->converted, LATE_LABELS, KIND_LATE);
    return 2;
}

/* Every click is negative at once; the weights of the loss are derived for that. */
static uint32_t records_fnw(const struct click *c, struct record *out) {
    out[0] = make_record(c->clicked, LABEL_CLICK, KIND_CONVERSION);
    if (c->converted == 0) {
        return 1;
    }
    out[1] = make_record(c->converted, LATE_LABELS, KIND_LATE);
    return 2;
}

/* Every click gives two records, so that the distribution of the features does not depend on the
 * label. The second record comes as soon as the label is final. */
static uint32_t records_defer(const struct records_rule *rule, const struct click *c,
                              struct record *out) {
    const uint64_t observed = c->clicked + rule->window;
    out[0] = make_record(observed, labels_at(c, observed), KIND_CONVERSION);
    if (c->converted == 0) {
        out[1] = make_record(c->clicked + rule->attribution, LABEL_CLICK, KIND_FINAL);
    } else if (c->converted <= observed) {
        out[1] = make_record(observed, LABEL_CLICK | LABEL_CONVERSION, KIND_FINAL);
    } else {
        out[1] = make_record(c->converted, LATE_LABELS, KIND_FINAL);
    }
    return 2;
}

/* One record, at the end of the slice in which the window ends. */
static uint32_t records_dfm(const struct records_rule *rule, const struct click *c,
                            struct record *out) {
    const uint64_t observed = c->clicked + rule->window;
    const uint64_t end = (records_slice(rule, observed) + 1) * rule->slice;
    out[0] = make_record(end, labels_at(c, end), KIND_CONVERSION);
    return 1;
}

static uint32_t oracle(const struct records_rule *rule, const struct click *c, struct record *out) {
    out[0] = make_record(c->clicked + rule->window, labels_at(c, UINT64_MAX), KIND_CONVERSION);
    return 1;
}

static uint32_t conversion_records(const struct records_rule *rule, const struct click *c,
                                   struct record *out) {
    switch (rule->stream) {
    case STREAM_ORACLE: return oracle(rule, c, out);
    case STREAM_FNW: return records_fnw(c, out);
    case STREAM_DEFER: return records_defer(rule, c, out);
    case STREAM_DFM: return records_dfm(rule, c, out);
    default: return records_es_dfm(rule, c, out);
    }
}

static bool record_before(const struct record *a, const struct record *b) {
    return a->time != b->time ? a->time < b->time : a->kind < b->kind;
}

uint32_t records_of(const struct records_rule *rule, const struct moment *when,
                    struct record out[RECORDS_MAX]) {
    const uint64_t closed = when->time + rule->click_window;
    const struct click c = {.clicked = when->click_time,
                            .converted = when->conversion_time > 0 &&
                                                 when->conversion_time - when->click_time <=
                                                     rule->attribution
                                             ? when->conversion_time
                                             : 0};
    if (c.clicked == 0 || c.clicked > closed) {
        out[0] = make_record(closed, 0, KIND_BOTH);
        return 1;
    }
    if (rule->stream == STREAM_VANILLA) {
        return vanilla(rule, &c, out);
    }
    const struct record click = make_record(closed, LABEL_CLICK, KIND_CLICK);
    const uint32_t n = conversion_records(rule, &c, out);
    uint32_t at = n;
    for (; at > 0 && record_before(&click, &out[at - 1]); at--) {
        out[at] = out[at - 1];
    }
    out[at] = click;
    return n + 1;
}

/* --- all of a log ----------------------------------------------------------------------------- */

static void count_unseen(struct records *r, const struct records_rule *rule,
                         const struct moment *m) {
    const bool late = m->click_time > m->time + rule->click_window;
    r->clicks_late += late;
    r->conversions_late +=
        !late && m->conversion_time > 0 && m->conversion_time - m->click_time > rule->attribution;
}

static enum status add_impression(struct records *r, const struct records_rule *rule,
                                  const struct moment *m, const struct record *place) {
    struct record out[RECORDS_MAX];
    const uint32_t n = records_of(rule, m, out);
    TRY(mem_room(&r->records, &r->cap, r->count + n));
    for (uint32_t k = 0; k < n; k++) {
        out[k].shard = place->shard;
        out[k].group = place->group;
        out[k].impression = place->impression;
        r->records[r->count++] = out[k];
        r->kinds[out[k].kind]++;
    }
    count_unseen(r, rule, m);
    return OK;
}

enum status records_add(struct records *r, const struct records_rule *rule, const struct shard *s,
                        uint32_t number) {
    if (s->time == NULL || s->kind != NULL) {
        return fail(ERR_FORMAT,
                    s->time == NULL
                        ? "shard %u has no times: esmm prep reads them from a log whose "
                          "schema says log.time and log.conversion_time"
                        : "shard %u holds records already",
                    number);
    }
    for (uint32_t g = 0; g < s->groups; g++) {
        for (uint32_t i = s->group_start[g]; i < s->group_start[g + 1]; i++) {
            const struct record place = {.shard = number, .group = g, .impression = i};
            const struct moment m = {.time = s->time[i],
                                     .click_time = s->click_time[i],
                                     .conversion_time = s->conversion_time[i]};
            TRY(add_impression(r, rule, &m, &place));
        }
    }
    return OK;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_time(const void *a, const void *b) {
    const struct record *x = a, *y = b;
    int order = COMPARE(x->time, y->time);
    order = order != 0 ? order : COMPARE(x->shard, y->shard);
    order = order != 0 ? order : COMPARE(x->impression, y->impression);
    return order != 0 ? order : COMPARE(x->kind, y->kind);
}

static int by_group(const void *a, const void *b) {
    const struct record *x = a, *y = b;
    int order = COMPARE(x->shard, y->shard);
    order = order != 0 ? order : COMPARE(x->group, y->group);
    return order != 0 ? order : COMPARE(x->first, y->first);
}

static int by_first(const void *a, const void *b) {
    const struct record *x = a, *y = b;
    const int order = COMPARE(x->first, y->first);
    return order != 0 ? order : by_time(a, b);
}

void records_sort(struct records *r) {
    if (r->count > 0) {
        qsort(r->records, r->count, sizeof *r->records, by_time);
    }
}

/* `first` is at first a record's place in the slice, then the place of its group's first record. */
void records_order(struct record *slice, size_t count) {
    for (size_t i = 0; i < count; i++) {
        slice[i].first = (uint32_t)i;
    }
    qsort(slice, count, sizeof *slice, by_group);
    for (size_t i = 1; i < count; i++) {
        if (slice[i].shard == slice[i - 1].shard && slice[i].group == slice[i - 1].group) {
            slice[i].first = slice[i - 1].first;
        }
    }
    qsort(slice, count, sizeof *slice, by_first);
}

void records_fini(struct records *r) {
    mem_free(&r->records);
    r->count = r->cap = 0;
}
