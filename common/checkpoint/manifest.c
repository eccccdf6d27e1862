/* manifest.c - encodes and decodes the manifest of a checkpoint (see manifest.h). manifest_dir.c
 * publishes and finds the directories.
 *
 * The message that protobuf-c unpacks is copied into the plain struct member by member, and every
 * value is checked. So a decoded manifest is safe to compute with. */
#include "manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "checkpoint.pb-c.h"
#include "common/base/container.h"
#include "common/field/field_pack.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/data/sampling.h"

#define MANIFEST_FORMAT    2u /* of a delta */
#define MANIFEST_FULL      1u
#define MANIFEST_BYTES_MAX ((size_t)64 << 20)
#define MANIFEST_PARTS_MAX BUCKETS
#define MANIFEST_BLOCK     1u /* type of its block; 2 is a data set's */

/* Copies the members that have the same names in the message and in the struct, in either
 * direction. */
#define MANIFEST_NUMBERS(to, from)                                                                 \
    ((to)->step = (from)->step, (to)->impressions = (from)->impressions,                           \
     (to)->saved_at = (from)->saved_at, (to)->seed = (from)->seed, (to)->cut = (from)->cut,        \
     (to)->rate_ctr = (from)->rate_ctr, (to)->rate_cvr = (from)->rate_cvr,                         \
     (to)->data_checksum = (from)->data_checksum)
#define PART_NUMBERS(to, from)                                                                     \
    ((to)->bucket_begin = (from)->bucket_begin, (to)->bucket_end = (from)->bucket_end,             \
     (to)->bytes = (from)->bytes, (to)->checksum = (from)->checksum, (to)->rows = (from)->rows,    \
     (to)->version = (from)->version, (to)->whole = (from)->whole)
#define BASE_NUMBERS(to, from)                                                                     \
    ((to)->step = (from)->step, (to)->cut = (from)->cut, (to)->depth = (from)->depth,              \
     (to)->full_bytes = (from)->full_bytes, (to)->delta_bytes = (from)->delta_bytes)

/* --- out -------------------------------------------------------------------------------------- */

struct packed {
    Esmm__CheckpointManifest message;
    Esmm__CheckpointField fields[FIELDS_MAX];
    Esmm__CheckpointField *field_list[FIELDS_MAX];
    struct field_packed field_schemas[FIELDS_MAX];
    Esmm__CheckpointPart *parts;
    Esmm__CheckpointPart **part_list;
    Esmm__CheckpointBase base;
};

static void pack_field(Esmm__CheckpointField *out, struct field_packed *schema,
                       const struct manifest *m, uint32_t slot) {
    const struct field *f = &m->schema.fields[slot];
    esmm__checkpoint_field__init(out);
    out->name = (char *)(uintptr_t)f->name; /* only read */
    out->side = field_pack_side(f->side);
    out->schema = field_pack(field_schemas_find(&m->fields, f->name), schema);
    out->values = m->field_values[slot];
}

static void pack_part(Esmm__CheckpointPart *out, const struct manifest_part *p) {
    esmm__checkpoint_part__init(out);
    out->name = (char *)(uintptr_t)p->name; /* only read */
    PART_NUMBERS(out, p);
}

static enum status manifest_pack(struct packed *k, const struct manifest *m) {
    Esmm__CheckpointManifest *out = &k->message;
    TRY(mem_array(&k->parts, m->part_count));
    TRY(mem_array(&k->part_list, m->part_count));
    for (uint32_t i = 0; i < m->schema.count; i++) {
        pack_field(&k->fields[i], &k->field_schemas[i], m, i);
        k->field_list[i] = &k->fields[i];
    }
    for (uint32_t i = 0; i < m->part_count; i++) {
        pack_part(&k->parts[i], &m->parts[i]);
        k->part_list[i] = &k->parts[i];
    }
    esmm__checkpoint_manifest__init(out);
    out->format = m->base.cut == 0 ? MANIFEST_FULL : MANIFEST_FORMAT;
    if (m->base.cut != 0) {
        esmm__checkpoint_base__init(&k->base);
        BASE_NUMBERS(&k->base, &m->base);
        out->since = &k->base;
    }
    MANIFEST_NUMBERS(out, m);
    out->sample_rate = m->sample_rate < 1 ? m->sample_rate : 0;
    out->config_text = m->config_text;
    out->n_fields = m->schema.count;
    out->fields = k->field_list;
    out->n_batches_per_shard = m->shards;
    out->batches_per_shard = m->batches_per_shard;
    out->n_parts = m->part_count;
    out->parts = k->part_list;
    out->applied.len = m->applied_bytes;
    out->applied.data = m->applied; /* only read */
    out->times = (char *)(uintptr_t)m->fields.times;
    return OK;
}

