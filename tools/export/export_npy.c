#include "export.h"

#include "export_files.h"
#include "export_rows.h"
#include "npy.h"

static enum status npy_table(const struct scan *scan, uint32_t slot, const char *dir,
                             size_t window_bytes, uint64_t *rows) {
    char folder[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    struct row_order order = {0};
    enum status status = OK;
    TRY(export_folder(scan, slot, dir, folder));
    TRY_OUT(row_order_init(&order, scan, slot, SCAN_ROWS));
    *rows = order.count;
    TRY_OUT(path_join(path, folder, "ids.npy"));
    TRY_OUT(npy_write_file(path, "'<u8'", 8, order.ids, rows, 1));
    TRY_OUT(path_join(path, folder, "emb.npy"));
    TRY_OUT(row_order_write_weights(&order, path, window_bytes));
    TRY_OUT(file_sync_dir(folder));
out:
    row_order_fini(&order);
    return status;
}

enum status export_npy(const struct scan *scan, const char *out, size_t window_bytes) {
    uint64_t rows[FIELDS_MAX] = {0};
    struct buf text = BUF_EMPTY;
    enum status status = OK;
    for (uint32_t slot = 0; slot < scan->tables; slot++) {
        TRY_OUT(npy_table(scan, slot, out, window_bytes, &rows[slot]));
    }
    TRY_OUT(export_dense(scan, out, false));
    TRY_OUT(export_manifest(scan, rows, &text));
    TRY_OUT(buf_put(&text, "\n", 1));
    TRY_OUT(export_text(out, "manifest.json", text.data, text.len));
out:
    buf_fini(&text);
    return status;
}
