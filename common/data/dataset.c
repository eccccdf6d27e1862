/* dataset.c - the manifest of a shard directory.
 *
 * The manifest is a protobuf message (proto/disk.proto) in a container of kind manifest; the type
 * of its block distinguishes a shard directory from a checkpoint. It is written last, so if it
 * exists, all shards are there. It stores only what the shards do not contain, and what a
 * coordinator needs to know without opening them. Sums are computed or checked while reading, so no
 * two numbers of a manifest can contradict each other.
 */
#include "dataset.h"

#include <assert.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/container.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/field/field_pack.h"
#include "disk.pb-c.h"
#include "record.h"
#include "sampling.h"
#include "shard_format.h"
#include "shard_weights.h"

#define DATASET_FORMAT     1u
#define DATASET_BLOCK      2u /* type of the manifest's block; 1 is a checkpoint's */
#define MANIFEST_BYTES_MAX ((size_t)32 << 20)
#define BUDGET_MAX         ((size_t)64 << 20)
#define SHARDS_MAX         (1u << 20)

/* Copies the members that have the same names in the message and in the struct, in either
 * direction. */
#define DATASET_NUMBERS(to, from)                                                                  \
    ((to)->seed = (from)->seed, (to)->orphans = (from)->orphans,                                   \
     (to)->rejected = (from)->rejected, (to)->first_time = (from)->first_time,                     \
     (to)->last_time = (from)->last_time)
#define SHARD_NUMBERS(to, from)                                                                    \
    ((to)->impressions = (from)->impressions, (to)->groups = (from)->groups,                       \
     (to)->clicks = (from)->clicks, (to)->conversions = (from)->conversions,                       \
     (to)->bytes = (from)->bytes, (to)->checksum = (from)->checksum,                               \
     (to)->values = (from)->values)
#define WEIGHT_NUMBERS(to, from)                                                                   \
    ((to)->all = (from)->all, (to)->clicked = (from)->clicked,                                     \
     (to)->converted = (from)->converted, (to)->least = (from)->least, (to)->most = (from)->most)

const char *dataset_label_name(uint32_t label) {
    static const char *const names[DATASET_LABELS] = {"click",       "conversion",  "behaviour 1",
                                                      "behaviour 2", "behaviour 3", "behaviour 4"};
    return names[label];
}

/* --- out -------------------------------------------------------------------------------------- */

struct packed {
    struct schema schema; /* finished */
    Esmm__DatasetManifest message;
    Esmm__DatasetField field[FIELDS_MAX];
    Esmm__DatasetField *fields[FIELDS_MAX];
    struct field_packed field_schema[FIELDS_MAX];
    Esmm__DatasetLabel label[DATASET_LABELS];
    Esmm__DatasetLabel *labels[DATASET_LABELS];
    Esmm__DatasetLines log_lines, common_lines;
    Esmm__DatasetShard *shard;
    Esmm__DatasetShard **shards;
    Esmm__DatasetWeights *weights; /* [shards] */
};

/* The order of d->schema may differ from the order that is written. */
static void pack_fields(struct packed *k, const struct dataset *d) {
    for (uint32_t f = 0; f < k->schema.count; f++) {
        const char *name = k->schema.fields[f].name;
        esmm__dataset_field__init(&k->field[f]);
        k->field[f].name = k->schema.fields[f].name;
        k->field[f].side = field_pack_side(k->schema.fields[f].side);
        k->field[f].schema = field_pack(field_schemas_find(&d->fields, name), &k->field_schema[f]);
        k->field[f].values = d->field_values[schema_find(&d->schema, name)];
        k->fields[f] = &k->field[f];
    }
    k->message.times = (char *)(uintptr_t)d->fields.times; /* only read */
    k->message.n_fields = k->schema.count;
    k->message.fields = k->fields;
}

static void pack_weights(const struct weight_sums *from, Esmm__DatasetWeights *to) {
    esmm__dataset_weights__init(to);
    WEIGHT_NUMBERS(to, from);
}

