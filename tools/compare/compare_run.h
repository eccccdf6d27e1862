/* compare_run.h - one model of a comparison: `esmm train` as a child process, its options, and the
 * run directory OUT/runs/METHOD-SEED that it fills.
 *
 * A complete run with the same configuration is kept. A run that was stopped or failed goes on from
 * its newest checkpoint (train's --resume). A run with another configuration is refused.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/file.h"
#include "compare_methods.h"

struct compare_settings { /* settings of all runs; texts belong to the command line */
    struct file_list data;
    const char *out;
    struct file_list conf, set;
    struct file_list method_set; /* "METHOD:section.key=value" */
    uint64_t servers, workers, threads;
};

/* Returns the "section.key=value" of a method_set if it is for m (METHOD is m's label or model),
 * otherwise NULL. */
const char *compare_set_for(const struct compare_method *m, const char *method_set);

struct compare_run {
    char dir[PATH_BYTES_MAX]; /* the run directory */
    bool complete;            /* the run was already complete */
};
/* Reads the run's options as `esmm train` will, and what its directory holds. Trains nothing.
 * ERR_USAGE, ERR_CONFIG: an option is wrong. ERR_EXISTS: the directory holds a run with another
 * configuration. */
enum status compare_run_look(const struct compare_settings *s, const struct compare_method *m,
                             uint32_t seed, struct compare_run *run);
/* Trains the run unless it is complete; blocks until the child has ended. ERR_PEER: the run failed
 * (the text has the log's path). ERR_CLOSED: a stop signal came and was passed on to the child. */
enum status compare_run_train(const struct compare_settings *s, const struct compare_method *m,
                              uint32_t seed, struct compare_run *run);
/* Reads from the run's summary the impressions trained on, and the seconds. */
enum status compare_run_cost(const struct compare_run *run, double *impressions, double *seconds);

/* Checks that the file `path` has exactly this text. ERR_EXISTS: it differs; the message gives
 * `what` and then the first line that differs. ERR_NOT_FOUND. */
enum status compare_same_text(const char *path, const char *text, const char *what);
