/* prep_arrange.h - the shards of the first pass, which are in the log's order, become those that
 * were asked for: the same, mixed ones (--shuffle), or two directories (--split), with their
 * manifests. It also finds out whether the log was sorted by a label. */
#pragma once

#include "prep_run.h"

/* Leaves run->out ready to be published. d comes with all that is to be said of the log but its
 * shards, and then has those of both sides and their sums. *sides: what the summary says of each
 * side of a split. *doubts gets a line if the log looks sorted by a label. ERR_CLOSED after a stop
 * signal; ERR_FORMAT: no impressions, a side of a split has none, or there are no times to split
 * by. */
enum status prep_arrange(struct prep_run *r, struct dataset *d, struct buf *sides,
                         struct buf *doubts);
