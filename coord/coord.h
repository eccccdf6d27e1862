/* coord.h - the coordinator role: membership, leases, clocks, evaluation, checkpoint commit,
 * metrics.
 *
 * docs/coordinator.md tells the whole story. Socket-free state machines (membership.h, lease.h,
 * staleness.h, commit.h, progress.h) driven by one loop that owns one bound port. It never touches
 * parameters.
 */
#ifndef COORD_COORD_H
#define COORD_COORD_H

#include <stdbool.h>

#include "common/job/config.h"
#include "common/base/file.h"
#include "common/base/status.h"

struct coord_options {
    const char *listen;           /* ipc://... or tcp://host:port */
    const struct file_list *data; /* directories of training shards */
    bool stream;                  /* it is one that grows, and is followed to its end (stream.h) */
    const struct file_list *eval; /* none: no evaluation */
    const char *out_dir;          /* run directory */
    const struct config *config;
    uint32_t servers, workers;
    bool resume;         /* from out_dir/checkpoints/latest; none there: start afresh, said */
    uint64_t timeout_ms; /* for all roles to appear */
    int progress_fd;     /* < 0: none; else a JSON line per second for `esmm train`'s view */
    int lock_fd; /* of out_dir/lock, held by the parent (common/base/lock.h); 0: takes its own */
};
/* Whether the run in out_dir is complete and these options leave nothing to train of it: then there
 * is nothing to resume. Writes nothing. The errors are those with which coord_run would refuse to
 * resume. */
enum status coord_look(const struct coord_options *o, bool *complete);
/* Whether out_dir/summary.json is there and says that its job is complete. */
enum status coord_summary_complete(const char *out_dir, bool *complete);
/* Runs until the job has ended: writes summary.json, metrics.jsonl, checkpoints. A stop signal ends
 * it in order, saved, with OK. ERR_TIMEOUT: roles did not appear (names them); ERR_PEER: a role
 * failed (names it); ERR_EXISTS: out_dir holds a run and resume was not asked for; ERR_BUSY:
 * another job writes into it; ERR_CONFIG: resuming on other data or another plan; a stream is to be
 * read more than once. ERR_CORRUPT: a shard of a stream is damaged (names it); what came before it
 * is saved. Blocking. */
enum status coord_run(const struct coord_options *o);

#endif
