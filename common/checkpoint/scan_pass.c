/* scan_pass.c - passes over a checkpoint (see scan.h), link by link, from the newest to the oldest.
 *
 * For each table there is a set of the ids that newer links have a row of, or say are gone, and one
 * of those that they have sightings of. A part of a delta says what is gone before its rows, but
 * that is meant of older links: such ids join the sets at the end of the part. No two parts of a
 * link have a bucket in common, so a part never judges its own records. */
#include "scan.h"

#include <string.h>
#include "common/base/mem.h"
#include "id_set.h"

struct pass {
    const struct scan *scan;
    const struct scan_filter *filter;
    enum status (*visit)(void *arg, const struct part_chunk *chunk);
    void *arg;
    uint32_t link; /* 0: the newest */
    bool oldest;
    struct id_set rows[FIELDS_MAX], sightings[FIELDS_MAX];
    struct buf gone[2 * FIELDS_MAX]; /* of the part at hand */
    uint32_t evict_age[FIELDS_MAX];
    uint64_t clock[BUCKETS]; /* of the newest link */
    bool closed[BUCKETS];    /* older links have nothing more to say */
};

/* --- what is read ----------------------------------------------------------------------------- */

#define SCAN_RECORDS (SCAN_ROWS | SCAN_SIGHTINGS)
#define SCAN_EVERY   (SCAN_RECORDS | SCAN_DENSE)

/* Whether the caller gets a block. */
static bool visited(const struct pass *p, uint32_t kind, uint64_t slot) {
    const struct scan_filter *f = p->filter;
    const bool table = f->slot < 0 || kind == PART_DENSE || slot == (uint64_t)f->slot;
    const bool chunk = kind == PART_ROWS || kind == PART_SIGHTINGS || kind == PART_DENSE;
    return chunk && (f->kinds & (1u << kind)) != 0 && table && (kind != PART_DENSE || p->link == 0);
}

/* Whether a block is needed: the rows of a newer link also decide on older sightings. */
static bool needed(const struct pass *p, const struct container_block *b) {
    const struct scan_filter *f = p->filter;
    if (visited(p, b->type, b->tag)) {
        return true;
    }
    if (p->oldest || (f->kinds & SCAN_RECORDS) == 0) {
        return false;
    }
    const uint64_t slot = b->type == PART_GONE ? b->tag / 2 : b->tag;
    return (b->type == PART_GONE || b->type == PART_ROWS) &&
           (f->slot < 0 || slot == (uint64_t)f->slot);
}

/* Skips the blocks that are not needed. *end is true if no needed block is left. part_next
 * checks the totals, which fit only if nothing was skipped; so a filtered pass ends before them. */
static void skip_blocks(const struct pass *p, struct part_reader *r, bool *end) {
    const struct container_reader *c = &r->container;
    *end = false;
    if (p->filter->kinds == SCAN_EVERY && p->filter->slot < 0) {
        return;
    }
    while (r->next < c->block_count && !needed(p, &c->blocks[r->next])) {
        r->next++;
    }
    *end = r->next == c->block_count;
}

/* --- what counts ------------------------------------------------------------------------------ */

/* Whether the record still counts. Its id joins the set of its kind. */
static enum status judge(struct pass *p, const struct part_chunk *c, const struct scan_row *row,
                         bool *counts) {
    const uint32_t bucket = scan_bucket(p->scan, c->table, row->id);
    const bool sightings = c->kind == PART_SIGHTINGS;
    struct id_set *set = sightings ? &p->sightings[c->table] : &p->rows[c->table];
    *counts = false;
    if (bucket < p->filter->bucket_begin || bucket >= p->filter->bucket_end || p->closed[bucket] ||
        (p->link > 0 && chain_expired(p->evict_age[c->table], p->clock[bucket], row->last)) ||
        (sightings && id_set_has(&p->rows[c->table], row->id))) {
        return OK;
    }
    if (p->oldest) {
        *counts = !id_set_has(set, row->id);
        return OK;
    }
    return id_set_add(set, row->id, counts);
}

/* Leaves the records in the chunk that count. */
static enum status sift(struct pass *p, struct part_chunk *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct scan_row row = scan_row(c, i);
        bool counts = false;
        TRY(judge(p, c, &row, &counts));
        if (counts && kept != i) {
            memcpy(c->data + kept * c->row_bytes, c->data + i * c->row_bytes, c->row_bytes);
        }
        kept += counts;
    }
    c->count = kept;
    return OK;
}

static enum status take_chunk(struct pass *p, struct part_chunk *c) {
    if (c->kind == PART_GONE) {
        return buf_put(&p->gone[2 * c->table + c->sightings], c->data, c->count * c->row_bytes);
    }
    if (c->kind != PART_DENSE && p->scan->chain.count > 0) {
        TRY(sift(p, c));
    }
    return c->count > 0 && visited(p, c->kind, c->table) ? p->visit(p->arg, c) : OK;
}

/* What is gone is gone from older links: a row with its sightings, or sightings alone. */
static enum status bury(struct pass *p) {
    for (uint32_t i = 0; i < 2 * p->scan->tables; i++) {
        struct id_set *set = i % 2 == 0 ? &p->rows[i / 2] : &p->sightings[i / 2];
        for (size_t at = 0; at < p->gone[i].len; at += sizeof(uint64_t)) {
            bool fresh;
            TRY(id_set_add(set, load_u64(p->gone[i].data + at), &fresh));
        }
        buf_clear(&p->gone[i]);
    }
    return OK;
}

