/* method.h - how the models differ (docs/models.md): the impressions that a model trains on, the
 * number of vectors per feature, and the towers. The losses differ too (worker/model/loss.h). The
 * paper's methods are those of Ma et al. 2018, section 3.2.
 *
 * A dictionary is one embedding vector per feature. A model whose towers share nothing (esmm-ns,
 * division, unbias) has two: a row holds both, the first for tower 0, the second for tower 1. So a
 * row is two times `table.dim` wide, and the servers need not know of dictionaries.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TOWERS_MAX     6
#define BEHAVIOURS_MAX 4 /* behaviours between click and conversion */
#define LEVELS_MAX     4 /* levels of experts */

/* The model to train (docs/models.md). */
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
    MODEL_AITM,
    MODEL_COUNT
};
enum model_input { INPUT_CONCAT, INPUT_SIDES };  /* layout.h */
enum unbias { UNBIAS_REJECTION, UNBIAS_WEIGHT }; /* the two readings of UNBIAS */
/* How to correct for unclicked impressions that a log did not keep (struct dataset's sample_rate):
 * give each kept one more weight, or correct p_ctr. */
enum sample_correction { CORRECT_WEIGHT, CORRECT_PREDICT };
/* Whether user fields of many values are pulled, pooled and pushed once a range (data_ranges.h). */
enum share_bags { SHARE_AUTO, SHARE_NEVER, SHARE_ALWAYS };
/* What becomes of a batch that kills its workers. */
enum poison { POISON_SKIP, POISON_FAIL };
/* How to handle conversions that come late (worker/model/loss_delay.c). */
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
    const char *tower[TOWERS_MAX]; /* what each predicts; array names begin with it: "ctr.w1" */
    uint32_t dictionaries;         /* 1 or 2 */
    bool all;                      /* trains on all impressions; else on clicked ones, and
                                      perhaps a share of the others (common/data/sampling.h) */
    bool has_ctr, has_cvr;         /* which of p_ctr and p_cvr it predicts */
    uint32_t experts_per; /* its first layer has this times model.experts experts; 0: none */
    bool attention;       /* tower 1 attends to tower 0 before the output layer */
    bool whole_batch;     /* its loss needs sums over the batch first (loss_totals) */
    bool counts;          /* no net: it counts what it sees (worker/model/model.c) */
    uint32_t heads;       /* set by method_with: number of towers, at the end, of model.delay */
};

const struct method *method_of(enum model_name name);
/* The same with the towers that a job's [model] asks for. chain has two more towers than there are
 * behaviours between click and conversion. After the model's own towers come the heads of its delay
 * method: "rn", "dp", "lag" (docs/stream.md). */
struct method method_with(enum model_name name, uint32_t behaviours, enum delay_method delay);
/* The number of heads of a delay method. */
uint32_t method_heads(enum delay_method delay);
