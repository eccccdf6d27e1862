/* compare_table.c - writes the comparison as tables for people, and as CSV.
 *
 * Each column is a figure. Its header says over which impressions it is computed, how many they
 * are, and how many of them are positive, because "the AUC of CVR" alone has three different
 * meanings in the field. The paper's own figures are shown beside the two columns that follow its
 * protocol.
 */
#include <math.h>
#include <stdio.h>

#include "compare_result.h"

#define LABEL_WIDTH 18
#define WIDTH       19

/* Writes text into a column, right-aligned; a UTF-8 character counts once. */
static enum status table_cell(struct buf *out, const char *text) {
    int shown = 0;
    for (const char *c = text; *c != '\0'; c++) {
        shown += (*c & 0xc0) != 0x80;
    }
    return buf_printf(out, "%*s%s", shown < WIDTH ? WIDTH - shown : 1, "", text);
}

static enum status table_number(struct buf *out, const char *before, uint64_t v) {
    char text[40];
    snprintf(text, sizeof text, "%s%llu", before, (unsigned long long)v);
    return table_cell(out, text);
}

static bool has_paper(size_t figure) {
    return figure == COMPARE_CVR || figure == COMPARE_CTCVR_COMMON;
}

/* Writes line 0 to 3 of a column's header. */
static enum status table_head(const struct compare_result *r, size_t figure, int line,
                              struct buf *out) {
    const struct compare_figure *f = &compare_figures[figure];
    const struct evaluation *e = compare_counts(r);
    switch (line) {
    case 0: return table_cell(out, f->title);
    case 1: return table_cell(out, f->population);
    case 2: return table_number(out, "n ", f->n(e));
    default:
        return f->positives != NULL ? table_number(out, "positive ", f->positives(e))
                                    : table_cell(out, "");
    }
}

static enum status heads(const struct compare_result *r, const size_t *shown, size_t count,
                         bool paper, struct buf *out) {
    static const char *const beside[] = {"paper", "Ali-CCP", "10 runs", ""};
    for (int line = 0; line < 4; line++) {
        TRY(buf_printf(out, "%-*s", LABEL_WIDTH, line == 0 ? "method" : ""));
        for (size_t i = 0; i < count; i++) {
            TRY(table_head(r, shown[i], line, out));
            if (paper && has_paper(shown[i])) {
                TRY(table_cell(out, beside[line]));
            }
        }
        TRY(buf_printf(out, "\n"));
    }
    return OK;
}

static struct compare_summary paper_of(const struct compare_method *m, size_t figure) {
    const bool cvr = figure == COMPARE_CVR;
    return (struct compare_summary){.mean = cvr ? m->paper.cvr : m->paper.ctcvr,
                                    .sd = cvr ? m->paper.cvr_sd : m->paper.ctcvr_sd};
}

static enum status table_row(const struct compare_result *r, size_t method, const size_t *shown,
                             size_t count, struct buf *out) {
    const struct compare_method *m = &r->methods->method[method];
    char text[48];
    TRY(buf_printf(out, "%-*s", LABEL_WIDTH, m->label));
    for (size_t i = 0; i < count; i++) {
        const size_t f = shown[i];
        const struct compare_summary s = compare_summarise(r, method, &compare_figures[f]);
        compare_print(&s, compare_figures[f].scale, text, sizeof text);
        TRY(table_cell(out, text));
        if (has_paper(f)) {
            const struct compare_summary paper = paper_of(m, f);
            compare_print(&paper, 1, text, sizeof text);
            TRY(table_cell(out, text));
        }
    }
    return buf_printf(out, "\n");
}

