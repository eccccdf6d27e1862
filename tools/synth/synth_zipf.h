/* synth_zipf.h - draws from power laws, from a random word each. */
#pragma once

#include <stdint.h>
#include "common/base/status.h"

/* Zipf's law over n things, exact: the k-th most frequent has weight k^-skew. Which thing is the
 * k-th is a random permutation, so that ids do not tell popularity. Walker's alias method: a draw
 * reads one entry. 8 bytes a thing; reading is thread-safe. */
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
 * density x^-skew on [1, n + 1), rounded down, the ranks scattered over the ids by a fixed
 * bijection. skew >= 0, not 1. */
struct power_law {
    uint64_t n;
    uint64_t step; /* rank r is id r * step mod n; coprime with n */
    double span;   /* (n + 1)^(1 - skew) - 1 */
    double power;  /* 1 / (1 - skew) */
};
void power_law_init(struct power_law *p, uint64_t n, double skew); /* asserted; 0 < n < 2^32 */
uint64_t power_law_draw(const struct power_law *p, uint64_t word);
