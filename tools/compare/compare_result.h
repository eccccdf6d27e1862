/* compare_result.h - what `esmm compare` has measured, its figures over seeds, and the ways to
 * write them. The writers put text into a buffer and touch no files. ERR_MEMORY is all that they
 * can fail by.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/metric/evaluation.h"
#include "common/metric/metric_bootstrap.h"
#include "compare_methods.h"
#include "worker/model/kernel.h"

/* One trained model. */
struct compare_cell {
    struct evaluation evaluation;
    double impressions, seconds;  /* of its training; NaN: not known */
    char kernel[KERNEL_NAME_MAX]; /* what multiplied when it was measured; "": not known */
};
struct compare_result {
    const struct compare_methods *methods; /* the first is the common CTR net */
    uint32_t seeds;                        /* 1..seeds */
    const struct compare_cell *cells;      /* [methods->count][seeds] */
    const char *data, *eval, *truth;       /* paths as given; truth may be NULL */
    uint32_t resamples;                    /* of the intervals; 0: there are none */
};

/* --- figures ---------------------------------------------------------------------------------- */

/* A figure of an evaluation that is compared. AUCs are shown times 100. */
struct compare_figure {
    const char *key;        /* of the figure in evaluation_json */
    const char *title;      /* "CVR" */
    const char *population; /* "clicked" */
    double scale;           /* 100 for an AUC, else 1 */
    double best;     /* where a ratio is perfect: 1; NaN: the more, or the less, the better */
    size_t value;    /* offset in struct evaluation */
    size_t interval; /* the same of its interval; 0: has none */
    uint64_t (*n)(const struct evaluation *e);
    uint64_t (*positives)(const struct evaluation *e); /* NULL: no labels are involved */
};
#define COMPARE_FIGURES        10
#define COMPARE_AUCS           4 /* the first four: the paper's table */
#define COMPARE_FIGURES_LABELS 6 /* the first six need no truth */
#define COMPARE_CVR            1 /* beside which the paper has figures */
#define COMPARE_CTCVR_COMMON   3
extern const struct compare_figure compare_figures[COMPARE_FIGURES];
/* How many of them this comparison has: all with a truth file, else COMPARE_FIGURES_LABELS. */
size_t compare_figure_count(const struct compare_result *r);
/* The evaluation whose counts stand in headers: all are of the same impressions. */
const struct evaluation *compare_counts(const struct compare_result *r);

/* Mean and standard deviation (n - 1) of the finite values among x[n]. *used: how many those are.
 * No value: both NaN; one: sd NaN. */
void compare_mean_sd(const double *x, size_t n, double *mean, double *sd, size_t *used);

struct compare_summary {
    size_t seeds;    /* with a defined value */
    double mean, sd; /* over seeds, not scaled */
    /* Means over the seeds of the ends of their bootstrap intervals. All seeds are measured on the
     * same test impressions, so the error that those bring is shared and does not average out: this
     * is the interval of one model of the kind. sd is the other error, that of training. */
    struct interval interval;
};
/* Unscaled value of a figure of one cell. */
double compare_value(const struct compare_cell *c, const struct compare_figure *f);
const struct compare_cell *compare_cell_at(const struct compare_result *r, size_t method,
                                           size_t seed);
struct compare_summary compare_summarise(const struct compare_result *r, size_t method,
                                         const struct compare_figure *f);
/* The same of the differences to the method "base" with the same seed, which has the same test
 * impressions and order; no interval. seeds 0 where base is not among the methods. */
struct compare_summary compare_against_base(const struct compare_result *r, size_t method,
                                            const struct compare_figure *f);

/* --- writers ---------------------------------------------------------------------------------- */

enum status compare_table(const struct compare_result *r, struct buf *out); /* for people, UTF-8 */
/* One line per method and seed, a column per figure, unscaled; undefined numbers are empty. */
enum status compare_csv(const struct compare_result *r, struct buf *out);
enum status compare_json(const struct compare_result *r, struct buf *out); /* unscaled */
/* One self-contained page with one inline SVG; no scripts. */
enum status compare_html(const struct compare_result *r, struct buf *out);
/* "66.00 ± 0.37", without sd where that is undefined; "-" where the mean is. out[32]. */
void compare_print(const struct compare_summary *s, double scale, char *out, size_t bytes);
