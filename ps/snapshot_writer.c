/* snapshot_writer.c - the thread that writes part files (see snapshot_writer.h).
 *
 * The thread takes work in order, so the BEGIN of a job comes first and its END last; the jobs of
 * several partitions interleave. The first failure of a job is kept; later chunks of that job are
 * only returned empty. When the thread ends, it aborts unfinished jobs, so no partition waits for a
 * writer that has ended.
 *
 * A chunk holds runs of several tables, in the order of the updates. The thread gathers them by
 * table and writes one container block each. So blocks are few and large, at the price of one copy
 * on this thread.
 */
#include "snapshot_writer.h"

#include <stdio.h>
#include <string.h>
#include "common/base/clock.h"
#include "common/checkpoint/part.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "common/fault/fault.h"

#define QUEUE_LENGTH       65536u
#define PUT_TIMEOUT_MS     1000u
#define TAKE_TIMEOUT_MS    1000u
#define DENSE_BLOCK_FLOATS ((size_t)1 << 18)
#define START_BYTES        ((uint64_t)8 << 20) /* written, before the disk is asked to begin */
#define PACE_SLICE_MS      5u
#define PACE_AHEAD_US      20000u /* how much may be written at once after a pause */
#define PACE_SYNCS_PER_S   4u /* so often the disk takes what was written, if there is a bound */
#define GONE_BLOCK_BYTES   ((size_t)512 << 10)

struct snapshot_writer {
    struct thread thread;
    struct queue queue;
    bool queue_ready;
    atomic_bool stopping;
    struct snapshot_job *jobs; /* unfinished; used by the thread only */
    uint64_t bytes_per_s;      /* 0: no bound */
    uint64_t due_us;           /* when what was written so far is paid for */
};

/* --- writing ---------------------------------------------------------------------------------- */

static enum status write_dense(struct snapshot_job *job) {
    const size_t n = job->dense_floats;
    for (size_t at = 0; at < n; at += DENSE_BLOCK_FLOATS) {
        const size_t some = n - at < DENSE_BLOCK_FLOATS ? n - at : DENSE_BLOCK_FLOATS;
        buf_clear(&job->gathered);
        for (uint32_t k = 0; k < job->dense_vectors; k++) {
            TRY(buf_put(&job->gathered, job->dense + k * n + at, some * sizeof(float)));
        }
        TRY(container_put(&job->file, PART_DENSE, job->dense_begin + at, job->gathered.data,
                          job->gathered.len, false));
    }
    return OK;
}

/* They come before the rows: a reader removes them first. */
static enum status write_gone(struct snapshot_job *job) {
    for (uint32_t u = 0; u < job->units; u++) {
        const struct buf *ids = &job->gone[u];
        for (size_t at = 0; at < ids->len; at += GONE_BLOCK_BYTES) {
            const size_t some = ids->len - at < GONE_BLOCK_BYTES ? ids->len - at : GONE_BLOCK_BYTES;
            TRY(container_put(&job->file, PART_GONE, u, ids->data + at, some, true));
        }
    }
    return OK;
}

static enum status job_begin(struct snapshot_job *job) {
    TRY(container_create(&job->file, job->path, CONTAINER_CHECKPOINT_PART));
    FAULT("ps.part.begin");
    TRY(container_put(&job->file, PART_META, 0, job->meta.data, job->meta.len, true));
    TRY(write_dense(job));
    return write_gone(job);
}

/* Counters and ids are compressible, float weights are not. */
static enum status write_unit(struct snapshot_job *job, uint32_t unit, const void *data,
                              size_t bytes) {
    const bool sightings = unit % 2 != 0;
    return container_put(&job->file, sightings ? PART_SIGHTINGS : PART_ROWS, unit / 2, data, bytes,
                         sightings);
}

static enum status write_chunk(struct snapshot_job *job, const struct snapshot_chunk *c) {
    bool written[CHUNK_SEGMENTS_MAX] = {false};
    FAULT("ps.part.chunk");
    for (uint32_t i = 0; i < c->segment_count; i++) {
        const uint32_t unit = c->segment[i].unit;
        if (written[i]) {
            continue;
        }
        buf_clear(&job->gathered);
        for (uint32_t k = i; k < c->segment_count; k++) {
            const struct snapshot_segment *s = &c->segment[k];
            if (s->unit == unit) {
                TRY(buf_put(&job->gathered, c->data + s->offset, s->bytes));
                job->written[unit] += s->rows;
                written[k] = true;
            }
        }
        TRY(write_unit(job, unit, job->gathered.data, job->gathered.len));
    }
    return OK;
}

/* The totals count what was written, and must equal what the cut had. */
static enum status job_finish(struct snapshot_job *job) {
    buf_clear(&job->gathered);
    for (uint32_t u = 0; u < job->units; u++) {
        if (job->written[u] != job->expected[u]) {
            return fail(ERR_CORRUPT, "%s: %llu records of field slot %u written, the cut has %llu",
                        job->path, (unsigned long long)job->written[u], u / 2,
                        (unsigned long long)job->expected[u]);
        }
        TRY(buf_put_u64(&job->gathered, job->written[u]));
        job->rows += u % 2 == 0 ? job->written[u] : 0;
    }
    FAULT("ps.part.totals");
    TRY(buf_put_u64(&job->gathered, job->dense_floats));
    for (uint32_t u = 0; job->delta && u < job->units; u++) {
        TRY(buf_put_u64(&job->gathered, job->gone[u].len / sizeof(uint64_t)));
    }
    TRY(container_put(&job->file, PART_TOTALS, 0, job->gathered.data, job->gathered.len, false));
    return container_commit(&job->file, &job->file_bytes, &job->checksum);
}

