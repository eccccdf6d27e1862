/* prep_index.h - finds the place of a common row in the common file by its common index; on disk.
 *
 * While the common file is read, one entry of 32 bytes per row is appended to `entries`, in the
 * order of the rows. Then the entries become hash tables in `table`; only the pages that are read
 * need memory. Both are files in the output's temporary directory. A look-up does not trust the
 * hash: it compares the text at the offset.
 */
#pragma once

#include "common/base/file.h"
#include "common/base/bytes.h"
#include "common/field/span.h"

struct index_entry {
    uint64_t hash;   /* of the common index */
    uint64_t offset; /* of the line; 0 is valid, so a free place is marked by `bytes` 0 */
    uint64_t line;
    uint32_t bytes; /* length of the line without its end */
    uint32_t key_bytes;
};

struct prep_index {
    struct file entries;
    struct file common; /* the log's common file */
    uint64_t count;
    const struct index_entry *table; /* a mapping */
    size_t table_bytes;
    uint64_t tables;     /* the hash selects one of this many equal tables, */
    uint64_t places;     /* each with this many places, a power of two */
    uint64_t places_max; /* 32 bytes each in memory while building; smaller in tests */
};

uint64_t prep_index_hash(struct span key);

/* Creates dir/common.entries; `common` is the path of the common file. ERR_IO, ERR_NOT_FOUND. */
enum status prep_index_create(struct prep_index *x, const char *dir, const char *common);
/* Appends many entries at once. Their hash, offset, line and bytes are set. */
enum status prep_index_add(struct prep_index *x, const struct buf *entries);
/* Builds dir/common.table. A common index that came before is not entered; duplicate() is called
 * with the entry and the head of its line. */
enum status prep_index_build(struct prep_index *x, const char *dir,
                             enum status (*duplicate)(void *arg, const struct index_entry *e,
                                                      struct span head),
                             void *arg);
/* Finds the row of a key: *line gets its line (without end), followed by 16 zero bytes. *found is
 * false if there is none. Thread-safe after build if each thread has its own *line. ERR_IO,
 * ERR_CORRUPT, ERR_MEMORY. */
enum status prep_index_find(const struct prep_index *x, struct span key, struct buf *line,
                            bool *found);
void prep_index_close(struct prep_index *x); /* safe on a half-made one */
