/* synth_times.h - when things happen in a synthetic log with times (`esmm synth --days`).
 *
 * Impressions are spread evenly over the days, in the order of their ids. A click follows within
 * half an hour. The delay of a conversion after its click is hyper-exponential: with probability
 * delay_fast its rate is FAST_PER_DAY, otherwise
 *
 *     lambda(x) = exp(-delay_spread (g(age) + h(category)) / sqrt 2) / delay_mean   per day
 *
 * where g and h are standard normals of two visible fields, so that a model of the delay can be
 * learnt. Delays are drawn under the condition that they end within the attribution window. So
 * every conversion of the log is attributed, and p_cvr of the truth file keeps its meaning.
 */
#pragma once

#include "common/data/record.h"
#include "synth_world.h"

#define TIMES_BEGIN     UINT64_C(1700006400) /* 2023-11-15 00:00 UTC, a whole number of days */
#define DAY_SECONDS     86400.0
#define CLICK_DELAY_MAX 1800u
#define FAST_PER_DAY    12.0 /* a mean of two hours */

/* Days from the log's beginning to the impression with this id; 0 in a log without times. */
double times_day(const struct world *w, uint64_t id);
/* lambda(x), per day, for a delay that is not fast. */
double times_rate(const struct world *w, const struct impression *x);
/* Gives the times of the impression with this id (1, 2, ... over train and eval); 0 for what did
 * not happen. */
void times_of(const struct world *w, const struct impression *x, uint64_t id, struct moment *out);
