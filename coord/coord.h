/* coord.h - the coordinator role: membership, leases, clocks, evaluation, checkpoint commit,
 * metrics.
 *
 * docs/coordinator.md describes all of it. The coordinator consists of state machines without
 * sockets (membership.h, lease.h, staleness.h, cut.h, progress.h), driven by one loop that owns one
 * bound port. It never touches parameters.
 */
#pragma once

#include "coord_options.h"

/* *complete: the run in out_dir is complete and, with these options, nothing is left to train, so
 * there is nothing to resume. Writes nothing. Returns the errors with which coord_run would refuse
 * to resume. */
enum status coord_look(const struct coord_options *o, bool *complete);
/* *complete: out_dir/summary.json exists and says that its job is complete. */
enum status coord_summary_complete(const char *out_dir, bool *complete);
/* Runs until the job has ended; writes summary.json, metrics.jsonl and checkpoints. A stop signal
 * ends the job in order: it is saved, and the result is OK. ERR_TIMEOUT: roles did not appear (the
 * message names them); ERR_PEER: a role failed (named); ERR_EXISTS: out_dir holds a run and resume
 * was not asked for; ERR_BUSY: another job writes into out_dir; ERR_CONFIG: the resumed job has
 * other data or another plan, or a stream is to be read more than once; ERR_CORRUPT: a shard of a
 * stream is damaged (named); what came before it is saved. Blocking. */
enum status coord_run(const struct coord_options *o);