/* Packs the labels up to the last one of which lines are known. */
static void pack_labels(struct packed *k, const struct dataset *d) {
    for (uint32_t l = 0; l < DATASET_LABELS; l++) {
        esmm__dataset_label__init(&k->label[l]);
        k->label[l].lines = d->labels[l].lines;
        k->label[l].rejected = d->labels[l].rejected;
        k->labels[l] = &k->label[l];
        k->message.n_labels = d->labels[l].lines > 0 ? l + 1 : k->message.n_labels;
    }
    k->message.labels = k->labels;
}

/* Returns NULL if there are no lines. */
static Esmm__DatasetLines *pack_lines(Esmm__DatasetLines *to, const struct line_counts *from) {
    esmm__dataset_lines__init(to);
#define PACK(name) to->name = from->name;
    LINE_COUNTS(PACK)
    return from->lines > 0 ? to : NULL;
}

static enum status pack_shards(struct packed *k, const struct dataset *d) {
    TRY(mem_array(&k->shard, d->shard_count));
    TRY(mem_array(&k->shards, d->shard_count));
    TRY(mem_array(&k->weights, d->shard_count));
    for (uint32_t s = 0; s < d->shard_count; s++) {
        const struct shard_info *from = &d->shards[s];
        Esmm__DatasetShard *to = &k->shard[s];
        esmm__dataset_shard__init(to);
        to->name = (char *)(uintptr_t)from->name; /* only read */
        SHARD_NUMBERS(to, from);
        if (from->weights.there) {
            pack_weights(&from->weights, &k->weights[s]);
            to->weights = &k->weights[s];
        }
        k->shards[s] = to;
    }
    k->message.n_shards = d->shard_count;
    k->message.shards = k->shards;
    return OK;
}

static enum status dataset_pack(struct packed *k, const struct dataset *d, struct buf *out) {
    k->schema = d->schema;
    schema_finish(&k->schema);
    esmm__dataset_manifest__init(&k->message);
    k->message.format = DATASET_FORMAT;
    k->message.source = (char *)(uintptr_t)d->source; /* only read */
    k->message.stream = (char *)(uintptr_t)d->stream;
    DATASET_NUMBERS(&k->message, d);
    k->message.sample_rate = d->sample_rate < 1 ? d->sample_rate : 0;
    k->message.log_lines = pack_lines(&k->log_lines, &d->log_lines);
    k->message.common_lines = pack_lines(&k->common_lines, &d->common_lines);
    pack_fields(k, d);
    k->message.no_conversion = d->no_conversion;
    pack_labels(k, d);
    TRY(pack_shards(k, d));
    const size_t bytes = esmm__dataset_manifest__get_packed_size(&k->message);
    if (bytes > MANIFEST_BYTES_MAX) {
        return fail(ERR_LIMIT, "a manifest of %zu bytes, expected at most %zu", bytes,
                    MANIFEST_BYTES_MAX);
    }
    TRY(buf_reserve(out, bytes));
    out->len = esmm__dataset_manifest__pack(&k->message, out->data);
    return OK;
}

enum status dataset_write(const struct dataset *d, const char *dir) {
    enum status status = OK;
    char path[PATH_BYTES_MAX];
    struct buf bytes = BUF_EMPTY;
    struct packed *k = NULL;
    TRY(path_join(path, dir, "manifest"));
    TRY_OUT(mem_new(&k));
    TRY_OUT(dataset_pack(k, d, &bytes));
    TRY_OUT(container_write_one(path, CONTAINER_MANIFEST, DATASET_BLOCK, &bytes));
out:
    if (k != NULL) {
        mem_free(&k->shard);
        mem_free(&k->shards);
        mem_free(&k->weights);
    }
    mem_free(&k);
    buf_fini(&bytes);
    return status;
}

/* --- in --------------------------------------------------------------------------------------- */

static enum status bad_dataset(const char *path, const char *what) {
    return fail(ERR_CORRUPT, "%s: %s", path, what);
}

