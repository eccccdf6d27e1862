/* partition_state.c - makes and destroys a partition and gives its figures (see partition.h). Pull,
 * push, admission, eviction, snapshot and restore have their own files beside this one. */
#include "partition_state.h"

#include <assert.h>
#include "common/base/clock.h"
#include "common/base/mem.h"

static enum status create_field(struct partition *p, uint32_t slot) {
    struct field_rows *f = &p->fields[slot];
    const struct field *field = &p->spec.schema->fields[slot];
    const uint64_t seed = p->spec.config->seed;
    f->config = config_table(p->spec.config, field->name);
    f->salt = field->salt;
    if (f->config.dim != p->spec.layout->dim[slot]) {
        return fail(ERR_CONFIG, "field %s: dim %u, but the layout has %u", field->name,
                    f->config.dim, p->spec.layout->dim[slot]);
    }
    if (p->spec.read_only) {
        f->config.opt.kind = OPT_SGD; /* no state */
        f->config.evict_age = 0;
    }
    f->rows = (struct store){.evict_age = f->config.evict_age, .unit = 2 * slot};
    f->sightings = (struct store){.evict_age = f->config.evict_age, .unit = 2 * slot + 1};
    TRY(table_create(&f->rows.table, &f->config, f->salt, seed));
    p->bytes_rows += table_bytes(f->rows.table);
    if (f->config.admit_after > 1 && !p->spec.read_only) {
        const struct table_config counter = {.dim = 0, .opt = {.kind = OPT_SGD}};
        TRY(table_create(&f->sightings.table, &counter, f->salt, seed));
        p->bytes_rows += table_bytes(f->sightings.table);
    }
    return OK;
}

/* Makes the empty set of names for the plan known so far. */
static enum status first_names(const struct partition *p, struct applied **out) {
    enum status status = OK;
    if (!p->spec.grows) {
        return applied_create(out, p->spec.batches_per_shard, p->spec.shards);
    }
    TRY(applied_create_open(out));
    for (uint32_t s = 0; s < p->spec.shards && status == OK; s++) {
        const uint32_t batches = p->spec.batches_per_shard[s];
        status = batches == 0 ? OK : applied_grow(*out, s, batches);
    }
    if (status != OK) {
        applied_destroy(out);
    }
    return status;
}

static enum status create_domain(struct partition *p) {
    struct applied *applied = NULL;
    TRY(first_names(p, &applied));
    const enum status status =
        domains_add(&p->domains, p->spec.bucket_begin, p->spec.bucket_end, &applied, 0);
    applied_destroy(&applied);
    return status;
}

enum status partition_create(struct partition **out, const struct partition_spec *spec) {
    enum status status = OK;
    struct partition *p = NULL;
    assert(spec->bucket_begin < spec->bucket_end && spec->bucket_end <= BUCKETS);
    *out = NULL;
    TRY_OUT(mem_new(&p));
    p->spec = *spec;
    p->field_count = spec->schema->count;
    TRY_OUT(mem_array(&p->fields, p->field_count));
    for (uint32_t slot = 0; slot < p->field_count; slot++) {
        TRY_OUT(create_field(p, slot));
    }
    TRY_OUT(dense_init(&p->dense, spec->config, spec->layout, spec->bucket_begin, spec->bucket_end,
                       spec->read_only));
    TRY_OUT(create_domain(p));
    TRY_OUT(mem_array(&p->fences, spec->shards));
    TRY_OUT(tickets_init(&p->tickets, spec->config->ticket_bytes, spec->config->ticket_ms,
                         clock_mono_us() ^ spec->bucket_begin));
    p->bytes_fixed = sizeof *p + p->field_count * sizeof *p->fields + dense_bytes(&p->dense) +
                     spec->shards * sizeof *p->fences + TICKETS_MAX * sizeof *p->tickets.ring;
    *out = p;
    p = NULL;
out:
    partition_destroy(&p);
    return status;
}

static void store_fini(struct store *s) {
    table_destroy(&s->table);
    mem_free(&s->marks.now);
    mem_free(&s->marks.before);
    mem_free(&s->marks.gone);
}

void partition_destroy(struct partition **inout) {
    struct partition *p = *inout;
    if (p == NULL) {
        return;
    }
    if (p->hooks != NULL) {
        p->hooks->abandon(p);
    }
    log_limit_end(&p->dropped);
    for (uint32_t slot = 0; p->fields != NULL && slot < p->field_count; slot++) {
        store_fini(&p->fields[slot].rows);
        store_fini(&p->fields[slot].sightings);
    }
    mem_free(&p->fields);
    mem_free(&p->changes.base.clocks);
    mem_free(&p->changes.cut.clocks);
    dense_fini(&p->dense);
    domains_fini(&p->domains);
    tickets_fini(&p->tickets);
    mem_free(&p->fences);
    mem_free(&p->choices.list);
    mem_free(inout);
}

