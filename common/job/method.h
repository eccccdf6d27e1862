/* method.h - what the models differ in (docs/models.md): which impressions a model trains on, how
 * many vectors a feature has, and which towers stand on them. The rest of the difference is the
 * loss (worker/model/loss.h). Sources of the paper's methods: Ma et al. 2018, section 3.2;
 * algorithm.md 1.6.
 *
 * A dictionary is one embedding vector per feature. A model whose towers share nothing (esmm-ns,
 * division, unbias) has two: a row holds both, the first for tower 0, the second for tower 1, so a
 * row is two times `table.dim` wide and the servers need not know.
 */
#ifndef COMMON_JOB_METHOD_H
#define COMMON_JOB_METHOD_H

#include "config.h"

#define TOWERS_MAX 6

struct method {
    uint32_t towers;
    const char *
        tower[TOWERS_MAX]; /* names of their arrays: "ctr.w1"; of what they give: "ctcvr" p_ctcvr */
    uint32_t dictionaries; /* 1 or 2 */
    bool all;              /* trains on all impressions; else on clicked ones first of all */
    bool has_ctr, has_cvr; /* which of p_ctr and p_cvr it predicts */
    uint32_t experts_per;  /* first layer of experts: so many times model.experts; 0: none */
    bool attention;        /* tower 1 attends to tower 0 before the output layer */
    bool whole_batch;      /* its loss needs sums over the batch first (loss_totals) */
    uint32_t heads;        /* of method_with: the last so many towers are model.delay's */
};

const struct method *method_of(enum model_name name);
/* The same with as many towers as the config asks for (chain: click, behaviours, conversion), and
 * after the model's own the heads of model.delay (docs/stream.md): "rn", "dp", "lag". */
struct method method_with(const struct config *c);
/* How many heads that are. */
uint32_t method_heads(enum delay_method delay);

/* Which impressions a model trains on. Clicked ones always; and of the rest a share. */
struct sampling {
    double unclicked; /* share of the unclicked impressions, in [0,1] */
    uint32_t copies;  /* how often a converted impression occurs, at least 1 */
};
struct sampling sampling_of(const struct config *c);
/* How many impressions that makes of a shard with so many clicks and conversions. */
uint64_t sampling_count(const struct sampling *s, uint32_t impressions, uint32_t clicks,
                        uint32_t conversions);
static inline bool sampling_is_all(const struct sampling *s) {
    return s->unclicked >= 1.0 && s->copies == 1;
}

#endif
