/* prep_arrange.h - turns the shards of the first pass, which are in the log's order, into the
 * requested ones, with their manifests: the same shards, mixed ones (--shuffle), or two directories
 * (--split). It also finds out whether the log was sorted by a label. */
#pragma once

#include "prep_run.h"

/* Makes run->out ready to be published. On entry d describes the log except its shards; on return
 * it has the shards of both sides and their sums. *sides gets the summary's text about each side of
 * a split. *doubts gets a line if the log seems to be sorted by a label. ERR_CLOSED after a stop
 * signal; ERR_FORMAT: there are no impressions, a side of a split has none, or there are no times
 * to split by. */
enum status prep_arrange(struct prep_run *r, struct dataset *d, struct buf *sides,
                         struct buf *doubts);
