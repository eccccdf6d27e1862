/* aliccp_line.h - parses the lines of an Ali-CCP log. Pure: it reads no files and keeps no state
 * but the field names met so far. It has to expect hostile bytes.
 *
 *     skeleton:  sample_id,click,conversion,common_index,feature_num,features
 *     common:    common_index,feature_num,features
 *     features:  field \x02 id \x03 value, joined by \x01; no features are an empty text
 *
 * 16 readable bytes must follow every line's text. The first of them must not be part of a number
 * (it is a line end or NUL). A function that gives REJECT_... leaves the fields as they were.
 */
#pragma once

#include "tools/common/feature_list.h"
#include "log_fields.h"
#include "log_reject.h"

#define KEY_BYTES_MAX 255u

struct skeleton_line {
    struct span id, key;
    bool click, conversion;
    uint32_t classes; /* labels that it has or seems to have: one bit per class (log_label.h) */
};

/* If *why is REJECT_NONE, *l holds the line's features, and their fields are on `side`. ERR_MEMORY,
 * ERR_LIMIT (too many fields). */
enum status aliccp_line_skeleton(struct span line, struct log_fields *f, struct skeleton_line *out,
                                 struct feature_list *l, enum reject *why);
enum status aliccp_line_common(struct span line, struct log_fields *f, struct span *key,
                               struct feature_list *l, enum reject *why);

/* The common index of a skeleton line; n 0 if it has none. */
struct span aliccp_line_key(struct span line);
