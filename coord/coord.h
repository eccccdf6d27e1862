/* coord.h - the coordinator role: membership, leases, clocks, evaluation, checkpoint commit,
 * metrics.
 *
 * docs/coordinator.md tells the whole story. Socket-free state machines (membership.h, lease.h,
 * staleness.h, cut.h, progress.h) driven by one loop that owns one bound port. It never touches
 * parameters.
 */
#pragma once

#include "coord_options.h"

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
