/* synth.h - `esmm synth`: writes a raw log, in Ali-CCP's format or delimited and with times, whose
 * true probabilities are known. docs/synth.md describes the model. */
#pragma once

#include "synth_config.h"
#include "tools/common/options.h"

/* The command line, and what a struct command needs besides the groups. The defaults are those of
 * preset e. ERR_USAGE. */
struct synth_line {
    struct synth_config config;
    const char *out;
};
extern const struct option_group synth_groups[];
void synth_init(void *line);
enum status synth_check(void *line);

/* Writes out/train and, with a holdout, out/eval. Each has sample_skeleton.csv, common_features.csv
 * and truth.bin, or, with times, log.csv, log.schema and truth.bin. `out` must not exist.
 * Everything is made in out.tmp and appears by one rename; after a failure or a stop signal
 * (ERR_CLOSED) nothing is left. summaries[0] is for train, [1] for eval. Progress goes to standard
 * error if `progress`. Blocks; starts c->threads threads. */
enum status synth_run(const struct synth_config *c, const char *out, bool progress,
                      struct synth_summary summaries[2]);
