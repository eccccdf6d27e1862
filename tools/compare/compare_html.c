/* compare_html.c - writes the comparison as one page: the picture (one inline SVG), then a table of
 * figures.
 *
 * Each figure has a panel, and each method has a line in it: a dot for each seed, a bar at their
 * mean, and the bootstrap interval behind both. Each panel has its own axis, which covers what is
 * drawn in it. The colours follow the reader's light or dark setting by style rules only. There are
 * no scripts, and nothing is loaded from elsewhere.
 */
#include <math.h>

#include "compare_result.h"

#define WIDTH      960.0
#define PLOT_X     150.0
#define PLOT_WIDTH 640.0
#define LINE       24.0
#define PANEL_HEAD 58.0
#define PANEL_FOOT 34.0
#define TICKS_MAX  12

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#68707a;--line:#dde1e6;"
    "--band:#bcd4f0;--dot:#1f6fc4}\n"
    "@media (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e6e9ed;--soft:#98a1ac;"
    "--line:#30363d;--band:#27466b;--dot:#79b8ff}}\n"
    "body{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;"
    "max-width:1000px;margin:2em auto;padding:0 1em}\n"
    "svg{width:100%;height:auto}svg text{fill:var(--ink);font:13px system-ui,sans-serif}\n"
    "svg .soft{fill:var(--soft);font-size:12px}svg .name{font-size:15px;font-weight:600}\n"
    ".grid{stroke:var(--line)}.band{stroke:var(--band);stroke-width:9;stroke-linecap:round}\n"
    ".best{stroke:var(--soft);stroke-dasharray:4 4}.mean{stroke:var(--ink);stroke-width:3}\n"
    ".dot{fill:var(--dot);stroke:var(--paper)}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse}td,th{padding:.25em .8em;text-align:right;"
    "border-bottom:1px solid var(--line);white-space:nowrap}\n"
    "td:first-child,th:first-child{text-align:left}small,caption{color:var(--soft)}\n"
    "</style>\n";

static enum status html_escaped(struct buf *out, const char *text) {
    for (; *text != '\0'; text++) {
        const char *as = *text == '&'   ? "&amp;"
                         : *text == '<' ? "&lt;"
                         : *text == '>' ? "&gt;"
                         : *text == '"' ? "&quot;"
                                        : NULL;
        TRY(as != NULL ? buf_printf(out, "%s", as) : buf_put(out, text, 1));
    }
    return OK;
}

/* --- axes ------------------------------------------------------------------------------------- */

struct axis {
    double low, high, step; /* of the shown values, scaled */
};

static void html_widen(struct axis *a, double v) {
    if (isfinite(v)) {
        a->low = fmin(a->low, v);
        a->high = fmax(a->high, v);
    }
}

/* Rounds the axis: its steps are 1, 2 or 5 times a power of ten, about five of them, and its ends
 * are multiples of a step. */
static struct axis rounded(struct axis a) {
    const double span = fmax(a.high - a.low, 0.01 * fmax(fabs(a.high), 0.1));
    const double power = pow(10, floor(log10(span / 5)));
    const double rest = span / 5 / power;
    a.step = power * (rest < 1.5 ? 1 : rest < 3.5 ? 2 : rest < 7.5 ? 5 : 10);
    a.low = floor(a.low / a.step) * a.step;
    a.high = ceil(a.high / a.step) * a.step;
    a.high += a.high <= a.low ? a.step : 0;
    return a;
}

static bool html_axis_of(const struct compare_result *r, const struct compare_figure *f,
                         struct axis *out) {
    struct axis a = {INFINITY, -INFINITY, 1};
    for (size_t m = 0; m < r->methods->count; m++) {
        const struct compare_summary s = compare_summarise(r, m, f);
        html_widen(&a, s.interval.low * f->scale);
        html_widen(&a, s.interval.high * f->scale);
        for (size_t i = 0; i < r->seeds; i++) {
            html_widen(&a, compare_value(compare_cell_at(r, m, i), f) * f->scale);
        }
    }
    if (a.low > a.high) {
        return false;
    }
    html_widen(&a, f->best);
    *out = rounded(a);
    return true;
}

