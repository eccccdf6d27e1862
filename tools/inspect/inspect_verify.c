/* inspect_verify.c - checks whether a checkpoint is complete and undamaged.
 *
 * There are three checks. Each is made only where the earlier ones leave it useful:
 *     - Does every block of a file match its own checksum? (This check names the offset.)
 *     - Does the file match the manifest in size, checksum and content, and are its rows in the
 *       part's buckets?
 *     - Do all parts together hold every dense parameter once?
 *
 * Of a delta each of its links is checked, dense parameters of the newest alone.
 *
 * That they hold every bucket once is known already, because reading the manifest checks it. All
 * damage is listed, not only the first.
 */
#include "inspect.h"

#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/mem.h"

struct damage {
    char **lines;
    size_t count, cap;
};

static void damage_fini(struct damage *d) {
    for (size_t i = 0; i < d->count; i++) {
        mem_free(&d->lines[i]);
    }
    mem_free(&d->lines);
}

/* Keeps the text of the last fail() in the list of damage. The failure is then handled. */
static enum status damage_note(struct damage *d) {
    TRY(mem_room(&d->lines, &d->cap, d->count + 1));
    TRY(mem_strdup(&d->lines[d->count], fail_text()));
    d->count++;
    return OK;
}

/* If the status is damage, notes it and returns OK. Lack of memory is no damage and is passed on.
 */
static enum status damage_noted(struct damage *d, enum status status) {
    return status == OK || status == ERR_MEMORY ? status : damage_note(d);
}

/* --- a file ----------------------------------------------------------------------------------- */

static enum status check_blocks(const char *path, struct damage *d) {
    struct container_reader reader = {.file = FILE_CLOSED};
    struct buf block = BUF_EMPTY;
    enum status status = container_open(&reader, path, CONTAINER_CHECKPOINT_PART);
    if (status != OK) {
        return damage_noted(d, status);
    }
    for (size_t i = 0; status == OK && i < reader.block_count; i++) {
        status = damage_noted(d, container_get(&reader, i, &block));
    }
    buf_fini(&block);
    container_close(&reader);
    return status;
}

/* --- its content ------------------------------------------------------------------------------ */

static enum status check_rows(const char *path, const struct manifest *m,
                              const struct part_reader *reader, const struct part_chunk *chunk) {
    const struct part_meta *meta = &reader->meta;
    if (chunk->kind == PART_DENSE || chunk->kind == PART_GONE) {
        return OK;
    }
    const int slot = schema_find(&m->schema, meta->tables[chunk->table].name);
    if (slot < 0) {
        return fail(ERR_CORRUPT, "%s: table '%s' is not a field of the manifest", path,
                    meta->tables[chunk->table].name);
    }
    for (size_t i = 0; i < chunk->count; i++) {
        const struct scan_row row = scan_row(chunk, i);
        const uint32_t bucket = hash_bucket(hash_key(m->schema.fields[slot].salt, row.id));
        if (bucket < meta->bucket_begin || bucket >= meta->bucket_end) {
            return fail(ERR_CORRUPT,
                        "%s: offset %llu: row %zu of table '%s' (id %llu) belongs to "
                        "bucket %u, the part holds [%u, %u)",
                        path, (unsigned long long)reader->container.blocks[reader->next - 1].offset,
                        i, m->schema.fields[slot].name, (unsigned long long)row.id, bucket,
                        meta->bucket_begin, meta->bucket_end);
        }
    }
    return OK;
}

static enum status check_content(const char *dir, const char *path, const struct manifest *m,
                                 const struct manifest_part *part) {
    struct part_reader reader = {0};
    enum status status = OK;
    TRY_OUT(part_open(&reader, dir, part, m->cut));
    TRY_OUT(part_check_base(&reader, m));
    for (;;) {
        struct part_chunk chunk = {0};
        status = part_next(&reader, &chunk);
        if (status == ERR_NOT_FOUND) {
            status = OK;
            break;
        }
        TRY_OUT(status);
        TRY_OUT(check_rows(path, m, &reader, &chunk));
    }
out:
    part_close(&reader);
    return status;
}

