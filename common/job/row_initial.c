/* row_initial.c - normal values without libm.
 *
 * A row's initial value is computed often: at every pull of a feature that has no row yet. So
 * row_initial does not call libm: it makes normals in pairs (Box-Muller) with polynomials for log,
 * sin and cos, in loops without branches, which the compiler vectorises. This also makes rows equal
 * on every machine; libm chooses its code by the processor and does not promise that. Absolute
 * errors are below 1e-6 of a standard deviation.
 */
#include "row_initial.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include "common/base/rng.h"
#include "table_config.h"

#define ROW_PAIRS_MAX (DIM_MAX / 2)

/* ln(u) for u in (0, 1]: u = m 2^e with m in [sqrt(1/2), sqrt(2)), and
 * ln(m) = 2 (t + t^3/3 + t^5/5 + ...), t = (m - 1) / (m + 1). */
static inline float natural_log(float u) {
    uint32_t bits;
    float m;
    memcpy(&bits, &u, sizeof bits);
    const uint32_t shifted = bits - 0x3f3504f3u; /* sqrt(1/2) becomes the start of a binade */
    const int32_t e = (int32_t)shifted >> 23;
    bits = (shifted & 0x007fffffu) + 0x3f3504f3u;
    memcpy(&m, &bits, sizeof m);
    const float t = (m - 1.0f) / (m + 1.0f), s = t * t;
    const float series =
        1.0f + s * (0.333333333f + s * (0.2f + s * (0.142857143f + s * 0.111111111f)));
    return (float)e * 0.693147181f + 2.0f * t * series;
}

/* sin and cos of 2 pi u for u in [0, 1): the nearest quarter turn, then Taylor on +-pi/4. */
static inline void sin_cos_turns(float u, float *sine, float *cosine) {
    const int32_t quarter = (int32_t)(u * 4.0f + 0.5f);
    const float x = (u - 0.25f * (float)quarter) * 6.28318531f, s = x * x;
    const float a =
        x * (1.0f - s * (1.66666667e-1f -
                         s * (8.33333333e-3f - s * (1.98412698e-4f - s * 2.75573192e-6f))));
    const float b =
        1.0f - s * (0.5f - s * (4.16666667e-2f - s * (1.38888889e-3f - s * 2.48015873e-5f)));
    const float si = (quarter & 1) != 0 ? b : a, co = (quarter & 1) != 0 ? a : b;
    *sine = (quarter & 2) != 0 ? -si : si;
    *cosine = ((quarter + 1) & 2) != 0 ? -co : co;
}

void row_initial(uint64_t seed, uint64_t key_hash, float scale, uint32_t dim, float *out) {
    float u[ROW_PAIRS_MAX], v[ROW_PAIRS_MAX], even[ROW_PAIRS_MAX], odd[ROW_PAIRS_MAX];
    const uint32_t pairs = (dim + 1) / 2;
    const uint64_t stream = rng_mix(rng_mix(seed) ^ key_hash);
    assert(pairs <= ROW_PAIRS_MAX);
    for (uint32_t i = 0; i < pairs; i++) {
        const uint64_t word = rng_mix(stream ^ i);
        u[i] = ((float)(int32_t)(word >> 40) + 0.5f) * 0x1p-24f;
        v[i] = (float)(int32_t)(word & 0xffffff) * 0x1p-24f;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        const float radius = scale * sqrtf(-2.0f * natural_log(u[i]));
        float sine, cosine;
        sin_cos_turns(v[i], &sine, &cosine);
        even[i] = radius * cosine;
        odd[i] = radius * sine;
    }
    for (uint32_t i = 0; i < dim; i++) {
        out[i] = i % 2 == 0 ? even[i / 2] : odd[i / 2];
    }
}
