/* compact.c - see compact.h. Parts have the ranges of the newest link's parts; rows come in the
 * order in which a scan gives them. */
#include "compact.h"

#include <stdio.h>
#include <string.h>
#include "common/base/file.h"
#include "common/base/mem.h"
#include "scan.h"

#define BLOCK_BYTES ((size_t)512 << 10)

struct compaction {
    struct scan *scan;
    const struct manifest_part *part; /* at hand */
    struct container_writer file;
    struct buf block[2 * FIELDS_MAX]; /* rows and sightings of each table */
    uint64_t written[2 * FIELDS_MAX + 1];
};

static enum status flush(struct compaction *c, uint32_t unit) {
    struct buf *b = &c->block[unit];
    const bool sightings = unit % 2 != 0;
    if (b->len > 0) {
        TRY(container_put(&c->file, sightings ? PART_SIGHTINGS : PART_ROWS, unit / 2, b->data,
                          b->len, sightings));
    }
    buf_clear(b);
    return OK;
}

static enum status take_record(struct compaction *c, const struct part_chunk *chunk, size_t i) {
    const uint32_t unit = 2 * chunk->table + (chunk->kind == PART_SIGHTINGS);
    const uint8_t *record = chunk->data + i * chunk->row_bytes;
    const uint32_t bucket = scan_bucket(c->scan, chunk->table, load_u64(record));
    if (bucket < c->part->bucket_begin || bucket >= c->part->bucket_end) {
        return OK;
    }
    if (c->block[unit].len + chunk->row_bytes > BLOCK_BYTES) {
        TRY(flush(c, unit));
    }
    c->written[unit]++;
    return buf_put(&c->block[unit], record, chunk->row_bytes);
}

static enum status take_chunk(void *arg, const struct part_chunk *chunk) {
    struct compaction *c = arg;
    for (size_t i = 0; i < chunk->count; i++) {
        TRY(take_record(c, chunk, i));
    }
    return OK;
}

/* META, with the names and clocks that the part has, and its dense slice. */
static enum status copy_head(struct compaction *c) {
    struct part_reader reader = {0};
    struct buf meta = BUF_EMPTY;
    enum status status = OK;
    TRY_OUT(part_open(&reader, c->scan->dir, c->part, c->scan->manifest.cut));
    const uint64_t base = reader.meta.base;
    reader.meta.base = 0;
    TRY_OUT(part_meta_encode(&reader.meta, &meta));
    reader.meta.base = base;
    TRY_OUT(container_put(&c->file, PART_META, 0, meta.data, meta.len, true));
    for (;;) {
        struct part_chunk chunk = {0};
        status = part_next(&reader, &chunk);
        if (status == ERR_NOT_FOUND) {
            status = OK;
            break;
        }
        TRY_OUT(status);
        if (chunk.kind == PART_DENSE) {
            TRY_OUT(container_put(&c->file, PART_DENSE, chunk.dense_begin, reader.block.data,
                                  reader.block.len, false));
            c->written[2 * c->scan->tables] += chunk.count;
        }
    }
out:
    buf_fini(&meta);
    part_close(&reader);
    return status;
}

static enum status copy_records(struct compaction *c) {
    struct scan_filter filter = scan_all(SCAN_ROWS | SCAN_SIGHTINGS);
    filter.bucket_begin = c->part->bucket_begin;
    filter.bucket_end = c->part->bucket_end;
    TRY(scan_each(c->scan, &filter, take_chunk, c));
    for (uint32_t unit = 0; unit < 2 * c->scan->tables; unit++) {
        TRY(flush(c, unit));
    }
    return OK;
}

/* Writes one part; *out is its line of the manifest. */
static enum status write_part(struct compaction *c, const char *dir, struct manifest_part *out) {
    char path[PATH_BYTES_MAX];
    enum status status = OK;
    const size_t counts = 2 * (size_t)c->scan->tables + 1;
    memset(c->written, 0, sizeof c->written);
    TRY(path_join(path, dir, c->part->name));
    TRY_OUT(container_create(&c->file, path, CONTAINER_CHECKPOINT_PART));
    TRY_OUT(copy_head(c));
    TRY_OUT(copy_records(c));
    TRY_OUT(
        container_put(&c->file, PART_TOTALS, 0, c->written, counts * sizeof *c->written, false));
    TRY_OUT(container_commit(&c->file, &out->bytes, &out->checksum));
    out->whole = false;
    out->rows = 0;
    for (uint32_t t = 0; t < c->scan->tables; t++) {
        out->rows += c->written[2 * t];
    }
out:
    container_abort(&c->file);
    return status;
}

static enum status write_all(struct compaction *c, const char *dir) {
    struct manifest full = c->scan->manifest; /* what it points to stays the scan's */
    struct manifest_part *parts = NULL;
    enum status status = OK;
    TRY(mem_array(&parts, full.part_count));
    memcpy(parts, full.parts, full.part_count * sizeof *parts);
    for (uint32_t p = 0; p < full.part_count; p++) {
        c->part = &c->scan->manifest.parts[p];
        TRY_OUT(write_part(c, dir, &parts[p]));
    }
    full.parts = parts;
    full.base = (struct manifest_base){0};
    TRY_OUT(manifest_write(&full, dir));
out:
    mem_free(&parts);
    return status;
}

static enum status compact(struct compaction *c) {
    char staging[PATH_BYTES_MAX], aside[PATH_BYTES_MAX];
    const char *dir = c->scan->dir;
    enum status status = OK;
    const int n = snprintf(staging, sizeof staging, "%s.compact.tmp", dir);
    const int k = snprintf(aside, sizeof aside, "%s.old.tmp", dir);
    if (n < 0 || (size_t)n >= sizeof staging || k < 0 || (size_t)k >= sizeof aside) {
        return fail(ERR_LIMIT, "%s: the path is too long", dir);
    }
    TRY(file_remove_tree(staging));
    TRY(file_mkdirs(staging));
    TRY_OUT(write_all(c, staging));
    TRY_OUT(manifest_replace(staging, dir, aside));
    TRY_OUT(file_remove_tree(aside));
out:
    if (status != OK) {
        struct cause cause = {0};
        cause_keep(&cause, status);
        (void)file_remove_tree(staging);
        return cause_again(&cause);
    }
    return file_remove_tree(staging); /* the delta, after the exchange */
}

enum status checkpoint_compact(const char *dir) {
    struct compaction *c = NULL;
    char path[PATH_BYTES_MAX];
    enum status status = OK;
    TRY(path_resolve(path, dir));
    TRY(mem_new(&c));
    TRY_OUT(scan_create(&c->scan, path));
    if (manifest_base(&c->scan->manifest) != NULL) {
        TRY_OUT(compact(c));
    }
out:
    for (uint32_t unit = 0; unit < 2 * FIELDS_MAX; unit++) {
        buf_fini(&c->block[unit]);
    }
    scan_destroy(&c->scan);
    mem_free(&c);
    return status;
}