static double html_at(const struct axis *a, double v) {
    return PLOT_X + PLOT_WIDTH * (v - a->low) / (a->high - a->low);
}

static enum status vertical(struct buf *out, const char *class, double x, double from, double to) {
    return buf_printf(out, "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                      class, x, x, from, to);
}

static enum status html_grid(const struct compare_figure *f, const struct axis *a, double top,
                             double bottom, struct buf *out) {
    const int decimals = a->step >= 1 ? 0 : (int)ceil(-log10(a->step) - 1e-9);
    for (int i = 0; i <= TICKS_MAX; i++) {
        const double v = a->low + i * a->step;
        if (v > a->high + a->step / 2) {
            break;
        }
        TRY(vertical(out, "grid", html_at(a, v), top, bottom));
        TRY(buf_printf(
            out, "<text class=\"soft\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">%.*f</text>\n",
            html_at(a, v), bottom + 16, decimals, v));
    }
    return isfinite(f->best) ? vertical(out, "best", html_at(a, f->best), top, bottom) : OK;
}

/* --- the picture ------------------------------------------------------------------------------ */

static enum status dots(const struct compare_result *r, size_t method,
                        const struct compare_figure *f, const struct axis *a, double y,
                        struct buf *out) {
    for (size_t i = 0; i < r->seeds; i++) {
        const double v = compare_value(compare_cell_at(r, method, i), f) * f->scale;
        const double aside = r->seeds > 1 ? 8.0 * ((double)i / (double)(r->seeds - 1) - 0.5) : 0;
        if (isfinite(v)) {
            TRY(buf_printf(
                out,
                "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.6\"><title>seed %zu: "
                "%.3f</title></circle>\n",
                html_at(a, v), y + aside, i + 1, v));
        }
    }
    return OK;
}

static enum status html_line(const struct compare_result *r, size_t method,
                             const struct compare_figure *f, const struct axis *a, double y,
                             struct buf *out) {
    const struct compare_summary s = compare_summarise(r, method, f);
    char text[48];
    TRY(buf_printf(out, "<text text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">", PLOT_X - 12, y + 4));
    TRY(html_escaped(out, r->methods->method[method].label));
    TRY(buf_printf(out, "</text>\n"));
    if (isfinite(s.interval.low) && isfinite(s.interval.high)) {
        TRY(buf_printf(
            out, "<line class=\"band\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
            html_at(a, s.interval.low * f->scale), html_at(a, s.interval.high * f->scale), y, y));
    }
    TRY(dots(r, method, f, a, y, out));
    TRY(vertical(out, "mean", html_at(a, s.mean * f->scale), y - 8, y + 8));
    compare_print(&s, f->scale, text, sizeof text);
    return buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", PLOT_X + PLOT_WIDTH + 16,
                      y + 4, text);
}

/* Returns how many methods have the figure; each of them gets a line. */
static size_t html_lines_of(const struct compare_result *r, const struct compare_figure *f) {
    size_t lines = 0;
    for (size_t m = 0; m < r->methods->count; m++) {
        lines += compare_summarise(r, m, f).seeds > 0;
    }
    return lines;
}

static double panel_height(const struct compare_result *r, const struct compare_figure *f) {
    const size_t lines = html_lines_of(r, f);
    return lines == 0 ? 0 : PANEL_HEAD + LINE * (double)lines + PANEL_FOOT;
}

static enum status html_panel(const struct compare_result *r, const struct compare_figure *f,
                              double top, struct buf *out) {
    const struct evaluation *e = compare_counts(r);
    struct axis a;
    if (!html_axis_of(r, f, &a)) {
        return OK;
    }
    TRY(buf_printf(out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\">%s (%s)%s</text>\n", PLOT_X,
                   top + 20, f->title, f->population, f->scale == 1 ? "" : ", AUC × 100"));
    TRY(buf_printf(out, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\">%llu impressions", PLOT_X,
                   top + 38, (unsigned long long)f->n(e)));
    if (f->positives != NULL) {
        TRY(buf_printf(out, ", %llu positive", (unsigned long long)f->positives(e)));
    }
    TRY(e->weighted ? buf_printf(out, ", by weight") : OK);
    TRY(buf_printf(out, "</text>\n"));
    double y = top + PANEL_HEAD;
    TRY(html_grid(f, &a, y - 8, y + LINE * (double)html_lines_of(r, f), out));
    for (size_t m = 0; m < r->methods->count; m++) {
        if (compare_summarise(r, m, f).seeds > 0) {
            TRY(html_line(r, m, f, &a, y + LINE / 2 - 4, out));
            y += LINE;
        }
    }
    return OK;
}

static enum status html_picture(const struct compare_result *r, struct buf *out) {
    double height = 0;
    for (size_t f = 0; f < compare_figure_count(r); f++) {
        height += panel_height(r, &compare_figures[f]);
    }
    TRY(buf_printf(
        out,
        "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"every figure, method and "
        "seed\">\n",
        WIDTH, height));
    double top = 0;
    for (size_t f = 0; f < compare_figure_count(r); f++) {
        TRY(html_panel(r, &compare_figures[f], top, out));
        top += panel_height(r, &compare_figures[f]);
    }
    return buf_printf(out, "</svg>\n");
}

/* --- the table -------------------------------------------------------------------------------- */

static enum status paper_cell(double mean, double sd, struct buf *out) {
    return isfinite(mean) ? buf_printf(out, "<td>%.2f ± %.2f</td>", mean, sd)
                          : buf_printf(out, "<td>-</td>");
}

static enum status table_row(const struct compare_result *r, size_t method, struct buf *out) {
    const struct compare_method *m = &r->methods->method[method];
    char text[48];
    TRY(buf_printf(out, "<tr><td>"));
    TRY(html_escaped(out, m->label));
    TRY(buf_printf(out, "</td>"));
    for (size_t f = 0; f < compare_figure_count(r); f++) {
        const struct compare_summary s = compare_summarise(r, method, &compare_figures[f]);
        compare_print(&s, compare_figures[f].scale, text, sizeof text);
        TRY(buf_printf(out, "<td>%s</td>", text));
    }
    TRY(paper_cell(m->paper.cvr, m->paper.cvr_sd, out));
    TRY(paper_cell(m->paper.ctcvr, m->paper.ctcvr_sd, out));
    return buf_printf(out, "</tr>\n");
}

static enum status html_table(const struct compare_result *r, struct buf *out) {
    TRY(buf_printf(out, "<div class=\"wide\"><table>\n<tr><th>method</th>"));
    for (size_t f = 0; f < compare_figure_count(r); f++) {
        TRY(buf_printf(out, "<th>%s<br><small>%s</small></th>", compare_figures[f].title,
                       compare_figures[f].population));
    }
    TRY(buf_printf(out, "<th>paper: CVR<br><small>clicked</small></th>"
                        "<th>paper: CTCVR<br><small>all, common CTR</small></th></tr>\n"));
    for (size_t m = 0; m < r->methods->count; m++) {
        TRY(table_row(r, m, out));
    }
    return buf_printf(out, "</table></div>\n");
}

static enum status html_lead(const struct compare_result *r, struct buf *out) {
    TRY(buf_printf(out, "<h1>Methods compared</h1>\n<p>Trained on "));
    TRY(html_escaped(out, r->data));
    TRY(buf_printf(out, ", measured on "));
    TRY(html_escaped(out, r->eval));
    TRY(buf_printf(out, ", %u seed%s each. A dot is a seed, the bar their mean", r->seeds,
                   r->seeds == 1 ? "" : "s"));
    if (r->resamples > 0) {
        TRY(buf_printf(out,
                       ", the band the 95&nbsp;%% interval of one model (bootstrap over users, %u "
                       "resamples, mean of the seeds' ends)",
                       r->resamples));
    }
    return buf_printf(out, ".</p>\n");
}

enum status compare_html(const struct compare_result *r, struct buf *out) {
    TRY(buf_printf(out,
                   "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width\">\n"
                   "<title>esmm compare</title>\n%s</head><body>\n",
                   style));
    TRY(html_lead(r, out));
    TRY(html_picture(r, out));
    TRY(html_table(r, out));
    return buf_printf(
        out, "<p><small>AUCs times 100, mean ± sd over seeds. The paper's columns are Ma et al. "
             "2018, Table 2: Ali-CCP, 10 runs.</small></p>\n</body></html>\n");
}
