#include "export.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "export_rows.h"
#include "npy.h"

static enum status put_rows(void *npy, const void *data, size_t bytes) {
    return npy_write(npy, data, bytes);
}

static enum status write_table(const struct scan *scan, uint32_t slot, const char *dir,
                               size_t window_bytes, uint64_t *rows) {
    char name[EXPORT_NAME_BYTES], folder[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    const uint32_t dim = scan->layout.dim[slot];
    struct row_order order = {0};
    struct npy npy = {.file = FILE_CLOSED};
    enum status status = OK;
    export_name(scan->manifest.schema.fields[slot].name, name);
    TRY(path_join(folder, dir, name));
    TRY(file_mkdirs(folder));
    TRY_OUT(row_order_init(&order, scan, slot, SCAN_ROWS));
    *rows = order.count;
    TRY_OUT(path_join(path, folder, "ids.npy"));
    TRY_OUT(npy_create(&npy, path, "'<u8'", 8, (uint64_t[]){order.count}, 1));
    TRY_OUT(npy_write(&npy, order.ids, order.count * 8));
    TRY_OUT(npy_close(&npy));
    TRY_OUT(path_join(path, folder, "emb.npy"));
    TRY_OUT(npy_create(&npy, path, "'<f4'", 4, (uint64_t[]){order.count, dim}, 2));
    TRY_OUT(row_order_stream(&order, PART_RECORD_HEADER, 4 * (size_t)dim, window_bytes, put_rows,
                             &npy));
    TRY_OUT(npy_close(&npy));
    TRY_OUT(file_sync_dir(folder));
out:
    npy_abort(&npy);
    row_order_fini(&order);
    return status;
}

static enum status write_dense(const struct scan *scan, const char *dir) {
    char folder[PATH_BYTES_MAX], path[PATH_BYTES_MAX], name[32];
    float *dense = NULL;
    enum status status = OK;
    TRY(path_join(folder, dir, "dense"));
    TRY(file_mkdirs(folder));
    TRY_OUT(scan_dense(scan, &dense));
    for (uint32_t k = 0; k < scan->layout.array_count; k++) {
        const struct layout_array *a = &scan->layout.array[k];
        const bool weight = layout_is_weight(&scan->layout, a);
        snprintf(name, sizeof name, "%s.npy", a->name);
        TRY_OUT(path_join(path, folder, name));
        TRY_OUT(
            npy_write_f32(path, dense + a->offset, (uint64_t[]){a->rows, a->cols}, weight ? 2 : 1));
    }
    TRY_OUT(file_sync_dir(folder));
out:
    mem_free(&dense);
    return status;
}

enum status export_npy(const struct scan *scan, const char *out, size_t window_bytes) {
    char path[PATH_BYTES_MAX];
    uint64_t rows[FIELDS_MAX] = {0};
    struct buf text = BUF_EMPTY;
    enum status status = OK;
    for (uint32_t slot = 0; slot < scan->tables; slot++) {
        TRY_OUT(write_table(scan, slot, out, window_bytes, &rows[slot]));
    }
    TRY_OUT(write_dense(scan, out));
    TRY_OUT(export_manifest(scan, rows, &text));
    TRY_OUT(buf_put(&text, "\n", 1));
    TRY_OUT(path_join(path, out, "manifest.json"));
    TRY_OUT(file_write_atomic(path, text.data, text.len));
out:
    buf_fini(&text);
    return status;
}
