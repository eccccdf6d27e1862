/* snapshot_private.h - the hooks of a running snapshot in the rest of ps/. */
#ifndef PS_SNAPSHOT_PRIVATE_H
#define PS_SNAPSHOT_PRIVATE_H

#include "partition_private.h"
#include "snapshot.h"

/* Copies the block of a slot aside unless it is written. May wait for the writer at the copy limit.
 * */
void snapshot_touch(struct partition *p, uint32_t unit, uint32_t handle);
/* To be called before anything in a slot of a table changes. */
static inline void snapshot_before_write(struct partition *p, uint32_t unit, uint32_t handle) {
    if (p->snapshot != NULL) {
        snapshot_touch(p, unit, handle);
    }
}
/* A slice of the writing; true if there is more to do at once. */
bool snapshot_step(struct partition *p);
/* Chunks, bitmaps and copies; 0 when none is running. */
uint64_t snapshot_bytes(const struct partition *p);
/* Drops a running snapshot with its partition. */
void snapshot_abandon(struct partition *p);

#endif
