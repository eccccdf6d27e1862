#include "export_files.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "export_name.h"
#include "npy.h"

enum status export_folder(const struct scan *scan, uint32_t slot, const char *dir, char *out) {
    char name[EXPORT_NAME_BYTES];
    export_name(scan->manifest.schema.fields[slot].name, name);
    TRY(path_join(out, dir, name));
    return file_mkdirs(out);
}

static enum status write_array(const struct scan *scan, const struct layout_array *a,
                               const float *dense, bool with_state, const char *folder) {
    const uint64_t floats = (uint64_t)a->rows * a->cols;
    const uint64_t vectors = with_state ? 1 + scan->dense_state : 1;
    const int dims = with_state || layout_is_weight(&scan->layout, a) ? 2 : 1;
    char path[PATH_BYTES_MAX], name[32];
    struct npy npy = {.file = FILE_CLOSED};
    enum status status = OK;
    snprintf(name, sizeof name, "%s.npy", a->name);
    TRY_OUT(path_join(path, folder, name));
    TRY_OUT(npy_create(&npy, path, "'<f4'", 4,
                       with_state ? (uint64_t[]){vectors, floats} : (uint64_t[]){a->rows, a->cols},
                       dims));
    for (uint64_t v = 0; v < vectors; v++) {
        TRY_OUT(npy_write(&npy, dense + v * scan->layout.count + a->offset, floats * 4));
    }
    TRY_OUT(npy_close(&npy));
out:
    npy_abort(&npy);
    return status;
}

enum status export_dense(const struct scan *scan, const char *dir, bool with_state) {
    char folder[PATH_BYTES_MAX];
    float *dense = NULL;
    enum status status = OK;
    TRY(path_join(folder, dir, "dense"));
    TRY(file_mkdirs(folder));
    TRY_OUT(scan_dense(scan, &dense));
    for (uint32_t k = 0; k < scan->layout.array_count; k++) {
        TRY_OUT(write_array(scan, &scan->layout.array[k], dense, with_state, folder));
    }
    TRY_OUT(file_sync_dir(folder));
out:
    mem_free(&dense);
    return status;
}

enum status export_text(const char *dir, const char *name, const void *text, size_t bytes) {
    char path[PATH_BYTES_MAX];
    TRY(path_join(path, dir, name));
    return file_write_atomic(path, text, bytes);
}
