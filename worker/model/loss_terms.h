/* loss_terms.h - what the losses are made of; between the files worker/loss*.c only.
 *
 * Binary cross entropy of a logit x: sp(-x) or sp(x), slope s(x) - label, computed as -s(-x) for a
 * positive so that no digit is lost. The functions of one impression add to dlogit, which is zero
 * before, and leave the terms' sums in *terms (loss.h).
 */
#pragma once

#include <math.h>

#include "common/base/logit.h"
#include "loss.h"

/* Value; slope times `weight` is added to *d. */
static inline double loss_bce(double logit, bool label, double weight, double *d) {
    *d += weight * (label ? -sigmoid(-logit) : sigmoid(logit));
    return softplus(label ? -logit : logit);
}

/* Binary cross entropy of the product of the n probabilities with logits x; d [n] as above. */
double loss_bce_product(const double *x, uint32_t n, bool label, double weight, double *d);

/* loss_causal.c: escm2-ips, escm2-dr, dcmt. */
void loss_causal(const struct loss_spec *s, const double *logit, bool y, bool t,
                 struct loss_sums *terms, double *dlogit);
/* loss_chain.c: esm2, chain. */
void loss_chain(const struct loss_spec *s, const double *logit, uint8_t labels,
                struct loss_sums *terms, double *dlogit);
/* The logit of p_cvr that their towers make together. */
double loss_chain_cvr(const struct loss_spec *s, const double *logit);
