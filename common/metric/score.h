/* score.h - one scored impression, and what its two numbers say of clicks and conversions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* One scored impression, as workers send and tools collect them. */
struct score {
    uint64_t impression_id;
    uint64_t user;  /* group of GAUC and of the bootstrap */
    float a, b;     /* logit of p_ctr; and of what the model's form says */
    uint8_t labels; /* LABEL_CLICK, LABEL_CONVERSION */
    float weight;   /* what it counts in weighted figures; 1 where the data say nothing */
};
/* What the second number of a score says. */
enum score_form {
    SCORE_CVR,   /* b = logit of p_cvr; p_ctcvr = p_ctr p_cvr */
    SCORE_CTCVR, /* b = logit of p_ctcvr (division, aitm): p_cvr = p_ctcvr / p_ctr may exceed 1; it
                    is ranked by its logarithm unclipped, clipped to [0,1] for log loss and
                        calibration only */
    SCORE_CTR_ALONE,     /* a model without p_cvr: b says nothing */
    SCORE_CVR_ALONE,     /* one without p_ctr (base): a says nothing, b as with SCORE_CVR */
    SCORE_CTR_UNLABELLED /* as SCORE_CTR_ALONE, on data of which no conversion is known */
};
struct config;
enum score_form score_form_of(const struct config *c); /* of its model */
/* In which form scores of that model can be judged on data: where the data have no label of
 * conversions, SCORE_CTR_UNLABELLED. ERR_CONFIG, naming the data: then nothing can be judged. */
enum status score_form_judged(const struct config *c, bool no_conversion, const char *data,
                              enum score_form *out);
/* What ranks each task. NaN where the model does not predict it: a constant has the AUC 0.5. */
struct score_ranks {
    double ctr;   /* logit */
    double cvr;   /* logit; with SCORE_CTCVR the logarithm of p_cvr */
    double ctcvr; /* logit */
};
struct score_ranks score_ranks(float a, float b, enum score_form form);
/* The three probabilities of a score, NaN where not predicted; cvr may exceed 1 with SCORE_CTCVR,
 * but is finite. */
struct score_rates {
    double ctr, cvr, ctcvr;
};
struct score_rates score_rates(const struct score *s, enum score_form form);

/* Does one count other than 1? */
bool scores_weighted(const struct score *scores, size_t n);
