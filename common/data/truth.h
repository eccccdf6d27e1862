/* truth.h - the truth file of a synthetic log: what only the generator knows and no real log
 * contains.
 *
 * A container (kind CONTAINER_TRUTH) of blocks of 24-byte records, little-endian: u64 impression
 * id, f32 p_ctr, f32 p_cvr, f32 p_cvr_do, u8 labels, 3 bytes zero. The order on disk is free; in
 * memory they are sorted by id. docs/synth.md explains the two p_cvr.
 */
#pragma once

#include "common/base/container.h"

#define TRUTH_POTENTIAL 4u /* beside LABEL_CLICK and LABEL_CONVERSION: would convert if clicked */

struct truth_row {
    uint64_t impression_id;
    float p_ctr;    /* p(click) */
    float p_cvr;    /* p(conversion | click): what ESMM estimates */
    float p_cvr_do; /* p(conversion) if everybody had to click */
    uint8_t labels;
};

/* --- writing: rows are appended in blocks; the complete file appears at commit --- */
struct truth_writer {
    struct container_writer file;
    struct buf rows;
    uint64_t blocks;
};
enum status truth_create(struct truth_writer *w, const char *path);
enum status truth_put(struct truth_writer *w, const struct truth_row *row);
enum status truth_commit(struct truth_writer *w,
                         uint64_t *bytes); /* of the file; closed either way */
void truth_abort(struct truth_writer *w);  /* safe after commit or on a zeroed struct */

/* --- reading --- */
struct truth {
    struct truth_row *rows; /* owned, ascending by id */
    size_t count;
};
/* ERR_CORRUPT: the file is damaged, or has an impression twice. */
enum status truth_read(struct truth *t, const char *path);
const struct truth_row *truth_find(const struct truth *t, uint64_t impression_id); /* or NULL */
void truth_free(struct truth *t); /* safe on a zeroed struct */
