/* checkpoint_list.c - what lies in RUN/checkpoints, and why each of it stays. */
#include "checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "common/base/json.h"

#define WHY_BYTES 96

static void time_text(double saved_at, char *out, size_t bytes) {
    const time_t at = (time_t)saved_at;
    struct tm utc;
    if (gmtime_r(&at, &utc) == NULL || strftime(out, bytes, "%Y-%m-%d %H:%M:%S", &utc) == 0) {
        snprintf(out, bytes, "?");
    }
}

/* What keeps it; of what has no manifest that reads, what is wrong. */
static void why_text(const struct run_shelf *r, const struct shelf_item *item, char *out) {
    char kept[WHY_BYTES / 2];
    retention_words(item->kept, r->rule.best, kept, sizeof kept);
    if (item->aside) {
        snprintf(out, WHY_BYTES, "damaged: passed over, kept until a newer one stands");
    } else if (!item->readable) {
        snprintf(out, WHY_BYTES, "damaged: its manifest does not read%s%s",
                 kept[0] != '\0' ? "; " : "", kept);
    } else {
        snprintf(out, WHY_BYTES, "%s", kept[0] != '\0' ? kept : "goes with the next checkpoint");
    }
}

static const char *kind_of(const struct shelf_item *item) {
    return !item->readable ? "damaged" : item->base != 0 ? "delta" : "full";
}

static void metric_text(const struct run_shelf *r, const struct shelf_item *item, char *out,
                        size_t bytes) {
    const enum keep_best metric = r->rule.best != BEST_OFF ? r->rule.best : BEST_CTCVR;
    const double figure = item->judged ? judged_figure(&item->figures, metric) : NAN;
    if (isnan(figure)) {
        snprintf(out, bytes, "-");
    } else {
        snprintf(out, bytes, "%.5f", figure);
    }
}

static enum status list_text(const struct run_shelf *r, struct buf *out) {
    static const char *const metrics[] = {
        [BEST_OFF] = "ctcvr", [BEST_CTCVR] = "ctcvr", [BEST_CTR] = "ctr", [BEST_CVR] = "cvr"};
    TRY(buf_printf(out, "%12s  %-19s  %13s  %11s  %13s  %-7s  %8s  %s\n", "step", "saved (UTC)",
                   "impressions", "rows", "bytes", "kind", metrics[r->rule.best], "kept as"));
    for (size_t i = 0; i < r->shelf.count; i++) {
        const struct shelf_item *s = &r->shelf.items[i];
        char when[32], metric[16], why[WHY_BYTES];
        time_text(s->saved_at, when, sizeof when);
        metric_text(r, s, metric, sizeof metric);
        why_text(r, s, why);
        TRY(buf_printf(out, "%12llu  %-19s  %13llu  %11llu  %13llu  %-7s  %8s  %s%s\n",
                       (unsigned long long)s->step, s->readable ? when : "-",
                       (unsigned long long)s->impressions, (unsigned long long)s->rows,
                       (unsigned long long)s->bytes, kind_of(s), metric, why,
                       s->step == r->shelf.newest && !s->aside ? " <- latest" : ""));
    }
    return OK;
}

static void list_item(const struct run_shelf *r, const struct shelf_item *s, struct json *j) {
    char why[WHY_BYTES];
    why_text(r, s, why);
    json_open(j, NULL, '{');
    json_str(j, "name", s->name);
    json_u64(j, "step", s->step);
    json_str(j, "kind", kind_of(s));
    if (s->readable) {
        json_f64(j, "saved_at", s->saved_at);
        json_u64(j, "impressions", s->impressions);
        json_u64(j, "rows", s->rows);
        json_u64(j, "bytes", s->bytes);
        json_u64(j, "parts", s->parts);
    }
    if (s->judged) {
        json_f64(j, "auc_ctr", s->figures.auc_ctr);
        json_f64(j, "auc_cvr_clicked", s->figures.auc_cvr);
        json_f64(j, "auc_ctcvr", s->figures.auc_ctcvr);
    }
    json_bool(j, "pinned", s->pinned);
    json_bool(j, "stays", s->kept != 0);
    json_str(j, "why", why);
    json_close(j);
}

static enum status list_json(const struct run_shelf *r, struct buf *out) {
    struct json j;
    json_begin(&j, out, true);
    json_u64(&j, "latest", r->shelf.newest);
    json_open(&j, "checkpoints", '[');
    for (size_t i = 0; i < r->shelf.count; i++) {
        list_item(r, &r->shelf.items[i], &j);
    }
    json_close(&j);
    return json_end(&j);
}

enum status checkpoint_list(const struct run_shelf *r, bool json, struct buf *out) {
    return json ? list_json(r, out) : list_text(r, out);
}
