/* compare_run.h - one model of a comparison: `esmm train` as a child process of this program, its
 * options, and the run directory OUT/runs/METHOD-SEED that it fills.
 *
 * A run that is complete with the same configuration is kept. One that was stopped or failed goes
 * on from its newest checkpoint (train's --resume). One with another configuration is refused.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/file.h"
#include "compare_methods.h"

struct compare_settings { /* what all runs share; texts belong to the command line */
    struct file_list data;
    const char *out;
    struct file_list conf, set;
    struct file_list method_set; /* "METHOD:section.key=value" */
    uint64_t servers, workers, threads;
};

/* The "section.key=value" of a method_set if it is for m (METHOD is its label or its model), or
 * NULL. */
const char *compare_set_for(const struct compare_method *m, const char *method_set);

struct compare_run {
    char dir[PATH_BYTES_MAX]; /* the run directory */
    bool complete;            /* it was there already */
};
/* Reads the run's options as `esmm train` will, and what is in its directory. Trains nothing.
 * ERR_USAGE, ERR_CONFIG: an option. ERR_EXISTS: a run with another configuration is there. */
enum status compare_run_look(const struct compare_settings *s, const struct compare_method *m,
                             uint32_t seed, struct compare_run *run);
/* Trains it, unless it is complete; blocks until the child has ended. ERR_PEER: it failed (the text
 * has the log's path). ERR_CLOSED: a stop signal came, and was passed on to the child. */
enum status compare_run_train(const struct compare_settings *s, const struct compare_method *m,
                              uint32_t seed, struct compare_run *run);
/* From the run's summary: impressions trained on, and seconds. */
enum status compare_run_cost(const struct compare_run *run, double *impressions, double *seconds);

/* Checks that the file `path` has exactly this text. ERR_EXISTS: the first line that differs is
 * told, after `what`. ERR_NOT_FOUND. */
enum status compare_same_text(const char *path, const char *text, const char *what);
