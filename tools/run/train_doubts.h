/* train_doubts.h - what `esmm train` has to say of a job before it begins. Warnings go to standard
 * error. */
#pragma once

#include "common/data/dataset.h"
#include "job.h"

/* dataset_read_all, with its doubts as warnings. */
enum status train_read_data(struct dataset *data, const struct job *j);
/* May the job be run on that? ERR_CONFIG: its model wants other records, its data and those to
 * evaluate on, or a checkpoint to resume from, were made in two ways, or this machine lacks the
 * kernel. What is doubtful is a warning. */
enum status train_fits(const struct job *j, const struct dataset *data);
/* Warns of what will train badly; impressions: of the whole job. ERR_MEMORY. */
enum status train_warn(const struct job *j, const struct dataset *data, uint64_t impressions);
