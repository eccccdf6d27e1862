/* mix.c - gates and mixtures, one impression after the other.
 *
 * Experts and gates come out of the one first product of all towers, with its sharing of the user side;
 * what is left here is T S H1 multiplications an impression each way, a few hundredths of that product.
 */
#include "mix.h"

#include <math.h>
#include <string.h>

static void softmax(float *x, uint32_t n) {
    float top = x[0], sum = 0.0f;
    for (uint32_t j = 1; j < n; j++) {
        top = x[j] > top ? x[j] : top;
    }
    for (uint32_t j = 0; j < n; j++) {
        x[j] = expf(x[j] - top);
        sum += x[j];
    }
    for (uint32_t j = 0; j < n; j++) {
        x[j] /= sum;
    }
}

void mix_forward(const struct layout *l, float *first, uint32_t n, float *h) {
    const uint32_t width = l->hidden[0], choices = l->choices;
    memset(h, 0, (size_t)n * l->towers * width * sizeof *h);
    for (uint32_t i = 0; i < n; i++) {
        const float *expert = first + (size_t)i * l->first_width;
        float *gate = first + (size_t)i * l->first_width + (size_t)l->experts * width;
        for (uint32_t k = 0; k < l->towers; k++, gate += choices, h += width) {
            softmax(gate, choices);
            for (uint32_t j = 0; j < choices; j++) {
                const float *e = expert + (size_t)layout_expert(l, k, j) * width;
                for (uint32_t c = 0; c < width; c++) {
                    h[c] += gate[j] * e[c];
                }
            }
        }
    }
}

static float dot(const float *a, const float *b, uint32_t n) {
    float sum = 0.0f;
    for (uint32_t c = 0; c < n; c++) {
        sum += a[c] * b[c];
    }
    return sum;
}

void mix_backward(const struct layout *l, const float *first, const float *dh, uint32_t n,
                  float *dfirst) {
    const uint32_t width = l->hidden[0], choices = l->choices;
    memset(dfirst, 0, (size_t)n * l->first_width * sizeof *dfirst);
    for (uint32_t i = 0; i < n; i++) {
        const size_t row = (size_t)i * l->first_width, gates = (size_t)l->experts * width;
        for (uint32_t k = 0; k < l->towers; k++, dh += width) {
            const float *gate = first + row + gates + (size_t)k * choices;
            float *dgate = dfirst + row + gates + (size_t)k * choices, mean = 0.0f;
            for (uint32_t j = 0; j < choices; j++) {
                const size_t at = row + (size_t)layout_expert(l, k, j) * width;
                dgate[j] = dot(dh, first + at, width);
                mean += gate[j] * dgate[j];
                for (uint32_t c = 0; c < width; c++) {
                    dfirst[at + c] += gate[j] * dh[c];
                }
            }
            for (uint32_t j = 0; j < choices; j++) {
                dgate[j] = gate[j] * (dgate[j] - mean);
            }
        }
    }
}
