/* consistency.h - how far the trainers of a job may be apart (coord/staleness.h keeps them to it).
 */
#pragma once

enum consistency {
    CONSISTENCY_ASYNC, /* up to train.staleness_max batches */
    CONSISTENCY_SYNC,  /* a barrier after each batch */
    CONSISTENCY_HYBRID /* the dense vector as with SYNC, rows as with ASYNC */
};
