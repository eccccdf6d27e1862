/* prep_classes.h - counts rejected lines by the labels that they seem to have.
 *
 * A few rejected lines in a thousand usually do no harm, unless they are the positives: conversions
 * are rarer than that. So lines are counted by class, one class per label. An accepted line is in
 * the classes of its labels. A rejected line is in the class of a label if its cell looks positive:
 * it reads as 1, or it cannot be read and is not empty, 0, false, or a text that means no value. A
 * line in which the cell cannot be found is in no class.
 */
#pragma once

#include "prep_output.h"

/* Counts an accepted line; bit k of `classes` is class k. */
void prep_classes_take(struct prep_tally *t, uint32_t classes);
/* Rejects record i of the piece, like prep_piece_reject, and counts it in its classes.
 * ERR_MEMORY. */
enum status prep_classes_reject(struct prep_piece *p, size_t i, enum reject why, const char *seen,
                                uint32_t classes);

/* ERR_LIMIT if at least 10 lines of a class were rejected, and these are more than bad_max percent
 * of the class, or more than five times the share rejected outside it. (One more line outside
 * counts as rejected, because zero of a few lines is no reliable rate.) `lines` is how many lines
 * the file has, or is expected to have: before its end, only what the remaining lines cannot change
 * is reported. With a bad_max of 100 nothing is an error. */
enum status prep_classes_check(const struct prep_output *o, const char *file,
                               const struct prep_tally *t, double lines);
