/* train_roles.h - makes the command lines of a job's roles for `esmm train`, on this machine or on
 * other machines. */
#pragma once

#include "crew.h"
#include "job.h"
#include "placement.h"

struct train_roles {
    const struct job *job;
    /* Used for a job on this machine. */
    const char *sockets;     /* directory of ipc sockets */
    const char *config_path; /* the job's configuration, for the coordinator */
    int progress_fd;         /* the coordinator's end of the progress pipe */
    int lock_fd;             /* lock of the run directory; -1: none */
    /* Used for other machines, which are joined by tcp. The configuration is passed with --set, so
     * that no file stays there, whatever ends the job. */
    const struct hosts *hosts; /* NULL: on this machine */
    const struct placement *placement;
    const struct words *ssh; /* the command, without the host */
    uint64_t launch;         /* a random number that names this start of the job */
    const char *make_logs;   /* for roles that write a trace: a command that makes its directory */
};

/* Fills *s with a child for each role and starts none: the coordinator, then the servers, then the
 * workers. ERR_LIMIT: a path is too long for a socket; ERR_MEMORY. Call crew_fini in any case. */
enum status train_roles_add(const struct train_roles *r, struct view *view, struct crew *s);

/* Who of them is started again, and when. */
struct supervisor_restarts train_restarts(const struct job *job);
