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

/* Appends a figure, unless it is not known (yet). */
static void figure(char *out, size_t bytes, const char *format, double value) {
    size_t n = strlen(out);
    if (isfinite(value)) {
        snprintf(out + n, bytes - n, format, value);
    }
}

static void describe(const char *line, char *out, size_t bytes) {
    double eta = json_number(line, "eta_s");
    size_t n;
    out[0] = '\0';
    figure(out, bytes, "%.0f impressions", json_number(line, "impressions"));
    figure(out, bytes, "  %.0f/s", json_number(line, "impressions_per_s"));
    figure(out, bytes, "  loss %.5f", json_number(line, "loss"));
    figure(out, bytes, "  auc ctr %.4f", json_number(line, "auc_ctr_running"));
    figure(out, bytes, "±%.4f", json_number(line, "auc_ctr_running_bound"));
    figure(out, bytes, " ctcvr %.4f", json_number(line, "auc_ctcvr_running"));
    figure(out, bytes, "±%.4f", json_number(line, "auc_ctcvr_running_bound"));
    figure(out, bytes, "  staleness %.1f", json_number(line, "staleness_mean"));
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

/* A stream has neither a share that is done nor epochs. */
static void show_open(struct view *v, const char *text) {
    if (v->terminal) {
        fprintf(stderr, "\r\033[Kstream  %s", text);
        v->shown = true;
    } else if (plain_due(v)) {
        fprintf(stderr, "stream  %s\n", text);
    }
}

static void show(struct view *v, const char *line) {
    char text[512];
    double done = json_number(line, "impressions");
    if (!isfinite(done) || !(json_number(line, "impressions_per_s") > 0)) {
        return; /* training has not begun */
    }
    double part = v->total_impressions == 0 ? 0 : done / (double)v->total_impressions;
    part = part > 1 ? 1 : part;
    describe(line, text, sizeof text);
    if (v->total_impressions == 0) {
        show_open(v, text);
        return;
    }
    unsigned epoch = (unsigned)json_number(line, "epoch") + 1;
    if (v->terminal) {
        char bar[BAR_WIDTH + 1];
        int filled = (int)(part * BAR_WIDTH);
        memset(bar, '.', BAR_WIDTH);
        memset(bar, '#', (size_t)filled);
        bar[BAR_WIDTH] = '\0';
        fprintf(stderr, "\r\033[Kepoch %u/%u [%s] %3.0f%%  %s", epoch, v->epochs, bar, part * 100,
                text);
        v->shown = true;
        return;
    }
    if (plain_due(v)) {
        fprintf(stderr, "epoch %u/%u  %3.0f%%  %s\n", epoch, v->epochs, part * 100, text);
    }
}

void view_feed(struct view *v, const char *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] == '\n') {
            v->pending[v->pending_bytes] = '\0';
            show(v, v->pending);
            v->pending_bytes = 0;
        } else if (v->pending_bytes + 1 < sizeof v->pending) {
            v->pending[v->pending_bytes++] = data[i];
        }
    }
}

void view_end(struct view *v) {
    if (v->shown) {
        fprintf(stderr, "\n");
        v->shown = false;
    }
}
