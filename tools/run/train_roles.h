/* train_roles.h - the roles of a job: the command lines that `esmm train` gives them, on this
 * machine or on others. */
#pragma once

#include "crew.h"
#include "job.h"
#include "placement.h"

struct train_roles {
    const struct job *job;
    /* On this machine. */
    const char *sockets;     /* directory of ipc sockets */
    const char *config_path; /* the job's configuration, for the coordinator */
    int progress_fd;         /* the coordinator's end of the progress pipe */
    int lock_fd;             /* of the run directory's lock; -1: there is none */
    /* On others, joined by tcp. The configuration is told with --set: whatever ends the job, no
     * file is left there. */
    const struct hosts *hosts; /* NULL: on this machine */
    const struct placement *placement;
    const struct words *ssh; /* the command, without the host */
    const char *make_logs;   /* for those that write a trace: a command that makes its directory */
};

/* Makes *s with a child for each role, none started: the coordinator, then the servers, then the
 * workers. ERR_LIMIT: a path is too long for a socket; ERR_MEMORY. crew_fini in any case. */
enum status train_roles_add(const struct train_roles *r, struct view *view, struct crew *s);
