/* flips.c - every bit of a file is flipped, and either that is found or nothing has changed.
 *
 *     flips [STRIDE]         every STRIDEth bit; 61 by default, 1 for all
 *
 * A file of each kind of about 64 KiB is read with the code that jobs read it with, each time with
 * another bit flipped. A reader that fails must name the file and an offset in it (or the bytes
 * that were expected). A reader that accepts the file must have got what was written: all blocks
 * are then compared byte by byte, because a checksum over unpacked bytes lets a flip of a packed
 * block pass if it unpacks to the same.
 */
#include "common/base/container.h"
#include "common/base/file_ops.h"
#include "common/base/log.h"
#include "common/checkpoint/part.h"
#include "common/data/shard.h"
#include "ps/push_record.h"
#include "tests/job_sample.h"
#include "disk.h"

#define BYTES_WANTED (64u << 10)

struct subject {
    const char *what, *path;
    uint32_t kind; /* of container */
    enum status (*read)(const struct subject *s);
    enum status (*content)(const struct subject *s, struct buf *all);
    const void *hint;
};
struct tally {
    uint64_t flips, found, same, failures;
};

/* --- readers ---------------------------------------------------------------------------------- */

static enum status read_part(const struct subject *s) {
    struct part_reader r;
    struct part_chunk chunk;
    TRY(part_open(&r, "/f", s->hint, 0));
    enum status status = OK;
    while (status == OK) {
        status = part_next(&r, &chunk);
    }
    part_close(&r);
    return status == ERR_NOT_FOUND ? OK : status;
}

static enum status read_manifest(const struct subject *s) {
    struct manifest m;
    (void)s;
    TRY(manifest_read(&m, "/f/checkpoint"));
    manifest_free(&m);
    return OK;
}

static enum status read_shard(const struct subject *s) {
    struct shard shard = {0};
    const enum status status = shard_read(&shard, "/f", s->path + 3, s->hint);
    shard_free(&shard);
    return status;
}

static enum status read_dataset(const struct subject *s) {
    struct dataset d = {0};
    (void)s;
    TRY(dataset_read(&d, "/f/data"));
    dataset_free(&d);
    return OK;
}

/* What the blocks hold: types, tags and unpacked bytes. */
static enum status read_blocks(const struct subject *s, struct buf *all) {
    struct container_reader r;
    struct buf block = BUF_EMPTY;
    buf_clear(all);
    TRY(container_open(&r, s->path, s->kind));
    enum status status = OK;
    for (size_t i = 0; i < r.block_count && status == OK; i++) {
        status = container_get(&r, i, &block);
        if (status == OK) {
            JOB_MUST(buf_put_u32(all, r.blocks[i].type));
            JOB_MUST(buf_put_u64(all, r.blocks[i].tag));
            JOB_MUST(buf_put(all, block.data, block.len));
        }
    }
    buf_fini(&block);
    container_close(&r);
    return status;
}

/* --- push logs -------------------------------------------------------------------------------- */

static enum status put_push(const struct push_record *r, struct buf *all) {
    const uint64_t words[] = {r->kind,       r->number,      r->name.epoch,    r->name.shard,
                              r->name.batch, r->fence,       r->version,       r->fields,
                              r->values,     r->fence_count, r->shard_batches, r->choice_count};
    TRY(buf_put(all, words, sizeof words));
    TRY(buf_put(all, r->counts, r->fields * sizeof *r->counts));
    TRY(buf_put(all, r->keys, r->keys_bytes));
    TRY(buf_put(all, r->data, r->data_bytes));
    TRY(buf_put(all, r->choices, r->choice_count * sizeof *r->choices));
    return buf_put(all, r->fences, r->fence_count * sizeof *r->fences);
}

/* A record that seems not to have been finished would be cut off by a replay: that must not happen
 * to one that was. */
static enum status push_log_content(const struct subject *s, struct buf *all) {
    struct push_log_head head;
    struct push_record r = {0};
    const void *data = NULL;
    size_t bytes = 0, used = 0;
    buf_clear(all);
    TRY(file_map(s->path, &data, &bytes));
    enum status status = push_log_head_decode(&head, data, bytes);
    if (status == OK) {
        status = buf_put(all, head.endpoint, sizeof head.endpoint);
    }
    for (size_t at = PUSH_LOG_HEAD_BYTES; status == OK && at < bytes; at += used) {
        status = push_record_decode(&r, head.salt, (const uint8_t *)data + at, bytes - at, &used);
        if (status == OK) {
            status = put_push(&r, all);
        }
    }
    push_record_fini(&r);
    file_unmap(data, bytes);
    return status == ERR_AGAIN ? fail(ERR_FORMAT, "taken for the torn end of the log") : status;
}

