/* prep_classes.h - rejected lines by the labels that they look to have.
 *
 * A few lines in a thousand may be rejected and nobody needs to care, unless they are the
 * positives: conversions are rarer than that. So lines are counted by class, one class a label. A
 * line that was taken is in the classes of its labels. One that was rejected is in the class of a
 * label if its cell looks positive: it reads as 1, or it cannot be read and is not empty, 0, false,
 * or a text that means no value. Lines in which the cell cannot be found count nowhere.
 */
#pragma once

#include "prep_output.h"

/* Counts a line that was taken; bit k of `classes` is class k. */
void prep_classes_take(struct prep_tally *t, uint32_t classes);
/* Rejects record i of the piece, as prep_piece_reject, and counts it in its classes. ERR_MEMORY. */
enum status prep_classes_reject(struct prep_piece *p, size_t i, enum reject why, const char *seen,
                                uint32_t classes);

/* ERR_LIMIT if at least 10 lines of a class were rejected, and more than bad_max percent of it or
 * five times the share of the lines outside of it (of which one more counts as rejected, since none
 * of a few is no rate). `lines` is what the file has, or is expected to have: before its end only
 * what the rest cannot change any more is told. Nothing is an error with a bad_max of 100. */
enum status prep_classes_check(const struct prep_output *o, const char *file,
                               const struct prep_tally *t, double lines);
