/* snapshot.c - the partition's side of a snapshot (see snapshot.h).
 *
 * The cut notes the number of slots of each table, and that no block is written yet (one bit per
 * block of about 4 KB of rows). A scan copies block after block into chunks for the writer thread.
 * An update that is about to change an unwritten block first copies that block into the current
 * chunk, ahead of the scan. This copy is already the output: there is no second store of old blocks
 * to search, and a part file lists blocks in the order in which they were copied. Slots above those
 * of the cut are new and need nothing.
 *
 * Memory: the chunks in flight take at most copy_bytes (but there are at least two). The scan uses
 * half of them, so that updates find room. If no chunk is free, an update waits for the writer;
 * only here does a partition wait for a disk. It waits at most half of net.give_up_ms, then the
 * snapshot is given up, because workers must not take the partition for dead.
 *
 * Deterministic jobs (config.deterministic) need the same bytes in the file each time. So there the
 * first update ahead of the scan completes the whole scan instead: blocks are written in order of
 * slots.
 *
 * Invariant: every row of the cut that is neither free nor expired at the cut is written exactly
 * once; rows written + rows skipped = rows of the table at the cut. This is checked at the end.
 *
 * In a delta the blocks without a mark count as written from the start, and rows that did not
 * change since the base are skipped. A row past its age needs no trace: the reader knows its age.
 */
#include "snapshot.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "changes.h"
#include "cut_meta.h"
#include "partition_state.h"
#include "snapshot_writer.h"

#define STEP_BLOCKS     64u
#define CHUNK_BYTES_MIN ((size_t)64 << 10)
#define CHUNK_BYTES_MAX ((size_t)512 << 10)
#define CHUNKS_MAX      4096u
#define CHUNK_WAIT_MS   60000u /* but at most half of net.give_up_ms */
#define WAIT_SLICE_MS   100u

struct unit {
    const struct table *table; /* NULL: a field without sightings */
    const struct field_rows *field;
    uint32_t evict_age;
    uint32_t slots, blocks, block_shift;
    uint64_t rows_at_cut, written, passed; /* passed: rows that are not to be in the part */
    uint64_t *done;                        /* one bit per block */
};

struct snapshot {
    struct snapshot_writer *writer;
    struct snapshot_job *job;
    struct snapshot_chunk *chunk; /* being filled; NULL: none */
    struct unit *units;
    uint32_t unit_count;
    struct cut_point at;   /* the domains at the cut */
    struct cut_point base; /* of a delta; cut 0: all rows are written */
    uint64_t bitmap_bytes;
    uint32_t wait_ms; /* how long an update waits for an empty chunk */
    uint32_t scan_unit, scan_block;
    bool in_order;
    bool scanned; /* nothing is left to copy */
    bool end_sent;
    struct part_info info;
    struct cause cause; /* a failure on this side */
};

/* --- chunks ----------------------------------------------------------------------------------- */

/* Gives up the snapshot unless the status is OK. */
static void give_up_unless(struct snapshot *s, enum status status) {
    cause_keep(&s->cause, status);
    s->scanned = s->scanned || status != OK;
}

/* Makes an empty chunk the current one. wait: if none is free, waits for the writer. */
static enum status chunk_take(struct snapshot *s, bool wait) {
    struct snapshot_job *job = s->job;
    const uint64_t deadline = clock_mono_ms() + s->wait_ms;
    void *chunk = NULL;
    enum status status = queue_take(&job->emptied, &chunk, 0);
    if (status != OK && job->chunk_count < job->chunks_max &&
        mem_alloc(&chunk, sizeof *s->chunk + job->chunk_bytes) == OK) {
        job->chunks[job->chunk_count++] = chunk;
        status = OK;
    }
    atomic_store(&job->hurry, status == ERR_TIMEOUT && wait);
    while (status == ERR_TIMEOUT && wait && job->chunk_count > 0 && clock_left_ms(deadline) > 0) {
        status = queue_take(&job->emptied, &chunk, WAIT_SLICE_MS);
    }
    atomic_store(&job->hurry, false);
    if (status != OK) {
        return wait
                   ? fail(ERR_TIMEOUT, "%s: the disk took no rows for %u ms", job->path, s->wait_ms)
                   : ERR_AGAIN;
    }
    s->chunk = chunk;
    s->chunk->work = (struct snapshot_work){.kind = WORK_ROWS, .job = job};
    s->chunk->used = 0;
    s->chunk->segment_count = 0;
    return OK;
}

