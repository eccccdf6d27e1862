/* score.h - one scored impression, and what its two numbers say about clicks and conversions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* One scored impression, as workers send and tools collect them. */
struct score {
    uint64_t impression_id;
    uint64_t user;  /* group of GAUC and of the bootstrap */
    float a, b;     /* logit of p_ctr; b depends on enum score_form */
    uint8_t labels; /* LABEL_CLICK, LABEL_CONVERSION */
    float weight;   /* weight in weighted figures; 1 if the data have none */
};
/* What the second number of a score says. */
enum score_form {
    SCORE_CVR,   /* b = logit of p_cvr; p_ctcvr = p_ctr p_cvr */
    SCORE_CTCVR, /* b = logit of p_ctcvr (division, aitm): p_cvr = p_ctcvr / p_ctr may exceed 1; it
                    is ranked by its logarithm unclipped, clipped to [0,1] for log loss and
                        calibration only */
    SCORE_CTR_ALONE,     /* a model without p_cvr: b has no meaning */
    SCORE_CVR_ALONE,     /* a model without p_ctr (base): a has no meaning, b as with SCORE_CVR */
    SCORE_CTR_UNLABELLED /* as SCORE_CTR_ALONE, on data without a conversion label */
};
struct config;
enum score_form score_form_of(const struct config *c); /* the form of the configured model */
/* The form in which scores of the model can be judged on the data: SCORE_CTR_UNLABELLED if the data
 * have no conversion label. ERR_CONFIG, with the name of the data: nothing can be judged. */
enum status score_form_judged(const struct config *c, bool no_conversion, const char *data,
                              enum score_form *out);
/* The value that ranks each task. It is NaN if the model does not predict the task, because a
 * constant would have the AUC 0.5. */
struct score_ranks {
    double ctr;   /* logit */
    double cvr;   /* logit; with SCORE_CTCVR the logarithm of p_cvr */
    double ctcvr; /* logit */
};
struct score_ranks score_ranks(float a, float b, enum score_form form);
/* The three probabilities of a score; NaN if not predicted. With SCORE_CTCVR cvr may exceed 1, but
 * it is finite. */
struct score_rates {
    double ctr, cvr, ctcvr;
};
struct score_rates score_rates(const struct score *s, enum score_form form);

/* Whether a weight differs from 1. */
bool scores_weighted(const struct score *scores, size_t n);
