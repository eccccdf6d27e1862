/* batch_plan.h - which batches belong to a job, and how many impressions a set of applied batches
 * holds.
 *
 * The batches are those of `ranges` (common/job/ranges.h), once an epoch. --max-steps N means: the
 * job trains the first N batches in the order of the epochs. So each (epoch, range) has a limit
 * that is known in advance: batches below it belong to the job, the others do not. Asynchronous
 * workers then apply exactly N batches, no matter which worker takes which batch. If the batches of
 * a range share bags, what they share is pushed by the last; so N is rounded up to the end of its
 * range.
 */
#pragma once

#include "common/job/applied.h"
#include "common/job/ranges.h"

struct batch_plan {
    const struct ranges *ranges; /* borrowed; those of a stream grow (ranges_add) */
    uint32_t epochs;
    uint64_t max_steps; /* UINT64_MAX: no limit */
};
/* Fills order[ranges->count] and limit[ranges->count] (by position in the order) for an epoch.
 * ERR_MEMORY. */
enum status batch_plan_epoch(const struct batch_plan *p, uint32_t epoch, uint32_t *order,
                             uint32_t *limit);
/* Impressions in batch k of a range. */
uint32_t batch_plan_batch_impressions(const struct batch_plan *p, uint32_t range, uint32_t k);
/* Batches and impressions of the whole job. ERR_MEMORY. */
enum status batch_plan_job(const struct batch_plan *p, uint64_t *batches, uint64_t *impressions);
/* Impressions in the applied batches. ERR_MEMORY. */
enum status batch_plan_applied(const struct batch_plan *p, const struct applied *applied,
                               uint64_t *impressions);
