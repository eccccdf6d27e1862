#include "view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

#define BAR_WIDTH 24
#define PLAIN_EVERY_MS 5000

void view_init(struct view *v, uint64_t total_impressions, uint32_t epochs) {
    *v = (struct view){.terminal = isatty(STDERR_FILENO) != 0,
                       .total_impressions = total_impressions,
                       .epochs = epochs};
}

double json_number(const char *line, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(line, quoted);
    if (at == NULL) {
        return NAN;
    }
    at += strlen(quoted);
    char *end;
    double value = strtod(at, &end);
    return end == at ? NAN : value;
}

static void describe(const char *line, char *out, size_t bytes) {
    char auc[64] = "";
    double ctr = json_number(line, "auc_ctr_running");
    double ctcvr = json_number(line, "auc_ctcvr_running");
    if (isfinite(ctr)) {
        snprintf(auc, sizeof auc, "  auc ctr %.4f ctcvr %.4f", ctr, ctcvr);
    }
    double eta = json_number(line, "eta_s");
    char left[32] = "";
    if (isfinite(eta)) {
        unsigned s = eta > 359999 ? 359999u : (unsigned)eta;
        snprintf(left, sizeof left, "  eta %02u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    }
    snprintf(out, bytes, "%.0f impressions  %.0f/s  loss %.5f%s  staleness %.1f%s",
             json_number(line, "impressions"), json_number(line, "impressions_per_s"),
             json_number(line, "loss"), auc, json_number(line, "staleness_mean"), left);
}

static void show(struct view *v, const char *line) {
    char text[512];
    double done = json_number(line, "impressions");
    if (!isfinite(done) || !isfinite(json_number(line, "impressions_per_s"))) {
        return; /* training has not begun */
    }
    double part = v->total_impressions == 0 ? 0 : done / (double)v->total_impressions;
    part = part > 1 ? 1 : part;
    describe(line, text, sizeof text);
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
    uint64_t now_ms = clock_mono_ms();
    if (now_ms - v->last_plain_ms >= PLAIN_EVERY_MS) {
        v->last_plain_ms = now_ms;
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
