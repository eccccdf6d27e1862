/* judged.c - see judged.h. The file is a container of kind CONTAINER_MANIFEST with one block:
 * u32 version, u64 step, u64 impressions, then the AUCs of CTR, CVR and CTCVR as f64. */
#include "judged.h"

#include <math.h>

#include "common/base/container.h"

#define JUDGED_BLOCK   3u /* 1 is a checkpoint's manifest, 2 a data set's */
#define JUDGED_VERSION 1u
#define JUDGED_BYTES   (4 + 8 + 8 + 3 * 8)

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double real_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

enum status judged_write(const struct judged *j, const char *dir) {
    enum status status;
    char path[PATH_BYTES_MAX];
    struct buf bytes = BUF_EMPTY;
    TRY_OUT(path_join(path, dir, "evaluation"));
    TRY_OUT(buf_put_u32(&bytes, JUDGED_VERSION));
    TRY_OUT(buf_put_u64(&bytes, j->step));
    TRY_OUT(buf_put_u64(&bytes, j->impressions));
    TRY_OUT(buf_put_u64(&bytes, bits_of(j->auc_ctr)));
    TRY_OUT(buf_put_u64(&bytes, bits_of(j->auc_cvr)));
    TRY_OUT(buf_put_u64(&bytes, bits_of(j->auc_ctcvr)));
    status = container_write_one(path, CONTAINER_MANIFEST, JUDGED_BLOCK, &bytes);
out:
    buf_fini(&bytes);
    return status;
}

enum status judged_decode(struct judged *j, const void *data, size_t bytes) {
    struct cursor c = cursor_of(data, bytes);
    TRY(container_version(NULL, "version of an evaluation", cursor_u32(&c), JUDGED_VERSION,
                          JUDGED_VERSION));
    *j = (struct judged){0};
    j->step = cursor_u64(&c);
    j->impressions = cursor_u64(&c);
    j->auc_ctr = real_of(cursor_u64(&c));
    j->auc_cvr = real_of(cursor_u64(&c));
    j->auc_ctcvr = real_of(cursor_u64(&c));
    return !c.bad && cursor_left(&c) == 0
               ? OK
               : fail(ERR_CORRUPT, "%zu bytes, expected the %d of an evaluation", bytes,
                      JUDGED_BYTES);
}

enum status judged_read(struct judged *j, const char *dir) {
    enum status status;
    char path[PATH_BYTES_MAX];
    struct buf bytes = BUF_EMPTY;
    struct container_reader r = {.file = FILE_CLOSED};
    TRY(path_join(path, dir, "evaluation"));
    TRY(container_open(&r, path, CONTAINER_MANIFEST));
    if (r.block_count == 0 || r.blocks[0].type != JUDGED_BLOCK ||
        r.blocks[0].raw_bytes != JUDGED_BYTES) {
        TRY_OUT(fail(ERR_CORRUPT, "%s: no block of an evaluation", path));
    }
    TRY_OUT(container_get(&r, 0, &bytes));
    status = judged_decode(j, bytes.data, bytes.len);
    if (status != OK) {
        fail(status, "%s: %s", path, fail_text());
    }
out:
    container_close(&r);
    buf_fini(&bytes);
    return status;
}

double judged_figure(const struct judged *j, enum keep_best metric) {
    switch (metric) {
    case BEST_CTCVR: return j->auc_ctcvr;
    case BEST_CTR: return j->auc_ctr;
    case BEST_CVR: return j->auc_cvr;
    default: return NAN;
    }
}
