/* loss.h - the ESMM loss in logit space (algorithm.md section 3). Finite for every finite input, no
 * clipping of probabilities.
 *
 * a, b logits of p_ctr and p_cvr; y click, t = click AND conversion; w weight of the CTCVR term:
 *
 *     L = BCE(y, p) + w BCE(t, p q)
 *     dL/da = (p - y) + w { t: -(1-p)   not t: p s(b - sp(a)) }
 *     dL/db =           w { t: -(1-q)   not t: q s(a - sp(b)) }
 */
#ifndef WORKER_LOSS_H
#define WORKER_LOSS_H

#include <stddef.h>
#include <stdint.h>

struct loss_sums {
    double ctr, ctcvr; /* sums over impressions, unweighted */
};

/* For n impressions: da, db = dL/da, dL/db times `scale` (1/B for the mean); adds to *sums.
 * labels as in shard.h. */
void loss_esmm(const float *a, const float *b, const uint8_t *labels, size_t n, float w, float scale,
               float *da, float *db, struct loss_sums *sums);
/* One impression in double, the oracle: loss, da, db. */
void loss_esmm_one(double a, double b, int click, int conversion, double w, double *loss,
                   double *da, double *db);

#endif
