/* aliccp_line.h - the lines of an Ali-CCP log, and the numbers in them. Pure: no files, no state but
 * the field names met so far. Hostile bytes are the ordinary case.
 *
 *     skeleton:  sample_id,click,conversion,common_index,feature_num,features
 *     common:    common_index,feature_num,features
 *     features:  field \x02 id \x03 value, joined by \x01; none is an empty text
 *
 * Every line's text is followed by 16 readable bytes, the first of which is no part of a number
 * (a line end or NUL). A function that gives REJECT_... has left the fields as they were.
 */
#ifndef TOOLS_LOG_ALICCP_LINE_H
#define TOOLS_LOG_ALICCP_LINE_H

#include "log_fields.h"

#define KEY_BYTES_MAX 255u

/* Features of a line, kept from line to line. */
struct feature_list {
    struct feature *features;
    size_t count, cap;
    bool other_side;   /* one is of a field that is known on the other side: */
    uint32_t conflict; /* its slot */
};
void feature_list_fini(struct feature_list *l);
/* Empty, with room for `count`. ERR_MEMORY. */
enum status feature_list_clear(struct feature_list *l, size_t count);
enum status feature_list_add(struct feature_list *l, const struct feature *f); /* ERR_MEMORY */

struct skeleton_line {
    struct span id, key;
    bool click, conversion;
    uint32_t classes; /* the labels that it looks to have (prep_classes.h), rejected or not */
};

/* *why REJECT_NONE: the line's features are in *l, of fields on `side`. ERR_MEMORY, ERR_LIMIT (too
 * many fields). */
enum status aliccp_line_skeleton(struct span line, struct log_fields *f, struct skeleton_line *out,
                                 struct feature_list *l, enum reject *why);
enum status aliccp_line_common(struct span line, struct log_fields *f, struct span *key,
                               struct feature_list *l, enum reject *why);

/* The common index of a skeleton line; n 0 if it has none. */
struct span aliccp_line_key(struct span line);

/* A decimal number of at most 64 bits, all of the text. */
bool field_number_u64(struct span text, uint64_t *out);
/* The text as a number if it is one in its shortest form, else its hash. */
uint64_t field_number_or_hash(struct span text);
/* A decimal fraction: digits, sign, point, exponent. REJECT_VALUE, REJECT_FINITE (also nan and
 * inf). */
enum reject field_number_f32(struct span text, float *out);
/* The same to double, for the bounds of buckets. */
enum reject field_number_f64(struct span text, double *out);

#endif
