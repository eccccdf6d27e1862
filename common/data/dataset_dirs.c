/* dataset_dirs.c - several shard directories as one data set.
 *
 * The log of each day may have its own directory, and a job may train on thirty of them. Each keeps
 * its manifest. This file makes one struct of them: shards in the order of the directories, fields
 * united by name. A field that a directory lacks is empty in its shards, like a field that a shard
 * lacks.
 *
 * Batches are named by the number of their shard, so the order of the directories is part of the
 * identity of the data. The identity of a single directory is the hash of its manifest's bytes,
 * which checkpoints of all versions hold.
 */
#include "dataset.h"

#include <stdio.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "shard_weights.h"

#define MANIFEST_BYTES_MAX (256u << 20)

/* Fails if `dir` is already in the list, since its impressions would be used twice. */
static enum status check_new(const struct file_list *before, const char *dir) {
    struct file_info a, b;
    if (!file_look(dir, &a)) {
        return OK; /* the reader of the manifest gives a better message */
    }
    for (size_t k = 0; k < before->count; k++) {
        if (file_look(before->names[k], &b) && file_same(&a, &b)) {
            return fail(ERR_CONFIG,
                        "%s and %s are the same directory: its impressions would count twice",
                        before->names[k], dir);
        }
    }
    return OK;
}

static enum status unite_sides(struct schema *all, const struct schema *more, const char *before,
                               const char *dir) {
    for (uint32_t f = 0; f < more->count; f++) {
        const struct field *field = &more->fields[f];
        const int slot = schema_find(all, field->name);
        if (slot < 0) {
            TRY(schema_add(all, field->name, field->side));
        } else if (all->fields[slot].side != field->side) {
            return fail(ERR_CONFIG, "field '%s' is on the %s side in %s, and on the %s side in %s",
                        field->name, side_name(all->fields[slot].side), before,
                        side_name(field->side), dir);
        }
    }
    schema_finish(all);
    return OK;
}

static uint64_t values_of(const struct schema *s, const uint64_t *values, const char *name) {
    const int slot = schema_find(s, name);
    return slot < 0 ? 0 : values[slot];
}

static bool said(const struct schema *s, const uint64_t *values) {
    uint64_t sum = 0;
    for (uint32_t f = 0; f < s->count; f++) {
        sum += values[f];
    }
    return sum > 0;
}

/* Adds the numbers of values by slot and moves the old ones to the slots of the united schema. */
static enum status unite_values(struct dataset *d, const struct schema *old,
                                const struct dataset *more) {
    const bool known = said(old, d->field_values) && said(&more->schema, more->field_values);
    uint64_t *sums = NULL;
    TRY(mem_array(&sums, FIELDS_MAX));
    for (uint32_t f = 0; known && f < d->schema.count; f++) {
        const char *name = d->schema.fields[f].name;
        sums[f] = values_of(old, d->field_values, name) +
                  values_of(&more->schema, more->field_values, name);
    }
    memcpy(d->field_values, sums, FIELDS_MAX * sizeof *sums);
    mem_free(&sums);
    return OK;
}

static enum status unite_fields(struct dataset *d, const struct dataset *more, const char *before,
                                const char *dir, struct buf *doubts) {
    enum status status = OK;
    struct schema *old = NULL;
    struct buf unheard = BUF_EMPTY;
    char a[PATH_BYTES_MAX + 8], b[PATH_BYTES_MAX + 8];
    snprintf(a, sizeof a, "%s has", before);
    snprintf(b, sizeof b, "%s has", dir);
    TRY_OUT(mem_new(&old));
    *old = d->schema;
    TRY_OUT(unite_sides(&d->schema, &more->schema, before, dir));
    TRY_OUT(unite_values(d, old, more));
    TRY_OUT(
        field_schemas_match(&d->fields, a, &more->fields, b, doubts == NULL ? &unheard : doubts));
    TRY_OUT(field_schemas_unite(&d->fields, &more->fields));
out:
    buf_fini(&unheard);
    mem_free(&old);
    return status;
}

/* If one side does not say its lines, the result is "not said", as with times. */
static void unite_lines(struct line_counts *all, const struct line_counts *more) {
    if (all->lines == 0 || more->lines == 0) {
        *all = (struct line_counts){0};
        return;
    }
#define ADD(name) all->name += more->name;
    LINE_COUNTS(ADD)
}

