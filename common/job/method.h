/* method.h - what the models differ in (docs/models.md): which impressions a model trains on, how
 * many vectors a feature has, and which towers stand on them. The rest of the difference is the
 * loss (worker/model/loss.h). The paper's methods are those of Ma et al. 2018, section 3.2.
 *
 * A dictionary is one embedding vector per feature. A model whose towers share nothing (esmm-ns,
 * division, unbias) has two: a row holds both, the first for tower 0, the second for tower 1, so a
 * row is two times `table.dim` wide and the servers need not know.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TOWERS_MAX     6
#define BEHAVIOURS_MAX 4 /* between click and conversion */
#define LEVELS_MAX     4 /* of experts */

/* What is trained (docs/models.md). */
enum model_name {
    MODEL_ESMM,
    MODEL_CTR,
    MODEL_BASE,
    MODEL_AMAN,
    MODEL_OVERSAMPLING,
    MODEL_UNBIAS,
    MODEL_DIVISION,
    MODEL_ESMM_NS,
    MODEL_SHARE,
    MODEL_ESCM2_IPS,
    MODEL_ESCM2_DR,
    MODEL_DCMT,
    MODEL_ESM2,
    MODEL_CHAIN,
    MODEL_MMOE,
    MODEL_PLE,
    MODEL_AITM
};
enum model_input { INPUT_CONCAT, INPUT_SIDES };  /* layout.h */
enum unbias { UNBIAS_REJECTION, UNBIAS_WEIGHT }; /* the two readings of UNBIAS */
/* What is done about unclicked impressions that a log did not keep (struct dataset's sample_rate):
 * each that it kept counts more, or p_ctr is corrected. */
enum sample_correction { CORRECT_WEIGHT, CORRECT_PREDICT };
/* What is done about conversions that come late (worker/model/loss_delay.c). */
enum delay_method {
    DELAY_NONE,
    DELAY_FNW,
    DELAY_PU,
    DELAY_ES_DFM,
    DELAY_DEFER,
    DELAY_DEFUSE,
    DELAY_DFM,
    DELAY_METHODS
};

struct method {
    uint32_t towers;
    const char *tower[TOWERS_MAX]; /* what each gives, as in the names of its arrays: "ctr.w1" */
    uint32_t dictionaries;         /* 1 or 2 */
    bool all;                      /* trains on all impressions; else on clicked ones, and perhaps a
                              share of the others (common/data/sampling.h) */
    bool has_ctr, has_cvr;         /* which of p_ctr and p_cvr it predicts */
    uint32_t experts_per; /* its first layer has so many times model.experts experts; 0: none */
    bool attention;       /* tower 1 attends to tower 0 before the output layer */
    bool whole_batch;     /* its loss needs sums over the batch first (loss_totals) */
    uint32_t heads;       /* of method_with: how many of the last towers are model.delay's */
};

const struct method *method_of(enum model_name name);
/* The same with the towers that a job's [model] asks for. Of chain: as many as there are behaviours
 * between click and conversion, and two. Behind the model's own: the heads of its delay method,
 * "rn", "dp", "lag" (docs/stream.md). */
struct method method_with(enum model_name name, uint32_t behaviours, enum delay_method delay);
/* How many heads a delay method has. */
uint32_t method_heads(enum delay_method delay);
