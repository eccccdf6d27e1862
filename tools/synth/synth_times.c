#include "synth_times.h"

#include <math.h>

#include "common/base/rng.h"

double times_rate(const struct world *w, const struct impression *x) {
    const uint64_t seed = w->config.seed;
    const double age = rng_normal(seed, w->users[x->user].age, STREAM(S_DELAY_AGE, 0));
    const double category =
        rng_normal(seed, w->items[x->item].category, STREAM(S_DELAY_CATEGORY, 0));
    return exp(-w->config.delay_spread * (age + category) * sqrt(0.5)) / w->config.delay_mean;
}

double times_day(const struct world *w, uint64_t id) {
    return (double)(id - 1) / (double)w->config.impressions * w->config.days;
}

/* The delay is log-normal, with a median of 15 s. */
static uint64_t click_delay(const struct world *w, const struct impression *x) {
    const double z = rng_normal(w->config.seed, x->session, STREAM(S_CLICK_DELAY, x->at));
    return (uint64_t)fmin(1 + floor(15 * exp(z)), CLICK_DELAY_MAX);
}

/* Draws by the inverse of the exponential's distribution function, cut at the attribution window.
 * The result is in whole seconds, rounded up, so it is never 0. */
static uint64_t conversion_delay(const struct world *w, const struct impression *x) {
    const struct synth_config *c = &w->config;
    const bool fast = rng_unit(c->seed, x->session, STREAM(S_DELAY_FAST, x->at)) < c->delay_fast;
    const double rate = fast ? FAST_PER_DAY : times_rate(w, x);
    const double u = rng_unit(c->seed, x->session, STREAM(S_DELAY, x->at));
    const double days = -log1p(u * expm1(-rate * c->attribution)) / rate;
    return (uint64_t)fmin(ceil(days * DAY_SECONDS), c->attribution * DAY_SECONDS);
}

void times_of(const struct world *w, const struct impression *x, uint64_t id, struct moment *out) {
    *out = (struct moment){.time = TIMES_BEGIN + (uint64_t)(times_day(w, id) * DAY_SECONDS),
                           .kind = KIND_LOG};
    if (x->click) {
        out->click_time = out->time + click_delay(w, x);
    }
    if (x->click && x->potential) {
        out->conversion_time = out->click_time + conversion_delay(w, x);
    }
}
