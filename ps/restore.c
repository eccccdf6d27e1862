/* restore.c - fills a partition from a checkpoint of any number of parts (see restore.h).
 *
 * Each overlapping part is read once as a stream; a row is kept if its bucket belongs to this
 * partition, with its cells converted if they were of other kinds. Rows come in file order and take
 * the first slots, so a checkpoint without holes is restored to the slots it was cut from. The
 * domains of the parts, clipped to the buckets of this partition, become its domains; neighbours
 * with equal names merge. */
#include "restore.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "common/checkpoint/part.h"
#include "common/fault/fault.h"
#include "partition_state.h"

struct restore {
    struct partition *p;
    struct part_reader reader;
    int slot[FIELDS_MAX]; /* slot of each table of the part in the schema; -1: none */
    struct domains domains;
    uint64_t dense_seen;
    uint64_t dense_step;
};

static bool overlaps(const struct partition *p, const struct manifest_part *part) {
    return part->bucket_begin < p->spec.bucket_end && part->bucket_end > p->spec.bucket_begin;
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

static enum status restore_check_meta(struct restore *r) {
    const struct partition *p = r->p;
    const struct part_meta *m = &r->reader.meta;
    for (uint32_t i = 0; i < m->table_count; i++) {
        r->slot[i] = schema_find(p->spec.schema, m->tables[i].name);
        if (r->slot[i] >= 0) {
            TRY(restore_check_table(p, &m->tables[i], r->slot[i]));
        }
    }
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

static enum status load_row(struct restore *r, const struct field_rows *f, struct store *s,
                            const uint8_t *record, const struct row_layout *from) {
    struct partition *p = r->p;
    const struct part_meta *m = &r->reader.meta;
    const uint64_t id = load_u64(record);
    const uint32_t bucket = key_bucket(f, id);
    uint32_t handle = HANDLE_NONE;
    if (bucket < m->bucket_begin || bucket >= m->bucket_end || load_u32(record + 8) == 0) {
        return fail(ERR_CORRUPT, "%s: feature %llu is of another part, or was never updated",
                    r->reader.container.file.path, (unsigned long long)id);
    }
    if (bucket < p->spec.bucket_begin || bucket >= p->spec.bucket_end) {
        return OK;
    }
    table_find(s->table, &id, 1, &handle);
    if (handle != HANDLE_NONE) {
        return fail(ERR_CORRUPT, "%s: feature %llu comes twice", r->reader.container.file.path,
                    (unsigned long long)id);
    }
    const uint64_t limit = p->spec.memory_bytes, grows = table_grow_bytes(s->table);
    if (limit != 0 && grows != 0 && partition_bytes(p) + grows > limit) {
        return fail(ERR_LIMIT,
                    "the rows of the checkpoint do not fit into %llu bytes of memory a "
                    "partition: raise server.memory or add servers",
                    (unsigned long long)limit);
    }
    const uint64_t before = table_bytes(s->table);
    TRY(table_load(s->table, from, record, &handle));
    if (p->spec.parameters_only) {
        table_row(s->table, handle)->last = 0;
    }
    p->bytes_rows += table_bytes(s->table) - before;
    return OK;
}

static enum status load_rows(struct restore *r, const struct part_chunk *c) {
    const int slot = r->slot[c->table];
    if (slot < 0) {
        return OK;
    }
    struct field_rows *f = &r->p->fields[slot];
    struct store *s = c->kind == PART_ROWS ? &f->rows : &f->sightings;
    if (s->table == NULL) {
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
    return abandon != NULL && atomic_load(abandon) ? fail(ERR_CLOSED, "the restore was given up")
                                                   : OK;
}

static enum status load_part(struct restore *r) {
    const struct part_meta *m = &r->reader.meta;
    struct part_chunk chunk;
    enum status status;
    TRY(restore_check_meta(r));
    for (uint32_t i = 0; i < m->domain_count; i++) {
        TRY(load_domain(r, &m->domains[i]));
    }
    while ((status = part_next(&r->reader, &chunk)) == OK) {
        FAULT("ps.restore.chunk");
        TRY(restore_go_on(r->p));
        if (chunk.kind == PART_DENSE) {
            load_dense(r, &chunk);
        } else {
            TRY(load_rows(r, &chunk));
        }
    }
    return status == ERR_NOT_FOUND ? OK : status;
}

enum status partition_restore(struct partition *p, const char *dir, const struct manifest *m) {
    enum status status = OK;
    struct restore r = {.p = p};
    assert(p->hooks == NULL && domains_version(&p->domains) == 0);
    for (uint32_t i = 0; i < m->part_count; i++) {
        if (!overlaps(p, &m->parts[i])) {
            continue;
        }
        TRY_OUT(part_open(&r.reader, dir, &m->parts[i], m->cut));
        FAULT("ps.restore.part");
        status = load_part(&r);
        part_close(&r.reader);
        TRY_OUT(status);
    }
    if (r.dense_seen != dense_floats(&p->dense)) {
        TRY_OUT(fail(ERR_CORRUPT, "%s: %llu dense parameters of %zu were found", dir,
                     (unsigned long long)r.dense_seen, dense_floats(&p->dense)));
    }
    FAULT("ps.restore.names");
    TRY_OUT(adopt_domains(&r));
out:
    domains_fini(&r.domains);
    return status;
}
