/* loss.h - what each model minimises, in logit space (algorithm.md sections 1.6, 3 and 5). Finite for
 * every finite input; no clipping of probabilities.
 *
 * p, q, r probabilities with logits a, b, c; y click, t = click AND conversion, z conversion; w the weight
 * of the second term; B impressions of the batch. BCE(label, probability).
 *
 *     esmm, esmm-ns   BCE(y, p) + w BCE(t, p q)                     towers a = logit p, b = logit q
 *     share           BCE(y, p) + w y BCE(z, q)
 *     unbias          BCE(y, p) + w y m BCE(z, q)                   m: 1 with probability min(1, c / p), else 0;
 *                                                                  or min(1, c / p) itself; no gradient through m
 *     division        BCE(y, p) + w BCE(t, r)                       towers a, c = logit r
 *     ctr             BCE(y, p)                                     tower a
 *     base and kin    w BCE(t, q)                                   tower b, on the impressions of sampling_of
 *
 * A record (docs/stream.md) may touch one of the terms alone, and with model.delay its CTCVR term
 * is weighed: loss_delay.c.
 *
 * For esmm, with s the sigmoid and sp(x) = log(1 + e^x):
 *
 *     dL/da = (p - y) + w { t: -(1-p)   not t: p s(b - sp(a)) }
 *     dL/db =           w { t: -(1-q)   not t: q s(a - sp(b)) }
 */
#ifndef WORKER_LOSS_H
#define WORKER_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "common/method.h"

struct loss_spec {
    enum model_name model;
    float w;
    enum unbias unbias;
    float unbias_clip;
    uint64_t seed; /* of unbias's rejections */
    enum delay_method delay;
};
struct loss_spec loss_spec_of(const struct config *c);

/* Sums over impressions: the first term (of the click), the second (with the weights of delay), and
 * the whole with weights, which has the losses of delay's heads too. A term that the model has not
 * stays as it is. */
struct loss_sums {
    double ctr, ctcvr, total;
};

/* Of n impressions: logits [towers][n], labels as in shard.h, ids of the log. */
struct loss_rows {
    const float *const *logit;
    const uint8_t *labels;
    const uint64_t *impression_id;
    /* Of records; NULL: impressions of a log. */
    const uint8_t *kind; /* enum record_kind, fitting the labels (record_good) */
    const float *elapsed_days;
};

/* towers: of method_towers. dlogit [towers][n] = gradient of the sum, times `scale` (1/B for the
 * mean); adds to *sums. */
void loss_batch(const struct loss_spec *s, const struct loss_rows *rows, size_t n, float scale,
                float *const *dlogit, struct loss_sums *sums);
/* One impression of a log in double: its terms, and dlogit [towers without heads]. What loss_batch
 * does for all models but esmm; of esmm it is the oracle. */
void loss_one(const struct loss_spec *s, const double *logit, uint8_t labels,
              uint64_t impression_id, struct loss_sums *terms, double *dlogit);

/* Record i of rows in double: its terms, and dlogit [towers]. What loss_batch does with records. */
void loss_record(const struct loss_spec *s, const double *logit, const struct loss_rows *rows,
                 size_t i, struct loss_sums *terms, double *dlogit);

/* The two numbers that a model says of each impression: a the logit of p_ctr, b that of p_cvr (of
 * p_ctcvr for division); 0 for what it does not predict. */
void loss_scores(const struct loss_spec *s, const float *const *logit, size_t n, float *a, float *b);

/* esmm, where a batch spends its time. */
void loss_esmm(const float *a, const float *b, const uint8_t *labels, size_t n, float w, float scale,
               float *da, float *db, struct loss_sums *sums);
/* One impression in double, the oracle: loss, da, db. */
void loss_esmm_one(double a, double b, int click, int conversion, double w, double *loss,
                   double *da, double *db);

#endif
