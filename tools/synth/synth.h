/* synth.h - `esmm synth`: a raw log in Ali-CCP's format, or a delimited one with times, whose true
 * probabilities are known. docs/synth.md has the model. */
#pragma once

#include "synth_config.h"
#include "tools/common/options.h"

/* The command line, and what a struct command needs beside the groups: the defaults are of preset
 * e. ERR_USAGE. */
struct synth_line {
    struct synth_config config;
    const char *out;
};
extern const struct option_group synth_groups[];
void synth_init(void *line);
enum status synth_check(void *line);

/* Writes out/train and, with a holdout, out/eval: sample_skeleton.csv, common_features.csv,
 * truth.bin each; with times log.csv, log.schema, truth.bin. `out` must not exist; everything is
 * made in out.tmp and appears by one rename; a failure or a stop signal (ERR_CLOSED) leaves
 * nothing. summaries[0] train, [1] eval. Progress goes to standard error if `progress`. Blocks;
 * starts c->threads threads. */
enum status synth_run(const struct synth_config *c, const char *out, bool progress,
                      struct synth_summary summaries[2]);
