/* launch.h - `esmm train --hostfile FILE`: a job on other machines, over ssh (docs/launch.md).
 *
 * Hosts (hosts.h), who runs where (placement.h), what is wrong there (host_check.h), the roles
 * under `esmm tether` with their logs (crew.h), what is done when one of them ends (supervisor.h);
 * and at the end the summary of the coordinator's host, or the first cause.
 */
#pragma once

#include "job.h"

/* Blocks until the job has ended. ERR_USAGE: hosts, slots or ports; ERR_BUSY: another launcher has
 * the run directory; ERR_CLOSED: a stop signal came before anything was started; ERR_PEER:
 * something is wrong with the hosts, and was printed, or the job failed: the text is the first
 * cause. */
enum status launch_run(const struct job *job);
