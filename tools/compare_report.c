/* compare_report.c - the table as text for people, CSV for a sheet, JSON with everything.
 *
 * A column shows mean and sample standard deviation over the seeds. JSON has every seed's whole
 * evaluation, with bootstrap intervals, which say how far the held-out impressions can be trusted;
 * the deviation over seeds says how far one training can.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "compare.h"

#define AT(member) offsetof(struct evaluation, member)
const struct compare_column compare_columns[COMPARE_COLUMNS] = {
    {"auc_ctr", "CTR AUC", "all", AT(auc_ctr), AT(auc_ctr_95), NAN},
    {"auc_cvr_clicked", "CVR AUC", "clicked", AT(auc_cvr_clicked), AT(auc_cvr_clicked_95), NAN},
    {"auc_ctcvr", "CTCVR AUC, own CTR", "all", AT(auc_ctcvr), AT(auc_ctcvr_95), NAN},
    {"auc_ctcvr_reference", "CTCVR AUC, common CTR", "all", AT(auc_ctcvr_reference),
     AT(auc_ctcvr_reference_95), NAN},
    {"ne_cvr_clicked", "CVR normalised entropy", "clicked", AT(ne_cvr_clicked), 0, 0},
    {"pcoc_cvr_clicked", "CVR predicted/observed", "clicked", AT(pcoc_cvr_clicked), 0, 1},
    {"auc_cvr_entire", "CVR AUC against truth", "all", AT(auc_cvr_entire), AT(auc_cvr_entire_95), NAN},
    {"ratio_cvr_entire", "CVR predicted/true", "all", AT(ratio_cvr_entire), 0, 1},
    {"ratio_cvr_clicked_truth", "CVR predicted/true", "clicked", AT(ratio_cvr_clicked_truth), 0, 1},
    {"ratio_cvr_unclicked", "CVR predicted/true", "unclicked", AT(ratio_cvr_unclicked), 0, 1},
};

struct compare_mean compare_mean_of(const struct compare *c, uint32_t method,
                                    const struct compare_column *k) {
    double sum = 0, squares = 0;
    const double n = (double)c->seeds;
    for (uint64_t s = 0; s < c->seeds; s++) {
        sum += compare_value(&c->result[method][s], k);
    }
    for (uint64_t s = 0; s < c->seeds; s++) {
        const double d = compare_value(&c->result[method][s], k) - sum / n;
        squares += d * d;
    }
    return (struct compare_mean){sum / n, c->seeds > 1 ? sqrt(squares / (n - 1)) : NAN};
}

bool compare_shown(const struct compare *c, const struct compare_column *k) {
    for (uint32_t m = 0; m < c->methods; m++) {
        for (uint64_t s = 0; s < c->seeds; s++) {
            if (!isnan(compare_value(&c->result[m][s], k))) {
                return true;
            }
        }
    }
    return false;
}

/* AUCs in points, the rest as they are. */
static double factor(const struct compare_column *k) {
    return strncmp(k->key, "auc_", 4) == 0 ? 100 : 1;
}

static void cell(char out[32], struct compare_mean m, double by) {
    if (isnan(m.mean)) {
        snprintf(out, 32, "undefined");
    } else if (isnan(m.sd)) {
        snprintf(out, 32, "%.*f", by > 1 ? 2 : 3, by * m.mean);
    } else {
        snprintf(out, 32, "%.*f ± %.*f", by > 1 ? 2 : 3, by * m.mean, by > 1 ? 2 : 3, by * m.sd);
    }
}

/* "±" is two bytes and one column. */
static int width_of(const char *text, int width) {
    return width + (strstr(text, "±") != NULL);
}

/* One line of the legend: what the column is measured on, and what counts as a positive. */
static enum status legend(const struct evaluation *e, uint32_t k, struct buf *out) {
    const struct compare_column *column = &compare_columns[k];
    const bool clicked = strcmp(column->population, "clicked") == 0;
    const bool all = strcmp(column->population, "all") == 0;
    const uint64_t n = all ? e->impressions : clicked ? e->clicks : e->impressions - e->clicks;
    TRY(buf_printf(out, "  (%c) %-24s %llu %s impressions, ", 'a' + (int)k, column->title,
                   (unsigned long long)n, column->population));
    if (strstr(column->key, "_entire") != NULL || strncmp(column->key, "ratio", 5) == 0) {
        return buf_printf(out, "against the true probability\n");
    }
    return strcmp(column->key, "auc_ctr") == 0
               ? buf_printf(out, "positives: %llu clicks\n", (unsigned long long)e->clicks)
               : buf_printf(out, "positives: %llu conversions\n", (unsigned long long)e->conversions);
}

