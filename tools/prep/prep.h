/* prep.h - `esmm prep` without its command line. */
#pragma once

#include <stdio.h>

#include "prep_run.h"

/* All of it: o->out is made, or stays absent; the summary goes to `summary`. ERR_CLOSED after a
 * stop signal. Any status else. */
enum status prep_make(const struct prep_options *o, FILE *summary);

/* The formats: leave shards and rejects in the output, fields and tallies in the run. */
enum status prep_aliccp(struct prep_run *r);
enum status prep_csv(struct prep_run *r);
