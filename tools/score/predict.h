/* predict.h - writes predictions as a CSV file. */
#pragma once

#include "common/base/file.h"
#include "scorer.h"

/* Writes path (impression_id,p_ctr,p_cvr,p_ctcvr; %.9g) atomically; *lines = impressions. p_cvr is
 * that of score_rates for the model's form: with division and aitm it may exceed 1. The cell of a
 * value that the model does not predict is empty. With several directories: ERR_CONFIG if the same
 * impression id is in two of them. This is checked before anything is scored and takes 32 bytes per
 * impression. */
enum status predict_csv(struct scorer *scorer, const struct file_list *data, uint32_t threads,
                        const char *path, uint64_t *lines);
