/* train_roles.h - the roles of a job on this machine: the command lines that `esmm train` gives
 * them. */
#ifndef TOOLS_RUN_TRAIN_ROLES_H
#define TOOLS_RUN_TRAIN_ROLES_H

#include "job.h"
#include "crew.h"

struct train_roles {
    const struct job *job;
    const char *sockets;     /* directory of ipc sockets */
    const char *config_path; /* the job's configuration, for the coordinator */
    int progress_fd;         /* the coordinator's end of the progress pipe */
    int lock_fd;             /* of the run directory's lock; -1: there is none */
};

/* Makes *s with a child for each role, none started: the coordinator, then the servers, then the
 * workers. ERR_LIMIT: a path is too long for a socket; ERR_MEMORY. crew_fini in any case. */
enum status train_roles_add(const struct train_roles *r, struct view *view, struct crew *s);

#endif
