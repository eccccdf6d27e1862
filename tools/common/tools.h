/* tools.h - the sub-commands of `esmm`. main.c finds them by name, and command_run runs them. */
#pragma once

#include "options.h"

/* Exit code of a role that would fail again in the same situation (status_lasts). The process that
 * started it then need not advise the user to go on. */
#define ROLE_EXIT_LASTING 3

extern const struct command command_train, command_coord, command_ps, command_worker;
extern const struct command command_attach, command_tether, command_prep, command_synth,
    command_records;
extern const struct command command_eval, command_compare, command_predict, command_inspect;
extern const struct command command_export, command_checkpoint, command_reshard;
