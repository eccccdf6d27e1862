/* tools.h - the sub-commands of `esmm`, which main.c finds by name and command_run runs. */
#pragma once

#include "options.h"

/* What a role ends with when it would fail again as things are (status_lasts): whoever started it
 * need not advise to go on. */
#define ROLE_EXIT_LASTING 3

extern const struct command command_train, command_coord, command_ps, command_worker;
extern const struct command command_tether, command_prep, command_synth, command_records;
extern const struct command command_eval, command_compare, command_predict, command_inspect;
extern const struct command command_export;
