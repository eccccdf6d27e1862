#include "drift.h"

#include <math.h>

#include "record.h"

#define BLOCK_IMPRESSIONS 1000u
#define TENTHS            10u
#define RATIO             2.0 /* a share from 1/RATIO to RATIO of the mean is accepted */
#define SPREADS           5.0

enum status drift_end(struct drift *d) {
    if (d->open.impressions > 0) {
        TRY(buf_put(&d->blocks, &d->open, sizeof d->open));
        d->open = (struct drift_counts){0};
    }
    return OK;
}

enum status drift_label(struct drift *d, uint8_t labels) {
    const bool click = (labels & LABEL_CLICK) != 0;
    d->open.impressions++;
    d->open.clicks += click;
    d->open.conversions += click && (labels & LABEL_CONVERSION) != 0;
    return d->open.impressions < BLOCK_IMPRESSIONS ? OK : drift_end(d);
}

enum status drift_add(struct drift *d, const struct buf *blocks) {
    TRY(drift_end(d));
    return buf_put(&d->blocks, blocks->data, blocks->len);
}

void drift_fini(struct drift *d) {
    buf_fini(&d->blocks);
}

/* The distance of the count k from the expected m, in spreads; `each` impressions count as one. */
static double spreads(double k, double m, double p, double each) {
    const double plain = (k - m) / sqrt(m * (1 - p) * each);
    const double roots = 2 * (sqrt(k / each) - sqrt(m / each));
    return fabs(plain) < fabs(roots) ? plain : roots;
}

static uint64_t trials_of(const struct drift_counts *c, bool conversions) {
    return conversions ? c->clicks : c->impressions;
}

static uint64_t positives_of(const struct drift_counts *c, bool conversions) {
    return conversions ? c->conversions : c->clicks;
}

static struct drift_finding drift_judge_by(const struct drift_counts *parts, size_t count,
                                           bool conversions, uint64_t groups) {
    struct drift_finding found = {.conversions = conversions};
    double impressions = 0, all = 0, positives = 0, farthest = SPREADS;
    for (size_t i = 0; i < count; i++) {
        impressions += (double)parts[i].impressions;
        all += (double)trials_of(&parts[i], conversions);
        positives += (double)positives_of(&parts[i], conversions);
    }
    if (positives == 0 || positives == all) {
        return found;
    }
    const double each = groups == 0 ? 1 : fmax(1, 2 * impressions / (double)groups - 1);
    found.mean = positives / all;
    for (size_t i = 0; i < count; i++) {
        const double n = (double)trials_of(&parts[i], conversions);
        const double k = (double)positives_of(&parts[i], conversions);
        if (n == 0 || (k >= n * found.mean / RATIO && k <= n * found.mean * RATIO)) {
            continue;
        }
        const double far = fabs(spreads(k, n * found.mean, found.mean, each));
        found.parts += far > SPREADS;
        if (far > farthest) {
            farthest = far;
            found.found = true;
            found.part = i;
            found.share = k / n;
        }
    }
    return found;
}

/* Judges the conversions only if there is no finding for the clicks. */
struct drift_finding drift_judge(const struct drift_counts *parts, size_t count, uint64_t groups) {
    const struct drift_finding clicks = drift_judge_by(parts, count, false, groups);
    return clicks.found ? clicks : drift_judge_by(parts, count, true, groups);
}

struct drift_finding drift_tenths(const struct drift *d, uint64_t groups) {
    const struct drift_counts *blocks = (const struct drift_counts *)(const void *)d->blocks.data;
    const size_t count = d->blocks.len / sizeof *blocks;
    struct drift_counts tenths[TENTHS] = {0};
    uint64_t all = 0, before = 0;
    for (size_t b = 0; b < count; b++) {
        all += blocks[b].impressions;
    }
    for (size_t b = 0; b < count; b++) {
        const double middle = (double)before + (double)blocks[b].impressions / 2;
        struct drift_counts *t = &tenths[(size_t)(middle / (double)all * TENTHS)];
        t->impressions += blocks[b].impressions;
        t->clicks += blocks[b].clicks;
        t->conversions += blocks[b].conversions;
        before += blocks[b].impressions;
    }
    return drift_judge(tenths, TENTHS, groups);
}
