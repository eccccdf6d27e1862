/* part_meta.h - META, the first block of a part file: which buckets and dense floats the part has,
 * the shapes of its tables, and which batches its buckets have seen. */
#pragma once

#include "common/base/bytes.h"
#include "common/job/config.h"
#include "row_cells.h"

/* The record of a row is that of row_cells.h. The record of a counter (sightings) is only its
 * header; its step is the count. */
#define PART_RECORD_HEADER ROW_HEADER

struct part_table {
    char name[FIELD_NAME_MAX];
    uint32_t dim, state_floats, row_bytes;
    enum optimizer_kind optimizer;
    enum cell_kind weights, state;
    uint32_t evict_age; /* of a delta; rows of older links that are past it are gone */
};
static inline struct row_layout part_row_layout(const struct part_table *t) {
    return row_layout(t->dim, t->optimizer, t->weights, t->state);
}
struct part_domain {
    uint32_t bucket_begin, bucket_end;
    uint64_t dense_step; /* updates of its dense floats */
    uint64_t clock;      /* of a delta: batches applied */
    struct buf applied;  /* applied_encode bytes */
};
struct part_meta {
    uint32_t bucket_begin, bucket_end;
    uint64_t dense_begin, dense_end;
    uint32_t dense_state; /* state vectors beside w: adam 2, sgd 0 */
    enum optimizer_kind dense_optimizer;
    uint64_t dense_step; /* the highest of all domains */
    uint64_t version;    /* batch clock, the lowest of all domains */
    uint64_t cut;        /* id of the part's checkpoint; 0: unknown (older format) */
    struct part_table *tables;
    uint32_t table_count;
    struct part_domain *domains;
    uint32_t domain_count;
    uint64_t base; /* of a delta: the cut that it was made against; 0: a full checkpoint */
    bool whole;    /* of a delta: it has all rows of its buckets, not the changed ones only */
};
/* Appends to out. ERR_MEMORY. */
enum status part_meta_encode(const struct part_meta *m, struct buf *out);
/* ERR_CORRUPT: the bytes are not a valid META. After a failure there is nothing to free. */
enum status part_meta_decode(struct part_meta *m, const void *data, size_t bytes);
void part_meta_free(struct part_meta *m);
