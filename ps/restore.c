/* restore.c - fills a partition from a checkpoint of any number of parts (see restore.h).
 *
 * Each overlapping part is read once as a stream; a row is kept if its bucket belongs to this
 * partition, with its cells converted if they were of other kinds. Rows come in file order and take
 * the first slots, so a checkpoint without holes is restored to the slots it was cut from. The
 * domains of the parts, clipped to the buckets of this partition, become its domains; neighbours
 * with equal names merge.
 *
 * The links of a chain (common/checkpoint/chain.h) are loaded from the full one to the newest, so
 * that rows come to the slots that they had. After each link the tables hold what a full checkpoint
 * in its place would have: so they need no more memory than the job did. */
#include "restore.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "changes.h"
#include "common/base/mem.h"
#include "common/checkpoint/chain.h"
#include "common/fault/fault.h"
#include "partition_state.h"

struct restore {
    struct partition *p;
    struct chain chain;
    uint32_t link;           /* at hand; 0: the newest */
    uint8_t first[BUCKETS];  /* the oldest link that counts for a bucket: chain.count or less */
    uint64_t clock[BUCKETS]; /* of the link at hand, if it is a delta; so is: */
    uint32_t evict_age[FIELDS_MAX]; /* by slot of the schema */
    bool swept;                     /* the link at hand leaves no row that is past its age */
    bool exact; /* the partition holds just what the checkpoint does, kept in the same way */
    struct part_reader reader;
    int slot[FIELDS_MAX]; /* slot of each table of the part in the schema; -1: none */
    struct domains domains;
    uint64_t dense_seen;
    uint64_t dense_step;
};

static const char *link_dir(const struct restore *r, const char *dir) {
    return r->link == 0 ? dir : r->chain.base[r->link - 1].dir;
}

static const struct manifest *link_manifest(const struct restore *r, const struct manifest *m) {
    return r->link == 0 ? m : &r->chain.base[r->link - 1].manifest;
}

/* --- does it fit ------------------------------------------------------------------------------ */

static enum status restore_check_table(const struct partition *p, const struct part_table *t,
                                       int slot) {
    const struct table_config *c = &p->fields[slot].config;
    const bool same_rule = p->spec.read_only || t->optimizer == c->opt.kind;
    if (t->dim != c->dim || !same_rule) {
        return fail(ERR_CONFIG,
                    "field %s: the checkpoint has dim %u and optimizer %s, the "
                    "configuration dim %u and %s",
                    t->name, t->dim, optimizer_name(t->optimizer), c->dim,
                    optimizer_name(c->opt.kind));
    }
    return OK;
}

/* Whether rows are kept as in the part, and for as long. (A full part does not say how long: it may
 * be the base of a delta whatever the age was, because all its rows are there.) */
static bool same_table(const struct restore *r, const struct part_table *t, int slot) {
    const struct field_rows *f = slot < 0 ? NULL : &r->p->fields[slot];
    const struct row_layout kept = part_row_layout(t);
    return f != NULL && row_layout_equal(&kept, table_layout(f->rows.table)) &&
           (r->reader.meta.base == 0 || t->evict_age == f->config.evict_age);
}

static enum status restore_check_meta(struct restore *r) {
    const struct partition *p = r->p;
    const struct part_meta *m = &r->reader.meta;
    for (uint32_t i = 0; i < m->table_count; i++) {
        r->slot[i] = schema_find(p->spec.schema, m->tables[i].name);
        if (r->slot[i] >= 0) {
            TRY(restore_check_table(p, &m->tables[i], r->slot[i]));
            r->evict_age[r->slot[i]] = m->tables[i].evict_age;
        }
        r->exact = r->exact && same_table(r, &m->tables[i], r->slot[i]);
    }
    r->exact = r->exact && m->table_count == p->field_count;
    if (m->dense_begin != layout_slice(p->spec.layout, m->bucket_begin) ||
        m->dense_end != layout_slice(p->spec.layout, m->bucket_end)) {
        return fail(ERR_CONFIG,
                    "%s: dense parameters [%llu, %llu), the model of the "
                    "configuration has [%llu, %llu) there: towers, experts, levels or input differ",
                    r->reader.container.file.path, (unsigned long long)m->dense_begin,
                    (unsigned long long)m->dense_end,
                    (unsigned long long)layout_slice(p->spec.layout, m->bucket_begin),
                    (unsigned long long)layout_slice(p->spec.layout, m->bucket_end));
    }
    if (!p->spec.read_only && m->dense_optimizer != p->dense.opt.kind) {
        return fail(ERR_CONFIG, "dense optimizer: %s in the checkpoint, %s in the configuration",
                    optimizer_name(m->dense_optimizer), optimizer_name(p->dense.opt.kind));
    }
    return OK;
}

