/* metric_order.c - sorting a population by its score (see metric_order.h). */
#include "metric_order.h"

#include <math.h>

#include "common/base/mem.h"

/* Scores of either width, so that the code below exists once. */
struct scores {
    const float *f32;
    const double *f64;
};

static enum status order_init(struct metric_order *o, struct scores scores, size_t n) {
    *o = (struct metric_order){.n = n};
    TRY(mem_array(&o->rows, n));
    for (size_t i = 0; i < n; i++) {
        double score = scores.f32 != NULL ? (double)scores.f32[i] : scores.f64[i];
        uint64_t key = scores.f32 != NULL ? rank_key_f32(scores.f32[i]) : rank_key_f64(score);
        o->nan |= isnan(score);
        o->rows[i] = (struct ranked){key, i};
    }
    enum status status = rank_sort(o->rows, n);
    if (status != OK) {
        metric_order_fini(o);
    }
    return status;
}

enum status metric_order_f32(struct metric_order *o, const float *score, size_t n) {
    return order_init(o, (struct scores){.f32 = score}, n);
}

enum status metric_order_f64(struct metric_order *o, const double *score, size_t n) {
    return order_init(o, (struct scores){.f64 = score}, n);
}

void metric_order_fini(struct metric_order *o) {
    mem_free(&o->rows);
    o->n = 0;
}