static enum status head(const struct compare *c, struct buf *out) {
    const struct evaluation *e = &c->result[0][0];
    TRY(buf_printf(out,
                   "%llu impressions, %llu clicks, %llu conversions held out; %llu seed%s; mean ± sd over "
                   "seeds\n\n",
                   (unsigned long long)e->impressions, (unsigned long long)e->clicks,
                   (unsigned long long)e->conversions, (unsigned long long)c->seeds,
                   c->seeds == 1 ? "" : "s"));
    for (uint32_t k = 0; k < COMPARE_COLUMNS; k++) {
        if (compare_shown(c, &compare_columns[k])) {
            TRY(legend(e, k, out));
        }
    }
    return buf_printf(out, "\n");
}

static enum status paper_cell(struct buf *out, double mean, double sd) {
    return isnan(mean) ? buf_printf(out, "  %14s", "-") : buf_printf(out, "  %6.2f ± %.2f ", mean, sd);
}

enum status compare_text(const struct compare *c, struct buf *out) {
    TRY(head(c, out));
    TRY(buf_printf(out, "%-18s", "method"));
    for (uint32_t k = 0; k < COMPARE_COLUMNS; k++) {
        if (compare_shown(c, &compare_columns[k])) {
            TRY(buf_printf(out, "  %12s(%c)", "", 'a' + (int)k));
        }
    }
    TRY(buf_printf(out, "  %14s  %14s\n", "paper: CVR", "paper: CTCVR"));
    for (uint32_t m = 0; m < c->methods; m++) {
        TRY(buf_printf(out, "%-18s", c->method[m].label));
        for (uint32_t k = 0; k < COMPARE_COLUMNS; k++) {
            char text[32];
            if (compare_shown(c, &compare_columns[k])) {
                cell(text, compare_mean_of(c, m, &compare_columns[k]), factor(&compare_columns[k]));
                TRY(buf_printf(out, "  %*s", width_of(text, 15), text));
            }
        }
        const struct compare_paper paper = compare_paper_of(c->method[m].name);
        TRY(paper_cell(out, paper.cvr, paper.cvr_sd));
        TRY(paper_cell(out, paper.ctcvr, paper.ctcvr_sd));
        TRY(buf_printf(out, "\n"));
    }
    return OK;
}

static enum status csv_number(struct buf *out, double v) {
    return isnan(v) ? buf_printf(out, ",") : buf_printf(out, ",%.9g", v);
}

enum status compare_csv(const struct compare *c, struct buf *out) {
    TRY(buf_printf(out, "method,seed"));
    for (uint32_t k = 0; k < COMPARE_COLUMNS; k++) {
        TRY(buf_printf(out, ",%s", compare_columns[k].key));
    }
    TRY(buf_printf(out, "\n"));
    for (uint32_t m = 0; m < c->methods; m++) {
        for (uint64_t s = 0; s < c->seeds; s++) {
            TRY(buf_printf(out, "%s,%llu", c->method[m].label, (unsigned long long)(s + 1)));
            for (uint32_t k = 0; k < COMPARE_COLUMNS; k++) {
                TRY(csv_number(out, compare_value(&c->result[m][s], &compare_columns[k])));
            }
            TRY(buf_printf(out, "\n"));
        }
    }
    return OK;
}

static void json_method(const struct compare *c, uint32_t m, struct json *j) {
    const struct compare_paper paper = compare_paper_of(c->method[m].name);
    json_open(j, NULL, '{');
    json_str(j, "method", c->method[m].label);
    json_open(j, "mean", '{');
    for (uint32_t k = 0; k < COMPARE_COLUMNS; k++) {
        json_f64(j, compare_columns[k].key, compare_mean_of(c, m, &compare_columns[k]).mean);
    }
    json_close(j);
    json_open(j, "sd", '{');
    for (uint32_t k = 0; k < COMPARE_COLUMNS; k++) {
        json_f64(j, compare_columns[k].key, compare_mean_of(c, m, &compare_columns[k]).sd);
    }
    json_close(j);
    json_f64(j, "paper_cvr", paper.cvr);
    json_f64(j, "paper_ctcvr", paper.ctcvr);
    json_open(j, "seeds", '[');
    for (uint64_t s = 0; s < c->seeds; s++) {
        json_open(j, NULL, '{');
        json_u64(j, "seed", s + 1);
        evaluation_json(&c->result[m][s], j);
        json_close(j);
    }
    json_close(j);
    json_close(j);
}

enum status compare_json(const struct compare *c, struct buf *out) {
    struct json j;
    json_init(&j, out, true);
    json_open(&j, NULL, '{');
    json_str(&j, "data", c->data);
    json_str(&j, "eval", c->eval);
    json_open(&j, "methods", '[');
    for (uint32_t m = 0; m < c->methods; m++) {
        json_method(c, m, &j);
    }
    json_close(&j);
    json_close(&j);
    return j.status;
}