/* Its decoders know no file: who calls them adds that. */
static enum status read_push_log(const struct subject *s) {
    struct buf all = BUF_EMPTY;
    char text[FAIL_TEXT_BYTES];
    const enum status status = push_log_content(s, &all);
    buf_fini(&all);
    snprintf(text, sizeof text, "%s", fail_text());
    return status == OK            ? OK
           : status == ERR_CORRUPT ? fail(status, "%s: offset ?: %s", s->path, text)
                                   : status;
}

static enum status make_push_log(void) {
    struct buf file = BUF_EMPTY;
    struct push_log_head head = {.job = 5, .base = 9, .first = 1, .partitions = 1};
    uint8_t bytes[PUSH_LOG_HEAD_BYTES], keys[40], data[600];
    snprintf(head.endpoint, sizeof head.endpoint, "ipc://here");
    push_log_head_encode(&head, bytes);
    TRY(buf_put(&file, bytes, sizeof bytes));
    for (uint64_t n = 0; n < 110; n++) {
        struct push_choice choices[2] = {{0}};
        for (size_t i = 0; i < sizeof data; i++) {
            data[i] = (uint8_t)rng_u64(6, n, i);
            keys[i % sizeof keys] = (uint8_t)rng_u64(7, n, i);
        }
        const struct push_record r = {.kind = PUSH_RECORD_PUSH,
                                      .number = 1 + n,
                                      .name = {.shard = (uint32_t)n, .batch = 3},
                                      .fence = 100 + n,
                                      .version = 1 + n,
                                      .fields = 2,
                                      .counts = {4, 5},
                                      .keys = keys,
                                      .keys_bytes = sizeof keys,
                                      .values = VALUE_F32,
                                      .data = data,
                                      .data_bytes = sizeof data,
                                      .choices = choices,
                                      .choice_count = 0};
        TRY(push_record_encode(&r, head.salt, &file));
        TRY(buf_put(&file, keys, sizeof keys));
        TRY(buf_put(&file, data, sizeof data));
    }
    const enum status status = file_write_atomic("/f/push.log", file.data, file.len);
    buf_fini(&file);
    return status;
}

/* --- flipping --------------------------------------------------------------------------------- */

static bool names_place(const char *text, const char *path) {
    return strstr(text, path) != NULL &&
           (strstr(text, "offset ") != NULL || strstr(text, "bytes") != NULL ||
            strstr(text, "checksum") != NULL);
}

static void judge(const struct subject *s, const struct buf *good, size_t bit, struct tally *t) {
    struct buf now = BUF_EMPTY;
    const enum status status = s->read(s);
    t->flips++;
    if (status != OK && names_place(fail_text(), s->path)) {
        t->found++;
    } else if (status == OK && s->content(s, &now) == OK && now.len == good->len &&
               memcmp(now.data, good->data, good->len) == 0) {
        t->same++;
    } else {
        t->failures++;
        if (t->failures < 20) {
            fprintf(stderr, "%s: bit %zu of byte %zu: %s\n", s->what, bit % 8, bit / 8,
                    status == OK ? "accepted, but the content differs" : fail_text());
        }
    }
    buf_fini(&now);
}

static void flip_all(struct disk *d, const struct subject *s, size_t stride, struct tally *all) {
    struct tally t = {0};
    struct buf good = BUF_EMPTY;
    size_t bytes;
    JOB_MUST(s->read(s));
    JOB_MUST(s->content(s, &good));
    uint8_t *const data = disk_bytes(d, s->path, &bytes);
    for (size_t bit = 0; bit < 8 * bytes; bit += stride) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        judge(s, &good, bit, &t);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    JOB_MUST(s->read(s));
    buf_fini(&good);
    printf("%-18s %6zu bytes: %7llu flips, %7llu found, %5llu changed nothing, %llu failures\n",
           s->what, bytes, (unsigned long long)t.flips, (unsigned long long)t.found,
           (unsigned long long)t.same, (unsigned long long)t.failures);
    all->failures += t.failures;
    if (bytes < BYTES_WANTED * 3 / 4) {
        fprintf(stderr, "%s: too small for the test\n", s->what);
        all->failures++;
    }
}

/* --- files ------------------------------------------------------------------------------------ */

static void make_part(struct manifest_part *out) {
    static const char *const settings[] = {"table.dim=8", NULL};
    struct small_job j;
    struct part_info info[JOB_PARTS_MAX];
    memset(info, 0, sizeof info);
    job_init(&j, 3, settings);
    (void)file_ops_system.rmdir(j.root);
    job_start(&j, 3);
    job_push(&j, 100);
    job_cut(&j, "/f", info);
    *out = (struct manifest_part){.bucket_begin = info[1].bucket_begin,
                                  .bucket_end = info[1].bucket_end,
                                  .bytes = info[1].bytes,
                                  .checksum = info[1].checksum,
                                  .rows = info[1].rows,
                                  .version = info[1].version};
    memcpy(out->name, info[1].name, sizeof out->name);
    for (uint32_t p = 0; p < j.parts; p++) {
        buf_fini(&info[p].applied);
    }
    job_stop(&j);
}

