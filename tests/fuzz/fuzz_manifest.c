/* Any bytes as the message of a manifest: of a checkpoint as they are, of a shard directory in a
 * container whose checksums are right. What is read must be fit to compute with. */
#include <math.h>
#include <unistd.h>

#include "common/base/container.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/checkpoint/manifest.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/data/shard_info.h"
#include "fuzz.h"

#define INPUT_BYTES_MAX (1u << 14)

static void walk_field(const struct field_schema *f) {
    FUZZ_MUST((f->bound_count > 0) == (f->kind == FIELD_NUMERIC) &&
              f->bound_count <= FIELD_BOUNDS_MAX);
    FUZZ_MUST((f->hash[0] != '\0') == (f->kind == FIELD_HASH_TEXT));
    for (uint32_t k = 0; k < f->bound_count; k++) {
        FUZZ_MUST(isfinite(f->bounds[k]) && (k == 0 || f->bounds[k] > f->bounds[k - 1]));
    }
    FUZZ_MUST(f->missing_count <= FIELD_MISSING_MAX);
    for (uint32_t k = 0; k < f->missing_count; k++) {
        FUZZ_MUST(field_schema_is_missing(f, f->missing[k], strlen(f->missing[k])));
        FUZZ_MUST(k == 0 || strcmp(f->missing[k - 1], f->missing[k]) < 0);
    }
}

/* One for each field, and they agree with themselves. */
static void walk(const struct schema *s, const struct field_schemas *fields) {
    struct buf text = BUF_EMPTY;
    FUZZ_MUST(fields->count == s->count);
    for (uint32_t f = 0; f < s->count; f++) {
        const struct field_schema *one = field_schemas_find(fields, s->fields[f].name);
        FUZZ_MUST(one != NULL && field_schema_describe(one, &text) == OK);
        walk_field(one);
    }
    FUZZ_MUST(field_schemas_match(fields, "a has", fields, "b has", &text) == OK);
    buf_fini(&text);
}

static void as_checkpoint(const uint8_t *data, size_t bytes) {
    struct manifest m;
    const enum status status = manifest_decode(&m, data, bytes);
    FUZZ_MUST(status == OK || status == ERR_CORRUPT);
    if (status == OK) {
        walk(&m.schema, &m.fields);
        manifest_free(&m);
    }
}

static void as_shards(const uint8_t *data, size_t bytes) {
    char dir[64], path[PATH_BYTES_MAX];
    struct container_writer w = {.file = FILE_CLOSED};
    struct dataset d;
    snprintf(dir, sizeof dir, "/dev/shm/esmm-fuzz-manifest-%d", (int)getpid());
    FUZZ_MUST(file_mkdirs(dir) == OK && path_join(path, dir, "manifest") == OK);
    FUZZ_MUST(container_create(&w, path, CONTAINER_MANIFEST) == OK);
    FUZZ_MUST(container_put(&w, 2, 0, data, bytes, true) == OK &&
              container_commit(&w, NULL, NULL) == OK);
    const enum status status = dataset_read(&d, dir);
    FUZZ_MUST(status == OK || status == ERR_CORRUPT);
    if (status == OK) {
        walk(&d.schema, &d.fields);
        dataset_free(&d);
    }
    FUZZ_MUST(file_remove_tree(dir) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes <= INPUT_BYTES_MAX) {
        as_checkpoint(data, bytes);
        as_shards(data, bytes);
    }
    return 0;
}

/* --- seeds ------------------------------------------------------------------------------------ */

static void fill(struct schema *schema, struct field_schemas *fields) {
    static const double bounds[] = {-1.5, 0, 18, 1e300};
    static const char *const names[] = {"age", "item", "tags", "x"};
    static const enum field_kind kinds[] = {FIELD_NUMERIC, FIELD_ID, FIELD_HASH_TEXT, FIELD_ALICCP};
    for (size_t k = 0; k < 4; k++) {
        struct field_schema *f = NULL;
        FUZZ_MUST(schema_add(schema, names[k], SIDE_USER) == OK);
        FUZZ_MUST(field_schemas_add(fields, names[k], &f) == OK);
        f->kind = kinds[k];
        f->multi = k % 2 == 0 ? '|' : 0;
        memcpy(f->hash, FIELD_HASH, kinds[k] == FIELD_HASH_TEXT ? sizeof FIELD_HASH : 0);
        FUZZ_MUST(field_schema_bounds(f, bounds, kinds[k] == FIELD_NUMERIC ? 4 : 0) == OK);
        FUZZ_MUST(field_schema_missing(f, "NULL", 4) == OK &&
                  field_schema_missing(f, "-", 1) == OK);
    }
    memcpy(fields->times, "time_unit = ms", sizeof "time_unit = ms");
}

static void seed_checkpoint(struct buf *out) {
    static char config[] = "[train]\nbatch = 8\n";
    static uint32_t plan[2] = {3, 4};
    struct manifest_part part = {.name = "part-0", .bucket_end = BUCKETS};
    struct manifest m = {.config_text = config,
                         .batches_per_shard = plan,
                         .shards = 2,
                         .parts = &part,
                         .part_count = 1};
    fill(&m.schema, &m.fields);
    FUZZ_MUST(manifest_encode(&m, out) == OK);
    field_schemas_free(&m.fields);
}

static void seed_shards(struct buf *out) {
    static struct shard_info shards[2] = {
        {.name = "shard-00000.bin", .impressions = 10, .groups = 2, .clicks = 3, .bytes = 99},
        {.name = "shard-00001.bin", .impressions = 7, .groups = 7, .clicks = 3, .conversions = 1}};
    struct dataset d = {.shards = shards, .shard_count = 2};
    struct container_reader r = {.file = FILE_CLOSED};
    char dir[64], path[PATH_BYTES_MAX];
    snprintf(dir, sizeof dir, "/dev/shm/esmm-fuzz-manifest-%d", (int)getpid());
    fill(&d.schema, &d.fields);
    FUZZ_MUST(file_mkdirs(dir) == OK && dataset_write(&d, dir) == OK);
    FUZZ_MUST(path_join(path, dir, "manifest") == OK);
    FUZZ_MUST(container_open(&r, path, CONTAINER_MANIFEST) == OK &&
              container_get(&r, 0, out) == OK);
    container_close(&r);
    field_schemas_free(&d.fields);
    FUZZ_MUST(file_remove_tree(dir) == OK);
}

bool fuzz_seed(uint32_t n, struct buf *out) {
    if (n > 1) {
        return false;
    }
    if (n == 0) {
        seed_checkpoint(out);
    } else {
        seed_shards(out);
    }
    return true;
}
