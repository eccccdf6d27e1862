/* prep_arrange.h - from the shards of the log's order to those that are asked for: as they are,
 * mixed
 * (--shuffle), in two directories (--split); with their manifests. And whether the log was sorted.
 */
#ifndef TOOLS_PREP_PREP_ARRANGE_H
#define TOOLS_PREP_PREP_ARRANGE_H

#include "prep_run.h"

/* Leaves run->out ready to be published. d: all that is to be said of the log but its shards; then
 * it has those of both sides and their sums. *sides: what the summary says of each side of a split.
 * *doubts gets a line if the log looks sorted by a label. ERR_CLOSED after a stop signal;
 * ERR_FORMAT: no impressions, a side of a split has none, or there are no times to split by. */
enum status prep_arrange(struct prep_run *r, struct dataset *d, struct buf *sides,
                         struct buf *doubts);

#endif
