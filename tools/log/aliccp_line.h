/* aliccp_line.h - the lines of an Ali-CCP log. Pure: no files, no state but the field names met so
 * far. Hostile bytes are the ordinary case.
 *
 *     skeleton:  sample_id,click,conversion,common_index,feature_num,features
 *     common:    common_index,feature_num,features
 *     features:  field \x02 id \x03 value, joined by \x01; none is an empty text
 *
 * Every line's text is followed by 16 readable bytes, the first of which is no part of a number (a
 * line end or NUL). A function that gives REJECT_... has left the fields as they were.
 */
#pragma once

#include "common/data/feature_list.h"
#include "log_fields.h"
#include "log_reject.h"

#define KEY_BYTES_MAX 255u

struct skeleton_line {
    struct span id, key;
    bool click, conversion;
    uint32_t classes; /* the labels that it has or looks to have: a bit a class (log_label.h) */
};

/* *why REJECT_NONE: the line's features are in *l, of fields on `side`. ERR_MEMORY, ERR_LIMIT (too
 * many fields). */
enum status aliccp_line_skeleton(struct span line, struct log_fields *f, struct skeleton_line *out,
                                 struct feature_list *l, enum reject *why);
enum status aliccp_line_common(struct span line, struct log_fields *f, struct span *key,
                               struct feature_list *l, enum reject *why);

/* The common index of a skeleton line; n 0 if it has none. */
struct span aliccp_line_key(struct span line);