static void unite_times(struct dataset *d, const struct dataset *more) {
    const bool known = d->first_time > 0 && more->first_time > 0;
    d->first_time = !known                             ? 0
                    : more->first_time < d->first_time ? more->first_time
                                                       : d->first_time;
    d->last_time = !known ? 0 : more->last_time > d->last_time ? more->last_time : d->last_time;
}

static enum status unite(struct dataset *d, const struct dataset *more, const char *dir,
                         struct buf *doubts) {
    char before[PATH_BYTES_MAX];
    dataset_name(&d->dirs, before);
    if (d->sample_rate != more->sample_rate) {
        return fail(ERR_CONFIG, "%s has a sample_rate of %g, %s of %g: they cannot be one data set",
                    before, d->sample_rate, dir, more->sample_rate);
    }
    if (d->no_conversion != more->no_conversion) {
        return fail(ERR_CONFIG,
                    "%s has no label of conversions, and %s has: they cannot be one data set",
                    d->no_conversion ? before : dir, d->no_conversion ? dir : before);
    }
    if (strcmp(d->stream, more->stream) != 0) {
        return fail(ERR_CONFIG,
                    "%s holds records of stream '%s', %s of '%s': they cannot be one data set",
                    before, d->stream, dir, more->stream);
    }
    TRY(unite_fields(d, more, before, dir, doubts));
    if (more->shard_count > UINT32_MAX - d->shard_count) {
        return fail(ERR_LIMIT, "%s: too many shards with those of %s", dir, before);
    }
    TRY(mem_grow(&d->shards, d->shard_count, ((size_t)d->shard_count + more->shard_count)));
    for (uint32_t s = 0; s < more->shard_count; s++) {
        d->shards[d->shard_count] = more->shards[s];
        d->shards[d->shard_count++].dir = (uint32_t)d->dirs.count;
    }
    unite_lines(&d->log_lines, &more->log_lines);
    unite_lines(&d->common_lines, &more->common_lines);
    unite_times(d, more);
    for (uint32_t l = 0; l < DATASET_LABELS; l++) {
        d->labels[l].lines += more->labels[l].lines;
        d->labels[l].rejected += more->labels[l].rejected;
    }
    d->impressions += more->impressions;
    d->groups += more->groups;
    d->clicks += more->clicks;
    d->conversions += more->conversions;
    d->orphans += more->orphans;
    d->values += more->values;
    d->rejected += more->rejected;
    weight_sums_add(&d->weights, &more->weights);
    return file_list_add(&d->dirs, dir);
}

enum status dataset_read_all(struct dataset *d, const struct file_list *dirs, struct buf *doubts) {
    enum status status = OK;
    struct dataset *more = NULL;
    TRY(dataset_read(d, dirs->names[0]));
    TRY_OUT(mem_new(&more));
    for (size_t k = 1; k < dirs->count && status == OK; k++) {
        TRY_OUT(check_new(&d->dirs, dirs->names[k]));
        TRY_OUT(dataset_read(more, dirs->names[k]));
        status = unite(d, more, dirs->names[k], doubts);
        dataset_free(more);
    }
out:
    mem_free(&more);
    if (status != OK) {
        dataset_free(d);
    }
    return status;
}

const char *dataset_name(const struct file_list *dirs, char out[PATH_BYTES_MAX]) {
    const char *first = dirs->count == 0 ? "" : dirs->names[0];
    if (dirs->count < 2) {
        snprintf(out, PATH_BYTES_MAX, "%s", first);
    } else {
        snprintf(out, PATH_BYTES_MAX, "%.4000s and %zu more", first, dirs->count - 1);
    }
    return out;
}

static enum status identity_of(const char *dir, uint64_t *out) {
    char path[PATH_BYTES_MAX];
    char *text = NULL;
    size_t bytes;
    TRY(path_join(path, dir, "manifest"));
    TRY(file_read_all(path, MANIFEST_BYTES_MAX, &text, &bytes));
    *out = hash_bytes(text, bytes);
    mem_free(&text);
    return OK;
}

enum status dataset_identity(const struct file_list *dirs, uint64_t *out) {
    enum status status = OK;
    struct buf all = BUF_EMPTY;
    for (size_t k = 0; k < dirs->count; k++) {
        TRY_OUT(identity_of(dirs->names[k], out));
        TRY_OUT(buf_put_u64(&all, *out));
    }
    if (dirs->count > 1) {
        *out = hash_bytes(all.data, all.len);
    }
out:
    buf_fini(&all);
    return status;
}
