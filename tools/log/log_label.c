#include "log_label.h"

#include <strings.h>

#include "common/field/field_number.h"

/* Reads one digit, optionally followed by a point with zeros. */
static bool digit_of(struct span cell, uint32_t *out) {
    size_t zeros = 2;
    if (cell.n == 0 || cell.at[0] < '0' || cell.at[0] > '9' || (cell.n > 1 && cell.at[1] != '.')) {
        return false;
    }
    while (zeros < cell.n && cell.at[zeros] == '0') {
        zeros++;
    }
    *out = (uint32_t)(cell.at[0] - '0');
    return zeros >= cell.n;
}

static bool is_word(struct span cell, const char *word) {
    return cell.n == strlen(word) && strncasecmp(cell.at, word, cell.n) == 0;
}

static bool word_of(struct span cell, bool *out) {
    *out = is_word(cell, "true") || is_word(cell, "t");
    return *out || is_word(cell, "false") || is_word(cell, "f");
}

bool log_label_text(struct span cell, enum csv_labels labels, bool *out) {
    uint32_t digit = 0;
    double count = 0;
    cell = span_trimmed(cell);
    if (word_of(cell, out)) {
        return true;
    }
    if (labels == LABELS_COUNT) {
        const bool good = field_number_f64(cell, &count) == FIELD_FINE && count >= 0;
        *out = count > 0;
        return good;
    }
    const bool good = digit_of(cell, &digit) && digit <= 1;
    *out = digit == 1;
    return good;
}

bool log_label_stage(struct span cell, uint32_t *out) {
    return digit_of(span_trimmed(cell), out) && *out <= 2;
}
