/* predict.h - predictions as a CSV file. */
#pragma once

#include "common/base/file.h"
#include "scorer.h"

/* Several directories: ERR_CONFIG if two have an impression of the same id; that costs 32 bytes an
 * impression, before anything is scored. Writes path (impression_id,p_ctr,p_cvr,p_ctcvr; %.9g)
 * atomically; *lines = impressions. p_cvr is score_rates' of the model's form: with division and
 * aitm it may exceed 1. Not predicted: an empty cell. */
enum status predict_csv(struct scorer *scorer, const struct file_list *data, uint32_t threads,
                        const char *path, uint64_t *lines);
