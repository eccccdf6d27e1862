/* job_plan.h - all that a role must know about a job and that does not fit into a header. It is
 * WELCOME's keys frame. */
#pragma once

#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/job/schema.h"
#include "link_messages.h"

struct job_plan {
    char *config_text;           /* INI, owned */
    struct schema schema;        /* of the training data: slots of keys and layout */
    uint32_t *batches_per_shard; /* owned */
    uint32_t shards;
    bool stream; /* its directory grows: the shards are those known when the job began */
    double rate_ctr, rate_cvr;
    double sample_rate;                  /* of the training data (struct dataset); 0 counts as 1 */
    char (*endpoint)[WIRE_ENDPOINT_MAX]; /* one per partition, owned; partition k of P owns the
                                            buckets [BUCKETS*k/P, BUCKETS*(k+1)/P) */
    uint32_t partitions;
    struct file_list data_dirs, eval_dirs; /* owned */
};

/* Appends the plan's bytes to out. ERR_MEMORY. */
enum status job_plan_encode(const struct job_plan *p, struct buf *out);
/* Fills *p; job_plan_free after OK. Hostile bytes give ERR_PROTOCOL and take at most a small
 * multiple of their own size in memory; ERR_MEMORY. */
enum status job_plan_decode(struct job_plan *p, const void *data, size_t bytes);
void job_plan_free(struct job_plan *p); /* safe on a zeroed struct */
