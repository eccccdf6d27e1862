/* upkeep.h - what a partition does for its memory between requests: rows past their age are freed,
 * rows move from the last slots into free ones, so that pages go back to the system, and indexes
 * that grow or shrink get on. Everything comes in slices of some tenths of a millisecond.
 *
 * Age. A row that was not updated for evict_age batches counts as missing from then on
 * (row_expired). To free such rows, every push makes one in AGE_PUSHES of a table's slots due for a
 * visit. So results never depend on when memory is freed.
 *
 * Order. Which slot a row lies in decides its place in a part file. In deterministic jobs these
 * bytes must not depend on time: there slots change in pushes only. Elsewhere partition_tick does
 * slices too, so that memory comes back when no push comes, and rows do not move while a snapshot
 * is written: it would have to copy them aside first. */
#pragma once

#include "partition_state.h"

#define AGE_PUSHES 256u

/* The slice that belongs to one push. */
void upkeep_push(struct partition *p);