/* Without this the disk would stand idle until the last byte is written, and then be waited for. */
static void start_write(struct snapshot_job *job) {
    const uint64_t end = job->file.offset;
    if (job->cause.status == OK && end >= job->started + START_BYTES) {
        file_start_write(&job->file.file, job->started, end - job->started);
        job->started = end;
    }
}

/* --- pace ------------------------------------------------------------------------------------- */

static bool somebody_waits(const struct snapshot_writer *w) {
    for (const struct snapshot_job *job = w->jobs; job != NULL; job = job->next) {
        if (atomic_load(&job->hurry)) {
            return true;
        }
    }
    return atomic_load(&w->stopping);
}

/* After `bytes` more were written: sleeps until they are paid for. Without the syncs the kernel
 * would take them at any pace and give them to the disk all at once at the end. */
static enum status writer_pace(struct snapshot_writer *w, struct snapshot_job *job,
                               uint64_t bytes) {
    const uint64_t now_us = clock_mono_us();
    if (w->bytes_per_s == 0 || bytes == 0) {
        return OK;
    }
    const uint64_t earliest_us = now_us > PACE_AHEAD_US ? now_us - PACE_AHEAD_US : 0;
    w->due_us = w->due_us > earliest_us ? w->due_us : earliest_us;
    w->due_us += (uint64_t)((double)bytes * 1e6 / (double)w->bytes_per_s);
    job->unsynced += bytes;
    if (job->unsynced >= w->bytes_per_s / PACE_SYNCS_PER_S) {
        job->unsynced = 0;
        TRY(file_sync(&job->file.file));
    }
    while (clock_mono_us() < w->due_us && !somebody_waits(w)) {
        clock_sleep_ms(PACE_SLICE_MS);
    }
    return OK;
}

/* --- the thread ------------------------------------------------------------------------------- */

static void job_note(struct snapshot_job *job, enum status status) {
    cause_keep(&job->cause, status);
    if (status != OK) {
        atomic_store(&job->failed, true);
    }
}

static void writer_end_job(struct snapshot_writer *w, struct snapshot_job *job) {
    struct snapshot_job **at = &w->jobs;
    while (*at != job) {
        at = &(*at)->next;
    }
    *at = job->next;
    container_abort(&job->file);
    atomic_store(&job->done, true);
    snapshot_job_release(&job);
}

static void writer_do(struct snapshot_writer *w, struct snapshot_work *work) {
    struct snapshot_job *job = work->job;
    const enum work_kind kind = work->kind;
    if (kind == WORK_BEGIN) {
        job->next = w->jobs;
        w->jobs = job;
    }
    if (atomic_load(&w->stopping)) {
        job_note(job, fail(ERR_CLOSED, "%s: the writer was stopped", job->path));
    }
    if (kind == WORK_END && job->give_up) {
        job_note(job, fail(ERR_CLOSED, "%s: given up", job->path));
    }
    const uint64_t before = job->file.offset;
    if (job->cause.status == OK) {
        job_note(job, kind == WORK_BEGIN  ? job_begin(job)
                      : kind == WORK_ROWS ? write_chunk(job, (struct snapshot_chunk *)work)
                                          : job_finish(job));
    }
    if (kind == WORK_ROWS) {
        queue_put(&job->emptied, work, 0); /* has room for all chunks */
    }
    if (kind == WORK_ROWS) {
        start_write(job);
    }
    if (kind != WORK_END && job->cause.status == OK) {
        job_note(job, writer_pace(w, job, job->file.offset - before));
    }
    if (kind == WORK_END) {
        writer_end_job(w, job);
    }
}

static enum status writer_run(void *arg) {
    struct snapshot_writer *w = arg;
    for (;;) {
        void *work = NULL;
        const enum status status = queue_take(&w->queue, &work, TAKE_TIMEOUT_MS);
        if (status == OK) {
            writer_do(w, work);
        } else if (status != ERR_TIMEOUT) {
            break;
        }
    }
    while (w->jobs != NULL) {
        job_note(w->jobs, fail(ERR_CLOSED, "%s: the writer was stopped", w->jobs->path));
        writer_end_job(w, w->jobs);
    }
    return OK;
}

enum status snapshot_writer_start(struct snapshot_writer **out) {
    enum status status = OK;
    struct snapshot_writer *w = NULL;
    *out = NULL;
    TRY(mem_new(&w));
    TRY_OUT(queue_init(&w->queue, QUEUE_LENGTH));
    w->queue_ready = true;
    TRY_OUT(thread_start(&w->thread, "ps-writer", writer_run, w));
    *out = w;
    w = NULL;
out:
    snapshot_writer_stop(&w);
    return status;
}

void snapshot_writer_limit(struct snapshot_writer *w, uint64_t bytes_per_s) {
    w->bytes_per_s = bytes_per_s;
}

void snapshot_writer_stop(struct snapshot_writer **inout) {
    struct snapshot_writer *w = *inout;
    if (w == NULL) {
        return;
    }
    atomic_store(&w->stopping, true);
    if (w->queue_ready) {
        queue_close(&w->queue);
        thread_join(&w->thread);
        queue_fini(&w->queue);
    }
    mem_free(inout);
}

enum status snapshot_writer_put(struct snapshot_writer *w, struct snapshot_work *work) {
    if (work->kind != WORK_BEGIN) {
        return queue_put(&w->queue, work, PUT_TIMEOUT_MS);
    }
    atomic_fetch_add(&work->job->references, 1);
    const enum status status = queue_put(&w->queue, work, PUT_TIMEOUT_MS);
    if (status != OK) {
        atomic_fetch_sub(&work->job->references, 1);
    }
    return status;
}
