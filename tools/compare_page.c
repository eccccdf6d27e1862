/* compare_page.c - the comparison as one HTML file: per column a strip of dots, one method a line.
 *
 * A dot is a seed, the bar their mean, the thin line the bootstrap interval of the first seed. Colours
 * follow the reader's light or dark setting. Nothing is loaded from anywhere.
 */
#include <math.h>
#include <stdio.h>

#include "compare.h"

#define LEFT   150
#define WIDTH  420
#define LINE   22

static const char begin[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>esmm compare</title>\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
    ":root { color-scheme: light dark; --ink: #1a202c; --mean: #2b6cb0; --soft: #a0aec0 }\n"
    "@media (prefers-color-scheme: dark) { :root { --ink: #e2e8f0; --mean: #63b3ed; --soft: #4a5568 } }\n"
    "body { font: 15px sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: var(--ink) }\n"
    "svg text { fill: var(--ink); font: 13px sans-serif } .soft { stroke: var(--soft) } "
    ".mean { stroke: var(--mean); stroke-width: 3 } circle { fill: var(--mean); opacity: .5 } "
    "pre { overflow-x: auto; font-size: 12px }\n</style>\n<h1>Methods, trained alike</h1>\n";

/* What a strip spans: all dots and intervals, and the figure that would be perfect, if there is one. */
struct span {
    double low, high;
};

static void widen(struct span *s, double v) {
    if (isfinite(v)) {
        s->low = v < s->low ? v : s->low;
        s->high = v > s->high ? v : s->high;
    }
}

static const struct interval *interval_of(const struct evaluation *e,
                                          const struct compare_column *k) {
    return k->interval == 0 ? NULL : (const struct interval *)((const char *)e + k->interval);
}

static struct span span_of(const struct compare *c, const struct compare_column *k) {
    struct span s = {INFINITY, -INFINITY};
    widen(&s, k->best);
    for (uint32_t m = 0; m < c->methods; m++) {
        for (uint64_t i = 0; i < c->seeds; i++) {
            widen(&s, compare_value(&c->result[m][i], k));
        }
        const struct interval *interval = interval_of(&c->result[m][0], k);
        if (interval != NULL) {
            widen(&s, interval->low);
            widen(&s, interval->high);
        }
    }
    const double margin = s.high > s.low ? 0.05 * (s.high - s.low) : 0.01;
    return (struct span){s.low - margin, s.high + margin};
}

static double x_of(const struct span *s, double v) {
    return LEFT + WIDTH * (v - s->low) / (s->high - s->low);
}

static enum status method_line(const struct compare *c, uint32_t m, const struct compare_column *k,
                               const struct span *span, struct buf *out) {
    const double y = LINE * (m + 0.5);
    const struct compare_mean mean = compare_mean_of(c, m, k);
    const struct interval *interval = interval_of(&c->result[m][0], k);
    TRY(buf_printf(out, "<text x=\"0\" y=\"%.1f\">%s</text>", y + 4, c->method[m].label));
    if (isnan(mean.mean)) {
        return buf_printf(out, "<text x=\"%d\" y=\"%.1f\">undefined</text>\n", LEFT, y + 4);
    }
    if (interval != NULL && isfinite(interval->low) && isfinite(interval->high)) {
        TRY(buf_printf(out, "<line class=\"soft\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                       x_of(span, interval->low), x_of(span, interval->high), y, y));
    }
    for (uint64_t s = 0; s < c->seeds; s++) {
        TRY(buf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>",
                       x_of(span, compare_value(&c->result[m][s], k)), y));
    }
    const double x = x_of(span, mean.mean);
    return buf_printf(out,
                      "<line class=\"mean\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                      "<text x=\"%d\" y=\"%.1f\">%.4f</text>\n",
                      x, x, y - 8, y + 8, LEFT + WIDTH + 12, y + 4, mean.mean);
}

static enum status strip(const struct compare *c, const struct compare_column *k, struct buf *out) {
    const struct span span = span_of(c, k);
    const uint32_t height = LINE * c->methods;
    TRY(buf_printf(out, "<h2>%s, %s impressions</h2>\n<svg viewBox=\"0 0 %d %u\" role=\"img\">\n", k->title,
                   k->population, LEFT + WIDTH + 70, height));
    if (!isnan(k->best)) {
        TRY(buf_printf(out, "<line class=\"soft\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%u\"/>\n",
                       x_of(&span, k->best), x_of(&span, k->best), height));
    }
    for (uint32_t m = 0; m < c->methods; m++) {
        TRY(method_line(c, m, k, &span, out));
    }
    return buf_printf(out, "</svg>\n");
}

enum status compare_page(const struct compare *c, struct buf *out) {
    TRY(buf_printf(out,
                   "%s<p>A dot is one seed, the bar the mean of all, the thin line the 95 %% bootstrap interval "
                   "of the first seed over users. An upright line marks what would be exact.</p>\n<pre>",
                   begin));
    TRY(compare_text(c, out));
    TRY(buf_printf(out, "</pre>\n"));
    for (uint32_t k = 0; k < COMPARE_COLUMNS; k++) {
        if (compare_shown(c, &compare_columns[k])) {
            TRY(strip(c, &compare_columns[k], out));
        }
    }
    return buf_printf(out, "</html>\n");
}
