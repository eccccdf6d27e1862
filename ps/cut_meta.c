#include "cut_meta.h"

#include <stdio.h>
#include "common/base/mem.h"
#include "common/checkpoint/part_meta.h"

static void describe_tables(const struct partition *p, struct part_meta *m) {
    for (uint32_t i = 0; i < p->field_count; i++) {
        const struct field_rows *f = &p->fields[i];
        struct part_table *t = &m->tables[i];
        snprintf(t->name, sizeof t->name, "%s", p->spec.schema->fields[i].name);
        t->dim = f->config.dim;
        t->evict_age = f->config.evict_age;
        t->optimizer = f->config.opt.kind;
        t->state_floats = optimizer_state_floats(f->config.opt.kind, f->config.dim);
        t->row_bytes = table_row_bytes(f->rows.table);
        t->weights = table_layout(f->rows.table)->weights;
        t->state = table_layout(f->rows.table)->state;
    }
    m->table_count = p->field_count;
}

static enum status describe_domains(const struct partition *p, struct part_meta *m) {
    m->version = domains_version(&p->domains);
    for (uint32_t i = 0; i < p->domains.count; i++) {
        const struct domain *d = &p->domains.list[i];
        m->domains[i].bucket_begin = d->bucket_begin;
        m->domains[i].bucket_end = d->bucket_end;
        m->domains[i].dense_step = d->dense_step;
        m->domains[i].clock = d->clock;
        m->dense_step = d->dense_step > m->dense_step ? d->dense_step : m->dense_step;
        m->domain_count++;
        TRY(applied_encode(d->applied, &m->domains[i].applied));
    }
    return OK;
}

enum status cut_meta(const struct partition *p, uint64_t cut, uint64_t base, bool whole,
                     struct buf *out) {
    enum status status = OK;
    struct part_meta m = {.bucket_begin = p->spec.bucket_begin,
                          .bucket_end = p->spec.bucket_end,
                          .dense_begin = p->dense.begin,
                          .dense_end = p->dense.end,
                          .dense_state = p->dense.state,
                          .dense_optimizer = p->dense.opt.kind,
                          .cut = cut,
                          .base = base,
                          .whole = whole};
    TRY_OUT(mem_array(&m.tables, p->field_count));
    TRY_OUT(mem_array(&m.domains, p->domains.count));
    describe_tables(p, &m);
    TRY_OUT(describe_domains(p, &m));
    TRY_OUT(part_meta_encode(&m, out));
out:
    part_meta_free(&m);
    return status;
}

enum status cut_names(const struct partition *p, struct buf *out) {
    enum status status = OK;
    struct applied *common = NULL;
    TRY_OUT(applied_copy(&common, p->domains.list[0].applied));
    for (uint32_t i = 1; i < p->domains.count; i++) {
        TRY_OUT(applied_intersect(common, p->domains.list[i].applied));
    }
    TRY_OUT(applied_encode(common, out));
out:
    applied_destroy(&common);
    return status;
}
