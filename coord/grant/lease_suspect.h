/* lease_suspect.h - batches that kill their workers (lease.h says when one is set aside). */
#pragma once

#include "lease_table.h"

/* The holder of an OUT lease has died. *complete: with what is set aside its range has nothing
 * left. ERR_MEMORY. */
enum status suspect_died(struct leases *l, struct lease *x, bool *complete);
/* The lease is about to be granted: if it is suspect, sets x->only, and the bits of all other
 * batches. ERR_MEMORY. */
enum status suspect_narrow(struct leases *l, struct lease *x, struct buf *bits);
/* What the lease was granted for is done. Whether its range has nothing left. ERR_MEMORY. */
enum status suspect_done(struct leases *l, struct lease *x, bool *complete);
/* Gives each batch that was set aside once; false: no more. */
bool leases_next_aside(struct leases *l, struct lease_aside *out);
