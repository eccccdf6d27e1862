/* eval.h - measuring a checkpoint on a data set: every impression is scored once, the metrics are
 * exact (docs/metrics.md). Memory: the rows of the checkpoint, 32 bytes an impression (a
 * reference net: twice that), and what evaluation_compute takes. */
#pragma once

#include "common/base/file.h"
#include "common/metric/evaluation.h"
#include "scorer.h"

/* An option of eval and of compare; the member is named so in both. Fewer than 40 resamples leave
 * less than one in a tail of 2.5 %. */
#define EVAL_BOOTSTRAP_ROW(type)                                                                   \
    {                                                                                              \
        "bootstrap", "N", OPTION_WHOLE, OPTION_AT(type, resamples),                                \
            .preset = "1000", .least = 40, .most = 1000000, .zero = "0",                           \
            .help = "resamples of the users for 95 % intervals; at least 40, or 0: none"           \
    }

struct score_list {
    struct score *scores;
    size_t count, cap;
};
/* A sink for scorer_score; arg is the list. ERR_MEMORY. */
enum status score_list_take(void *arg, const struct score *scores, size_t n);
void score_list_fini(struct score_list *list);

/* The scores of the data by the reference net: a checkpoint of its own, loaded for this call only.
 * The caller finishes the list. */
enum status eval_reference(const char *checkpoint, const char *kernel, const struct file_list *data,
                           uint32_t threads, struct score_list *out);

/* What an impression counts: 1, its weight, or one after the other if the data carry weights. */
enum eval_weights { EVAL_BOTH, EVAL_UNWEIGHTED, EVAL_WEIGHTED };
extern const char *const eval_weights_names[]; /* in that order, up to a NULL */
struct eval_spec {
    const struct file_list *data; /* directories of shards */
    const char *truth; /* NULL, or the truth file of the log (esmm synth): of every impression */
    const struct score_list *reference; /* NULL, or eval_reference's of the same data */
    uint32_t threads;
    uint32_t resamples; /* of the bootstrap; 0: no intervals */
    uint64_t seed;      /* of the bootstrap */
    enum eval_weights weights;
};
/* Evaluates scores of spec->data by spec->weights; what: all else. e[2]; *count: how many.
 * ERR_CONFIG: by weight alone, and no impression counts other than 1. */
enum status eval_scores(const struct eval_spec *spec, const struct evaluation_spec *what,
                        const struct score_list *list, struct evaluation *e, uint32_t *count);
/* Scores the data and fills e[2]; *count: how many. ERR_NOT_FOUND: an impression is not in the
 * truth file. ERR_CORRUPT: the reference is not of these impressions. ERR_CONFIG as above. */
enum status eval_run(struct scorer *scorer, const struct eval_spec *spec, struct evaluation *e,
                     uint32_t *count);
