/* log_reject.h - why a line of a log cannot be used, and how this is reported. */
#pragma once

#include "common/base/bytes.h"
#include "common/field/field_number.h"

#define REJECT_HEAD_BYTES 120 /* of a rejected line, shown in rejects.tsv */

/* In the order in which a summary counts them. */
#define REJECT_LIST(X)                                                                             \
    X(REJECT_NONE, "")                                                                             \
    X(REJECT_COLUMNS, "wrong number of columns")                                                   \
    X(REJECT_LABEL, "label is not 0 or 1")                                                         \
    X(REJECT_KEY, "common index is empty or longer than 255 bytes")                                \
    X(REJECT_COUNT, "feature_num is not a number")                                                 \
    X(REJECT_DISAGREES, "feature_num disagrees with the features")                                 \
    X(REJECT_ENTRY, "a feature is not field, id and value")                                        \
    X(REJECT_FIELD, "a field name is empty, too long or not printable")                            \
    X(REJECT_ID, "a feature id is not a number")                                                   \
    X(REJECT_VALUE, "a value is not a number")                                                     \
    X(REJECT_FINITE, "a value is not finite")                                                      \
    X(REJECT_NO_COMMON, "no common row")                                                           \
    X(REJECT_DUPLICATE, "common index came before")                                                \
    X(REJECT_LONG, "line is longer than 1048576 bytes")                                            \
    X(REJECT_QUOTES, "quotes are not closed, or not at the ends of a cell")                        \
    X(REJECT_LINES, "a cell's quotes span a line that may be a row of its own")                    \
    X(REJECT_HEADER, "repeats the header; with log.repeated_headers = skip it is one")             \
    X(REJECT_IMPRESSION, "impression id is missing")                                               \
    X(REJECT_TIME, "a time is missing, cannot be read, or is not from 1990 to 2100")               \
    X(REJECT_ORDER, "a conversion's time is before its click's")                                   \
    X(REJECT_WEIGHT, "a weight is not a number from 0 to 1000000")

enum reject {
#define X(name, text) name,
    REJECT_LIST(X)
#undef X
        REJECTS
};
const char *reject_text(enum reject r);
static inline enum reject reject_of(enum field_fault fault) {
    return fault == FIELD_FINE        ? REJECT_NONE
           : fault == FIELD_NO_ID     ? REJECT_ID
           : fault == FIELD_NO_NUMBER ? REJECT_VALUE
                                      : REJECT_FINITE;
}

/* Adds a row of rejects.tsv: file, line, reason, head of the line, tab-separated and escaped.
 * `seen` is the text found instead; it is added to the reason unless it is "". ERR_MEMORY. */
enum status reject_row(struct buf *out, const char *file, uint64_t line, enum reject why,
                       const char *seen, struct span text);
