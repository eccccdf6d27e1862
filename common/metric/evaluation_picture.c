/* evaluation_picture.c - draws reliability as a self-contained SVG document.
 *
 * There is one panel per task, with one point per bucket: the mean prediction on the x axis, the
 * observed share on the y axis. Both axes are logarithmic and have the same range, since buckets of
 * rare events span several powers of ten and would lie in one corner of a linear plot. The bars are
 * 95 % Wilson intervals of the observed share (rows are assumed independent). For a calibrated
 * model the bars reach the diagonal. A bucket without a positive has no place on a logarithmic
 * axis: it is a hollow point at the bottom, and its bar shows how uncertain that is.
 */
#include "evaluation.h"

#include <math.h>
#include <stdbool.h>

#include "common/base/bytes.h"

#define PANEL      300 /* pixels: a panel's width, its plot's side, and where the plot begins */
#define PLOT       220
#define LEFT       56
#define TOP        70
#define HEIGHT     350
#define TICK_MIN   (-27) /* smaller is drawn as 1e-9 */
#define LABELS_MAX 7

/* Ticks are 1, 2, 5 times a power of ten, numbered so that tick 0 is 1 and tick -3 is 0.1. */
struct axis {
    int low, high; /* ticks */
};

static int tick_digit(int tick) { /* 1, 2 or 5 */
    static const int digits[] = {1, 2, 5};
    return digits[(tick - 3 * TICK_MIN) % 3];
}

static int tick_exponent(int tick) {
    return (tick - 3 * TICK_MIN) / 3 + TICK_MIN;
}

static double tick_log(int tick) {
    return tick_exponent(tick) + log10(tick_digit(tick));
}

static void axis_take(struct axis *a, double value) {
    if (value > 0.0) {
        double at = log10(value);
        while (a->low > TICK_MIN && tick_log(a->low) > at + 1e-9) {
            a->low--;
        }
        while (a->high < 0 && tick_log(a->high) < at - 1e-9) {
            a->high++;
        }
    }
}

static struct axis axis_of(const struct reliability *r) {
    struct axis a = {.low = 0, .high = TICK_MIN};
    for (uint32_t k = 0; k < r->buckets; k++) {
        axis_take(&a, r->bucket[k].predicted);
        axis_take(&a, r->bucket[k].observed);
    }
    if (a.low >= a.high) { /* one value, or none */
        a.high = a.low > -1 ? 0 : a.low + 1;
        a.low = a.high - 2;
    }
    return a;
}

/* The position of a logarithm on the axis, 0..1; place does the same for a value. */
static double place_log(const struct axis *a, double at) {
    double low = tick_log(a->low);
    return fmin(fmax((at - low) / (tick_log(a->high) - low), 0.0), 1.0);
}

static double place(const struct axis *a, double value) {
    return value > 0.0 ? place_log(a, log10(value)) : 0.0;
}

/* Wilson (1927): the interval of true shares p for which the observed share is within 1.96 sd. */
static struct interval wilson(double share, double n) {
    const double z = 1.959963984540054, z2 = z * z / n;
    double centre = (share + z2 / 2.0) / (1.0 + z2);
    double half = z / (1.0 + z2) * sqrt(share * (1.0 - share) / n + z2 / (4.0 * n));
    return (struct interval){fmax(centre - half, 0.0), fmin(centre + half, 1.0)};
}

static enum status escaped(struct buf *out, const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        const char *entity = c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : NULL;
        if (entity != NULL) {
            TRY(buf_printf(out, "%s", entity));
        } else {
            TRY(buf_put_u8(out, c < 0x20 ? '?' : c)); /* XML has no control characters */
        }
    }
    return OK;
}

/* Draws lines and labels at each tick, or only at powers of ten if there are many ticks; then the
 * frame and the diagonal. */
static enum status grid(struct buf *out, const struct axis *a) {
    bool all = a->high - a->low < LABELS_MAX;
    for (int t = a->low; t <= a->high; t++) {
        double at = PLOT * place_log(a, tick_log(t));
        int digit = tick_digit(t), exponent = tick_exponent(t);
        if (!all && digit != 1) {
            continue;
        }
        TRY(buf_printf(out, "<path d=\"M%.1f 0V%dM0 %.1fH%d\" stroke=\"#e2e8f0\"/>\n", at, PLOT,
                       PLOT - at, PLOT));
        TRY(buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%de%d</text>\n", at,
                       PLOT + 16, digit, exponent));
        TRY(buf_printf(out, "<text x=\"-6\" y=\"%.1f\" text-anchor=\"end\">%de%d</text>\n",
                       PLOT - at + 4, digit, exponent));
    }
    return buf_printf(out,
                      "<rect width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#4a5568\"/>\n"
                      "<path d=\"M0 %dL%d 0\" stroke=\"#4a5568\" stroke-dasharray=\"4 3\"/>\n",
                      PLOT, PLOT, PLOT, PLOT);
}

