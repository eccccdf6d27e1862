#include "snapshot_job.h"

#include "common/base/mem.h"

static void job_destroy(struct snapshot_job *job) {
    for (uint32_t i = 0; i < job->chunk_count; i++) {
        mem_free(&job->chunks[i]);
    }
    mem_free(&job->chunks);
    if (job->emptied.items != NULL) {
        queue_fini(&job->emptied);
    }
    for (uint32_t i = 0; job->gone != NULL && i < job->units; i++) {
        buf_fini(&job->gone[i]);
    }
    mem_free(&job->gone);
    buf_fini(&job->meta);
    buf_fini(&job->gathered);
    mem_free(&job->dense);
    mem_free(&job->expected);
    mem_free(&job->written);
    mem_free(&job);
}

void snapshot_job_release(struct snapshot_job **inout) {
    struct snapshot_job *job = *inout;
    *inout = NULL;
    if (job != NULL && atomic_fetch_sub(&job->references, 1) == 1) {
        job_destroy(job);
    }
}

enum status snapshot_job_create(struct snapshot_job **out, uint32_t units, size_t chunk_bytes,
                                uint32_t chunks_max) {
    enum status status = OK;
    struct snapshot_job *job = NULL;
    *out = NULL;
    TRY(mem_new(&job));
    atomic_store(&job->references, 1);
    job->units = units;
    job->chunk_bytes = chunk_bytes;
    job->chunks_max = chunks_max;
    job->begin = (struct snapshot_work){.kind = WORK_BEGIN, .job = job};
    job->end = (struct snapshot_work){.kind = WORK_END, .job = job};
    TRY_OUT(mem_array(&job->expected, units));
    TRY_OUT(mem_array(&job->written, units));
    TRY_OUT(mem_array(&job->chunks, chunks_max));
    TRY_OUT(queue_init(&job->emptied, chunks_max));
    *out = job;
    job = NULL;
out:
    snapshot_job_release(&job);
    return status;
}

size_t snapshot_job_bytes(const struct snapshot_job *job) {
    return job->chunk_count * (sizeof(struct snapshot_chunk) + job->chunk_bytes) +
           job->dense_floats * job->dense_vectors * sizeof(float) + job->meta.cap;
}
