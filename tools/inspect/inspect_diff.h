/* inspect_diff.h - the result of a comparison of two checkpoints (private to inspect_diff*.c). */
#pragma once

#include "common/checkpoint/scan.h"

/* Figures of the rows of a table, or of one dense array (counted as one row). */
struct figures {
    uint64_t only_a, only_b, both, changed, touched;
    double max_abs, sum_abs;
    uint64_t values; /* values that were compared */
    bool shapes_differ;
    bool state_differs; /* the state is kept as other kinds of cells: it is not compared */
};

/* Rows of one table of `a` in the current range. */
struct held {
    uint64_t count, cap;
    uint8_t *records; /* [cap], stride bytes each: u64 id, u64 rest, f32 w[dim] */
    size_t stride;
    uint8_t *seen;   /* [cap] */
    uint32_t *index; /* [mask + 1]: position + 1, 0 free */
    uint64_t mask;
};

struct diff {
    const struct scan *a, *b;
    uint32_t tables;                /* tables of a, then those that only b has */
    uint32_t slot_of_b[FIELDS_MAX]; /* table of b -> position in figures */
    const char *name[2 * FIELDS_MAX];
    struct figures figures[2 * FIELDS_MAX];
    uint32_t *bucket_rows; /* [a->tables][BUCKETS] */
    struct held held[FIELDS_MAX];
    uint32_t begin, end; /* buckets of the range */
    uint32_t ranges;
    struct figures dense[2 * LAYOUT_ARRAYS_MAX];
    const char *dense_name[2 * LAYOUT_ARRAYS_MAX];
    uint32_t arrays;
};

/* The report, as text or as a JSON object. */
enum status diff_text(const struct diff *d, struct buf *out);
enum status diff_json(const struct diff *d, struct buf *out);
