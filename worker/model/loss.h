/* loss.h - what each model minimises, in logit space (docs/models.md has the papers). Finite for
 * every finite input; no clipping of probabilities.
 *
 * p, q, r probabilities with logits a, b, c; y click, t = click AND conversion, z conversion; w the
 * weight of the second term; B impressions of the batch. BCE(label, probability).
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
 * v, l, h, c: model.cvr_weight, counterfactual_weight, behaviour_weight, calibrator_weight. p and
 * 1-p that divide are at least model.propensity_min and have no gradient. More in loss_causal.c,
 * loss_chain.c. An impression of weight m counts m times: its whole loss is multiplied by it, so
 * that a step goes down the mean over the batch's impressions of m times the loss; the sums of
 * dcmt's weights count it m times too. A record (docs/stream.md) may touch one of the terms alone,
 * and with model.delay its CTCVR term is weighed: loss_delay.c.
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

/* Sums over a batch that a loss divides by, of impressions that count their weights: those weights,
 * and how much the clicked and the unclicked ones weigh in the loss. */
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
/* A log that kept all clicks and a share s of the rest, taken as it is, makes p_ctr's odds 1 / s
 * too high and leaves p_cvr right: log s with train.sample_correction = predict, else 0. */
float loss_shift_of(const struct config *c, double sample_rate);
uint32_t loss_towers(const struct loss_spec *s); /* with the heads of delay */

/* Sums over impressions, by their weights: the first term (of the click), the second (with the
 * weights of delay), and the whole with weights, which has the losses of delay's heads too. A term
 * that the model has not stays as it is. */
struct loss_sums {
    double ctr, ctcvr, total;
};

/* Of n impressions: logits [towers][n], labels as in shard.h, ids of the log. */
struct loss_rows {
    const float *const *logit;
    const uint8_t *labels;
    const uint64_t *impression_id;
    const float *weight; /* NULL: 1 each */
    /* Of records; NULL: impressions of a log. */
    const uint8_t *kind; /* enum record_kind, fitting the labels (record_good) */
    const float *elapsed_days;
};

/* towers: as many as the method has (method_with). dlogit [towers][n] = gradient of the sum, times
 * `scale` (1/B for the mean); adds to *sums. */
void loss_batch(const struct loss_spec *s, const struct loss_rows *rows, size_t n, float scale,
                float *const *dlogit, struct loss_sums *sums);
/* One impression of a log in double, of weight 1: its terms, and dlogit [towers without heads].
 * What loss_batch does for all models but esmm; of esmm it is the oracle. */
void loss_one(const struct loss_spec *s, const double *logit, uint8_t labels,
              uint64_t impression_id, struct loss_sums *terms, double *dlogit);

/* Record i of rows in double, as if of weight 1: its terms, and dlogit [towers]. What loss_batch
 * does with records. */
void loss_record(const struct loss_spec *s, const double *logit, const struct loss_rows *rows,
                 size_t i, struct loss_sums *terms, double *dlogit);
/* For a model with method.whole_batch: adds n impressions to the batch's sums (weight NULL: 1
 * each), and from those of all of it sets what its loss needs. */
void loss_totals_add(struct loss_totals *sums, const struct loss_spec *s, const float *logit_ctr,
                     const uint8_t *labels, const float *weight, size_t n);
void loss_normalise(struct loss_spec *s, const struct loss_totals *sums);

/* The two numbers that a model says of each impression: a the logit of p_ctr, b that of p_cvr (of
 * p_ctcvr for division and aitm); 0 for what it does not predict. With ctr_shift, of the whole log:
 * a is shifted by it; p_cvr stays, so p_ctcvr goes with p_ctr. */
void loss_scores(const struct loss_spec *s, const float *const *logit, size_t n, float *a,
                 float *b);

/* esmm, where a batch spends its time. weight NULL: 1 each. */
void loss_esmm(const float *a, const float *b, const uint8_t *labels, const float *weight, size_t n,
               float w, float scale, float *da, float *db, struct loss_sums *sums);
/* One impression in double, the oracle: loss, da, db. */
void loss_esmm_one(double a, double b, int click, int conversion, double w, double *loss,
                   double *da, double *db);