static enum status take_fields(struct dataset *d, const Esmm__DatasetManifest *in,
                               const char *path) {
    struct field_line lines[FIELDS_MAX];
    for (size_t f = 0; f < in->n_fields && f < FIELDS_MAX; f++) {
        lines[f] =
            (struct field_line){in->fields[f]->name, in->fields[f]->side, in->fields[f]->schema};
        d->field_values[f] = in->fields[f]->values;
    }
    const enum status status =
        in->n_fields > FIELDS_MAX
            ? fail(ERR_CORRUPT, "too many fields")
            : field_unpack(lines, in->n_fields, in->times, &d->schema, &d->fields);
    return status == ERR_CORRUPT ? bad_dataset(path, fail_text()) : status;
}

static enum status take_labels(struct dataset *d, const Esmm__DatasetManifest *in,
                               const char *path) {
    if (in->n_labels > DATASET_LABELS) {
        return bad_dataset(path, "more labels than there are");
    }
    for (size_t l = 0; l < in->n_labels; l++) {
        if (in->labels[l]->rejected > in->labels[l]->lines) {
            return bad_dataset(path, "more lines of a label are rejected than there are");
        }
        d->labels[l] = (struct label_lines){in->labels[l]->lines, in->labels[l]->rejected};
    }
    return OK;
}

/* A shard must be a file in the directory itself, since the manifest is not trusted. */
static bool name_good(const char *name) {
    return strlen(name) < sizeof((struct shard_info){0}.name) && strncmp(name, "shard-", 6) == 0 &&
           strchr(name, '/') == NULL;
}

/* If the manifest has no weights, each impression counts as 1. */
static enum status take_weights(struct shard_info *to, const Esmm__DatasetWeights *from,
                                const char *path) {
    struct weight_sums *w = &to->weights;
    *w = (struct weight_sums){false, 1, 1, to->impressions, to->clicks, to->conversions};
    if (from == NULL) {
        return OK;
    }
    WEIGHT_NUMBERS(w, from);
    w->there = true;
    const bool good = w->least >= 0 && w->least <= w->most && w->most <= SHARD_WEIGHT_MAX &&
                      w->converted >= 0 && w->converted <= w->clicked && w->clicked <= w->all &&
                      w->all <= (double)w->most * to->impressions * (1 + 1e-9);
    return good ? OK : fail(ERR_CORRUPT, "%s: the weights of %s cannot be true", path, to->name);
}

static enum status take_shard(struct dataset *d, const Esmm__DatasetShard *from, const char *path) {
    if (!name_good(from->name)) {
        return bad_dataset(path, "a shard's name is not one");
    }
    if (from->impressions == 0 || from->impressions > SHARD_IMPRESSIONS_MAX || from->groups == 0 ||
        from->groups > from->impressions || from->clicks > from->impressions ||
        from->conversions > from->clicks || from->values > SHARD_VALUES_MAX) {
        return fail(ERR_CORRUPT, "%s: the counts of %s cannot be true", path, from->name);
    }
    struct shard_info *to = &d->shards[d->shard_count++];
    memcpy(to->name, from->name, strlen(from->name));
    SHARD_NUMBERS(to, from);
    d->impressions += to->impressions;
    d->groups += to->groups;
    d->clicks += to->clicks;
    d->conversions += to->conversions;
    d->values += to->values;
    TRY(take_weights(to, from->weights, path));
    weight_sums_add(&d->weights, &to->weights);
    return OK;
}

/* Checks that the numbers add up to `lines`. */
static enum status take_lines(struct line_counts *to, const Esmm__DatasetLines *in,
                              const char *path) {
    if (in == NULL) {
        return OK;
    }
#define TAKE(name) to->name = in->name;
    LINE_COUNTS(TAKE)
    const uint64_t sum =
        to->header + to->blank + to->rejected + to->dropped + to->rows + to->continued;
    return sum == to->lines ? OK : bad_dataset(path, "the counts of the log's lines do not add up");
}

