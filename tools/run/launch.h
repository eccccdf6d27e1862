/* launch.h - `esmm train --hostfile FILE`: a job on other machines, over ssh (docs/launch.md).
 *
 * It reads the hosts (hosts.h), places the roles on them (placement.h) and checks the hosts
 * (host_check.h). It runs the roles under `esmm tether` with their logs (crew.h), and the
 * supervisor acts when one of them ends (supervisor.h). At the end it shows the summary from the
 * coordinator's host, or the first cause of the failure.
 */
#pragma once

#include "job.h"

/* Blocks until the job has ended. ERR_USAGE: wrong hosts, slots or ports; ERR_BUSY: another
 * launcher uses the run directory; ERR_CLOSED: a stop signal came before anything was started;
 * ERR_PEER: the hosts have problems, which were printed, or the job failed and the text is the
 * first cause. */
enum status launch_run(const struct job *job);
