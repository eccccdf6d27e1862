/* changes.c - see changes.h. */
#include "changes.h"

#include "common/base/mem.h"

uint32_t changes_block_shift(uint32_t row_bytes) {
    uint32_t shift = 0;
    while ((2u << shift) * row_bytes <= CHANGES_BLOCK_BYTES) {
        shift++;
    }
    return shift;
}

/* --- points ----------------------------------------------------------------------------------- */

void cut_point_fini(struct cut_point *point) {
    mem_free(&point->clocks);
    *point = (struct cut_point){0};
}

enum status cut_point_set(struct cut_point *point, uint64_t cut, const struct domains *d) {
    cut_point_fini(point);
    TRY(mem_array(&point->clocks, d->count));
    point->cut = cut;
    point->count = d->count;
    for (uint32_t i = 0; i < d->count; i++) {
        point->clocks[i] =
            (struct cut_clock){.bucket_end = d->list[i].bucket_end, .clock = d->list[i].clock};
    }
    return OK;
}

/* Clocks are compared modulo 2^32. */
static bool within_reach(const struct cut_point *point, const struct domains *d) {
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->list[i].clock - cut_point_clock(point, d->list[i].bucket_begin) > INT32_MAX) {
            return false;
        }
    }
    return true;
}

/* --- the stores ------------------------------------------------------------------------------- */

static struct store *store_of(struct partition *p, uint32_t unit) {
    struct field_rows *f = &p->fields[unit / 2];
    return unit % 2 == 0 ? &f->rows : &f->sightings;
}

static void marks_fini(struct marks *m) {
    mem_free(&m->now);
    mem_free(&m->before);
    mem_free(&m->gone);
    *m = (struct marks){0};
}

/* Keeps the count of bytes up to date. */
static void changes_count(struct partition *p) {
    p->changes.bytes = 0;
    for (uint32_t unit = 0; unit < 2 * p->field_count; unit++) {
        const struct marks *m = &store_of(p, unit)->marks;
        p->changes.bytes += 2 * (uint64_t)m->words * sizeof *m->now + m->gone_cap * sizeof *m->gone;
    }
}

/* Forgets everything: no delta can be made until after the next cut. */
static void changes_lose(struct partition *p) {
    for (uint32_t unit = 0; unit < 2 * p->field_count; unit++) {
        marks_fini(&store_of(p, unit)->marks);
    }
    cut_point_fini(&p->changes.base);
    cut_point_fini(&p->changes.cut);
    p->changes.bytes = 0;
}

/* Makes room for the marks of so many slots. */
static enum status marks_reserve(struct marks *m, uint32_t slots) {
    const uint32_t blocks = (uint32_t)(((uint64_t)slots + (1u << m->shift) - 1) >> m->shift);
    const uint32_t words = (blocks + 63) / 64;
    if (words <= m->words) {
        return OK;
    }
    const uint32_t more = words < 2 * m->words ? 2 * m->words : words;
    TRY(mem_grow(&m->now, m->words, more));
    TRY(mem_grow(&m->before, m->words, more));
    m->words = more;
    return OK;
}

static enum status marks_start(struct store *s) {
    if (s->table == NULL || s->marks.now != NULL) {
        return OK;
    }
    s->marks.shift = changes_block_shift(table_row_bytes(s->table));
    return marks_reserve(&s->marks, table_slots(s->table) + 1);
}

static enum status changes_start(struct partition *p) {
    for (uint32_t unit = 0; unit < 2 * p->field_count; unit++) {
        TRY(marks_start(store_of(p, unit)));
    }
    changes_count(p);
    return OK;
}

void changes_room(struct partition *p, struct store *s, uint32_t handle) {
    const uint32_t words = s->marks.words;
    if (words == 0 || handle >> s->marks.shift < 64 * words) {
        return;
    }
    if (marks_reserve(&s->marks, handle + 1) != OK) {
        changes_lose(p);
    }
    changes_count(p);
}

void changes_gone(struct partition *p, struct store *s, uint64_t id) {
    struct marks *m = &s->marks;
    const uint64_t share = table_rows(s->table) / GONE_PART;
    if (m->now == NULL) {
        return;
    }
    const size_t before = m->gone_cap;
    if (m->gone_count >= (share > GONE_MIN ? share : GONE_MIN) ||
        mem_room(&m->gone, &m->gone_cap, m->gone_count + 1) != OK) {
        changes_lose(p);
        return;
    }
    p->changes.bytes += (m->gone_cap - before) * sizeof *m->gone;
    m->gone[m->gone_count++] = id;
}

uint64_t changes_word(const struct store *s, uint32_t word) {
    const struct marks *m = &s->marks;
    return word < m->words ? m->now[word] | m->before[word] : 0;
}

/* --- cuts ------------------------------------------------------------------------------------- */

void changes_restored(struct partition *p, uint64_t cut) {
    if (p->spec.config->full_every > 1 && !p->spec.read_only &&
        (changes_start(p) != OK || cut_point_set(&p->changes.base, cut, &p->domains) != OK)) {
        changes_lose(p);
    }
}

/* The newest cut was committed: what was marked before it is saved. */
static void marks_saved(struct marks *m) {
    if (m->now == NULL) {
        return;
    }
    memset(m->before, 0, m->words * sizeof *m->before);
    m->gone_count -= m->gone_at_cut;
    if (m->gone_count > 0) {
        memmove(m->gone, m->gone + m->gone_at_cut, m->gone_count * sizeof *m->gone);
    }
    m->gone_at_cut = 0;
}

const struct cut_point *changes_base(struct partition *p, uint64_t committed) {
    struct changes *c = &p->changes;
    if (committed != 0 && committed == c->cut.cut) {
        cut_point_fini(&c->base);
        c->base = c->cut;
        c->cut = (struct cut_point){0};
        for (uint32_t unit = 0; unit < 2 * p->field_count; unit++) {
            marks_saved(&store_of(p, unit)->marks);
        }
    }
    return committed != 0 && committed == c->base.cut && within_reach(&c->base, &p->domains)
               ? &c->base
               : NULL;
}

static void marks_cut(struct marks *m) {
    for (uint32_t i = 0; i < m->words; i++) {
        m->before[i] |= m->now[i];
        m->now[i] = 0;
    }
    m->gone_at_cut = m->gone_count;
}

void changes_cut(struct partition *p, uint64_t cut) {
    if (p->spec.config->full_every <= 1 || cut == 0) {
        return;
    }
    for (uint32_t unit = 0; unit < 2 * p->field_count; unit++) {
        marks_cut(&store_of(p, unit)->marks);
    }
    if (changes_start(p) != OK || cut_point_set(&p->changes.cut, cut, &p->domains) != OK) {
        changes_lose(p);
    }
}
