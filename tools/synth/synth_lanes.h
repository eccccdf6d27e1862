/* synth_lanes.h - makes numbered pieces of work on several threads and takes them in order.
 *
 * Lane t of T makes pieces t, t + T, t + 2T, ... in a thread of its own, each into one of the
 * lane's few slots; the caller's thread takes pieces 0, 1, 2, ... and gives the slots back. What is
 * taken, and in which order, does not depend on T; memory is T * LANE_SLOTS slots, however many
 * pieces there are.
 */
#ifndef TOOLS_SYNTH_SYNTH_LANES_H
#define TOOLS_SYNTH_SYNTH_LANES_H

#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

#define LANES_MAX  256u
#define LANE_SLOTS 3u

struct lanes_work {
    uint32_t threads; /* 1..LANES_MAX */
    uint64_t pieces;
    size_t slot_bytes; /* > 0; a slot starts zeroed and is reused as `make` left it */
    /* Fills the slot with a piece; in a lane's thread. */
    enum status (*make)(void *arg, uint64_t piece, void *slot);
    /* Uses it; in the caller's thread, pieces in order. NULL: nothing to do. */
    enum status (*take)(void *arg, uint64_t piece, void *slot);
    /* Frees what is in a slot, also in a zeroed one. NULL: nothing. */
    void (*fini)(void *slot);
    void *arg;
};
/* Blocks until all is taken, something failed (that status), or a stop signal came: ERR_CLOSED. */
enum status lanes_run(const struct lanes_work *work);

#endif
