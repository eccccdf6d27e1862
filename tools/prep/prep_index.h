/* prep_index.h - where a common row is in the common file, by its common index; on disk.
 *
 * While the common file is read, an entry of 32 bytes a row is appended to `entries` in the order
 * of the rows; then they are turned into hash tables in `table`, of which only the pages that are
 * looked at need memory. Both are files of the output's temporary directory. Hashes are not
 * trusted: a look-up compares the text at the offset.
 */
#pragma once

#include "common/base/file.h"
#include "common/base/bytes.h"
#include "common/field/span.h"

struct index_entry {
    uint64_t hash;   /* of the common index */
    uint64_t offset; /* of the line; 0 is a line too, so `bytes` 0 marks a free place */
    uint64_t line;
    uint32_t bytes; /* of the line without its end */
    uint32_t key_bytes;
};

struct prep_index {
    struct file entries;
    struct file common; /* the log's common file */
    uint64_t count;
    const struct index_entry *table; /* a mapping */
    size_t table_bytes;
    uint64_t tables;     /* the hash picks one of so many equal tables, */
    uint64_t places;     /* each of so many places, a power of two */
    uint64_t places_max; /* 32 bytes each, in memory while a table is built; smaller in tests */
};

uint64_t prep_index_hash(struct span key);

/* Makes dir/common.entries; `common` is the path of the common file. ERR_IO, ERR_NOT_FOUND. */
enum status prep_index_create(struct prep_index *x, const char *dir, const char *common);
/* Appends entries, many at once. Their hash, offset, line and bytes are set. */
enum status prep_index_add(struct prep_index *x, const struct buf *entries);
/* Builds dir/common.table. A common index that came before is not entered; duplicate() is told of
 * it with the entry and its line's head. */
enum status prep_index_build(struct prep_index *x, const char *dir,
                             enum status (*duplicate)(void *arg, const struct index_entry *e,
                                                      struct span head),
                             void *arg);
/* The row of a key: its line (without end) in *line, 16 zero bytes beyond. *found false: none.
 * Thread-safe after build, each thread with its own *line. ERR_IO, ERR_CORRUPT, ERR_MEMORY. */
enum status prep_index_find(const struct prep_index *x, struct span key, struct buf *line,
                            bool *found);
void prep_index_close(struct prep_index *x); /* safe on a half-made one */