/* --- rows ------------------------------------------------------------------------------------- */

/* Frees the rows of a table that are past their age by the clocks of the link at hand. */
static void sweep_table(struct restore *r, const struct field_rows *f, struct table *t,
                        uint32_t evict_age) {
    for (uint32_t handle = 0; t != NULL && evict_age != 0 && handle < table_slots(t); handle++) {
        const struct row *row = table_row(t, handle);
        if (row->step != 0 &&
            chain_expired(evict_age, r->clock[key_bucket(f, row->id)], row->last)) {
            table_remove(t, handle);
        }
    }
}

static void sweep(struct restore *r) {
    for (uint32_t slot = 0; slot < r->p->field_count; slot++) {
        const struct field_rows *f = &r->p->fields[slot];
        sweep_table(r, f, f->rows.table, r->evict_age[slot]);
        sweep_table(r, f, f->sightings.table, r->evict_age[slot]);
    }
    r->swept = true;
}

/* A row more must not exceed the limit. Rows that a delta leaves behind may make room. */
static enum status check_limit(struct restore *r, const struct table *t) {
    struct partition *p = r->p;
    const uint64_t limit = p->spec.memory_bytes;
    if (limit == 0 || table_grow_bytes(t) == 0 ||
        partition_bytes(p) + table_grow_bytes(t) <= limit) {
        return OK;
    }
    if (r->reader.meta.base != 0 && !r->swept) {
        sweep(r);
        return check_limit(r, t);
    }
    return fail(ERR_LIMIT,
                "the rows of the checkpoint do not fit into %llu bytes of memory a "
                "partition: raise server.memory or add servers",
                (unsigned long long)limit);
}

static void remove_id(struct table *t, uint64_t id) {
    uint32_t handle = HANDLE_NONE;
    if (t != NULL) {
        table_find(t, &id, 1, &handle);
    }
    if (handle != HANDLE_NONE) {
        table_remove(t, handle);
    }
}

/* Whether this partition takes what the link at hand says of a bucket. */
static bool takes_bucket(const struct restore *r, uint32_t bucket) {
    return bucket >= r->p->spec.bucket_begin && bucket < r->p->spec.bucket_end &&
           r->link <= r->first[bucket];
}

static enum status add_row(struct restore *r, struct store *s, const uint8_t *record,
                           const struct row_layout *from) {
    uint32_t handle = HANDLE_NONE;
    TRY(check_limit(r, s->table));
    const uint64_t before = table_bytes(s->table);
    TRY(table_load(s->table, from, record, &handle));
    r->p->bytes_rows += table_bytes(s->table) - before;
    return OK;
}

static enum status load_row(struct restore *r, struct field_rows *f, struct store *s,
                            const uint8_t *record, const struct row_layout *from) {
    const struct part_meta *m = &r->reader.meta;
    const uint64_t id = load_u64(record);
    const uint32_t bucket = key_bucket(f, id);
    uint32_t handle = HANDLE_NONE;
    if (bucket < m->bucket_begin || bucket >= m->bucket_end || load_u32(record + 8) == 0) {
        return fail(ERR_CORRUPT, "%s: feature %llu is of another part, or was never updated",
                    r->reader.container.file.path, (unsigned long long)id);
    }
    if (!takes_bucket(r, bucket)) {
        return OK;
    }
    if (s == &f->rows && m->base != 0) {
        remove_id(f->sightings.table, id);
    }
    table_find(s->table, &id, 1, &handle);
    if (handle == HANDLE_NONE) {
        return add_row(r, s, record, from);
    }
    if (m->base == 0 || (int32_t)(load_u32(record + 12) - table_row(s->table, handle)->last) <= 0) {
        return fail(ERR_CORRUPT, "%s: feature %llu comes twice", r->reader.container.file.path,
                    (unsigned long long)id);
    }
    table_reload(s->table, from, record, handle);
    return OK;
}

/* Ids that are gone come before the rows of their part. */
static void load_gone(struct restore *r, const struct part_chunk *c) {
    const int slot = r->slot[c->table];
    for (size_t i = 0; slot >= 0 && i < c->count; i++) {
        struct field_rows *f = &r->p->fields[slot];
        const uint64_t id = load_u64(c->data + i * sizeof(uint64_t));
        if (takes_bucket(r, key_bucket(f, id))) {
            remove_id(f->sightings.table, id);
            remove_id(c->sightings ? NULL : f->rows.table, id);
        }
    }
}

