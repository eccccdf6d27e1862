/* loss_terms.h - the parts that the losses are made of; for the files worker/model/loss*.c only.
 *
 * The binary cross entropy of a logit x is sp(-x) for a positive and sp(x) for a negative. Its
 * slope is s(x) - label, computed as -s(-x) for a positive so that no digit is lost. The functions
 * for one impression add to dlogit, which must be zero before, and write the sums of the terms to
 * *terms (loss.h).
 */
#pragma once

#include <math.h>

#include "common/base/logit.h"
#include "loss.h"

/* Returns the value, and adds the slope times `weight` to *d. */
static inline double loss_bce(double logit, bool label, double weight, double *d) {
    *d += weight * (label ? -sigmoid(-logit) : sigmoid(logit));
    return softplus(label ? -logit : logit);
}

/* Binary cross entropy of the product of the n probabilities whose logits are x; d [n] as above. */
double loss_bce_product(const double *x, uint32_t n, bool label, double weight, double *d);

/* loss_causal.c: escm2-ips, escm2-dr, dcmt. */
void loss_causal(const struct loss_spec *s, const double *logit, bool y, bool t,
                 struct loss_sums *terms, double *dlogit);
/* loss_chain.c: esm2, chain. */
void loss_chain(const struct loss_spec *s, const double *logit, uint8_t labels,
                struct loss_sums *terms, double *dlogit);
/* The logit of p_cvr, which several towers of these models make together. */
double loss_chain_cvr(const struct loss_spec *s, const double *logit);
