/* part.c - reads a part file block by block and checks it (see part.h).
 *
 * The container checks the bytes of each block. This file checks that the file is the one of the
 * manifest, that META is first and TOTALS last, that lengths fit the tables, and that the numbers
 * of records add up. The checksum of the whole file is computed while the blocks are read and
 * compared after the last one, so that damage in a block is reported with its position. A reader
 * that skips blocks does not check the whole file. It need not: each block that it reads is checked
 * by itself, and META says which checkpoint the part belongs to. */
#include "part.h"

#include <string.h>
#include "common/base/mem.h"

static enum status damaged(const struct part_reader *r, const char *what) {
    const size_t at = r->next > 0 ? r->next - 1 : 0;
    const uint64_t offset = at < r->container.block_count ? r->container.blocks[at].offset : 0;
    return fail(ERR_CORRUPT, "%s: block at offset %llu: %s", r->container.file.path,
                (unsigned long long)offset, what);
}

static enum status read_block(struct part_reader *r) {
    return container_get(&r->container, r->next++, &r->block);
}

/* Parts of two checkpoints can have the same range, clock and size, so the id of the cut is
 * compared too. A manifest without an id (0) has an older format, and so have its parts. */
static enum status check_cut(const struct part_reader *r, uint64_t cut) {
    if (cut == 0 || r->meta.cut == cut) {
        return OK;
    }
    return fail(ERR_CORRUPT,
                "%s: is of cut %016llx, the manifest is of cut %016llx: it belongs to another "
                "checkpoint",
                r->container.file.path, (unsigned long long)r->meta.cut, (unsigned long long)cut);
}

static enum status open_meta(struct part_reader *r, const struct manifest_part *part,
                             uint64_t cut) {
    const struct part_meta *m = &r->meta;
    if (r->container.block_count == 0 || r->container.blocks[0].type != PART_META) {
        return damaged(r, "the first block should be META");
    }
    TRY(read_block(r));
    const enum status status = part_meta_decode(&r->meta, r->block.data, r->block.len);
    if (status != OK) {
        return fail(status, "%s: %s", r->container.file.path, fail_text());
    }
    if (m->bucket_begin != part->bucket_begin || m->bucket_end != part->bucket_end ||
        m->version != part->version) {
        return fail(ERR_CORRUPT,
                    "%s: holds buckets [%u, %u) at version %llu, the manifest says "
                    "[%u, %u) at %llu",
                    r->container.file.path, m->bucket_begin, m->bucket_end,
                    (unsigned long long)m->version, part->bucket_begin, part->bucket_end,
                    (unsigned long long)part->version);
    }
    TRY(check_cut(r, cut));
    if (m->base != 0 && m->whole != part->whole) {
        return fail(ERR_CORRUPT, "%s: %s, the manifest says otherwise", r->container.file.path,
                    m->whole ? "holds all rows of its buckets" : "holds changed rows only");
    }
    return mem_array(&r->seen, 4 * (size_t)m->table_count + 1);
}

static enum status open_checked(struct part_reader *r, const char *path,
                                const struct manifest_part *part, uint64_t cut) {
    TRY(container_open(&r->container, path, CONTAINER_CHECKPOINT_PART));
    TRY(container_checksum_begin(&r->container));
    if (r->container.file_bytes != part->bytes) {
        return fail(ERR_CORRUPT, "%s: %llu bytes, the manifest says %llu", path,
                    (unsigned long long)r->container.file_bytes, (unsigned long long)part->bytes);
    }
    return open_meta(r, part, cut);
}

enum status part_open(struct part_reader *r, const char *dir, const struct manifest_part *part,
                      uint64_t cut) {
    char path[PATH_BYTES_MAX];
    memset(r, 0, sizeof *r);
    r->container.file = FILE_CLOSED;
    r->rows = part->rows;
    r->expected = part->checksum;
    TRY(path_join(path, dir, part->name));
    const enum status status = open_checked(r, path, part, cut);
    if (status != OK) {
        part_close(r);
    }
    return status;
}

enum status part_check_base(const struct part_reader *r, const struct manifest *m) {
    const struct part_meta *meta = &r->meta;
    if (meta->base == m->base.cut || (meta->whole && m->base.cut == 0)) {
        return OK;
    }
    return fail(
        ERR_CORRUPT, "%s: holds what changed since cut %016llx, the manifest's base is cut %016llx",
        r->container.file.path, (unsigned long long)meta->base, (unsigned long long)m->base.cut);
}