static enum status put_work(struct snapshot *s, struct snapshot_work *work) {
    const enum status status = snapshot_writer_put(s->writer, work);
    return status == OK ? OK : fail(status, "%s: the writer thread takes no work", s->job->path);
}

static enum status chunk_send(struct snapshot *s) {
    struct snapshot_chunk *chunk = s->chunk;
    s->chunk = NULL;
    return chunk == NULL ? OK : put_work(s, &chunk->work);
}

/* Whether the scan may take a chunk: half of the chunks, at least one, are reserved for updates. */
static bool scan_may_take(struct snapshot *s) {
    const struct snapshot_job *job = s->job;
    const size_t in_flight = job->chunk_count - queue_count(&s->job->emptied);
    return in_flight < job->chunks_max / 2;
}

/* Makes room for `bytes` of one unit in the current chunk. */
static enum status chunk_room(struct snapshot *s, size_t bytes, bool wait) {
    if (s->chunk != NULL && (s->chunk->used + bytes > s->job->chunk_bytes ||
                             s->chunk->segment_count == CHUNK_SEGMENTS_MAX)) {
        TRY(chunk_send(s));
    }
    if (s->chunk != NULL) {
        return OK;
    }
    return wait || scan_may_take(s) ? chunk_take(s, wait) : ERR_AGAIN;
}

/* --- blocks ----------------------------------------------------------------------------------- */

static void append_row(struct snapshot *s, uint32_t unit, const struct row *row, size_t bytes) {
    struct snapshot_chunk *c = s->chunk;
    struct snapshot_segment *last =
        c->segment_count == 0 ? NULL : &c->segment[c->segment_count - 1];
    if (last == NULL || last->unit != unit) {
        last = &c->segment[c->segment_count++];
        *last = (struct snapshot_segment){.unit = unit, .offset = c->used};
    }
    memcpy(c->data + c->used, row, bytes);
    c->used += bytes;
    last->bytes += bytes;
    last->rows++;
}

static bool block_done(const struct unit *u, uint32_t block) {
    return (u->done[block / 64] >> (block % 64) & 1) != 0;
}

/* The end of the slots of a block that still exist. Slots that were dropped since the cut had no
 * row, or their block is done. */
static uint32_t block_end(const struct unit *u, uint32_t begin) {
    const uint64_t end = (uint64_t)begin + (1u << u->block_shift);
    const uint32_t now = table_slots(u->table), slots = now < u->slots ? now : u->slots;
    const uint32_t last = end < slots ? (uint32_t)end : slots;
    return last > begin ? last : begin;
}

/* Whether a row of the cut is to be in the part. */
static bool belongs(const struct snapshot *s, const struct unit *u, const struct row *row) {
    if (s->base.cut != 0 && !cut_point_changed(&s->base, u->field, row)) {
        return false;
    }
    return u->evict_age == 0 ||
           !row_expired(row, u->evict_age, cut_point_clock(&s->at, key_bucket(u->field, row->id)));
}

/* Copies the rows of a block into the current chunk. ERR_AGAIN: no chunk is free, and `wait` is
 * false. */