static enum status check_part(const char *dir, const struct manifest *m,
                              const struct manifest_part *part, struct damage *d) {
    char path[PATH_BYTES_MAX];
    const size_t before = d->count;
    TRY(path_join(path, dir, part->name));
    if (!file_exists(path)) {
        (void)fail(ERR_CORRUPT, "%s: is missing, the manifest lists it with %llu bytes", path,
                   (unsigned long long)part->bytes);
        return damage_note(d);
    }
    TRY(check_blocks(path, d));
    return d->count == before ? damage_noted(d, check_content(dir, path, m, part)) : OK;
}

/* --- the whole -------------------------------------------------------------------------------- */

static enum status check_dense(const char *dir) {
    struct scan *scan = NULL;
    float *dense = NULL;
    enum status status = scan_create(&scan, dir);
    if (status == OK) {
        status = scan_dense(scan, &dense);
    }
    mem_free(&dense);
    scan_destroy(&scan);
    return status;
}

static enum status check_link(const char *dir, const struct manifest *m, struct damage *d) {
    for (uint32_t p = 0; p < m->part_count; p++) {
        TRY(check_part(dir, m, &m->parts[p], d));
    }
    return OK;
}

static enum status check_all(const char *dir, const struct manifest *m, struct chain *chain,
                             struct damage *d) {
    TRY(check_link(dir, m, d));
    TRY(damage_noted(d, chain_open(chain, dir, m)));
    for (uint32_t i = 0; i < chain->count; i++) {
        TRY(check_link(chain->base[i].dir, &chain->base[i].manifest, d));
    }
    return d->count == 0 ? damage_noted(d, check_dense(dir)) : OK;
}

static void add_link(const struct manifest *m, uint64_t *parts, uint64_t *bytes) {
    *parts += m->part_count;
    *bytes += manifest_bytes(m);
}

static enum status verify_report(const char *dir, const struct manifest *m,
                                 const struct chain *chain, const struct damage *d, bool json,
                                 struct buf *out) {
    struct json j;
    uint64_t parts = 0, bytes = 0;
    add_link(m, &parts, &bytes);
    for (uint32_t i = 0; i < chain->count; i++) {
        add_link(&chain->base[i].manifest, &parts, &bytes);
    }
    if (!json) {
        for (size_t i = 0; i < d->count; i++) {
            TRY(buf_printf(out, "damaged  %s\n", d->lines[i]));
        }
        return d->count > 0 ? OK
                            : buf_printf(out, "whole    %s: %llu parts, %llu bytes, step %llu%s\n",
                                         dir, (unsigned long long)parts, (unsigned long long)bytes,
                                         (unsigned long long)m->step,
                                         chain->count == 0 ? "" : ", with all of its bases");
    }
    json_begin(&j, out, false);
    json_str(&j, "checkpoint", dir);
    json_bool(&j, "whole", d->count == 0);
    json_u64(&j, "links", 1 + (uint64_t)chain->count);
    json_u64(&j, "parts", parts);
    json_u64(&j, "bytes", bytes);
    json_open(&j, "damage", '[');
    for (size_t i = 0; i < d->count; i++) {
        json_str(&j, NULL, d->lines[i]);
    }
    json_close(&j);
    return json_end(&j);
}

enum status inspect_verify(const char *path, bool json, struct buf *out) {
    char dir[PATH_BYTES_MAX];
    struct manifest m = {0};
    struct damage d = {0};
    struct chain chain = {0};
    enum status status = OK;
    TRY_OUT(scan_manifest(path, dir, &m));
    TRY_OUT(check_all(dir, &m, &chain, &d));
    TRY_OUT(verify_report(dir, &m, &chain, &d, json, out));
    if (d.count > 0) {
        status = fail(ERR_CORRUPT, "%s is damaged (%zu findings): %s", dir, d.count, d.lines[0]);
    }
out:
    damage_fini(&d);
    chain_close(&chain);
    manifest_free(&m);
    return status;
}
