/* tools.h - the sub-commands of `esmm`. argv[0] is the sub-command's name. Each prints its own
 * --help to standard output and returns OK; a bad command line is ERR_USAGE; `main` prints the
 * failure and chooses the exit code. */
#ifndef TOOLS_COMMON_TOOLS_H
#define TOOLS_COMMON_TOOLS_H

#include "options.h"

/* What a role ends with when it would fail again as things are (status_lasts): whoever started it
 * need not advise to go on. */
#define ROLE_EXIT_LASTING 3

extern const struct command command_train, command_coord, command_ps, command_worker;
extern const struct command command_tether;
enum status tool_prep(int argc, char **argv);
enum status tool_synth(int argc, char **argv);
enum status tool_records(int argc, char **argv);
enum status tool_compare(int argc, char **argv);
enum status tool_eval(int argc, char **argv);
enum status tool_predict(int argc, char **argv);
enum status tool_inspect(int argc, char **argv);
enum status tool_export(int argc, char **argv);

#endif
