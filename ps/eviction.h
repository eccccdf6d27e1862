/* eviction.h - the only place that makes and frees rows, within the memory limit.
 *
 * If a new row would exceed the limit, it is refused or, with policy evict, takes the place of
 * another row. A hand goes round the table; of the next SAMPLE_ROWS rows the one that was
 * updated longest ago is evicted, among equals the one with the fewest updates. Both policies
 * depend only on the sequence of pushes. */
#pragma once

#include "partition_state.h"

#define SAMPLE_ROWS  64u
#define SAMPLE_SLOTS 1024u

/* Makes a new row for an absent id. HANDLE_NONE: memory refused it (counted). The step of the row
 * is 0, so a snapshot skips it. Before the caller raises the step, it must call
 * partition_before_write, as before any write.
 */
uint32_t rows_create(struct partition *p, struct store *s, uint64_t id, uint64_t clock);
/* Frees a row. */
void rows_free(struct partition *p, struct store *s, uint32_t handle);
