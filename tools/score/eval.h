/* eval.h - measures a checkpoint on a data set: every impression is scored once, and the metrics
 * are exact (docs/metrics.md). Memory: the rows of the checkpoint, 32 bytes per impression (twice
 * that with a reference net), and what evaluation_compute needs. */
#pragma once

#include "common/base/file.h"
#include "common/metric/evaluation.h"
#include "scorer.h"

/* An option of eval and of compare; both name its member in the same way. With fewer than 40
 * resamples, a tail of 2.5 % holds less than one of them. */
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

/* Scores the data with the reference net: a separate checkpoint, loaded only for this call. The
 * caller finishes the list. */
enum status eval_reference(const char *checkpoint, const char *kernel, const struct file_list *data,
                           uint32_t threads, struct score_list *out);

/* How much an impression counts: 1, its weight, or both in turn if the data carry weights. */
enum eval_weights { EVAL_BOTH, EVAL_UNWEIGHTED, EVAL_WEIGHTED };
extern const char *const eval_weights_names[]; /* in the same order; ends with NULL */
struct eval_spec {
    const struct file_list *data; /* directories of shards */
    const char *truth; /* NULL, or the log's truth file (esmm synth) with every impression */
    const struct score_list *reference; /* NULL, or eval_reference's result for the data */
    uint32_t threads;
    uint32_t resamples; /* number of bootstrap resamples; 0: no intervals */
    uint64_t seed;      /* of the bootstrap */
    enum eval_weights weights;
};
/* Evaluates scores of spec->data by spec->weights. `what` gives everything else. Fills e[2];
 * *count: how many of them. ERR_CONFIG: only weighted metrics are asked for, but every impression
 * counts 1. */
enum status eval_scores(const struct eval_spec *spec, const struct evaluation_spec *what,
                        const struct score_list *list, struct evaluation *e, uint32_t *count);
/* Scores the data and fills e[2]; *count: how many of them. ERR_NOT_FOUND: an impression is not in
 * the truth file. ERR_CORRUPT: the reference belongs to other impressions. ERR_CONFIG as above. */
enum status eval_run(struct scorer *scorer, const struct eval_spec *spec, struct evaluation *e,
                     uint32_t *count);
