/* lease_backup.h - second leases at the end of an epoch.
 *
 * A worker that is much slower than the others, or is stopped, would hold up the end of each epoch
 * by what it has. How long a lease takes is the mean over the last ones that came back; from grant
 * to return, so it counts the wait behind the lease before it. One that has been out for LATE times
 * as long and LATE_MS gets a second worker. A worker helps with one range at a time.
 */
#pragma once

#include "lease_table.h"

/* A range that the worker, who has nothing to do, is to have as a second; NULL: none. */
struct lease *backup_find(struct leases *l, uint32_t worker, uint64_t now_ms);
void backup_grant(struct leases *l, struct lease *x, uint32_t worker, uint64_t incarnation);
/* The holder is lost: the second, if there is one, is the holder. */
bool backup_promote(struct leases *l, struct lease *x);
/* A range that was granted at granted_ms has come back. */
void backup_learn(struct leases *l, uint64_t granted_ms, uint64_t now_ms);
