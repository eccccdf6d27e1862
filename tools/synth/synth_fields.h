/* synth_fields.h - the fields of a log, and the entries of a user side or an impression. */
#pragma once

#include "synth_entry.h"
#include "synth_world.h"

/* Sets the fields for the shape of the configuration. */
void fields_init(struct synth_fields *f, const struct synth_config *config);
/* Write the user side of a session's user, and the item side of an impression. They give the number
 * of entries, which is at most USER_ENTRIES_MAX or ITEM_ENTRIES_MAX. `w` must be built with the
 * same configuration. */
uint32_t fields_user(const struct synth_fields *f, const struct world *w, uint32_t user,
                     struct synth_entry *out);
uint32_t fields_item(const struct synth_fields *f, const struct world *w,
                     const struct impression *x, struct synth_entry *out);
