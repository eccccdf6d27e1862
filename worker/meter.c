#include "meter.h"

#include "common/data/record.h"

void meter_init(struct meter *m) {
    *m = (struct meter){0};
    pthread_mutex_init(&m->lock, NULL);
}

void meter_fini(struct meter *m) {
    pthread_mutex_destroy(&m->lock);
}

/* Whether a record says something new about the conversion. A second record with an impression's
 * final label does not, unless it brings a late conversion. */
static bool tells_ctcvr(uint8_t kind, uint8_t labels) {
    return kind_has_ctcvr(kind) && (kind != KIND_FINAL || (labels & LABEL_LATE) != 0);
}

/* Adds a batch to the running AUCs. A record counts where it enters the loss: a click counts once;
 * a late conversion counts as a negative and as a positive. */
static void add_bins(struct meter *m, const struct meter_report *r) {
    for (uint32_t i = 0; i < r->impressions; i++) {
        const uint8_t both = LABEL_CLICK | LABEL_CONVERSION;
        const uint8_t kind = r->kind == NULL ? KIND_LOG : r->kind[i], labels = r->labels[i];
        const struct score_ranks s = score_ranks(r->logit_a[i], r->logit_b[i], r->form);
        if (kind_has_ctr(kind)) {
            metric_bins_add(&m->bins_ctr, (float)s.ctr, (labels & LABEL_CLICK) != 0);
        }
        if (tells_ctcvr(kind, labels)) {
            metric_bins_add(&m->bins_ctcvr, (float)s.ctcvr, (labels & both) == both);
        }
    }
}

static void add_trained(struct meter *m, const struct meter_report *r) {
    struct wire_progress *w = &m->progress;
    w->finished++;
    w->impressions += r->impressions;
    w->batches++;
    w->loss_sum += r->loss;
    w->loss_ctr_sum += r->loss_ctr;
    w->loss_ctcvr_sum += r->loss_ctcvr;
    w->duplicates += r->duplicates;
    w->dropped_values += r->dropped_values;
    w->staleness_sum += r->staleness;
    raise_to(&w->staleness_max, r->staleness);
    w->dense_staleness_sum += r->dense_staleness;
    raise_to(&w->dense_staleness_max, r->dense_staleness);
    add_bins(m, r);
}

void meter_report(struct meter *m, const struct meter_report *r) {
    pthread_mutex_lock(&m->lock);
    m->progress.resent += r->resent;
    m->progress.tickets_unknown += r->tickets_unknown;
    if (r->fenced) {
        m->progress.fenced++;
    } else {
        add_trained(m, r);
    }
    pthread_mutex_unlock(&m->lock);
}

void meter_scored(struct meter *m) {
    pthread_mutex_lock(&m->lock);
    m->progress.finished++;
    pthread_mutex_unlock(&m->lock);
}

void meter_read(struct meter *m, struct wire_progress *progress, struct usage *used) {
    pthread_mutex_lock(&m->lock);
    *progress = m->progress;
    usage_add(used, &m->usage);
    pthread_mutex_unlock(&m->lock);
}

void meter_use(struct meter *m, const struct usage *used) {
    pthread_mutex_lock(&m->lock);
    usage_add(&m->usage, used);
    pthread_mutex_unlock(&m->lock);
}

void meter_take_bins(struct meter *m, struct metric_bins *ctr, struct metric_bins *ctcvr) {
    pthread_mutex_lock(&m->lock);
    metric_bins_merge(ctr, &m->bins_ctr);
    metric_bins_merge(ctcvr, &m->bins_ctcvr);
    m->bins_ctr = (struct metric_bins){0};
    m->bins_ctcvr = (struct metric_bins){0};
    pthread_mutex_unlock(&m->lock);
}
