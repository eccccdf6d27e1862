/* coord_options.h - the coordinator's options, read from its command line. All pointers are
 * borrowed and must outlive the job. */
#pragma once

#include <stdbool.h>

#include "common/base/file.h"
#include "common/job/config.h"

struct coord_options {
    const char *listen;           /* ipc://... or tcp://host:port */
    const struct file_list *data; /* directories of training shards */
    bool stream;                  /* data grows and is followed to its end (shard_stream.h) */
    const struct file_list *eval; /* empty: no evaluation */
    const char *out_dir;          /* run directory */
    const char *launch;           /* names this start of the job (takeover.c); NULL: no name */
    const struct config *config;
    uint32_t servers, workers;
    uint32_t workers_max; /* with those that join later; at least `workers` */
    bool resume;          /* from out_dir/checkpoints/latest; without one: logs it, starts afresh */
    uint64_t timeout_ms;  /* for all roles to appear */
    int progress_fd;      /* gets a JSON line per second, which `esmm train` shows; < 0: none */
    int lock_fd; /* out_dir/lock, held by the parent (common/base/lock.h); 0: takes its own */
};