enum status manifest_encode(const struct manifest *m, struct buf *out) {
    enum status status = OK;
    struct packed *k = NULL;
    TRY(mem_new(&k));
    TRY_OUT(manifest_pack(k, m));
    const size_t bytes = esmm__checkpoint_manifest__get_packed_size(&k->message);
    TRY_OUT(buf_reserve(out, bytes));
    out->len += esmm__checkpoint_manifest__pack(&k->message, out->data + out->len);
out:
    mem_free(&k->parts);
    mem_free(&k->part_list);
    mem_free(&k);
    return status;
}

/* --- in --------------------------------------------------------------------------------------- */

static enum status bad_manifest(const char *what) {
    return fail(ERR_CORRUPT, "checkpoint manifest: %s", what);
}

static enum status take_fields(struct manifest *m, const Esmm__CheckpointManifest *in) {
    struct field_line lines[FIELDS_MAX];
    if (in->n_fields == 0 || in->n_fields > FIELDS_MAX) {
        return bad_manifest("no good number of fields");
    }
    for (size_t i = 0; i < in->n_fields; i++) {
        const Esmm__CheckpointField *f = in->fields[i];
        lines[i] = (struct field_line){f->name, f->side, f->schema};
        m->field_values[i] = f->values;
    }
    const enum status status = field_unpack(lines, in->n_fields, in->times, &m->schema, &m->fields);
    return status == ERR_CORRUPT ? bad_manifest(fail_text()) : status;
}

/* A part must be a file in the checkpoint's own directory. */
static bool part_name_good(const char *name) {
    const size_t length = strlen(name);
    return length < sizeof((struct manifest_part){0}.name) && strncmp(name, "part-", 5) == 0 &&
           strchr(name, '/') == NULL;
}

static enum status take_parts(struct manifest *m, const Esmm__CheckpointManifest *in) {
    uint32_t bucket = 0;
    if (in->n_parts == 0 || in->n_parts > MANIFEST_PARTS_MAX) {
        return bad_manifest("no good number of parts");
    }
    TRY(mem_array(&m->parts, in->n_parts));
    for (; m->part_count < in->n_parts; m->part_count++) {
        const Esmm__CheckpointPart *from = in->parts[m->part_count];
        struct manifest_part *p = &m->parts[m->part_count];
        if (!part_name_good(from->name)) {
            return bad_manifest("a part's name is not one");
        }
        if (from->bucket_begin != bucket || from->bucket_end <= bucket) {
            return bad_manifest("parts do not follow on each other");
        }
        bucket = from->bucket_end;
        memcpy(p->name, from->name, strlen(from->name));
        PART_NUMBERS(p, from);
    }
    return bucket == BUCKETS ? OK : bad_manifest("parts do not cover all buckets");
}

/* A full checkpoint has format 1 and no base, a delta format 2 and one. */
static enum status take_base(struct manifest *m, const Esmm__CheckpointManifest *in) {
    const Esmm__CheckpointBase *base = in->since;
    if ((in->format == MANIFEST_FORMAT) != (base != NULL)) {
        return bad_manifest("format 2 is that of a delta, which names its base");
    }
    if (base == NULL) {
        return OK;
    }
    BASE_NUMBERS(&m->base, base);
    return base->cut != 0 && m->cut != 0 && base->step < m->step && base->depth >= 1 &&
                   base->depth <= CHAIN_DEPTH_MAX
               ? OK
               : bad_manifest("the base of a delta is not one");
}