static enum status load_rows(struct restore *r, const struct part_chunk *c) {
    const int slot = r->slot[c->table];
    if (slot < 0) {
        return OK;
    }
    struct field_rows *f = &r->p->fields[slot];
    struct store *s = c->kind == PART_ROWS ? &f->rows : &f->sightings;
    if (s->table == NULL) {
        r->exact = false;
        return OK; /* this partition admits rows at once */
    }
    const struct row_layout from = c->kind == PART_ROWS
                                       ? part_row_layout(&r->reader.meta.tables[c->table])
                                       : row_layout(0, OPT_SGD, CELLS_F32, CELLS_F32);
    for (size_t i = 0; i < c->count; i++) {
        TRY(load_row(r, f, s, c->data + i * c->row_bytes, &from));
    }
    return OK;
}

/* --- dense ------------------------------------------------------------------------------------ */

static void load_dense(struct restore *r, const struct part_chunk *c) {
    struct dense *d = &r->p->dense;
    const uint64_t end = c->dense_begin + c->count;
    const uint64_t from = c->dense_begin > d->begin ? c->dense_begin : d->begin;
    const uint64_t to = end < d->end ? end : d->end;
    if (from >= to) {
        return;
    }
    const size_t bytes = (size_t)(to - from) * sizeof(float);
    const uint8_t *at = c->data + (from - c->dense_begin) * sizeof(float);
    for (uint32_t k = 0; k <= d->state; k++) {
        memcpy(dense_vector(d, k) + (from - d->begin), at + k * c->count * sizeof(float), bytes);
    }
    r->dense_seen += to - from;
}

/* --- names ------------------------------------------------------------------------------------ */

static enum status load_domain(struct restore *r, const struct part_domain *from) {
    const struct partition_spec *spec = &r->p->spec;
    const uint32_t begin =
        from->bucket_begin > spec->bucket_begin ? from->bucket_begin : spec->bucket_begin;
    const uint32_t end = from->bucket_end < spec->bucket_end ? from->bucket_end : spec->bucket_end;
    if (begin >= end) {
        return OK;
    }
    r->dense_step = from->dense_step > r->dense_step ? from->dense_step : r->dense_step;
    if (spec->read_only || spec->parameters_only) {
        return OK;
    }
    struct applied *applied = NULL;
    TRY(applied_decode(&applied, from->applied.data, from->applied.len, spec->batches_per_shard,
                       spec->shards));
    const enum status status = domains_add(&r->domains, begin, end, &applied, from->dense_step);
    applied_destroy(&applied);
    return status;
}

/* Parts may be listed in any order, but together they must have every bucket exactly once. */
static int by_bucket(const void *a, const void *b) {
    const struct domain *x = a, *y = b;
    return x->bucket_begin < y->bucket_begin ? -1 : x->bucket_begin > y->bucket_begin;
}

static enum status adopt_domains(struct restore *r) {
    struct partition *p = r->p;
    if (p->spec.read_only || p->spec.parameters_only) {
        p->domains.list[0].dense_step = r->dense_step;
        return OK;
    }
    struct domains *d = &r->domains;
    uint32_t bucket = p->spec.bucket_begin;
    if (d->count > 0) {
        qsort(d->list, d->count, sizeof *d->list, by_bucket);
    }
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->list[i].bucket_begin != bucket) {
            return fail(ERR_CORRUPT, "the parts do not cover bucket %u once", bucket);
        }
        bucket = d->list[i].bucket_end;
    }
    if (bucket != p->spec.bucket_end) {
        return fail(ERR_CORRUPT, "no part has bucket %u", bucket);
    }
    domains_merge(d);
    domains_fini(&p->domains);
    p->domains = *d;
    *d = (struct domains){0};
    return OK;
}

/* --- the whole -------------------------------------------------------------------------------- */

static enum status restore_go_on(const struct partition *p) {
    const atomic_bool *abandon = p->spec.abandon;
    if (p->spec.pause != NULL) {
        p->spec.pause(p->spec.pauser);
    }
    return abandon != NULL && atomic_load(abandon) ? fail(ERR_CLOSED, "the restore was given up")
                                                   : OK;
}