static enum status copy_block(struct snapshot *s, uint32_t unit, uint32_t block, bool wait) {
    struct unit *u = &s->units[unit];
    const uint32_t begin = block << u->block_shift;
    const uint32_t end = block_end(u, begin);
    const size_t row_bytes = table_row_bytes(u->table);
    TRY(chunk_room(s, (end - begin) * row_bytes, wait));
    for (uint32_t handle = begin; handle < end; handle++) {
        const struct row *row = table_row(u->table, handle);
        if (row->step == 0) {
            continue;
        }
        if (!belongs(s, u, row)) {
            u->passed++;
            continue;
        }
        append_row(s, unit, row, row_bytes);
        u->written++;
    }
    u->done[block / 64] |= (uint64_t)1 << (block % 64);
    return OK;
}

/* --- the scan --------------------------------------------------------------------------------- */

static void scan_end(struct snapshot *s) {
    for (uint32_t i = 0; i < s->unit_count; i++) {
        struct unit *u = &s->units[i];
        if (s->base.cut == 0 && u->written + u->passed != u->rows_at_cut) {
            give_up_unless(s, fail(ERR_CORRUPT,
                                   "%s: %llu rows of field slot %u copied, %llu at the cut",
                                   s->job->path, (unsigned long long)(u->written + u->passed),
                                   i / 2, (unsigned long long)u->rows_at_cut));
        }
        s->job->expected[i] = u->written;
    }
    give_up_unless(s, chunk_send(s));
    s->scanned = true;
}

/* Scans up to `blocks` blocks; wait: also waits for chunks. */
static void scan_blocks(struct snapshot *s, uint64_t blocks, bool wait) {
    while (blocks > 0 && !s->scanned) {
        struct unit *u = &s->units[s->scan_unit];
        if (s->scan_block == u->blocks) {
            s->scan_block = 0;
            if (++s->scan_unit == s->unit_count) {
                scan_end(s);
            }
            continue;
        }
        if (s->scan_block % 64 == 0 && ~u->done[s->scan_block / 64] == 0) {
            s->scan_block += u->blocks - s->scan_block < 64 ? u->blocks - s->scan_block : 64;
            continue;
        }
        if (!block_done(u, s->scan_block)) {
            const enum status status = copy_block(s, s->scan_unit, s->scan_block, wait);
            if (status == ERR_AGAIN) {
                return;
            }
            give_up_unless(s, status);
        }
        s->scan_block++;
        blocks--;
    }
}

static void send_end(struct snapshot *s) {
    s->job->give_up = s->cause.status != OK;
    s->end_sent = snapshot_writer_put(s->writer, &s->job->end) == OK;
}

static bool snapshot_step(struct partition *p) {
    struct snapshot *s = p->snapshot;
    if (s->end_sent || atomic_load(&s->job->done)) {
        return false;
    }
    if (atomic_load(&s->job->failed)) {
        s->scanned = true; /* the job has the cause */
    }
    const uint32_t unit = s->scan_unit, block = s->scan_block;
    scan_blocks(s, STEP_BLOCKS, false);
    if (s->scanned) {
        send_end(s);
    }
    return !s->end_sent && (unit != s->scan_unit || block != s->scan_block);
}

static void snapshot_touch(struct partition *p, uint32_t unit, uint32_t handle) {
    struct snapshot *s = p->snapshot;
    const struct unit *u = &s->units[unit];
    if (s->scanned || handle >= u->slots || block_done(u, handle >> u->block_shift)) {
        return;
    }
    if (atomic_load(&s->job->failed)) {
        s->scanned = true;
    } else if (s->in_order) {
        scan_blocks(s, UINT64_MAX, true);
    } else {
        give_up_unless(s, copy_block(s, unit, handle >> u->block_shift, true));
    }
}

/* --- the cut ---------------------------------------------------------------------------------- */

static void snapshot_destroy(struct snapshot **inout) {
    struct snapshot *s = *inout;
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; s->units != NULL && i < s->unit_count; i++) {
        mem_free(&s->units[i].done);
    }
    mem_free(&s->units);
    cut_point_fini(&s->at);
    cut_point_fini(&s->base);
    buf_fini(&s->info.applied);
    snapshot_job_release(&s->job);
    mem_free(inout);
}

