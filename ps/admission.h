/* admission.h - when a feature gets a row: at its admit_after-th sighting.
 *
 * A sighting is an applied batch that holds the feature. Earlier ones are counted in the field's
 * sightings table (16 bytes a row and its index); the gradient of the admitting batch is the first
 * to be applied. */
#pragma once

#include "partition_state.h"

/* Counts a sighting of an absent id at `clock` (batches before this one). The handle of its new
 * row (step 0, to be raised), or HANDLE_NONE: not yet, or refused by memory. */
uint32_t admission_sight(struct partition *p, struct field_rows *f, uint64_t id, uint64_t clock);
