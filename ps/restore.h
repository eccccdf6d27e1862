/* restore.h - checkpoint files: reading part files, restoring partitions, the manifest.
 *
 * A checkpoint is a directory step-NNNNNNNNNNNN with one part file per partition of the job that
 * saved it and a `manifest`, written last by the coordinator (common/checkpoint/manifest.h). A part
 * holds, in one container: META (bucket range, table shapes, dense range, clock, domains with their
 * applied names), ROWS blocks (tag = slot; whole row records as in table.h), SIGHTINGS blocks
 * (counter rows), DENSE blocks (tag = first float; w, then optimizer state m, v), TOTALS (records
 * per table, last). META comes first, TOTALS last; what lies between in no promised order.
 */
#ifndef PS_RESTORE_H
#define PS_RESTORE_H

#include "common/base/container.h"
#include "common/checkpoint/manifest.h"
#include "partition.h"

enum part_block {
    PART_META = 1,
    PART_ROWS = 2,
    PART_SIGHTINGS = 3,
    PART_DENSE = 4,
    PART_TOTALS = 5
};

struct part_table {
    char name[FIELD_NAME_MAX];
    uint32_t dim, state_floats, row_bytes;
    uint32_t optimizer; /* enum optimizer_kind */
};
struct part_domain {
    uint32_t bucket_begin, bucket_end;
    uint64_t dense_step; /* updates of its dense floats */
    struct buf applied;  /* applied_encode bytes */
};
struct part_meta {
    uint32_t bucket_begin, bucket_end;
    uint64_t dense_begin, dense_end;
    uint32_t dense_state;     /* state vectors beside w: adam 2, sgd 0 */
    uint32_t dense_optimizer; /* enum optimizer_kind */
    uint64_t dense_step;      /* the most of any domain */
    uint64_t version;         /* batch clock: the least of any domain */
    uint64_t cut;             /* which checkpoint it is of; 0: older, unknown */
    struct part_table *tables;
    uint32_t table_count;
    struct part_domain *domains;
    uint32_t domain_count;
};
enum status part_meta_encode(const struct part_meta *m, struct buf *out);
enum status part_meta_decode(struct part_meta *m, const void *data, size_t bytes);
void part_meta_free(struct part_meta *m);

/* Streams a part in file order. `rows` points into a buffer valid until the next call:
 * count records of row_bytes each. slot = index into meta.tables. */
struct part_reader {
    struct container_reader container;
    struct part_meta meta;
    struct buf block;
    size_t next;
    uint64_t *seen;    /* records per table: rows, sightings, rows, ...; then dense floats */
    uint64_t rows;     /* as the manifest says */
    uint64_t expected; /* the whole file's checksum, by the manifest */
};
struct part_chunk {
    enum part_block kind; /* PART_ROWS, PART_SIGHTINGS or PART_DENSE */
    uint32_t table;       /* for rows */
    uint32_t row_bytes;
    size_t count;         /* rows, or floats of a dense chunk's w */
    uint64_t dense_begin; /* for dense */
    uint8_t *data;        /* rows, or w[count] then each state vector [count] */
};
/* Reads the index and META. part, cut: of the manifest. ERR_NOT_FOUND, ERR_CORRUPT (also if the
 * file is not the one of the manifest, or of another cut: both are named). */
enum status part_open(struct part_reader *r, const char *dir, const struct manifest_part *part,
                      uint64_t cut);
/* ERR_NOT_FOUND (no fail text) at the end, after totals and, if no block was passed over, the
 * file's checksum were checked: what came before is to be trusted only then. */
enum status part_next(struct part_reader *r, struct part_chunk *chunk);
void part_close(struct part_reader *r);

/* Fills a fresh partition from a checkpoint of any number of parts: reads the parts whose buckets
 * overlap, keeps rows of its buckets, its dense slice, and builds its domains. Tables are matched
 * by field name; tables of fields that the partition does not have are left out. A partition made
 * read_only drops optimizer state and names; with parameters_only names and clock start afresh. A
 * table whose dim or optimizer changed, or a dense vector of another length, is ERR_CONFIG; damage
 * is ERR_CORRUPT; rows beyond memory_bytes ERR_LIMIT. After a failure the partition is to be
 * destroyed. */
enum status partition_restore(struct partition *p, const char *dir, const struct manifest *m);

#endif