static void snapshot_end(struct partition *p) {
    snapshot_destroy(&p->snapshot);
    p->hooks = NULL;
}

static void snapshot_abandon(struct partition *p) {
    struct snapshot *s = p->snapshot;
    if (!s->end_sent && !atomic_load(&s->job->done)) {
        give_up_unless(s, fail(ERR_CLOSED, "%s: its partition ended", s->job->path));
        send_end(s);
    }
    snapshot_end(p);
}

static uint64_t snapshot_bytes(const struct partition *p) {
    const struct snapshot *s = p->snapshot;
    return sizeof *s + s->bitmap_bytes + snapshot_job_bytes(s->job);
}

static const struct snapshot_hooks snapshot_hooks = {.before_write = snapshot_touch,
                                                     .step = snapshot_step,
                                                     .bytes = snapshot_bytes,
                                                     .abandon = snapshot_abandon};

static enum status cut_unit(struct snapshot *s, const struct field_rows *f,
                            const struct store *store) {
    struct unit *u = &s->units[store->unit];
    u->field = f;
    u->table = store->table;
    u->evict_age = store->evict_age;
    if (store->table == NULL) {
        return OK;
    }
    u->block_shift = changes_block_shift(table_row_bytes(u->table));
    u->slots = table_slots(u->table);
    u->rows_at_cut = table_rows(u->table);
    u->blocks = (uint32_t)(((uint64_t)u->slots + (1u << u->block_shift) - 1) >> u->block_shift);
    const size_t words = ((size_t)u->blocks + 63) / 64;
    s->bitmap_bytes += words * sizeof *u->done;
    TRY(mem_array(&u->done, words));
    for (uint32_t i = 0; s->base.cut != 0 && i < words; i++) {
        u->done[i] = ~changes_word(store, (uint32_t)i);
    }
    return OK;
}

static enum status cut_rows(struct snapshot *s, const struct partition *p) {
    s->unit_count = 2 * p->field_count;
    TRY(mem_array(&s->units, s->unit_count));
    for (uint32_t i = 0; i < p->field_count; i++) {
        TRY(cut_unit(s, &p->fields[i], &p->fields[i].rows));
        TRY(cut_unit(s, &p->fields[i], &p->fields[i].sightings));
    }
    return cut_point_set(&s->at, 0, &p->domains);
}

static enum status cut_dense(struct snapshot_job *job, const struct dense *d) {
    job->dense_begin = d->begin;
    job->dense_floats = dense_floats(d);
    job->dense_vectors = 1 + d->state;
    const size_t bytes = job->dense_floats * sizeof(float);
    TRY(mem_array_of((void **)&job->dense, job->dense_vectors, bytes));
    for (uint32_t k = 0; k < job->dense_vectors && bytes > 0; k++) {
        memcpy(job->dense + k * job->dense_floats, dense_vector(d, k), bytes);
    }
    return OK;
}

/* The ids of a delta's rows that made room for others: as many as the tables allow. */
static enum status cut_gone(struct snapshot *s, const struct partition *p) {
    TRY(mem_array(&s->job->gone, s->unit_count));
    for (uint32_t i = 0; s->base.cut != 0 && i < s->unit_count; i++) {
        const struct field_rows *f = &p->fields[i / 2];
        const struct marks *m = i % 2 == 0 ? &f->rows.marks : &f->sightings.marks;
        TRY(buf_put(&s->job->gone[i], m->gone, m->gone_count * sizeof *m->gone));
        s->bitmap_bytes += s->job->gone[i].cap;
    }
    return OK;
}

