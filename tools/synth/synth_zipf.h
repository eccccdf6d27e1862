/* synth_zipf.h - draws from power laws; each draw uses one random word. */
#pragma once

#include <stdint.h>
#include "common/base/status.h"

/* Zipf's law over n things, exact: the k-th most frequent thing has weight k^-skew. A random
 * permutation decides which thing is the k-th, so that ids do not reveal popularity. It uses
 * Walker's alias method: a draw reads one entry. It needs 8 bytes per thing; reading is
 * thread-safe. */
struct zipf {
    uint32_t n;
    uint32_t *cut;   /* thing i keeps its own cell below cut[i] / 2^32 ... */
    uint32_t *alias; /* ... and gives the rest to this one */
};
/* The permutation depends on (seed, stream) alone. skew >= 0, n > 0. ERR_MEMORY. */
enum status zipf_init(struct zipf *z, uint32_t n, double skew, uint64_t seed, uint64_t stream);
void zipf_fini(struct zipf *z); /* safe on a zeroed struct */
uint32_t zipf_draw(const struct zipf *z, uint64_t word);

/* A power law over 0..n-1 without a table, for vocabularies of millions: the continuous law of
 * density x^-skew on [1, n + 1), rounded down. A fixed bijection scatters the ranks over the ids.
 * skew >= 0, not 1. */
struct power_law {
    uint64_t n;
    uint64_t step; /* rank r is id r * step mod n; coprime with n */
    double span;   /* (n + 1)^(1 - skew) - 1 */
    double power;  /* 1 / (1 - skew) */
};
void power_law_init(struct power_law *p, uint64_t n, double skew); /* asserted; 0 < n < 2^32 */
uint64_t power_law_draw(const struct power_law *p, uint64_t word);
