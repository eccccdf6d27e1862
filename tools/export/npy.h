/* npy.h - writes NumPy's .npy files, version 1.0 (numpy.org, "NEP 1 - A simple file format").
 *
 *     magic "\x93NUMPY", version 1 0, u16 length of the header, header (a Python dict that gives
 *     the element type, the order and the shape; padded so that the data begin at a multiple of
 *     64), data in C order, little-endian.
 *
 * The shape is given first, so the data need not be held in memory. npy_close checks that the data
 * fill the shape exactly.
 */
#pragma once

#include "common/base/file.h"

#define NPY_HEADER_MAX 4096

struct npy {
    struct file file;
    uint64_t bytes_due; /* bytes of data still to come */
};

/* Fills header[NPY_HEADER_MAX] with everything before the data. `type` is a Python expression
 * ("'<f4'", or a list of fields); shape[dims], dims 1 or 2. *bytes = its length. ERR_LIMIT. */
enum status npy_header(const char *type, const uint64_t *shape, int dims, char *header,
                       size_t *bytes);
/* Creates the file and writes its header. item_bytes: bytes of one element. */
enum status npy_create(struct npy *n, const char *path, const char *type, size_t item_bytes,
                       const uint64_t *shape, int dims);
enum status npy_write(struct npy *n, const void *data, size_t bytes);
/* Syncs and closes the file. The written data must fill the shape (asserted). */
enum status npy_close(struct npy *n);
/* Closes the file after a failure; safe after npy_close. */
void npy_abort(struct npy *n);

/* Writes a file with all its data. */
enum status npy_write_file(const char *path, const char *type, size_t item_bytes, const void *data,
                           const uint64_t *shape, int dims);
