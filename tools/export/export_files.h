/* export_files.h - what both forms of an export write alike (private to tools/export). */
#pragma once

#include "common/checkpoint/scan.h"

/* Makes the folder of a table in `dir`: out[PATH_BYTES_MAX]. */
enum status export_folder(const struct scan *scan, uint32_t slot, const char *dir, char *out);
/* dir/dense/ARRAY.npy, the weights in their shape; with_state: [1 + state vectors][floats], w
 * first. */
enum status export_dense(const struct scan *scan, const char *dir, bool with_state);
/* The file dir/name. */
enum status export_text(const char *dir, const char *name, const void *text, size_t bytes);
