/* export_files.h - writes what both forms of an export have in common (private to tools/export). */
#pragma once

#include "common/checkpoint/scan.h"

/* Makes the folder of a table in `dir`, and writes its path to out[PATH_BYTES_MAX]. */
enum status export_folder(const struct scan *scan, uint32_t slot, const char *dir, char *out);
/* Writes dir/dense/ARRAY.npy, the weights in their shape. With with_state the shape is [1 + state
 * vectors][floats], and w comes first. */
enum status export_dense(const struct scan *scan, const char *dir, bool with_state);
/* Writes the file dir/name. */
enum status export_text(const char *dir, const char *name, const void *text, size_t bytes);