/* Writes the AUC points above base, for the models that have both. */
static enum status gains(const struct compare_result *r, struct buf *out) {
    static const size_t shown[] = {COMPARE_CVR, COMPARE_CTCVR_COMMON, COMPARE_FIGURES_LABELS};
    const size_t count = r->truth != NULL ? 3 : 2;
    bool headed = false;
    for (size_t m = 0; m < r->methods->count; m++) {
        char text[48];
        if (compare_against_base(r, m, &compare_figures[COMPARE_CVR]).seeds == 0) {
            continue;
        }
        if (!headed) {
            TRY(buf_printf(out, "\nAgainst base with the same seed, AUC x 100\n\n"));
            TRY(heads(r, shown, count, false, out));
            headed = true;
        }
        TRY(buf_printf(out, "%-*s", LABEL_WIDTH, r->methods->method[m].label));
        for (size_t i = 0; i < count; i++) {
            const struct compare_figure *f = &compare_figures[shown[i]];
            const struct compare_summary s = compare_against_base(r, m, f);
            compare_print(&s, f->scale, text + 1, sizeof text - 1);
            text[0] = s.mean > 0 ? '+' : ' ';
            TRY(table_cell(out, text));
        }
        TRY(buf_printf(out, "\n"));
    }
    return OK;
}

/* Writes the figures first..first+count-1 of the methods from `method` on. */
static enum status table_block(const struct compare_result *r, size_t method, size_t first,
                               size_t count, struct buf *out) {
    size_t shown[COMPARE_FIGURES];
    for (size_t i = 0; i < count; i++) {
        shown[i] = first + i;
    }
    TRY(heads(r, shown, count, true, out));
    for (size_t m = method; m < r->methods->count; m++) {
        TRY(table_row(r, m, shown, count, out));
    }
    return OK;
}

enum status compare_table(const struct compare_result *r, struct buf *out) {
    const char *kernel = compare_cell_at(r, 0, 0)->kernel;
    TRY(buf_printf(out, "AUC x 100, mean ± sd over %u seed%s%s%s\n\n", r->seeds,
                   r->seeds == 1 ? "" : "s", kernel[0] == '\0' ? "" : "; products: ", kernel));
    if (compare_counts(r)->weighted) {
        TRY(buf_printf(out, "by weight: n and positive are numbers of impressions, each counts its "
                            "weight\n\n"));
    }
    TRY(table_block(r, 0, 0, COMPARE_AUCS, out));
    TRY(buf_printf(
        out, "\nProbabilities: normalised entropy, 1 is the base rate's; sum of predictions over "
             "conversions, best 1\n\n"));
    TRY(table_block(r, 1, COMPARE_AUCS, COMPARE_FIGURES_LABELS - COMPARE_AUCS, out));
    if (r->truth != NULL) {
        TRY(buf_printf(out,
                       "\nAgainst the true p(conversion | click); AUC x 100, best %.2f; means of "
                       "predicted over true, best 1\n\n",
                       100 * compare_counts(r)->auc_cvr_entire_best));
        TRY(table_block(r, 1, COMPARE_FIGURES_LABELS, COMPARE_FIGURES - COMPARE_FIGURES_LABELS,
                        out));
    }
    TRY(gains(r, out));
    return buf_printf(out,
                      "\n-: the model does not predict it, or a class is missing. paper: Ma et al. "
                      "2018, Table 2.\n");
}

/* --- CSV -------------------------------------------------------------------------------------- */

static enum status csv_row(const struct compare_result *r, size_t method, size_t seed,
                           struct buf *out) {
    TRY(buf_printf(out, "%s,%zu", r->methods->method[method].label, seed + 1));
    for (size_t f = 0; f < COMPARE_FIGURES; f++) {
        const double v = compare_value(compare_cell_at(r, method, seed), &compare_figures[f]);
        TRY(isfinite(v) ? buf_printf(out, ",%.9g", v) : buf_printf(out, ","));
    }
    return buf_printf(out, "\n");
}

enum status compare_csv(const struct compare_result *r, struct buf *out) {
    TRY(buf_printf(out, "method,seed"));
    for (size_t f = 0; f < COMPARE_FIGURES; f++) {
        TRY(buf_printf(out, ",%s", compare_figures[f].key));
    }
    TRY(buf_printf(out, "\n"));
    for (size_t m = 0; m < r->methods->count; m++) {
        for (size_t s = 0; s < r->seeds; s++) {
            TRY(csv_row(r, m, s, out));
        }
    }
    return OK;
}
