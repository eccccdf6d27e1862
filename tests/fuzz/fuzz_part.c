/* Any bytes as the blocks of a checkpoint's part, in a container whose checksums are right, read as
 * everything reads parts, and restored into a partition. Input: pieces {type, tag, length (2),
 * content}. */
#include <unistd.h>

#include "common/checkpoint/part.h"
#include "fuzz.h"
#include "tests/job_sample.h"

static struct small_job job;

static void start_job(void) {
    static const char *const settings[] = {"model.tower=3", "table.dim=2", "field.shop.dim=1",
                                           "table.admit_after=2", NULL};
    if (job.config.batch == 0) {
        job_init(&job, 5, settings);
        FUZZ_MUST(rmdir(job.root) == 0);
        snprintf(job.root, sizeof job.root, "/dev/shm/esmm-fuzz-part-%d", (int)getpid());
    }
}

static enum status wrap(struct container_writer *w, struct cursor *c) {
    while (cursor_left(c) > 3) {
        const uint8_t type = cursor_u8(c), tag = cursor_u8(c);
        size_t length = cursor_u8(c);
        length |= (size_t)cursor_u8(c) << 8;
        length = length < cursor_left(c) ? length : cursor_left(c);
        TRY(container_put(w, type, tag, cursor_take(c, length), length, true));
    }
    return OK;
}

static void walk(const char *dir, const struct manifest_part *part) {
    struct part_reader r = {0};
    struct part_chunk chunk;
    uint64_t sum = 0;
    enum status status = part_open(&r, dir, part, 0);
    while (status == OK && (status = part_next(&r, &chunk)) == OK) {
        const size_t size = chunk.kind == PART_DENSE ? 4 : chunk.row_bytes;
        for (size_t i = 0; i < chunk.count * size; i++) {
            sum += chunk.data[i];
        }
    }
    FUZZ_MUST(status == ERR_NOT_FOUND || status == ERR_CORRUPT);
    part_close(&r);
    volatile uint64_t seen = sum;
    (void)seen;
}

static void restore(const char *dir, struct manifest_part *part) {
    char config[] = "";
    struct manifest m = {.config_text = config,
                         .schema = job.schema,
                         .parts = part,
                         .part_count = 1,
                         .batches_per_shard = job.batches,
                         .shards = JOB_SHARDS};
    job_start(&job, 1);
    enum status status = partition_restore(job.part[0], dir, &m);
    FUZZ_MUST(status == OK || status == ERR_CORRUPT || status == ERR_CONFIG);
    job_stop(&job);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct container_writer w;
    struct cursor c = cursor_of(data, bytes);
    struct manifest_part part = {.name = "part", .bucket_end = BUCKETS};
    char path[PATH_BYTES_MAX];
    start_job();
    FUZZ_MUST(file_mkdirs(job.root) == OK && path_join(path, job.root, "part") == OK);
    FUZZ_MUST(container_create(&w, path, CONTAINER_CHECKPOINT_PART) == OK && wrap(&w, &c) == OK);
    FUZZ_MUST(container_commit(&w, &part.bytes, &part.checksum) == OK);
    part.rows = bytes > 0 ? data[bytes - 1] : 0; /* the last byte: what the manifest says */
    walk(job.root, &part);
    restore(job.root, &part);
    FUZZ_MUST(unlink(path) == 0 && rmdir(job.root) == 0);
    return 0;
}

/* The blocks of real parts, as pieces. */
bool fuzz_seed(uint32_t n, struct buf *out) {
    struct part_info info = {0};
    struct container_reader r;
    struct buf block = BUF_EMPTY;
    char path[PATH_BYTES_MAX];
    if (n > 2) {
        return false;
    }
    start_job();
    FUZZ_MUST(file_mkdirs(job.root) == OK);
    job_start(&job, 1);
    job.pushes = 0;
    job_push(&job, n);
    job_cut(&job, job.root, &info);
    FUZZ_MUST(path_join(path, job.root, info.name) == OK);
    FUZZ_MUST(container_open(&r, path, CONTAINER_CHECKPOINT_PART) == OK);
    for (size_t i = 0; i < r.block_count; i++) {
        FUZZ_MUST(container_get(&r, i, &block) == OK && block.len < 65536);
        FUZZ_MUST(buf_put_u8(out, (uint8_t)r.blocks[i].type) == OK);
        FUZZ_MUST(buf_put_u8(out, (uint8_t)r.blocks[i].tag) == OK);
        FUZZ_MUST(buf_put_u8(out, (uint8_t)block.len) == OK);
        FUZZ_MUST(buf_put_u8(out, (uint8_t)(block.len >> 8)) == OK);
        FUZZ_MUST(buf_put(out, block.data, block.len) == OK);
    }
    FUZZ_MUST(buf_put_u8(out, (uint8_t)info.rows) == OK);
    container_close(&r);
    buf_fini(&block);
    buf_fini(&info.applied);
    job_stop(&job);
    FUZZ_MUST(file_remove_tree(job.root) == OK);
    return true;
}
