/* shard_weights.c - the weights of impressions and their sums.
 *
 * A log may say how much each impression counts (its weight m). It may also have been sampled: only
 * a random share s of the impressions without a click was kept. To estimate the sums over the full
 * log without bias, each impression counts m times, and an unclicked one m / s times. Both factors
 * become one column of weights; losses and figures use only these weights.
 */
#include "shard_weights.h"

#include "record.h"
#include "shard_weights.h"
#include "shard_weights.h"

struct weight_sums weight_sums_of(const float *weight, const uint8_t *labels, size_t n) {
    const uint8_t both = LABEL_CLICK | LABEL_CONVERSION;
    struct weight_sums w = {.there = weight != NULL};
    w.least = w.most = weight == NULL || n == 0 ? 1.0f : weight[0];
    for (size_t i = 0; i < n; i++) {
        const float m = weight == NULL ? 1.0f : weight[i];
        w.least = m < w.least ? m : w.least;
        w.most = m > w.most ? m : w.most;
        w.all += (double)m;
        w.clicked += (labels[i] & LABEL_CLICK) != 0 ? (double)m : 0.0;
        w.converted += (labels[i] & both) == both ? (double)m : 0.0;
    }
    return w;
}

/* `to` is empty at first: its members are all 0, which is not possible for a shard. */
void weight_sums_add(struct weight_sums *to, const struct weight_sums *from) {
    if (!to->there && to->all == 0.0) {
        *to = *from;
        return;
    }
    to->there = to->there || from->there;
    to->least = from->least < to->least ? from->least : to->least;
    to->most = from->most > to->most ? from->most : to->most;
    to->all += from->all;
    to->clicked += from->clicked;
    to->converted += from->converted;
}

void weight_sums_rates(const struct weight_sums *w, double sample_rate, double *ctr, double *cvr) {
    const double all = w->clicked + (w->all - w->clicked) / sample_rate;
    *ctr = all > 0.0 ? w->clicked / all : 0.0;
    *cvr = w->clicked > 0.0 ? w->converted / w->clicked : 0.0;
}
