#include "truth.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "record.h"

#define ROW_BYTES           24u
#define BLOCK_ROWS          65536u
#define BLOCK_TRUTH         1u
#define CONTAINER_RATIO_MAX 256u /* raw bytes of a stored one; see container_get */
#define LABELS_MAX          (LABEL_CLICK | LABEL_CONVERSION | TRUTH_POTENTIAL)

enum status truth_create(struct truth_writer *w, const char *path) {
    *w = (struct truth_writer){0};
    return container_create(&w->file, path, CONTAINER_TRUTH);
}

static enum status put_block(struct truth_writer *w) {
    if (w->rows.len > 0) {
        TRY(container_put(&w->file, BLOCK_TRUTH, w->blocks++, w->rows.data, w->rows.len, true));
        buf_clear(&w->rows);
    }
    return OK;
}

enum status truth_put(struct truth_writer *w, const struct truth_row *row) {
    TRY(buf_put_u64(&w->rows, row->impression_id));
    TRY(buf_put_f32(&w->rows, row->p_ctr));
    TRY(buf_put_f32(&w->rows, row->p_cvr));
    TRY(buf_put_f32(&w->rows, row->p_cvr_do));
    TRY(buf_put_u32(&w->rows, row->labels));
    return w->rows.len < BLOCK_ROWS * ROW_BYTES ? OK : put_block(w);
}

enum status truth_commit(struct truth_writer *w, uint64_t *bytes) {
    enum status status = put_block(w);
    if (status == OK) {
        status = container_commit(&w->file, bytes, NULL);
    }
    truth_abort(w);
    return status;
}

void truth_abort(struct truth_writer *w) {
    container_abort(&w->file);
    buf_fini(&w->rows);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b) {
    const struct truth_row *x = a, *y = b;
    return (x->impression_id > y->impression_id) - (x->impression_id < y->impression_id);
}

/* False also for NaN. */
static bool probable(float p) {
    return p >= 0 && p <= 1;
}

static enum status take_block(struct truth *t, const char *path, uint64_t offset,
                              const struct buf *raw) {
    struct cursor c = cursor_of(raw->data, raw->len);
    if (raw->len % ROW_BYTES != 0) {
        return fail(ERR_CORRUPT, "%s: offset %" PRIu64 ": expected whole records of %u bytes", path,
                    offset, ROW_BYTES);
    }
    while (cursor_left(&c) > 0) {
        struct truth_row *row = &t->rows[t->count++];
        row->impression_id = cursor_u64(&c);
        row->p_ctr = cursor_f32(&c);
        row->p_cvr = cursor_f32(&c);
        row->p_cvr_do = cursor_f32(&c);
        const uint32_t labels = cursor_u32(&c);
        if (!probable(row->p_ctr) || !probable(row->p_cvr) || !probable(row->p_cvr_do)) {
            return fail(ERR_CORRUPT, "%s: offset %" PRIu64 ": expected probabilities in 0..1", path,
                        offset);
        }
        if (labels > LABELS_MAX) {
            return fail(ERR_CORRUPT, "%s: offset %" PRIu64 ": labels are %u, expected at most %u",
                        path, offset, labels, LABELS_MAX);
        }
        row->labels = (uint8_t)labels;
    }
    return OK;
}

static enum status read_rows(struct truth *t, struct container_reader *r, struct buf *raw,
                             const char *path) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < r->block_count; i++) {
        bytes += r->blocks[i].raw_bytes;
    }
    if (bytes / CONTAINER_RATIO_MAX > r->file_bytes) { /* refused before it is allocated */
        return fail(ERR_CORRUPT, "%s: index of %" PRIu64 " bytes of blocks in a file of %" PRIu64,
                    path, bytes, r->file_bytes);
    }
    TRY(mem_array(&t->rows, (size_t)(bytes / ROW_BYTES)));
    for (size_t i = 0; i < r->block_count; i++) {
        TRY(container_get(r, i, raw));
        TRY(take_block(t, path, r->blocks[i].offset, raw));
    }
    return OK;
}

/* Sorts the rows by id. Usually there is nothing to do, because the generator writes ascending ids.
 */
static enum status order_rows(struct truth *t, const char *path) {
    bool sorted = true;
    for (size_t i = 1; i < t->count && sorted; i++) {
        sorted = t->rows[i - 1].impression_id < t->rows[i].impression_id;
    }
    if (!sorted) {
        qsort(t->rows, t->count, sizeof *t->rows, by_id);
    }
    for (size_t i = 1; i < t->count; i++) {
        if (t->rows[i - 1].impression_id == t->rows[i].impression_id) {
            return fail(ERR_CORRUPT, "%s: impression %" PRIu64 " occurs twice", path,
                        t->rows[i].impression_id);
        }
    }
    return OK;
}

enum status truth_read(struct truth *t, const char *path) {
    struct container_reader r;
    struct buf raw = BUF_EMPTY;
    *t = (struct truth){0};
    enum status status = container_open(&r, path, CONTAINER_TRUTH);
    TRY_OUT(status);
    TRY_OUT(read_rows(t, &r, &raw, path));
    TRY_OUT(order_rows(t, path));
out:
    buf_fini(&raw);
    container_close(&r);
    if (status != OK) {
        truth_free(t);
    }
    return status;
}

const struct truth_row *truth_find(const struct truth *t, uint64_t impression_id) {
    const struct truth_row key = {.impression_id = impression_id};
    return t->count == 0 ? NULL : bsearch(&key, t->rows, t->count, sizeof key, by_id);
}

void truth_free(struct truth *t) {
    mem_free(&t->rows);
    t->count = 0;
}
