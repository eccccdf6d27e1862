/* id_set.h - a set of ids, for what the newer links of a chain have: 11 to 22 bytes an id.
 *
 * Open addressing over the ids themselves. Single-threaded. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

struct id_set {
    uint64_t *ids; /* [size], a power of two; 0: empty */
    size_t size, count;
    bool zero; /* the id 0 is in it */
};

void id_set_fini(struct id_set *s);
bool id_set_has(const struct id_set *s, uint64_t id);
/* *fresh: it was not in the set. ERR_MEMORY: the set is unchanged. */
enum status id_set_add(struct id_set *s, uint64_t id, bool *fresh);
