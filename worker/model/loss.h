/* loss.h - what each model minimises, in logit space (docs/models.md names the papers). Every
 * finite input gives a finite loss; probabilities are not clipped.
 *
 * p, q, r are probabilities with logits a, b, c; y click, t = click AND conversion, z conversion; w
 * the weight of the second term; B the number of impressions of the batch. BCE(label, probability)
 * is the binary cross entropy.
 *
 *   esmm, esmm-ns,  BCE(y, p) + w BCE(t, p q)                towers a = logit p, b = logit q
 *   mmoe, ple
 *   share           BCE(y, p) + w y BCE(z, q)
 *   unbias          BCE(y, p) + w y m BCE(z, q)              m: 1 with probability min(1, c / p),
 *                                                            else 0; or min(1, c / p) itself; no
 *                                                            gradient through m
 *   division        BCE(y, p) + w BCE(t, r)                  towers a, c = logit r
 *   aitm            BCE(y, p) + w BCE(t, r) + c max(r - p, 0)
 *                                                            towers a, c = logit r
 *   ctr             BCE(y, p)                                tower a
 *   base and kin    w BCE(t, q)                              tower b, on sampling_of's impressions
 *
 *   count           0: it has no loss, and is not computed (model.c)
 *
 *   escm2-ips       BCE(y, p) + w BCE(t, p q) + v y BCE(z, q) / p
 *   escm2-dr        BCE(y, p) + w BCE(t, p q)
 *                     + v (d + y (BCE(z, q) - d) / p + y (BCE(z, q) - d)^2 / p)
 *                                                            towers a, b, logit of d = sp(logit)
 *   dcmt            BCE(y, p) + w BCE(t, p q)
 *                     + v ( y BCE(z, q) m / p + (1-y) BCE(1, q*) n / (1-p) + l |1 - (q + q*)| )
 *                                                            towers a, b, logit q*; m, n make the
 *                                                            means of their weights 1
 *   esm2            BCE(y, p) + h BCE(y act, p y2) + w BCE(t, p (y2 y3 + (1-y2) y4))
 *   chain           BCE(y, p) + h sum_k BCE(reached_k, p b1 .. bk) + w BCE(t, p b1 .. bK q)
 *
 * v, l, h, c: model.cvr_weight, counterfactual_weight, behaviour_weight, calibrator_weight. Where p
 * or 1-p divides, it is at least model.propensity_min and has no gradient. loss_causal.c and
 * loss_chain.c say more. An impression of weight m counts m times: its whole loss is multiplied by
 * m, so that a step lowers the batch's mean of m times the loss. The sums of dcmt's weights count
 * it m times too. A record (docs/stream.md) may touch only one of the terms, and with model.delay
 * its CTCVR term is weighted: loss_delay.c.
 *
 * For esmm, with s the sigmoid and sp(x) = log(1 + e^x):
 *
 *   dL/da = (p - y) + w { t: -(1-p)   not t: p s(b - sp(a)) }
 *   dL/db =           w { t: -(1-q)   not t: q s(a - sp(b)) }
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/job/config.h"

/* Sums over a batch that a loss divides by. `all` is the sum of the impressions' weights; `clicked`
 * and `unclicked` are what the clicked and the unclicked impressions weigh in the loss. */
struct loss_totals {
    double all, clicked, unclicked;
};

struct loss_spec {
    enum model_name model;
    float w;
    enum unbias unbias;
    float unbias_clip;
    uint64_t seed; /* of unbias's rejections */
    enum delay_method delay;
    float cvr_weight, propensity_min, counterfactual_weight;
    uint32_t behaviours;
    float behaviour_weight, calibrator_weight;
    float ctr_shift; /* of the logit of p_ctr that is said (loss_shift_of); the loss knows nothing
                        of it */
    struct loss_totals norm; /* dcmt: what the batch's weights are multiplied by (loss_normalise) */
};
struct loss_spec loss_spec_of(const struct config *c);
/* A log may keep all clicks but only a share s of the other impressions. A model trained on it then
 * gives odds of p_ctr that are 1 / s too high, and a correct p_cvr. Returns log s with
 * train.sample_correction = predict, else 0. */
float loss_shift_of(const struct config *c, double sample_rate);
uint32_t loss_towers(const struct loss_spec *s); /* includes the heads of delay */

/* Sums over impressions, each times its weight. ctr: the first term (of the click). ctcvr: the
 * second (with the weights of delay). total: the whole loss, with the factors of its terms and the
 * losses of delay's heads. The sum of a term that the model does not have stays as it is. */
struct loss_sums {
    double ctr, ctcvr, total;
};

/* Data of n impressions: logits [towers][n], labels as in shard.h, ids as in the log. */
struct loss_rows {
    const float *const *logit;
    const uint8_t *labels;
    const uint64_t *impression_id;
    const float *weight; /* NULL: 1 each */
    /* For records; NULL: impressions of a log. */
    const uint8_t *kind; /* enum record_kind; must fit the labels (record_good) */
    const float *elapsed_days;
};

/* There are as many towers as the method has (method_with). Sets dlogit [towers][n] to the gradient
 * of the sum, times `scale` (1/B for the mean); adds to *sums. */
void loss_batch(const struct loss_spec *s, const struct loss_rows *rows, size_t n, float scale,
                float *const *dlogit, struct loss_sums *sums);
/* For one impression of a log, in double and with weight 1: its terms, and dlogit [towers without
 * heads]. loss_batch uses it for all models but esmm; for esmm it is the oracle. */
void loss_one(const struct loss_spec *s, const double *logit, uint8_t labels,
              uint64_t impression_id, struct loss_sums *terms, double *dlogit);

/* For record i of rows, in double and as if its weight were 1: its terms, and dlogit [towers].
 * loss_batch uses it for records. */
void loss_record(const struct loss_spec *s, const double *logit, const struct loss_rows *rows,
                 size_t i, struct loss_sums *terms, double *dlogit);
/* For a model with method.whole_batch. loss_totals_add adds n impressions to the batch's sums
 * (weight NULL: 1 each); loss_normalise sets what the loss needs from the sums of the whole
 * batch. */
void loss_totals_add(struct loss_totals *sums, const struct loss_spec *s, const float *logit_ctr,
                     const uint8_t *labels, const float *weight, size_t n);
void loss_normalise(struct loss_spec *s, const struct loss_totals *sums);

/* The two scores of each impression: a is the logit of p_ctr, b that of p_cvr (of p_ctcvr for
 * division and aitm); 0 for what the model does not predict. With ctr_shift they hold for the whole
 * log: a is shifted by it; p_cvr stays, so p_ctcvr changes with p_ctr. */
void loss_scores(const struct loss_spec *s, const float *const *logit, size_t n, float *a,
                 float *b);

/* The fast form of loss_batch for esmm. weight NULL: 1 each. */
void loss_esmm(const float *a, const float *b, const uint8_t *labels, const float *weight, size_t n,
               float w, float scale, float *da, float *db, struct loss_sums *sums);
/* One impression of esmm in double, as the oracle: loss, da, db. */
void loss_esmm_one(double a, double b, int click, int conversion, double w, double *loss,
                   double *da, double *db);