static enum status grow_fences(struct partition *p, uint32_t shards) {
    if (shards > p->spec.shards) {
        TRY(mem_grow(&p->fences, p->spec.shards, shards));
        p->bytes_fixed += (shards - p->spec.shards) * sizeof *p->fences;
        p->spec.shards = shards;
    }
    return OK;
}

enum status partition_grow(struct partition *p, uint32_t shard, uint32_t batches) {
    for (uint32_t i = 0; i < p->domains.count; i++) {
        TRY(applied_grow(p->domains.list[i].applied, shard, batches));
    }
    return grow_fences(p, shard + 1);
}

enum status partition_check_keys(const struct partition *p, const struct key_list *keys) {
    const uint32_t begin = p->spec.bucket_begin, end = p->spec.bucket_end;
    const uint64_t *ids = keys->ids;
    size_t left = keys->total;
    for (uint32_t slot = 0; slot < p->field_count; slot++) {
        const struct field_rows *f = &p->fields[slot];
        const size_t n = keys->counts[slot];
        if (n > left) {
            return fail(ERR_PROTOCOL, "key counts exceed the %zu keys sent", keys->total);
        }
        uint32_t strangers = 0;
        for (size_t i = 0; i < n; i++) {
            strangers |= key_bucket(f, ids[i]) - begin >= end - begin;
        }
        if (strangers != 0) {
            return fail(ERR_PROTOCOL,
                        "a key of field %s belongs to another partition than "
                        "buckets [%u, %u)",
                        p->spec.schema->fields[slot].name, begin, end);
        }
        ids += n;
        left -= n;
    }
    if (left != 0) {
        return fail(ERR_PROTOCOL, "%zu keys sent are in no field", left);
    }
    return OK;
}

uint64_t partition_bytes(const struct partition *p) {
    return p->bytes_rows + p->bytes_fixed + p->tickets.bytes + p->changes.bytes +
           (p->hooks == NULL ? 0 : p->hooks->bytes(p));
}

void partition_stats(const struct partition *p, struct partition_stats *s) {
    *s = p->counts;
    for (uint32_t slot = 0; slot < p->field_count; slot++) {
        s->rows[slot] = table_rows(p->fields[slot].rows.table);
        s->row_bytes[slot] = table_row_bytes(p->fields[slot].rows.table);
        s->rows_total += s->rows[slot];
    }
    s->table_bytes = p->bytes_rows;
    s->bytes_total = partition_bytes(p);
    s->tickets_open = p->tickets.open;
    s->tickets_expired = p->tickets.expired;
    s->version = domains_version(&p->domains);
}

/* --- for a push log --------------------------------------------------------------------------- */

void partition_listen(struct partition *p, void (*told)(void *self, const struct push_note *note),
                      void *self) {
    p->told = told;
    p->listener = self;
}

uint32_t partition_shards(const struct partition *p) {
    return p->spec.shards;
}

uint32_t partition_fields(const struct partition *p) {
    return p->field_count;
}

uint64_t partition_fence(const struct partition *p, uint32_t shard) {
    return p->fences[shard];
}

enum status partition_fence_again(struct partition *p, uint32_t shard, uint64_t fence) {
    if (shard >= (p->spec.grows ? APPLIED_SHARDS_MAX : p->spec.shards)) {
        return fail(ERR_CORRUPT, "a lease of shard %u; the plan has %u", shard, p->spec.shards);
    }
    TRY(grow_fences(p, shard + 1));
    p->fences[shard] = fence > p->fences[shard] ? fence : p->fences[shard];
    return OK;
}

static enum status push_again(struct partition *p, const struct push_note *note,
                              const float *gradients, size_t floats) {
    const struct key_list keys = {.counts = note->counts, .ids = note->ids, .total = note->total};
    struct push_result result;
    TRY(partition_push(p, note->name, note->fence, 0, &keys, gradients, floats, &result));
    if (p->choices.failed) {
        return fail(ERR_MEMORY, "out of memory: a row of a push that is applied again");
    }
    if (result.duplicate || p->choices.next != p->choices.count ||
        result.version != note->version) {
        return fail(
            ERR_CORRUPT,
            "batch (epoch %u, shard %u, batch %u) does not follow on the rows: %llu batches "
            "instead of %llu",
            note->name.epoch, note->name.shard, note->name.batch,
            (unsigned long long)result.version, (unsigned long long)note->version);
    }
    return OK;
}

enum status partition_push_again(struct partition *p, const struct push_note *note,
                                 const float *gradients, size_t floats) {
    const struct choices own = p->choices;
    p->choices = (struct choices){.list = (struct push_choice *)(uintptr_t)note->choices,
                                  .count = note->choice_count,
                                  .again = true};
    const enum status status = push_again(p, note, gradients, floats);
    p->choices = own;
    return status;
}
