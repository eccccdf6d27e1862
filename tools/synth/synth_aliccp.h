/* synth_aliccp.h - the fields and entries of a log with Ali-CCP's size and shape (SHAPE_ALICCP);
 * synth_fields.h has the functions for any shape. */
#pragma once

#include "synth_entry.h"
#include "synth_world.h"

/* Sets how many ids each field has, and the laws of the fields that are drawn. *f must be
 * zeroed. */
void synth_aliccp_fields_init(struct synth_fields *f, const struct synth_config *config);
uint32_t synth_aliccp_user(const struct synth_fields *f, const struct world *w, uint32_t user,
                           struct synth_entry *out);
uint32_t synth_aliccp_item(const struct synth_fields *f, const struct world *w,
                           const struct impression *x, struct synth_entry *out);
