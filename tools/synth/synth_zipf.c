#include "synth_zipf.h"

#include <assert.h>
#include <math.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

/* --- exact, with a table ---------------------------------------------------------------------- */

/* Uses Vose's construction. share[i] is n times the probability of thing i. Cells with less than 1
 * are filled up from cells with more. `work` holds both kinds: those with less from the front,
 * those with more from the back. */
static void build_alias(struct zipf *z, double *share, uint32_t *work) {
    uint32_t poor = 0, rich = z->n;
    for (uint32_t i = 0; i < z->n; i++) {
        if (share[i] < 1) {
            work[poor++] = i;
        } else {
            work[--rich] = i;
        }
    }
    while (poor > 0 && rich < z->n) {
        const uint32_t small = work[--poor], large = work[rich];
        z->cut[small] = (uint32_t)(share[small] * 0x1p32);
        z->alias[small] = large;
        share[large] -= 1 - share[small];
        if (share[large] < 1) {
            rich++;
            work[poor++] = large;
        }
    }
    while (poor > 0) { /* rounding leaves a few cells at 1 - epsilon: they keep their own thing */
        z->alias[work[poor - 1]] = work[poor - 1];
        poor--;
    }
    for (; rich < z->n; rich++) {
        z->alias[work[rich]] = work[rich];
    }
}

enum status zipf_init(struct zipf *z, uint32_t n, double skew, uint64_t seed, uint64_t stream) {
    double *share = NULL;
    uint32_t *work = NULL;
    enum status status = OK;
    double sum = 0;
    *z = (struct zipf){.n = n};
    TRY_OUT(mem_array(&z->cut, n));
    TRY_OUT(mem_array(&z->alias, n));
    TRY_OUT(mem_array(&share, n));
    TRY_OUT(mem_array(&work, n));
    rng_permutation(seed, 0, stream, work, n);
    for (uint32_t rank = 0; rank < n; rank++) {
        share[work[rank]] = pow(rank + 1.0, -skew);
        sum += share[work[rank]];
    }
    for (uint32_t i = 0; i < n; i++) {
        share[i] *= n / sum;
    }
    build_alias(z, share, work);
out:
    mem_free(&work);
    mem_free(&share);
    if (status != OK) {
        zipf_fini(z);
    }
    return status;
}

void zipf_fini(struct zipf *z) {
    mem_free(&z->cut);
    mem_free(&z->alias);
    z->n = 0;
}

/* The high half of word * n selects the cell. The low half, uniform and nearly independent of it,
 * selects the place within the cell. */
uint32_t zipf_draw(const struct zipf *z, uint64_t word) {
    const unsigned __int128 product = (unsigned __int128)word * z->n;
    const uint32_t cell = (uint32_t)(product >> 64), within = (uint32_t)((uint64_t)product >> 32);
    return within < z->cut[cell] ? cell : z->alias[cell];
}

/* --- approximate, without --------------------------------------------------------------------- */

static uint64_t common_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

void power_law_init(struct power_law *p, uint64_t n, double skew) {
    assert(n > 0 && n < (uint64_t)1 << 32 && skew >= 0 && skew != 1);
    *p = (struct power_law){.n = n,
                            .step = (uint64_t)(0.6180339887498949 * (double)n) | 1,
                            .span = pow((double)n + 1, 1 - skew) - 1,
                            .power = 1 / (1 - skew)};
    while (common_divisor(p->step, n) != 1) {
        p->step += 2;
    }
}

uint64_t power_law_draw(const struct power_law *p, uint64_t word) {
    const double u = (double)(word >> 11) * 0x1p-53;
    uint64_t rank = (uint64_t)pow(1 + u * p->span, p->power) - 1;
    rank = rank < p->n ? rank : p->n - 1; /* because of rounding at the upper end */
    return rank * p->step % p->n;
}