/* A manifest of many parts, whose checksums do not pack. */
static void make_manifest(void) {
    enum { PARTS = 1200 };
    static struct manifest_part parts[PARTS];
    struct small_job j;
    struct buf text = BUF_EMPTY, names = BUF_EMPTY;
    struct applied *applied = NULL;
    job_init(&j, 3, NULL);
    (void)file_ops_system.rmdir(j.root);
    JOB_MUST(config_text(&j.config, &text));
    JOB_MUST(buf_put_u8(&text, 0));
    JOB_MUST(applied_create(&applied, j.batches, JOB_SHARDS));
    JOB_MUST(applied_encode(applied, &names));
    for (uint32_t p = 0; p < PARTS; p++) {
        parts[p] = (struct manifest_part){.bucket_begin = (uint32_t)bucket_begin(p, PARTS),
                                          .bucket_end = (uint32_t)bucket_begin(p + 1, PARTS),
                                          .bytes = rng_u64(1, p, 0) >> 30,
                                          .checksum = rng_u64(2, p, 0),
                                          .rows = rng_u64(3, p, 0) >> 8,
                                          .version = rng_u64(4, p, 0) >> 8};
        snprintf(parts[p].name, sizeof parts[p].name, "part-%05u-of-%05u.bin", p, PARTS);
    }
    const struct manifest m = {.step = 100,
                               .saved_at = 1.7e9,
                               .config_text = (char *)text.data,
                               .schema = j.schema,
                               .batches_per_shard = j.batches,
                               .shards = JOB_SHARDS,
                               .cut = 5,
                               .parts = parts,
                               .part_count = PARTS,
                               .applied = names.data,
                               .applied_bytes = names.len};
    JOB_MUST(file_mkdirs("/f/checkpoint"));
    JOB_MUST(manifest_write(&m, "/f/checkpoint"));
    applied_destroy(&applied);
    buf_fini(&text);
    buf_fini(&names);
}

static void make_shard(struct schema *schema) {
    struct shard_info info;
    struct shard_builder *b = NULL;
    struct feature features[4 * FIELDS_MAX];
    job_schema(schema, false);
    JOB_MUST(shard_builder_create(&b));
    for (uint64_t g = 0; g < 650; g++) {
        size_t n = job_features(3, g, 0, schema->user_count, features);
        JOB_MUST(shard_builder_group(b, rng_u64(8, g, 0), features, n));
        for (uint64_t i = 0; i < 3; i++) {
            n = job_features(3, 10000 + 3 * g + i, schema->user_count, schema->count, features);
            JOB_MUST(shard_builder_impression(b, rng_u64(9, 3 * g + i, 0), (g + i) % 3 == 0,
                                              features, n));
        }
    }
    JOB_MUST(shard_builder_write(b, schema, "/f", "shard-00000.bin", &info));
    shard_builder_destroy(&b);
}

static void make_dataset(void) {
    enum { SHARDS = 3200 };
    static struct shard_info infos[SHARDS];
    struct dataset d = {.shard_count = SHARDS, .shards = infos};
    job_schema(&d.schema, false);
    for (uint32_t s = 0; s < SHARDS; s++) {
        infos[s] = (struct shard_info){.impressions = 1000 + (uint32_t)rng_below(1, s, 0, 1000),
                                       .groups = 500,
                                       .bytes = 10000 + rng_below(2, s, 0, 10000),
                                       .checksum = rng_u64(3, s, 0),
                                       .values = 5000};
        shard_name(s, infos[s].name);
    }
    snprintf(d.source, sizeof d.source, "test");
    JOB_MUST(file_mkdirs("/f/data"));
    JOB_MUST(dataset_write(&d, "/f/data"));
}

int main(int argc, char **argv) {
    const size_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 61;
    struct tally all = {0};
    struct disk *d = disk_create();
    struct manifest_part part;
    struct schema schema;
    log_level_set(LOG_ERROR + 1);
    disk_mount(d);
    JOB_MUST(file_mkdirs("/f"));
    make_part(&part);
    make_manifest();
    make_shard(&schema);
    make_dataset();
    JOB_MUST(make_push_log());
    char part_path[96];
    snprintf(part_path, sizeof part_path, "/f/%s", part.name);
    const struct subject subjects[] = {
        {"part", part_path, CONTAINER_CHECKPOINT_PART, read_part, read_blocks, &part},
        {"manifest", "/f/checkpoint/manifest", CONTAINER_MANIFEST, read_manifest, read_blocks,
         NULL},
        {"shard", "/f/shard-00000.bin", CONTAINER_SHARD, read_shard, read_blocks, &schema},
        {"manifest of shards", "/f/data/manifest", CONTAINER_MANIFEST, read_dataset, read_blocks,
         NULL},
        {"push log", "/f/push.log", 0, read_push_log, push_log_content, NULL},
    };
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        flip_all(d, &subjects[i], stride, &all);
    }
    disk_mount(NULL);
    disk_destroy(&d);
    return all.failures > 0;
}
