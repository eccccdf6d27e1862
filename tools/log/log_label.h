/* log_label.h - reads the cell of a label. Pure; it has to expect hostile bytes.
 *
 * Exporters write a bit in many ways: 0 and 1; 0.0 and 1.0 (a column of floats, because it had
 * gaps); true and false; t and f; in upper or lower case, with blanks around. All of these are
 * read. The meaning of other texts (yes, -1, 2) is not guessed: the schema must define it.
 */
#pragma once

#include <stdint.h>

#include "common/field/span.h"

/* The classes of lines, as bit numbers: a line has the bit if it has the label or seems to have
 * it. */
#define CLASS_CLICK        0u
#define CLASS_CONVERSION   1u
#define CLASS_BEHAVIOUR(k) (1u + (k)) /* k from 1, as LABEL_BEHAVIOUR */

enum csv_labels {
    LABELS_BINARY,
    LABELS_COUNT, /* a number: above 0 is 1 */
    LABELS_FUNNEL /* one column: 0 shown, 1 clicked, 2 bought */
};

bool log_label_text(struct span cell, enum csv_labels labels, bool *out); /* the slow part */
/* Reads the cell as 0 or 1, in the way `labels` says; false: it is neither. log_label_stage reads
 * LABELS_FUNNEL. */
static inline bool log_label(struct span cell, enum csv_labels labels, bool *out) {
    if (cell.n == 1 && (cell.at[0] == '0' || cell.at[0] == '1')) { /* the usual case */
        *out = cell.at[0] == '1';
        return true;
    }
    return log_label_text(cell, labels, out);
}
/* Reads 0, 1 or 2, also written as 0.0 and so on. */
bool log_label_stage(struct span cell, uint32_t *out);
