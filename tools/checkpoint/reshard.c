/* reshard.c - `esmm reshard`: the same checkpoint in another number of parts.
 *
 * One partition at a time is filled as a server would fill it (ps/restore.h), and cut as a server
 * would cut it (ps/snapshot.h), so names, clocks and states are what a resumed job would have. Rows
 * come in order of slots: the same input gives the same bytes. Memory: the rows of one part.
 */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/checkpoint/scan.h"
#include "ps/restore.h"
#include "ps/snapshot.h"
#include "ps/snapshot_writer.h"
#include "tools/common/new_dir.h"
#include "tools/common/tools.h"

#define CUT_POLL_MS 1

struct reshard_line {
    const char *checkpoint, *out;
    uint32_t partitions;
};
struct reshard {
    struct scan *scan;
    struct manifest out; /* the scan's, with parts of its own */
    struct snapshot_writer *writer;
    uint32_t partitions;
    bool grows; /* the checkpoint is of a stream */
};

static enum status is_of_stream(const struct manifest *m, bool *stream) {
    struct applied *names = NULL;
    TRY(applied_decode(&names, m->applied, m->applied_bytes, m->batches_per_shard, m->shards));
    *stream = applied_is_open(names);
    applied_destroy(&names);
    return OK;
}

static enum status fill(const struct reshard *r, uint32_t k, struct partition **p) {
    const struct manifest *m = &r->scan->manifest;
    const struct partition_spec spec = {.config = &r->scan->config,
                                        .schema = &m->schema,
                                        .layout = &r->scan->layout,
                                        .batches_per_shard = m->batches_per_shard,
                                        .shards = m->shards,
                                        .grows = r->grows,
                                        .bucket_begin = bucket_begin(k, r->partitions),
                                        .bucket_end = bucket_begin(k + 1, r->partitions)};
    TRY(partition_create(p, &spec));
    return partition_restore(*p, r->scan->dir, m);
}

static enum status cut(struct reshard *r, struct partition *p, const char *dir, uint32_t k) {
    struct part_info info = {.applied = BUF_EMPTY};
    enum status status = OK;
    bool busy;
    TRY(partition_cut(p, r->writer, dir, k, r->partitions, r->scan->manifest.cut));
    while (!partition_cut_done(p, &status, &info)) {
        TRY(partition_tick(p, clock_mono_ms(), &busy));
        clock_sleep_ms(busy ? 0 : CUT_POLL_MS);
    }
    if (status == OK) {
        struct manifest_part *part = &r->out.parts[k];
        *part = (struct manifest_part){.bucket_begin = info.bucket_begin,
                                       .bucket_end = info.bucket_end,
                                       .bytes = info.bytes,
                                       .checksum = info.checksum,
                                       .rows = info.rows,
                                       .version = info.version};
        memcpy(part->name, info.name, sizeof part->name);
    }
    buf_fini(&info.applied);
    return status;
}

static enum status write_parts(struct reshard *r, const char *dir) {
    for (uint32_t k = 0; k < r->partitions; k++) {
        struct partition *p = NULL;
        enum status status = fill(r, k, &p);
        if (status == OK) {
            status = cut(r, p, dir, k);
        }
        partition_destroy(&p);
        TRY(status);
    }
    return manifest_write(&r->out, dir);
}

static enum status reshard_into(struct reshard *r, const char *out) {
    struct new_dir dir = NEW_DIR_NONE;
    enum status status = OK;
    TRY_OUT(new_dir_open(&dir, out, "reshard"));
    TRY_OUT(write_parts(r, dir.temporary));
    TRY_OUT(new_dir_publish(&dir));
out:
    new_dir_close(&dir);
    return status;
}

static enum status reshard_start(void *line) {
    const struct reshard_line *l = line;
    struct reshard r = {.partitions = l->partitions};
    enum status status = OK;
    TRY_OUT(scan_create(&r.scan, l->checkpoint));
    r.scan->config.deterministic = true; /* rows in order of slots */
    TRY_OUT(is_of_stream(&r.scan->manifest, &r.grows));
    r.out = r.scan->manifest;
    r.out.base = (struct manifest_base){0}; /* the parts have all rows */
    r.out.parts = NULL;
    r.out.part_count = l->partitions;
    TRY_OUT(mem_array(&r.out.parts, l->partitions));
    TRY_OUT(snapshot_writer_start(&r.writer));
    TRY_OUT(reshard_into(&r, l->out));
    printf("%s: %u parts of %u, step %llu\n", l->out, l->partitions, r.scan->manifest.part_count,
           (unsigned long long)r.scan->manifest.step);
out:
    snapshot_writer_stop(&r.writer);
    mem_free(&r.out.parts);
    scan_destroy(&r.scan);
    return status;
}

static const struct option_row reshard_rows[] = {
    {"CHECKPOINT", "CHECKPOINT", OPTION_TEXT, OPTION_AT(struct reshard_line, checkpoint),
     .argument = true, .required = true,
     .help = "a checkpoint, a checkpoints directory or a run directory (its newest complete "
             "checkpoint)"},
    {"partitions", "N", OPTION_WHOLE, OPTION_AT(struct reshard_line, partitions), .required = true,
     .least = 1, .most = BUCKETS, .help = "parts to write"},
    {"out", "DIR", OPTION_TEXT, OPTION_AT(struct reshard_line, out), .required = true,
     .help = "the new checkpoint; must not exist; appears when everything is written"},
    {NULL}};
const struct command command_reshard = {
    .name = "reshard",
    .summary = "a checkpoint in another number of parts",
    .about = "Writes the same checkpoint with another number of parts. Any number of servers can "
             "load any number of parts; as many parts as partitions load fastest.",
    .groups = (const struct option_group[]){{NULL, reshard_rows}, {0}},
    .line_bytes = sizeof(struct reshard_line),
    .run = reshard_start};
