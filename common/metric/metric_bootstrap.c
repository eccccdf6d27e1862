/* metric_bootstrap.c - resampling groups, cheaply (see metric_bootstrap.h).
 *
 * A resample is a multiset of groups. To draw a group twice is to give each of its rows the weight
 * 2, and an AUC of weighted rows needs the same order as one without weights. So each figure is
 * sorted once and kept as a strip of 4 bytes per row, in order of score. It holds all that a pass
 * needs: the group of the row, whether it begins a tie group, and its label. A resample draws one
 * array of weights for all figures, and each AUC is one linear pass, without sort and copy. These
 * weights are whole numbers, so with 0/1 labels a pass gives exactly the result of sorting the
 * copied rows.
 *
 * Intervals from resampled rows instead of groups are too narrow, because the model makes similar
 * errors on all rows of one user. Rejected: the Poisson bootstrap. It saves the draws, a small part
 * of the time, but the number of groups varies.
 */
#include "metric_bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "metric_sweep.h"
#include "common/base/rng.h"

#define LABEL_BIT   1u
#define FIRST_BIT   2u /* begins a tie group */
#define GROUP_SHIFT 2

#define UNDEFINED_PART 0.05 /* the part of the resamples that the interval leaves out */

double metric_quantile(const double *ascending, size_t n, double q) {
    double at = q * (double)(n - 1);
    size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;
    return ascending[low] + (at - (double)low) * (ascending[high] - ascending[low]);
}

/* Numbers the groups by ascending name. */
static enum status number_groups(struct bootstrap *b, const uint64_t *name, size_t rows) {
    struct ranked *sorted = NULL;
    uint64_t groups = 0;
    enum status status;
    TRY_OUT(mem_array(&sorted, rows));
    for (size_t i = 0; i < rows; i++) {
        sorted[i] = (struct ranked){name[i], i};
    }
    TRY_OUT(rank_sort(sorted, rows));
    for (size_t i = 0; i < rows; i++) {
        groups += i == 0 || sorted[i].key != sorted[i - 1].key;
        if (groups > BOOTSTRAP_GROUPS_MAX) {
            TRY_OUT(fail(ERR_LIMIT, "more than %u groups to resample", BOOTSTRAP_GROUPS_MAX));
        }
        b->group[sorted[i].tag] = (uint32_t)(groups - 1);
    }
    b->groups = (uint32_t)groups;
out:
    mem_free(&sorted);
    return status;
}

enum status bootstrap_init(struct bootstrap *b, const uint64_t *name, size_t rows,
                           uint32_t resamples, uint64_t seed) {
    enum status status;
    *b = (struct bootstrap){.seed = seed, .resamples = resamples};
    TRY_OUT(mem_array(&b->group, rows));
    TRY_OUT(number_groups(b, name, rows));
    TRY_OUT(mem_array(&b->weight, b->groups));
    return OK;
out:
    bootstrap_fini(b);
    return status;
}

void bootstrap_fini(struct bootstrap *b) {
    for (uint32_t f = 0; f < b->figures; f++) {
        mem_free(&b->figure[f].strip);
        mem_free(&b->figure[f].soft);
        mem_free(&b->figure[f].counts);
        mem_free(&b->figure[f].auc);
    }
    b->figures = 0;
    mem_free(&b->group);
    mem_free(&b->weight);
}

enum status bootstrap_add(struct bootstrap *b, const struct metric_order *o, const uint32_t *row,
                          const uint8_t *label, const float *soft, const float *weight,
                          struct interval *out) {
    *out = (struct interval){NAN, NAN};
    if (o->nan) {
        return OK;
    }
    if (b->figures == BOOTSTRAP_FIGURES) {
        return fail(ERR_LIMIT, "more than %d figures in one bootstrap", BOOTSTRAP_FIGURES);
    }
    struct bootstrap_figure *f =
        &b->figure[b->figures++]; /* counted first, so that fini frees it after a failure */
    *f = (struct bootstrap_figure){.n = o->n, .out = out};
    TRY(mem_array(&f->auc, b->resamples));
    TRY(mem_array(&f->strip, o->n));
    if (soft != NULL) {
        TRY(mem_array(&f->soft, o->n));
    }
    if (weight != NULL) {
        TRY(mem_array(&f->counts, o->n));
    }
    for (size_t i = 0; i < o->n; i++) {
        size_t at = (size_t)o->rows[i].tag;
        uint32_t first = i == 0 || o->rows[i].key != o->rows[i - 1].key ? FIRST_BIT : 0;
        uint32_t positive = label != NULL && label[at] != 0 ? LABEL_BIT : 0;
        f->strip[i] = b->group[row != NULL ? row[at] : at] << GROUP_SHIFT | first | positive;
        if (soft != NULL) {
            f->soft[i] = soft[at];
        }
        if (weight != NULL) {
            f->counts[i] = weight[at];
        }
    }
    return OK;
}

static void draw(struct bootstrap *b, uint32_t resample) {
    memset(b->weight, 0, b->groups * sizeof *b->weight);
    for (uint32_t d = 0; d < b->groups; d++) {
        b->weight[rng_below(b->seed, resample, d, b->groups)]++;
    }
}

/* The AUC with the current weights; the labels are bits of the strip. */
static double auc_hard(const struct bootstrap_figure *f, const uint32_t *weight) {
    struct sweep s = {0};
    for (size_t i = 0; i < f->n; i++) {
        uint32_t row = f->strip[i];
        if ((row & FIRST_BIT) != 0) {
            sweep_close(&s);
        }
        double w = (double)weight[row >> GROUP_SHIFT] * weight_at(f->counts, i);
        if ((row & LABEL_BIT) != 0) {
            s.pos += w;
        } else {
            s.neg += w;
        }
    }
    return sweep_auc(&s);
}

static double auc_soft(const struct bootstrap_figure *f, const uint32_t *weight) {
    struct sweep s = {0};
    for (size_t i = 0; i < f->n; i++) {
        uint32_t row = f->strip[i];
        if ((row & FIRST_BIT) != 0) {
            sweep_close(&s);
        }
        double w = (double)weight[row >> GROUP_SHIFT] * weight_at(f->counts, i);
        double p = (double)f->soft[i];
        s.pos += w * p;
        s.neg += w * (1.0 - p);
    }
    return sweep_auc(&s);
}

static int ascending(const void *x, const void *y) {
    const double *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

static void interval_of(const struct bootstrap *b, struct bootstrap_figure *f) {
    size_t defined = 0;
    for (uint32_t r = 0; r < b->resamples; r++) {
        if (!isnan(f->auc[r])) {
            f->auc[defined++] = f->auc[r];
        }
    }
    double missing = (double)(b->resamples - defined);
    if (defined == 0 || missing > UNDEFINED_PART * (double)b->resamples) {
        return;
    }
    qsort(f->auc, defined, sizeof *f->auc, ascending);
    *f->out = (struct interval){metric_quantile(f->auc, defined, 0.025),
                                metric_quantile(f->auc, defined, 0.975)};
}

void bootstrap_run(struct bootstrap *b) {
    if (b->groups < 2) { /* every resample would be the same */
        return;
    }
    for (uint32_t r = 0; r < b->resamples; r++) {
        draw(b, r);
        for (uint32_t k = 0; k < b->figures; k++) {
            struct bootstrap_figure *f = &b->figure[k];
            f->auc[r] = f->soft != NULL ? auc_soft(f, b->weight) : auc_hard(f, b->weight);
        }
    }
    for (uint32_t k = 0; k < b->figures; k++) {
        interval_of(b, &b->figure[k]);
    }
}
