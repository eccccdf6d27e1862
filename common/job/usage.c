#include "usage.h"

#include <sys/resource.h>

const char *stage_name(enum stage s) {
    static const char *const names[STAGES] = {
#define X(name, text) [name] = text,
        STAGE_LIST(X)
#undef X
    };
    return s < STAGES ? names[s] : "unknown";
}

static double usage_seconds(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

void usage_of_process(struct usage *u) {
    struct rusage r;
    *u = (struct usage){0};
    if (getrusage(RUSAGE_SELF, &r) == 0) {
        u->cpu_s = usage_seconds(r.ru_utime) + usage_seconds(r.ru_stime);
        u->peak_bytes = (uint64_t)r.ru_maxrss * 1024;
    }
}

void usage_add_laps(struct usage *u, const struct laps *l) {
    for (int s = 0; s < STAGES; s++) {
        u->stage_s[s] += (double)l->ns[s] * 1e-9;
    }
}

void usage_add(struct usage *into, const struct usage *from) {
    into->cpu_s += from->cpu_s;
    into->peak_bytes = from->peak_bytes > into->peak_bytes ? from->peak_bytes : into->peak_bytes;
    into->sent_bytes += from->sent_bytes;
    into->received_bytes += from->received_bytes;
    for (int s = 0; s < STAGES; s++) {
        into->stage_s[s] += from->stage_s[s];
    }
    latency_add(&into->latency, &from->latency);
    latency_add(&into->latency_cut, &from->latency_cut);
}

/* --- latency ---------------------------------------------------------------------------------- */

/* Below 4 us a bucket a microsecond; from there the two bits after the highest one choose among the
 * four of its octave. */
uint32_t latency_bucket(uint64_t us) {
    if (us < 4) {
        return (uint32_t)us;
    }
    const uint32_t octave = 63 - (uint32_t)__builtin_clzll(us);
    const uint32_t b = 4 * (octave - 1) + (uint32_t)(us >> (octave - 2) & 3);
    return b < LATENCY_BUCKETS ? b : LATENCY_BUCKETS - 1;
}

uint64_t latency_from_us(uint32_t bucket) {
    return bucket < 4 ? bucket : (uint64_t)(4 + bucket % 4) << (bucket / 4 - 1);
}

void latency_note(struct latency *l, uint64_t us) {
    l->count[latency_bucket(us)]++;
    l->max_us = us > l->max_us ? us : l->max_us;
}

void latency_add(struct latency *into, const struct latency *from) {
    for (uint32_t b = 0; b < LATENCY_BUCKETS; b++) {
        into->count[b] += from->count[b];
    }
    into->max_us = from->max_us > into->max_us ? from->max_us : into->max_us;
}

uint64_t latency_total(const struct latency *l) {
    uint64_t n = 0;
    for (uint32_t b = 0; b < LATENCY_BUCKETS; b++) {
        n += l->count[b];
    }
    return n;
}

uint64_t latency_quantile_us(const struct latency *l, double q) {
    const uint64_t total = latency_total(l);
    uint64_t below = 0;
    if (total == 0) {
        return 0;
    }
    for (uint32_t b = 0; b + 1 < LATENCY_BUCKETS; b++) {
        below += l->count[b];
        if ((double)below >= q * (double)total) {
            const uint64_t end = latency_from_us(b + 1);
            return end < l->max_us ? end : l->max_us;
        }
    }
    return l->max_us;
}