void part_close(struct part_reader *r) {
    container_close(&r->container);
    part_meta_free(&r->meta);
    buf_fini(&r->block);
    mem_free(&r->seen);
}

/* --- blocks ----------------------------------------------------------------------------------- */

static enum status take_records(struct part_reader *r, uint64_t tag, struct part_chunk *c) {
    const bool rows = c->kind == PART_ROWS;
    if (tag >= r->meta.table_count) {
        return damaged(r, "records of a table that META does not have");
    }
    c->table = (uint32_t)tag;
    c->row_bytes = rows ? r->meta.tables[tag].row_bytes : PART_RECORD_HEADER;
    c->count = r->block.len / c->row_bytes;
    if (c->count == 0 || r->block.len % c->row_bytes != 0) {
        return damaged(r, "length is not a multiple of the record's");
    }
    r->seen[2 * tag + (rows ? 0 : 1)] += c->count;
    return OK;
}

static enum status take_dense(struct part_reader *r, uint64_t tag, struct part_chunk *c) {
    const struct part_meta *m = &r->meta;
    const size_t each = (1 + (size_t)m->dense_state) * sizeof(float);
    c->count = r->block.len / each;
    c->dense_begin = tag;
    if (r->block.len % each != 0 || tag < m->dense_begin || tag > m->dense_end ||
        c->count > m->dense_end - tag) {
        return damaged(r, "dense values beyond the part's slice");
    }
    r->seen[2 * (size_t)m->table_count] += c->count;
    return OK;
}

static enum status take_gone(struct part_reader *r, uint64_t tag, struct part_chunk *c) {
    const size_t tables = r->meta.table_count;
    if (r->meta.base == 0 || tag >= 2 * tables) {
        return damaged(r, "ids that are gone, of no delta or of a table that META does not have");
    }
    c->table = (uint32_t)(tag / 2);
    c->sightings = tag % 2 != 0;
    c->row_bytes = sizeof(uint64_t);
    c->count = r->block.len / sizeof(uint64_t);
    if (c->count == 0 || r->block.len % sizeof(uint64_t) != 0) {
        return damaged(r, "length is not a multiple of an id's");
    }
    r->seen[2 * tables + 1 + tag] += c->count;
    return OK;
}

static enum status check_checksum(struct part_reader *r) {
    uint64_t checksum = 0;
    bool whole = false;
    TRY(container_checksum_end(&r->container, &checksum, &whole));
    return !whole || checksum == r->expected
               ? ERR_NOT_FOUND
               : fail(ERR_CORRUPT, "%s: checksum %016llx, the manifest says %016llx",
                      r->container.file.path, (unsigned long long)checksum,
                      (unsigned long long)r->expected);
}

/* Checks the last block, TOTALS. */
static enum status check_totals(struct part_reader *r) {
    const size_t tables = r->meta.table_count;
    const size_t counts = (r->meta.base != 0 ? 4 : 2) * tables + 1;
    const size_t bytes = counts * sizeof *r->seen;
    uint64_t rows = 0;
    if (r->next != r->container.block_count || r->block.len != bytes ||
        memcmp(r->block.data, r->seen, bytes) != 0) {
        return damaged(r, "the records do not add up to TOTALS");
    }
    for (size_t t = 0; t < tables; t++) {
        rows += r->seen[2 * t];
    }
    if (rows != r->rows || r->seen[2 * tables] != r->meta.dense_end - r->meta.dense_begin) {
        return damaged(r, "TOTALS differ from the manifest, or dense values are missing");
    }
    return check_checksum(r);
}

enum status part_next(struct part_reader *r, struct part_chunk *chunk) {
    const struct container_reader *c = &r->container;
    *chunk = (struct part_chunk){0};
    if (r->next >= c->block_count || c->blocks[r->next].type == BLOCK_FOOTER) {
        return damaged(r, "the last block should be TOTALS");
    }
    const uint64_t tag = c->blocks[r->next].tag;
    const uint16_t type = c->blocks[r->next].type;
    TRY(read_block(r));
    chunk->data = r->block.data;
    switch (type) {
    case PART_ROWS:
    case PART_SIGHTINGS: chunk->kind = (enum part_block)type; return take_records(r, tag, chunk);
    case PART_DENSE: chunk->kind = PART_DENSE; return take_dense(r, tag, chunk);
    case PART_GONE: chunk->kind = PART_GONE; return take_gone(r, tag, chunk);
    case PART_TOTALS: return check_totals(r);
    default: return damaged(r, "unknown block type");
    }
}
