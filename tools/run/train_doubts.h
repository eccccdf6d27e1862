/* train_doubts.h - the warnings and errors that `esmm train` gives about a job before it begins.
 * Warnings go to standard error. */
#pragma once

#include "common/data/dataset.h"
#include "job.h"

/* Calls dataset_read_all and prints its doubts as warnings. */
enum status train_read_data(struct dataset *data, const struct job *j);
/* Checks whether the job can run on the data. ERR_CONFIG: the model needs other records; the
 * training data and the evaluation data, or the checkpoint to resume from, were made in different
 * ways; or this machine lacks the kernel. What is only doubtful gives a warning. */
enum status train_fits(const struct job *j, const struct dataset *data);
/* Warns of what will train badly. impressions: those of the whole job. ERR_MEMORY. */
enum status train_warn(const struct job *j, const struct dataset *data, uint64_t impressions);
