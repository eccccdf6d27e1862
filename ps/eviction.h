/* eviction.h - the only place that makes and frees rows: by age, and by the memory limit.
 *
 * Age. A row not updated for evict_age batches is missing from that batch on (row_expired); freeing
 * it is a search of one slice of the slots after every push, so all slots are visited every
 * AGE_PUSHES pushes. When memory is freed therefore never shows in a result.
 *
 * Memory. Where a new row would exceed the limit it is refused, or (policy evict) takes the place
 * of the row, of SAMPLE_ROWS from a hand that goes round the table, that was updated longest ago,
 * the one with the fewest updates among equals. Both depend on the sequence of pushes alone. */
#pragma once

#include "partition_state.h"

#define AGE_PUSHES   256u
#define SAMPLE_ROWS  64u
#define SAMPLE_SLOTS 1024u

/* A new row for an absent id, or HANDLE_NONE if memory refused it (counted). Its step is 0, which a
 * snapshot passes over; the caller copies the block aside before raising it, as before any write.
 */
uint32_t rows_create(struct partition *p, struct store *s, uint64_t id, uint64_t clock);
/* Frees a row. */
void rows_free(struct partition *p, struct store *s, uint32_t handle);
/* The slice of the search for expired rows that belongs to one push. */
void eviction_step(struct partition *p);