static enum status load_domains(struct restore *r) {
    const struct part_meta *m = &r->reader.meta;
    for (uint32_t i = 0; i < m->domain_count; i++) {
        const struct part_domain *d = &m->domains[i];
        for (uint32_t b = d->bucket_begin; b < d->bucket_end; b++) {
            r->clock[b] = d->clock;
        }
        if (r->link == 0) {
            TRY(load_domain(r, d));
        }
    }
    return OK;
}

static enum status load_part(struct restore *r, const struct manifest *m) {
    struct part_chunk chunk;
    enum status status;
    TRY(part_check_base(&r->reader, m));
    TRY(restore_check_meta(r));
    TRY(load_domains(r));
    while ((status = part_next(&r->reader, &chunk)) == OK) {
        FAULT("ps.restore.chunk");
        TRY(restore_go_on(r->p));
        if (chunk.kind == PART_GONE) {
            load_gone(r, &chunk);
        } else if (chunk.kind != PART_DENSE) {
            TRY(load_rows(r, &chunk));
        } else if (r->link == 0) {
            load_dense(r, &chunk);
        }
    }
    return status == ERR_NOT_FOUND ? OK : status;
}

/* Whether some bucket of the part counts for this partition. */
static bool concerns(const struct restore *r, const struct manifest_part *part) {
    bool some = false;
    for (uint32_t b = part->bucket_begin; b < part->bucket_end && !some; b++) {
        some = takes_bucket(r, b);
    }
    return some;
}

static enum status load_link(struct restore *r, const char *dir, const struct manifest *m) {
    const struct manifest *link = link_manifest(r, m);
    r->swept = false;
    for (uint32_t i = 0; i < link->part_count; i++) {
        if (!concerns(r, &link->parts[i])) {
            continue;
        }
        TRY(part_open(&r->reader, link_dir(r, dir), &link->parts[i], link->cut));
        FAULT("ps.restore.part");
        const enum status status = load_part(r, link);
        part_close(&r->reader);
        TRY(status);
    }
    if (manifest_base(link) != NULL) {
        sweep(r);
    }
    return OK;
}

/* Finds the oldest link that counts for each bucket: the newest one whose part of it is whole. */
static void find_firsts(struct restore *r, const struct manifest *m) {
    memset(r->first, (int)r->chain.count, sizeof r->first);
    for (r->link = r->chain.count; r->link-- > 0;) {
        const struct manifest *link = link_manifest(r, m);
        for (uint32_t i = 0; i < link->part_count; i++) {
            const struct manifest_part *part = &link->parts[i];
            if (part->whole) {
                memset(r->first + part->bucket_begin, (int)r->link,
                       part->bucket_end - part->bucket_begin);
            }
        }
    }
}

static enum status load_links(struct restore *r, const char *dir, const struct manifest *m) {
    TRY(chain_open(&r->chain, dir, m));
    find_firsts(r, m);
    for (uint32_t left = r->chain.count + 1; left > 0; left--) {
        r->link = left - 1;
        TRY(load_link(r, dir, m));
    }
    if (r->dense_seen != dense_floats(&r->p->dense)) {
        return fail(ERR_CORRUPT, "%s: %llu dense parameters of %zu were found", dir,
                    (unsigned long long)r->dense_seen, dense_floats(&r->p->dense));
    }
    FAULT("ps.restore.names");
    return adopt_domains(r);
}

/* Training starts at clock 0. */
static void forget_ages(struct partition *p) {
    for (uint32_t unit = 0; unit < 2 * p->field_count; unit++) {
        const struct field_rows *f = &p->fields[unit / 2];
        struct table *t = unit % 2 == 0 ? f->rows.table : f->sightings.table;
        for (uint32_t handle = 0; t != NULL && handle < table_slots(t); handle++) {
            if (table_row(t, handle)->step != 0) {
                table_row(t, handle)->last = 0;
            }
        }
    }
}

enum status partition_restore(struct partition *p, const char *dir, const struct manifest *m) {
    struct restore *r = NULL;
    assert(p->hooks == NULL && domains_version(&p->domains) == 0);
    TRY(mem_new(&r));
    r->p = p;
    r->exact = m->cut != 0 && !p->spec.read_only && !p->spec.parameters_only;
    const enum status status = load_links(r, dir, m);
    if (status == OK && p->spec.parameters_only) {
        forget_ages(p);
    }
    if (status == OK && r->exact) {
        changes_restored(p, m->cut);
    }
    domains_fini(&r->domains);
    chain_close(&r->chain);
    mem_free(&r);
    return status;
}
