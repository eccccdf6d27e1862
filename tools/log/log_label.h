/* log_label.h - what the cell of a label says. Pure; hostile bytes are the ordinary case.
 *
 * Exporters write a bit in many ways: 0 and 1, 0.0 and 1.0 (a column of floats, since there were
 * gaps), true and false, t and f, in any case, with blanks around. All of these are read. What else
 * a text may mean (yes, -1, 2) is for the schema to say, not to be guessed.
 */
#pragma once

#include <stdint.h>

#include "common/field/span.h"

/* A class of lines by a label: the bit that one has, or looks to have. */
#define CLASS_CLICK        0u
#define CLASS_CONVERSION   1u
#define CLASS_BEHAVIOUR(k) (1u + (k)) /* k from 1, as LABEL_BEHAVIOUR */

enum csv_labels {
    LABELS_BINARY,
    LABELS_COUNT, /* a number: above 0 is 1 */
    LABELS_FUNNEL /* one column: 0 shown, 1 clicked, 2 bought */
};

bool log_label_text(struct span cell, enum csv_labels labels, bool *out); /* its slow part */
/* The cell as 0 or 1, in the way `labels` says. false: it is neither. LABELS_FUNNEL is read by
 * log_label_stage. */
static inline bool log_label(struct span cell, enum csv_labels labels, bool *out) {
    if (cell.n == 1 && (cell.at[0] == '0' || cell.at[0] == '1')) { /* as nearly always */
        *out = cell.at[0] == '1';
        return true;
    }
    return log_label_text(cell, labels, out);
}
/* 0, 1 or 2, also as 0.0 and so on. */
bool log_label_stage(struct span cell, uint32_t *out);