/* --- parts ------------------------------------------------------------------------------------ */

static void take_clocks(struct pass *p, const struct part_meta *meta) {
    for (uint32_t t = 0; t < meta->table_count; t++) {
        p->evict_age[t] = meta->tables[t].evict_age;
    }
    for (uint32_t i = 0; i < meta->domain_count; i++) {
        const struct part_domain *d = &meta->domains[i];
        for (uint32_t b = d->bucket_begin; b < d->bucket_end; b++) {
            p->clock[b] = d->clock;
        }
    }
}

static enum status pass_part(struct pass *p, const char *dir, const struct manifest *m,
                             const struct manifest_part *part) {
    struct part_reader reader = {0};
    enum status status = OK;
    TRY_OUT(part_open(&reader, dir, part, m->cut));
    TRY_OUT(part_check_base(&reader, m));
    TRY_OUT(scan_check_meta(p->scan, &reader.meta, dir, part->name));
    if (p->link == 0) {
        take_clocks(p, &reader.meta);
    }
    for (;;) {
        struct part_chunk chunk = {0};
        bool end = false;
        skip_blocks(p, &reader, &end);
        status = end ? ERR_NOT_FOUND : part_next(&reader, &chunk);
        if (status == ERR_NOT_FOUND) {
            status = OK;
            break;
        }
        TRY_OUT(status);
        TRY_OUT(take_chunk(p, &chunk));
    }
    TRY_OUT(bury(p));
    for (uint32_t b = part->bucket_begin; part->whole && b < part->bucket_end; b++) {
        p->closed[b] = true;
    }
out:
    part_close(&reader);
    return status;
}

static bool concerns(const struct pass *p, const struct manifest_part *part) {
    const struct scan_filter *f = p->filter;
    bool open = false;
    for (uint32_t b = part->bucket_begin; b < part->bucket_end && !open; b++) {
        open = !p->closed[b];
    }
    return open && part->bucket_begin < f->bucket_end && f->bucket_begin < part->bucket_end;
}

static enum status pass_link(struct pass *p, const char *dir, const struct manifest *m) {
    for (uint32_t i = 0; i < m->part_count; i++) {
        if (concerns(p, &m->parts[i])) {
            TRY(pass_part(p, dir, m, &m->parts[i]));
        }
    }
    return OK;
}

static enum status pass_links(struct pass *p) {
    const struct chain *chain = &p->scan->chain;
    p->oldest = chain->count == 0;
    TRY(pass_link(p, p->scan->dir, &p->scan->manifest));
    while (!p->oldest && (p->filter->kinds & SCAN_RECORDS) != 0) {
        const struct chain_link *link = &chain->base[p->link++];
        p->oldest = p->link == chain->count;
        TRY(pass_link(p, link->dir, &link->manifest));
    }
    return OK;
}

enum status scan_each(const struct scan *s, const struct scan_filter *filter,
                      enum status (*visit)(void *arg, const struct part_chunk *chunk), void *arg) {
    struct pass *p = NULL;
    TRY(mem_new(&p));
    p->scan = s;
    p->filter = filter;
    p->visit = visit;
    p->arg = arg;
    const enum status status = pass_links(p);
    for (uint32_t i = 0; i < FIELDS_MAX; i++) {
        id_set_fini(&p->rows[i]);
        id_set_fini(&p->sightings[i]);
        buf_fini(&p->gone[2 * i]);
        buf_fini(&p->gone[2 * i + 1]);
    }
    mem_free(&p);
    return status;
}

/* --- from the indexes alone ------------------------------------------------------------------- */

static enum status bound_part(const struct pass *p, const char *dir, const struct manifest *m,
                              const struct manifest_part *part, uint64_t *rows) {
    struct part_reader reader = {0};
    TRY(part_open(&reader, dir, part, m->cut));
    for (size_t i = 0; i < reader.container.block_count; i++) {
        const struct container_block *b = &reader.container.blocks[i];
        if (b->type != PART_DENSE && visited(p, b->type, b->tag)) {
            const bool counter = b->type == PART_SIGHTINGS || b->tag >= p->scan->tables;
            *rows +=
                b->raw_bytes / (counter ? PART_RECORD_HEADER : p->scan->table[b->tag].row_bytes);
        }
    }
    part_close(&reader);
    return OK;
}

enum status scan_rows_bound(const struct scan *s, const struct scan_filter *filter,
                            uint64_t *rows) {
    struct pass *p = NULL;
    enum status status = OK;
    *rows = 0;
    TRY(mem_new(&p));
    p->scan = s;
    p->filter = filter;
    for (uint32_t link = 0; status == OK && link <= s->chain.count; link++) {
        const char *dir = link == 0 ? s->dir : s->chain.base[link - 1].dir;
        const struct manifest *m = link == 0 ? &s->manifest : &s->chain.base[link - 1].manifest;
        for (uint32_t i = 0; status == OK && i < m->part_count; i++) {
            status = bound_part(p, dir, m, &m->parts[i], rows);
        }
    }
    mem_free(&p);
    return status;
}
