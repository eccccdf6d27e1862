/* detach.h - `esmm train --detach`: starts the same command again, as a process in the background,
 * and waits until it trains. */
#pragma once

#include "common/base/status.h"

/* Runs this process's own command line once more, with --background. What the new process prints
 * before it has taken the run directory appears here; then it prints to RUN/logs/train.log.
 * *exit_code: that of the process if it ended before it trained, for this process to end with.
 * A stop signal meanwhile is passed on. */
enum status detach_run(const char *run, int *exit_code);