static enum status dataset_take(struct dataset *d, const Esmm__DatasetManifest *in,
                                const char *path) {
    TRY(container_version(path, "format of a shard directory", in->format, DATASET_FORMAT,
                          DATASET_FORMAT));
    if (strlen(in->source) >= sizeof d->source || in->n_shards > SHARDS_MAX) {
        return bad_dataset(path, "too long a source, or too many shards");
    }
    if (strlen(in->stream) >= sizeof d->stream) {
        return bad_dataset(path, "too long a stream's name");
    }
    memcpy(d->stream, in->stream, strlen(in->stream));
    memcpy(d->source, in->source, strlen(in->source));
    DATASET_NUMBERS(d, in);
    d->sample_rate = in->sample_rate == 0 ? 1 : in->sample_rate;
    if (!(d->sample_rate >= SAMPLE_RATE_MIN && d->sample_rate <= 1)) {
        return bad_dataset(path, "a sample rate is a number above 0, at most 1");
    }
    TRY(take_lines(&d->log_lines, in->log_lines, path));
    TRY(take_lines(&d->common_lines, in->common_lines, path));
    TRY(take_fields(d, in, path));
    if (in->first_time > in->last_time || in->last_time > SHARD_TIME_MAX) {
        return bad_dataset(path, "the first and the last time cannot be true");
    }
    d->no_conversion = in->no_conversion != 0;
    TRY(take_labels(d, in, path));
    TRY(mem_array(&d->shards, in->n_shards));
    for (size_t s = 0; s < in->n_shards; s++) {
        TRY(take_shard(d, in->shards[s], path));
    }
    return OK;
}

static enum status dataset_unpack(struct dataset *d, const struct buf *bytes, const char *path) {
    struct pack_budget budget;
    pack_budget_init(&budget, bytes->len, BUDGET_MAX);
    Esmm__DatasetManifest *in =
        esmm__dataset_manifest__unpack(&budget.allocator, bytes->len, bytes->data);
    if (in == NULL) {
        return budget.no_memory ? fail(ERR_MEMORY, "%s: out of memory", path)
                                : bad_dataset(path, "expected the manifest of a shard directory");
    }
    const enum status status = dataset_take(d, in, path);
    esmm__dataset_manifest__free_unpacked(in, &budget.allocator);
    return status;
}

static enum status dataset_read_block(struct container_reader *r, struct dataset *d,
                                      const char *path) {
    struct buf bytes = BUF_EMPTY;
    enum status status = OK;
    if (r->block_count != 1 || r->blocks[0].type != DATASET_BLOCK) {
        return fail(ERR_NOT_FOUND, "%s: not the manifest of a shard directory", path);
    }
    if (r->blocks[0].raw_bytes > MANIFEST_BYTES_MAX) {
        return bad_dataset(path, "a manifest is not that long");
    }
    TRY_OUT(container_get(r, 0, &bytes));
    TRY_OUT(dataset_unpack(d, &bytes, path));
out:
    buf_fini(&bytes);
    return status;
}

static bool is_split(const char *dir) {
    char train[PATH_BYTES_MAX], eval[PATH_BYTES_MAX];
    return path_join(train, dir, "train/manifest") == OK &&
           path_join(eval, dir, "eval/manifest") == OK && file_exists(train) && file_exists(eval);
}

enum status dataset_read(struct dataset *d, const char *dir) {
    char path[PATH_BYTES_MAX];
    struct container_reader r = {.file = FILE_CLOSED};
    memset(d, 0, sizeof *d);
    TRY(path_join(path, dir, "manifest"));
    enum status status = container_open(&r, path, CONTAINER_MANIFEST);
    if (status == ERR_NOT_FOUND) {
        return fail(ERR_NOT_FOUND, "%s is not a shard directory: %s", dir,
                    !file_exists(dir) ? "there is nothing of that name"
                    : is_split(dir)   ? "it has no manifest, but it holds train and eval of esmm "
                                        "prep --split: give one of them"
                                      : "it has no manifest");
    }
    TRY(status);
    status = dataset_read_block(&r, d, path);
    container_close(&r);
    if (status == OK) {
        status = file_list_add(&d->dirs, dir);
    }
    if (status != OK) {
        dataset_free(d);
    }
    return status;
}

void dataset_free(struct dataset *d) {
    mem_free(&d->shards);
    field_schemas_free(&d->fields);
    file_list_free(&d->dirs);
    memset(d, 0, sizeof *d);
}

const char *dataset_dir(const struct dataset *d, const struct shard_info *shard) {
    assert(shard->dir < d->dirs.count);
    return d->dirs.names[shard->dir];
}
