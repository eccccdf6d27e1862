/* job.h - the options that describe a job, shared by `esmm train` and `esmm coord`. */
#ifndef TOOLS_RUN_JOB_H
#define TOOLS_RUN_JOB_H

#include "common/job/config.h"
#include "common/base/file.h"
#include "common/data/shard.h"
#include "coord/coord.h"

struct job {
    struct config config;
    struct file_list data; /* directories, absolute */
    bool stream;           /* it is one that grows, and is followed */
    struct file_list eval; /* none: no evaluation */
    char out[PATH_BYTES_MAX];
    uint32_t servers, workers, threads;
    bool resume;
    bool help;
    bool trace;
    const char *listen;  /* coord only */
    const char *log;     /* coord only: log file */
    int progress_fd;     /* coord only */
    bool print_config;   /* coord only: print the configuration, start nothing */
    int lock_fd;         /* coord only: of out/lock, held by the starter; 0: none */
    const char *sockets; /* coord only: directory of ipc sockets, removed if the starter died */
    uint64_t timeout_ms;
};

/* Parses argv (after the sub-command's name). `coord` accepts the coordinator's own options too.
 * *help is set if --help was given (nothing else is checked then). ERR_USAGE, ERR_CONFIG. */
enum status job_parse(struct job *j, int argc, char **argv, bool coord, bool *help);
void job_fini(struct job *j); /* after job_parse, whatever it gave; safe on a zeroed struct */
/* What the coordinator is told of it; borrows from *j. */
struct coord_options job_coord_options(const struct job *j);
/* The lines of --help that describe these options. */
extern const char job_options_help[];

#endif
