/* prep.h - `esmm prep` without its command line. */
#pragma once

#include <stdio.h>

#include "prep_run.h"

/* Runs all of prep: creates o->out, or leaves it absent; the summary goes to `summary`. ERR_CLOSED
 * after a stop signal; any other status is possible. */
enum status prep_make(const struct prep_options *o, FILE *summary);

/* The formats. They leave shards and rejects in the output, fields and tallies in the run. */
enum status prep_aliccp(struct prep_run *r);
enum status prep_csv(struct prep_run *r);
