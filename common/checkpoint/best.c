#include "best.h"

#include <math.h>

void best_init(struct best *b, enum keep_best metric) {
    *b = (struct best){.metric = metric, .figure = NAN};
}

bool best_take(struct best *b, double figure, uint64_t step, uint64_t impressions) {
    const bool better = !isnan(figure) && (isnan(b->figure) || figure > b->figure);
    if (!better) {
        b->since++;
        return false;
    }
    b->figure = figure;
    b->step = step;
    b->impressions = impressions;
    b->since = 0;
    return true;
}

bool best_exhausted(const struct best *b, uint32_t patience) {
    return patience > 0 && b->since >= patience;
}

const char *best_metric_name(enum keep_best metric) {
    static const char *const names[] = {
        [BEST_OFF] = "off", [BEST_CTCVR] = "ctcvr", [BEST_CTR] = "ctr", [BEST_CVR] = "cvr"};
    return names[metric];
}
