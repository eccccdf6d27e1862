/* compare_result.h - what `esmm compare` has measured, its figures over seeds, and the writers for
 * them. The writers put text into a buffer and touch no files. They can fail only with ERR_MEMORY.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/metric/evaluation.h"
#include "common/metric/metric_bootstrap.h"
#include "compare_methods.h"
#include "worker/kernel/kernel.h"

/* One trained model. */
struct compare_cell {
    struct evaluation evaluation;
    double impressions, seconds;  /* of its training; NaN: unknown */
    char kernel[KERNEL_NAME_MAX]; /* the kernel it was measured with; "": unknown */
};
struct compare_result {
    const struct compare_methods *methods; /* the first is the common CTR net */
    uint32_t seeds;                        /* the seeds are 1..seeds */
    const struct compare_cell *cells;      /* [methods->count][seeds] */
    const char *data, *eval, *truth;       /* paths as given; truth may be NULL */
    uint32_t resamples;                    /* for the intervals; 0: there are none */
};

/* --- figures ---------------------------------------------------------------------------------- */

/* A figure of an evaluation that is compared. AUCs are shown times 100. */
struct compare_figure {
    const char *key;        /* its key in evaluation_json */
    const char *title;      /* "CVR" */
    const char *population; /* "clicked" */
    double scale;           /* 100 for an AUC, else 1 */
    double best;     /* the perfect value of a ratio: 1; NaN: best is the highest or lowest */
    size_t value;    /* offset in struct evaluation */
    size_t interval; /* offset of its interval; 0: it has none */
    uint64_t (*n)(const struct evaluation *e);
    uint64_t (*positives)(const struct evaluation *e); /* NULL: it uses no labels */
};
#define COMPARE_FIGURES        10
#define COMPARE_AUCS           4 /* the first four figures: the paper's table */
#define COMPARE_FIGURES_LABELS 6 /* the first six figures need no truth file */
#define COMPARE_CVR            1 /* a column beside which the paper's figures are shown */
#define COMPARE_CTCVR_COMMON   3
extern const struct compare_figure compare_figures[COMPARE_FIGURES];
/* Returns how many figures this comparison has: all with a truth file, otherwise
 * COMPARE_FIGURES_LABELS. */
size_t compare_figure_count(const struct compare_result *r);
/* Returns the evaluation whose counts are shown in headers. All evaluations use the same
 * impressions. */
const struct evaluation *compare_counts(const struct compare_result *r);

/* Computes mean and standard deviation (n - 1) of the finite values among x[n]. *used: how many
 * there are. If there are none, both are NaN; if there is one, sd is NaN. */
void compare_mean_sd(const double *x, size_t n, double *mean, double *sd, size_t *used);

struct compare_summary {
    size_t seeds;    /* seeds with a defined value */
    double mean, sd; /* over seeds, not scaled */
    /* Means over seeds of the ends of their bootstrap intervals. All seeds are measured on the same
     * test impressions, so the error from these impressions is shared and does not average out. The
     * interval is therefore that of a single model of this kind. sd is the other error, that of
     * training. */
    struct interval interval;
};
/* Returns the unscaled value of a figure of one cell. */
double compare_value(const struct compare_cell *c, const struct compare_figure *f);
const struct compare_cell *compare_cell_at(const struct compare_result *r, size_t method,
                                           size_t seed);
struct compare_summary compare_summarise(const struct compare_result *r, size_t method,
                                         const struct compare_figure *f);
/* The same for the differences to the method "base" with the same seed, which has the same test
 * impressions and order; there is no interval. seeds is 0 if base is not among the methods. */
struct compare_summary compare_against_base(const struct compare_result *r, size_t method,
                                            const struct compare_figure *f);

/* --- writers ---------------------------------------------------------------------------------- */

enum status compare_table(const struct compare_result *r, struct buf *out); /* for people, UTF-8 */
/* Writes one line per method and seed, and one column per figure, unscaled; undefined numbers are
 * empty. */
enum status compare_csv(const struct compare_result *r, struct buf *out);
enum status compare_json(const struct compare_result *r, struct buf *out); /* unscaled */
/* Writes one self-contained page with one inline SVG; no scripts. */
enum status compare_html(const struct compare_result *r, struct buf *out);
/* Writes "66.00 ± 0.37", without the sd if it is undefined, or "-" if the mean is undefined.
 * out[32]. */
void compare_print(const struct compare_summary *s, double scale, char *out, size_t bytes);
