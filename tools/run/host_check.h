/* host_check.h - finds everything that can be known to be wrong with the hosts of a job before
 * anything is started there.
 *
 * All hosts are asked at once whether they have the program and the data, and whether their ports
 * are free. The coordinator's host also makes the run directory with a marker file in it. Hosts
 * with servers are then asked whether they see the marker. The marker exists only while the
 * connection does, so a launcher that is killed leaves nothing behind.
 */
#pragma once

#include "common/base/file.h"
#include "job.h"
#include "placement.h"
#include "question.h"

struct host_check {
    const struct job *job;
    const struct hosts *hosts;
    const struct placement *placement;
    const struct words *ssh;
    char marker[64];
    struct question *first; /* [first_count]: for the run directory, then one per host */
    size_t first_count;
    struct question *second; /* [second_count]: hosts with servers other than the coordinator's */
    size_t second_count;
    struct file_list problems; /* "host: problem" */
};

/* Makes the questions, but does not ask them yet. *c borrows all other arguments until
 * host_check_fini. */
enum status host_check_init(struct host_check *c, const struct job *job, const struct hosts *hosts,
                            const struct placement *placement, const struct words *ssh);
/* Asks the questions. OK: c->problems holds what the answers show. ERR_CLOSED: a stop signal came.
 * Blocks until the slowest host has answered, at most twice QUESTION_MS. */
enum status host_check_run(struct host_check *c);
/* Called before the roles are started: removes the marker and keeps the run directory. */
void host_check_keep(struct host_check *c);
/* Removes what the check has made, unless it was kept. Safe on a zeroed struct. */
void host_check_fini(struct host_check *c);
