/* job.h - the options that describe a job, shared by `esmm train` and `esmm coord`. */
#pragma once

#include "common/job/config.h"
#include "common/base/file.h"
#include "common/checkpoint/newest.h"
#include "coord/coord.h"
#include "tools/common/options.h"

struct job {
    struct config config;
    struct file_list data;  /* absolute directories; a stream has exactly one */
    bool stream;            /* the directory grows, and the job follows it */
    const char *stream_dir; /* as it was given */
    struct file_list eval;  /* empty: no evaluation */
    char out[PATH_BYTES_MAX];
    uint32_t servers, workers, threads;
    uint32_t workers_max; /* 0: 64 more than `workers` */
    bool resume;
    bool trace;
    const char *listen;  /* coord only */
    const char *log;     /* coord only: log file */
    int progress_fd;     /* coord only */
    bool print_config;   /* coord only: print the configuration, start nothing */
    int lock_fd;         /* coord only: lock of out/lock, held by the starter; 0: none */
    const char *launch;  /* coord only: names this start of the job; NULL: no name */
    const char *sockets; /* coord only: directory of ipc sockets, removed if the starter died */
    uint64_t timeout_ms;
    /* train only */
    uint32_t restarts; /* of each process; RESTARTS_UNLIMITED (supervisor.h): no limit */
    uint32_t grace_s;  /* coord, too: from a stop signal to the end, for the last checkpoint */
    bool detach;       /* goes on in the background */
    bool background;   /* this is the process in the background; its log is RUN/logs/train.log */
    int exit_code;     /* of the process in the background, if it ended early; -1: none */
    /* train only: across machines (launch.h) */
    const char *hostfile;         /* NULL: on this machine */
    char program[PATH_BYTES_MAX]; /* path on the hosts, absolute; "": the same as here */
    const char *ssh;              /* the command, split as a shell would do it */
    uint32_t port_base;
    uint32_t lifeline_s; /* how long roles go on without a word of the launcher */
    bool dry_run;
    bool given_for_hosts; /* one of the five members above was given; they need hosts */
};

/* The options of both commands, whose line is a struct job, and the functions that a struct command
 * needs with them. */
extern const struct option_row job_rows[];
extern const struct option_row job_care_rows[]; /* only for train, as these */
extern const struct option_row job_host_rows[];
void job_init(void *job);
enum status job_check(void *job); /* ERR_USAGE, ERR_CONFIG */
void job_fini(void *job);
/* Where a resumed job would start; newest_free(out) in any case. ERR_NOT_FOUND: nowhere, or it is
 * not resumed; ERR_CORRUPT: every checkpoint is damaged. */
enum status job_resumes_from(const struct job *j, struct newest *out);
/* The options for the coordinator; they borrow from *j. */
struct coord_options job_coord_options(const struct job *j);
