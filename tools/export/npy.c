#include "npy.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NPY_PREFIX 10 /* magic, version, length */
#define NPY_ALIGN  64

enum status npy_header(const char *type, const uint64_t *shape, int dims, char *header,
                       size_t *bytes) {
    char text[64];
    assert(dims == 1 || dims == 2);
    if (dims == 1) {
        snprintf(text, sizeof text, "(%llu,)", (unsigned long long)shape[0]);
    } else {
        snprintf(text, sizeof text, "(%llu, %llu)", (unsigned long long)shape[0],
                 (unsigned long long)shape[1]);
    }
    const size_t room = NPY_HEADER_MAX - NPY_PREFIX - NPY_ALIGN;
    const int length = snprintf(header + NPY_PREFIX, room,
                                "{'descr': %s, 'fortran_order': False, 'shape': %s, }", type, text);
    if (length < 0 || (size_t)length >= room) {
        return fail(ERR_LIMIT, "the header of an npy file would exceed %d bytes", NPY_HEADER_MAX);
    }
    size_t end = NPY_PREFIX + (size_t)length;
    const size_t total = (end + 1 + NPY_ALIGN - 1) / NPY_ALIGN * NPY_ALIGN;
    memset(header + end, ' ', total - end);
    header[total - 1] = '\n';
    const uint16_t dict = (uint16_t)(total - NPY_PREFIX);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    memcpy(header + 8, &dict, 2);
    *bytes = total;
    return OK;
}

enum status npy_create(struct npy *n, const char *path, const char *type, size_t item_bytes,
                       const uint64_t *shape, int dims) {
    char header[NPY_HEADER_MAX];
    size_t bytes = 0;
    *n = (struct npy){.file = FILE_CLOSED};
    TRY(npy_header(type, shape, dims, header, &bytes));
    TRY(file_open_write(&n->file, path));
    n->bytes_due = shape[0] * (dims == 2 ? shape[1] : 1) * item_bytes;
    return file_write(&n->file, header, bytes);
}

enum status npy_write(struct npy *n, const void *data, size_t bytes) {
    assert(bytes <= n->bytes_due);
    n->bytes_due -= bytes;
    return bytes == 0 ? OK : file_write(&n->file, data, bytes);
}

enum status npy_close(struct npy *n) {
    assert(n->bytes_due == 0);
    const enum status status = file_sync(&n->file);
    const enum status closed = file_close(&n->file);
    return status != OK ? status : closed;
}

void npy_abort(struct npy *n) {
    (void)file_close(&n->file);
}

enum status npy_write_file(const char *path, const char *type, size_t item_bytes, const void *data,
                           const uint64_t *shape, int dims) {
    struct npy n;
    enum status status = OK;
    TRY_OUT(npy_create(&n, path, type, item_bytes, shape, dims));
    TRY_OUT(npy_write(&n, data, (size_t)n.bytes_due));
    TRY_OUT(npy_close(&n));
out:
    npy_abort(&n);
    return status;
}