static enum status point(struct buf *out, const struct axis *a,
                         const struct reliability_bucket *b) {
    struct interval bar = wilson(b->observed, (double)b->n);
    double x = PLOT * place(a, b->predicted), y = PLOT * (1.0 - place(a, b->observed));
    TRY(buf_printf(out, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#2b6cb0\" stroke-opacity=\"0.5\"/>\n",
                   x, PLOT * (1.0 - place(a, bar.high)), PLOT * (1.0 - place(a, bar.low))));
    return buf_printf(
        out,
        "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\" stroke=\"#2b6cb0\"><title>"
        "predicted %.4e, observed %.4e of %llu</title></circle>\n",
        x, y, b->observed > 0.0 ? "#2b6cb0" : "white", b->predicted, b->observed,
        (unsigned long long)b->n);
}

struct panel {
    const char *task, *population, *label;
    uint64_t n, positives;
    double ece, pcoc;
    const struct reliability *reliability;
};

static enum status figure(struct buf *out, const char *name, const char *format, double value) {
    TRY(buf_printf(out, "%s ", name));
    return isnan(value) ? buf_printf(out, "undefined")
                        : buf_printf(out, format[0] == 'e' ? "%.2e" : "%.3f", value);
}

static enum status panel(struct buf *out, const struct panel *p, int number) {
    const struct axis a = axis_of(p->reliability);
    TRY(buf_printf(out,
                   "<g transform=\"translate(%d %d)\">\n"
                   "<text y=\"-34\" font-weight=\"bold\">%s: %s</text>\n"
                   "<text y=\"-20\">n %llu, %s %llu</text>\n<text y=\"-6\">",
                   LEFT + number * PANEL, TOP, p->task, p->population, (unsigned long long)p->n,
                   p->label, (unsigned long long)p->positives));
    TRY(figure(out, "predicted/seen", "f", p->pcoc));
    TRY(figure(out, ", ECE", "e", p->ece));
    TRY(buf_printf(out, "</text>\n"));
    TRY(grid(out, &a));
    for (uint32_t k = 0; k < p->reliability->buckets; k++) {
        TRY(point(out, &a, &p->reliability->bucket[k]));
    }
    if (p->reliability->buckets == 0) {
        TRY(buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">undefined</text>\n",
                       PLOT / 2, PLOT / 2));
    }
    return buf_printf(out,
                      "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">predicted</text>\n"
                      "<text transform=\"translate(-40 %d) rotate(-90)\" text-anchor=\"middle\">"
                      "observed</text>\n</g>\n",
                      PLOT / 2, PLOT + 34, PLOT / 2);
}

enum status evaluation_picture(const struct evaluation *e, const char *title, struct buf *out) {
    const struct panel panels[] = {
        {"CTR", "all impressions", "clicks", e->impressions, e->clicks, e->ctr.ece, e->ctr.pcoc,
         &e->ctr.reliability},
        {"CVR", "clicked impressions", "conversions", e->clicks, e->conversions, e->cvr_clicked.ece,
         e->cvr_clicked.pcoc, &e->cvr_clicked.reliability},
        {"CTCVR", "all impressions", "clicks and conversions", e->impressions, e->conversions,
         e->ctcvr.ece, e->ctcvr.pcoc, &e->ctcvr.reliability},
    };
    const int count = sizeof panels / sizeof *panels;
    TRY(buf_printf(out,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
                   "font-family=\"sans-serif\" font-size=\"11\">\n"
                   "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
                   "<text x=\"10\" y=\"18\" font-size=\"13\" font-weight=\"bold\">",
                   count * PANEL + 20, HEIGHT, count * PANEL + 20));
    TRY(escaped(out, title));
    TRY(buf_printf(out, "</text>\n"));
    for (int k = 0; k < count; k++) {
        TRY(panel(out, &panels[k], k));
    }
    return buf_printf(out,
                      "<text x=\"10\" y=\"%d\">Buckets of equal count by score; bars: 95 %% Wilson "
                      "intervals; hollow: no positive in the bucket; dashed: calibrated.</text>\n"
                      "</svg>\n",
                      HEIGHT - 8);
}
