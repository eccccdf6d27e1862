/* judged.h - what an evaluation said of a checkpoint: a file `evaluation` beside its manifest.
 *
 * It is written after the manifest, when the evaluation of just this state has ended. A checkpoint
 * without one, or whose one is damaged, is whole; it only has no figures.
 */
#pragma once

#include "common/job/config.h"
#include "manifest.h"

struct judged {
    uint64_t step, impressions;         /* of the state; those of its manifest */
    double auc_ctr, auc_cvr, auc_ctcvr; /* NaN: undefined */
};
/* dir/evaluation, durable. */
enum status judged_write(const struct judged *j, const char *dir);
/* ERR_NOT_FOUND, ERR_CORRUPT. */
enum status judged_read(struct judged *j, const char *dir);
enum status judged_decode(struct judged *j, const void *data, size_t bytes);
/* The figure of one metric; NaN for BEST_OFF. */
double judged_figure(const struct judged *j, enum keep_best metric);
