/* part.h - the part files of a checkpoint, and reading them.
 *
 * A checkpoint is a directory step-NNNNNNNNNNNN with one part file per partition of the job that
 * saved it and a `manifest`, written last by the coordinator (manifest.h). A part holds, in one
 * container: META (part_meta.h), ROWS blocks (tag = slot; whole records), SIGHTINGS blocks (records
 * of counters), DENSE blocks (tag = first float; w, then optimizer state m, v), GONE blocks (of a
 * delta: tag = 2 * slot, + 1 for sightings; ids that are gone), TOTALS (records per table). META
 * comes first and TOTALS last; the blocks between them have no fixed order.
 */
#pragma once

#include "common/base/container.h"
#include "manifest.h"
#include "part_meta.h"

enum part_block {
    PART_META = 1,
    PART_ROWS = 2,
    PART_SIGHTINGS = 3,
    PART_DENSE = 4,
    PART_TOTALS = 5,
    PART_GONE = 6
};

/* Reads the blocks of a part one by one, in file order. */
struct part_reader {
    struct container_reader container;
    struct part_meta meta;
    struct buf block;
    size_t next;
    uint64_t *seen;    /* records per table: rows, sightings, rows, ...; then dense floats; of a
                          delta then the same of ids that are gone */
    uint64_t rows;     /* by the manifest */
    uint64_t expected; /* checksum of the whole file, by the manifest */
};
struct part_chunk {
    enum part_block kind; /* PART_ROWS, PART_SIGHTINGS, PART_DENSE or PART_GONE */
    bool sightings;       /* of GONE: ids of features whose sightings are gone */
    uint32_t table;       /* index into meta.tables; not for dense */
    uint32_t row_bytes;
    size_t count;         /* rows, ids, or floats of a dense chunk's w */
    uint64_t dense_begin; /* for dense */
    uint8_t *data;        /* rows, u64 ids, or w[count] then each state vector [count] */
};
/* Reads the index and META. part and cut come from the manifest. ERR_NOT_FOUND; ERR_CORRUPT, also
 * if the file is not the one that the manifest describes or belongs to another cut (the error text
 * names both cuts). */
enum status part_open(struct part_reader *r, const char *dir, const struct manifest_part *part,
                      uint64_t cut);
/* OK if the part is of a full checkpoint, or of the delta that the manifest describes.
 * ERR_CORRUPT. */
enum status part_check_base(const struct part_reader *r, const struct manifest *m);
/* Reads the next block. chunk->data is valid until the next call. Returns ERR_NOT_FOUND (without a
 * fail text) at the end. By then the totals have been checked, and the checksum of the file too if
 * no block was skipped. Trust the chunks only after that. */
enum status part_next(struct part_reader *r, struct part_chunk *chunk);
void part_close(struct part_reader *r);
