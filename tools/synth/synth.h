/* synth.h - `esmm synth`: a raw log in Ali-CCP's format, or a delimited one with times, whose true
 * probabilities are known. docs/synth.md has the model. */
#ifndef TOOLS_SYNTH_SYNTH_H
#define TOOLS_SYNTH_SYNTH_H

#include "common/base/status.h"
#include "synth_config.h"

/* What the command line says, starting from preset e. ERR_USAGE. *help: --help was given and
 * nothing else is checked. *out points into argv. */
enum status synth_parse(struct synth_config *c, int argc, char **argv, const char **out,
                        bool *help);
extern const char synth_help[];

/* Writes out/train and, with a holdout, out/eval: sample_skeleton.csv, common_features.csv,
 * truth.bin each; with times log.csv, log.schema, truth.bin. `out` must not exist; everything is
 * made in out.tmp and appears by one rename; a failure or a stop signal (ERR_CLOSED) leaves
 * nothing. summaries[0] train, [1] eval. Progress goes to standard error if `progress`. Blocks;
 * starts c->threads threads. */
enum status synth_run(const struct synth_config *c, const char *out, bool progress,
                      struct synth_summary summaries[2]);

#endif
