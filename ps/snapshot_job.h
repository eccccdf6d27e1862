/* snapshot_job.h - one part file on its way from a partition's snapshot to the writer thread.
 *
 * The partition makes a job, fills in what belongs to the cut, and hands it to the writer as work
 * BEGIN, then filled chunks as work ROWS, then END (or an END with give_up set). Everything passes
 * through two bounded queues: the queue of the writer (work to do) and the queue of the job
 * (emptied chunks back to the partition). The writer always ends a job, whatever happens to the
 * disk or to the partition; it sets `done` last. Each side then drops its reference; the second one
 * to do so frees job and chunks. There is no lock besides those of the queues: each field is
 * written by one side only, before a queue or `done` publishes it. */
#pragma once

#include <stdatomic.h>
#include "common/base/container.h"
#include "common/base/file.h"
#include "common/base/queue.h"

#define CHUNK_SEGMENTS_MAX 256u

struct snapshot_job;

enum work_kind { WORK_BEGIN, WORK_ROWS, WORK_END };
struct snapshot_work {
    enum work_kind kind;
    struct snapshot_job *job;
};

/* A run of whole records of one unit (2 * slot: rows; 2 * slot + 1: sightings). */
struct snapshot_segment {
    uint32_t unit, rows;
    size_t offset, bytes;
};
struct snapshot_chunk {
    struct snapshot_work work; /* first member: a ROWS work is converted to its chunk */
    size_t used;
    uint32_t segment_count;
    struct snapshot_segment segment[CHUNK_SEGMENTS_MAX];
    uint8_t data[]; /* [chunk_bytes] */
};

struct snapshot_job {
    /* written by the partition, before BEGIN */
    char path[PATH_BYTES_MAX];
    struct buf meta;
    uint64_t dense_begin;
    size_t dense_floats;
    uint32_t dense_vectors; /* w and the state vectors */
    float *dense;           /* [dense_vectors][dense_floats] */
    bool delta;             /* TOTALS count ids that are gone */
    struct buf *gone;       /* [units]: u64 ids */
    uint32_t units;
    size_t chunk_bytes;
    struct snapshot_chunk **chunks; /* [chunks_max], owned; the partition appends */
    uint32_t chunk_count, chunks_max;
    struct snapshot_work begin, end;
    /* written by the partition, before END */
    uint64_t *expected; /* [units]: records in the cut */
    bool give_up;
    /* written by the writer */
    struct container_writer file;
    struct buf gathered;
    uint64_t unsynced;         /* bytes since the last sync that the pace asked for */
    uint64_t started;          /* the disk has begun with what lies before this offset */
    uint64_t *written;         /* [units] */
    struct snapshot_job *next; /* list of unfinished jobs */
    struct cause cause;
    uint64_t file_bytes, checksum, rows;
    /* used by both sides */
    struct queue emptied;
    atomic_bool failed; /* nothing more will be written: copying is useless */
    atomic_bool hurry;  /* an update waits for an empty chunk */
    atomic_bool done;
    atomic_int references;
};

/* Makes a job with room for `units` units and up to chunks_max chunks. Its reference count is 1.
 * ERR_MEMORY. */
enum status snapshot_job_create(struct snapshot_job **job, uint32_t units, size_t chunk_bytes,
                                uint32_t chunks_max);
void snapshot_job_release(struct snapshot_job **job);
size_t snapshot_job_bytes(const struct snapshot_job *job); /* of chunks and the dense copy */