static enum status cut_job(struct snapshot *s, struct partition *p, const struct cut_order *o) {
    const uint64_t copy_bytes = p->spec.config->copy_bytes;
    size_t chunk_bytes = (size_t)(copy_bytes / 8) & ~(size_t)4095;
    chunk_bytes = chunk_bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : chunk_bytes;
    chunk_bytes = chunk_bytes > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : chunk_bytes;
    uint64_t chunks = copy_bytes / chunk_bytes;
    chunks = chunks < 2 ? 2 : chunks > CHUNKS_MAX ? CHUNKS_MAX : chunks;
    TRY(snapshot_job_create(&s->job, s->unit_count, chunk_bytes, (uint32_t)chunks));
    s->info = (struct part_info){.bucket_begin = p->spec.bucket_begin,
                                 .bucket_end = p->spec.bucket_end,
                                 .version = domains_version(&p->domains),
                                 .whole = o->delta && s->base.cut == 0};
    snprintf(s->info.name, sizeof s->info.name, "part-%05u-of-%05u.bin", o->index, o->count);
    TRY(path_join(s->job->path, o->dir, s->info.name));
    s->job->delta = o->delta;
    TRY(cut_meta(p, o->cut, o->delta ? o->committed : 0, s->info.whole, &s->job->meta));
    TRY(cut_names(p, &s->info.applied));
    TRY(cut_gone(s, p));
    return cut_dense(s->job, &p->dense);
}

/* What a delta can be made against. */
static enum status cut_base(struct snapshot *s, struct partition *p, const struct cut_order *o) {
    const struct cut_point *base = changes_base(p, o->committed);
    if (!o->delta || base == NULL) {
        return OK;
    }
    TRY(mem_array(&s->base.clocks, base->count));
    memcpy(s->base.clocks, base->clocks, base->count * sizeof *base->clocks);
    s->base.cut = base->cut;
    s->base.count = base->count;
    return OK;
}

enum status partition_cut_since(struct partition *p, struct snapshot_writer *w,
                                const struct cut_order *o) {
    enum status status = OK;
    struct snapshot *s = NULL;
    assert(!p->spec.read_only && (!o->delta || o->committed != 0));
    if (p->hooks != NULL) {
        return fail(ERR_AGAIN, "a snapshot of buckets [%u, %u) is still running",
                    p->spec.bucket_begin, p->spec.bucket_end);
    }
    TRY(mem_new(&s));
    s->writer = w;
    s->in_order = p->spec.config->deterministic;
    s->wait_ms = p->spec.config->give_up_ms / 2 < CHUNK_WAIT_MS ? p->spec.config->give_up_ms / 2
                                                                : CHUNK_WAIT_MS;
    TRY_OUT(cut_base(s, p, o));
    TRY_OUT(cut_rows(s, p));
    TRY_OUT(cut_job(s, p, o));
    TRY_OUT(put_work(s, &s->job->begin));
    changes_cut(p, o->cut);
    p->snapshot = s;
    p->hooks = &snapshot_hooks;
    s = NULL;
out:
    snapshot_destroy(&s);
    return status;
}

enum status partition_cut(struct partition *p, struct snapshot_writer *w, const char *dir,
                          uint32_t index, uint32_t count, uint64_t cut) {
    const struct cut_order order = {.dir = dir, .index = index, .count = count, .cut = cut};
    return partition_cut_since(p, w, &order);
}

bool partition_cut_done(struct partition *p, enum status *status, struct part_info *info) {
    struct snapshot *s = p->snapshot;
    if (s == NULL || !atomic_load(&s->job->done)) {
        return false;
    }
    *status = cause_again(s->cause.status != OK ? &s->cause : &s->job->cause);
    s->info.bytes = s->job->file_bytes;
    s->info.checksum = s->job->checksum;
    s->info.rows = s->job->rows;
    if (*status != OK) {
        buf_fini(&s->info.applied);
    }
    *info = s->info;
    s->info.applied = BUF_EMPTY; /* now owned by the receiver */
    snapshot_end(p);
    return true;
}
