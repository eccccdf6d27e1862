/* admission.h - when a feature gets a row: at its admit_after-th sighting.
 *
 * A sighting is an applied batch that holds the feature. Sightings before admission are counted in
 * the sightings table of the field (16 bytes per row, and its index). The gradient of the admitting
 * batch is the first one that is applied. */
#pragma once

#include "partition_state.h"

/* Counts a sighting of an absent id at `clock` (number of batches before this one). Returns the
 * handle of its new row (step 0, which the caller must raise), or HANDLE_NONE: not admitted yet, or
 * refused by memory. */
uint32_t admission_sight(struct partition *p, struct field_rows *f, uint64_t id, uint64_t clock);
