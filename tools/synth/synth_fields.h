/* synth_fields.h - the fields of a log, and which entries a user side or an impression has. */
#pragma once

#include "synth_entry.h"
#include "synth_world.h"

/* The fields of the configuration's shape. */
void fields_init(struct synth_fields *f, const struct synth_config *config);
/* The user side of a session's user, and the item side of an impression. Give the number of
 * entries, at most the maximum above. `w` was built with the same configuration. */
uint32_t fields_user(const struct synth_fields *f, const struct world *w, uint32_t user,
                     struct synth_entry *out);
uint32_t fields_item(const struct synth_fields *f, const struct world *w,
                     const struct impression *x, struct synth_entry *out);
