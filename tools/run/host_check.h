/* host_check.h - everything that can be known to be wrong with the hosts of a job before anything
 * is started there.
 *
 * All hosts are asked at once: have they the program, the data, their ports free. The coordinator's
 * is also told to make the run directory, with a marker file in it, which hosts with servers are
 * then asked to see. The marker is there only as long as the connection is: nothing is left by a
 * launcher that is killed.
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
    struct question *first; /* [first_count]: the run directory's, then a host's each */
    size_t first_count;
    struct question *second; /* [second_count]: of hosts with servers beside the coordinator's */
    size_t second_count;
    struct file_list problems; /* "host: problem" */
};

/* The questions; nothing is asked yet. All but *c is borrowed until host_check_fini. */
enum status host_check_init(struct host_check *c, const struct job *job, const struct hosts *hosts,
                            const struct placement *placement, const struct words *ssh);
/* Asks. OK: the answers are in, see c->problems. ERR_CLOSED: a stop signal came. Blocks for as long
 * as the slowest host, at most twice QUESTION_MS. */
enum status host_check_run(struct host_check *c);
/* The roles are started next: the marker goes, the run directory stays. */
void host_check_keep(struct host_check *c);
/* Takes back what the check has made, unless it is kept. Safe on a zeroed struct. */
void host_check_fini(struct host_check *c);
