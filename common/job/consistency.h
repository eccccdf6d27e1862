/* consistency.h - how far apart the trainers of a job may be (coord/grant/staleness.h enforces it).
 */
#pragma once

enum consistency {
    CONSISTENCY_ASYNC, /* up to train.staleness_max batches */
    CONSISTENCY_SYNC,  /* a barrier after each batch */
    CONSISTENCY_HYBRID /* the dense vector as with SYNC, rows as with ASYNC */
};