static enum status manifest_take(struct manifest *m, const Esmm__CheckpointManifest *in) {
    TRY(container_version(NULL, "format of a checkpoint's manifest", in->format, MANIFEST_FULL,
                          MANIFEST_FORMAT));
    if (in->n_batches_per_shard > UINT32_MAX) {
        return bad_manifest("too many shards");
    }
    MANIFEST_NUMBERS(m, in);
    m->sample_rate = in->sample_rate == 0 ? 1 : in->sample_rate;
    if (!(m->sample_rate >= SAMPLE_RATE_MIN && m->sample_rate <= 1)) {
        return bad_manifest("a sample rate is a number above 0, at most 1");
    }
    m->shards = (uint32_t)in->n_batches_per_shard;
    TRY(mem_strdup(&m->config_text, in->config_text));
    TRY(mem_array(&m->batches_per_shard, m->shards));
    if (m->shards > 0) {
        memcpy(m->batches_per_shard, in->batches_per_shard, m->shards * sizeof(uint32_t));
    }
    TRY(mem_array(&m->applied, in->applied.len));
    m->applied_bytes = in->applied.len;
    if (m->applied_bytes > 0) {
        memcpy(m->applied, in->applied.data, m->applied_bytes);
    }
    TRY(take_base(m, in));
    TRY(take_fields(m, in));
    return take_parts(m, in);
}

enum status manifest_decode(struct manifest *m, const void *data, size_t bytes) {
    memset(m, 0, sizeof *m);
    if (bytes > MANIFEST_BYTES_MAX) {
        return bad_manifest("too long");
    }
    struct pack_budget budget;
    pack_budget_init(&budget, bytes, SIZE_MAX);
    Esmm__CheckpointManifest *in =
        esmm__checkpoint_manifest__unpack(&budget.allocator, bytes, data);
    if (in == NULL) {
        return bad_manifest("not a manifest (or memory is short)");
    }
    const enum status status = manifest_take(m, in);
    esmm__checkpoint_manifest__free_unpacked(in, &budget.allocator);
    if (status != OK) {
        manifest_free(m);
    }
    return status;
}

enum status manifest_config(const struct manifest *m, const char *dir, struct config *out) {
    config_default(out);
    out->window = out->run = 0;
    out->share_bags = SHARE_NEVER;
    return config_parse(out, dir, m->config_text);
}

void manifest_free(struct manifest *m) {
    mem_free(&m->config_text);
    mem_free(&m->batches_per_shard);
    mem_free(&m->parts);
    mem_free(&m->applied);
    field_schemas_free(&m->fields);
    memset(m, 0, sizeof *m);
}

/* --- the file --------------------------------------------------------------------------------- */

enum status manifest_write(const struct manifest *m, const char *dir) {
    enum status status = OK;
    char path[PATH_BYTES_MAX];
    struct buf bytes = BUF_EMPTY;
    TRY(path_join(path, dir, "manifest"));
    TRY_OUT(manifest_encode(m, &bytes));
    TRY_OUT(container_write_one(path, CONTAINER_MANIFEST, MANIFEST_BLOCK, &bytes));
out:
    buf_fini(&bytes);
    return status;
}

enum status manifest_read(struct manifest *m, const char *dir) {
    enum status status = OK;
    char path[PATH_BYTES_MAX];
    struct buf bytes = BUF_EMPTY;
    struct container_reader r = {.file = FILE_CLOSED};
    memset(m, 0, sizeof *m);
    TRY(path_join(path, dir, "manifest"));
    TRY(container_open(&r, path, CONTAINER_MANIFEST));
    if (r.block_count == 0 || r.blocks[0].raw_bytes > MANIFEST_BYTES_MAX) {
        TRY_OUT(fail(ERR_CORRUPT, "%s: no block of a manifest's size", path));
    }
    TRY_OUT(container_get(&r, 0, &bytes));
    status = manifest_decode(m, bytes.data, bytes.len);
    if (status != OK) {
        fail(status, "%s: %s", path, fail_text());
    }
out:
    container_close(&r);
    buf_fini(&bytes);
    return status;
}

uint64_t manifest_bytes(const struct manifest *m) {
    uint64_t bytes = 0;
    for (uint32_t p = 0; p < m->part_count; p++) {
        bytes += m->parts[p].bytes;
    }
    return bytes;
}

uint64_t manifest_rows(const struct manifest *m) {
    uint64_t rows = 0;
    for (uint32_t p = 0; p < m->part_count; p++) {
        rows += m->parts[p].rows;
    }
    return rows;
}
