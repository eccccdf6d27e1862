#include "view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/json.h"

#define BAR_WIDTH      24
#define PLAIN_EVERY_MS 5000

void view_init(struct view *v, uint64_t total_impressions, uint32_t epochs) {
    *v = (struct view){.terminal = isatty(STDERR_FILENO) != 0,
                       .total_impressions = total_impressions,
                       .epochs = epochs};
}

/* Appends a figure, unless it is unknown. */
static void view_figure(char *out, size_t bytes, const char *format, double value) {
    size_t n = strlen(out);
    if (isfinite(value)) {
        snprintf(out + n, bytes - n, format, value);
    }
}

static void view_figures(const char *line, char *out, size_t bytes) {
    double eta = json_number(line, "eta_s");
    size_t n;
    out[0] = '\0';
    view_figure(out, bytes, "%.0f impressions", json_number(line, "impressions"));
    view_figure(out, bytes, "  %.0f/s", json_number(line, "impressions_per_s"));
    view_figure(out, bytes, "  loss %.5f", json_number(line, "loss"));
    view_figure(out, bytes, "  auc ctr %.4f", json_number(line, "auc_ctr_running"));
    view_figure(out, bytes, "±%.4f", json_number(line, "auc_ctr_running_bound"));
    view_figure(out, bytes, " ctcvr %.4f", json_number(line, "auc_ctcvr_running"));
    view_figure(out, bytes, "±%.4f", json_number(line, "auc_ctcvr_running_bound"));
    view_figure(out, bytes, "  staleness %.1f", json_number(line, "staleness_mean"));
    n = strlen(out);
    if (isfinite(eta)) {
        unsigned s = eta > 359999 ? 359999u : (unsigned)eta;
        snprintf(out + n, bytes - n, "  eta %02u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    }
}

static bool plain_due(struct view *v) {
    uint64_t now_ms = clock_mono_ms();
    if (now_ms - v->last_plain_ms < PLAIN_EVERY_MS) {
        return false;
    }
    v->last_plain_ms = now_ms;
    return true;
}

/* Writes "epoch 1/3 [######....] 58%" as far as it is known. A stream has no epochs. */
static void view_head(const struct view *v, double done, unsigned epoch, char *out, size_t bytes) {
    char bar[BAR_WIDTH + 1];
    const double part = v->total_impressions > 0 ? done / (double)v->total_impressions : 0;
    const double share = part > 1 ? 1 : part;
    if (v->epochs == 0) {
        snprintf(out, bytes, "stream");
        return;
    }
    int n = snprintf(out, bytes, "epoch %u/%u", epoch, v->epochs);
    if (v->total_impressions > 0 && v->terminal) {
        memset(bar, '.', BAR_WIDTH);
        memset(bar, '#', (size_t)(share * BAR_WIDTH));
        bar[BAR_WIDTH] = '\0';
        snprintf(out + n, bytes - (size_t)n, " [%s] %3.0f%%", bar, share * 100);
    } else if (v->total_impressions > 0) {
        snprintf(out + n, bytes - (size_t)n, "  %3.0f%%", share * 100);
    }
}

void view_line(struct view *v, const char *line) {
    char head[96], text[512];
    const double done = json_number(line, "impressions");
    if (!isfinite(done) || !(json_number(line, "impressions_per_s") > 0)) {
        return; /* training has not begun */
    }
    if (v->begun != NULL) {
        v->begun(v->self);
        v->begun = NULL;
    }
    view_head(v, done, (unsigned)json_number(line, "epoch") + 1, head, sizeof head);
    view_figures(line, text, sizeof text);
    if (v->terminal) {
        fprintf(stderr, "\r\033[K%s  %s", head, text);
        v->shown = true;
    } else if (plain_due(v)) {
        fprintf(stderr, "%s  %s\n", head, text);
    }
}

void view_end(struct view *v) {
    if (v->shown) {
        fprintf(stderr, "\n");
        v->shown = false;
    }
}
