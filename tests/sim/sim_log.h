/* sim_log.h - the history of a seed: the log lines of all processes, with the simulated time. */
#pragma once

#include <stdbool.h>

void sim_log_set(bool on); /* and every message of the network */
bool sim_log_on(void);
__attribute__((format(printf, 1, 2))) void sim_log_say(const char *fmt, ...);
