/* consistency.h - how far the trainers of a job may be apart (coord/staleness.h keeps them to it). */
#ifndef COMMON_JOB_CONSISTENCY_H
#define COMMON_JOB_CONSISTENCY_H

enum consistency {
    CONSISTENCY_ASYNC, /* up to train.staleness_max batches */
    CONSISTENCY_SYNC,  /* a barrier after each batch */
    CONSISTENCY_HYBRID /* the dense vector as with SYNC, rows as with ASYNC */
};

#endif
