/* expert_mix.c - gates and mixtures, one impression after the other.
 *
 * Experts and gates come out of products; those of the first level come out of one product, which
 * shares the user side. What is left here is T S H1 multiplications an impression each way, a few
 * hundredths of that product.
 */
#include "expert_mix.h"

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

/* Computes h of one strand of one impression; `experts` points to the outputs of the first
 * expert. */
static void mix(const struct layout *l, uint32_t strand, const float *experts, float *gate,
                float *h) {
    const uint32_t width = l->hidden[0], choices = layout_choices(l, strand);
    softmax(gate, choices);
    memset(h, 0, width * sizeof *h);
    for (uint32_t j = 0; j < choices; j++) {
        const float *e = experts + (size_t)layout_expert(l, strand, j) * width;
        for (uint32_t c = 0; c < width; c++) {
            h[c] += gate[j] * e[c];
        }
    }
}

void expert_mix_forward(const struct layout *l, uint32_t level, float *out, uint32_t n, float *h) {
    const uint32_t gates = layout_gates(l, level);
    for (uint32_t i = 0; i < n; i++, out += layout_level_width(l, level)) {
        float *gate = out + (size_t)l->experts * l->hidden[0];
        for (uint32_t k = 0; k < gates; k++, h += l->hidden[0]) {
            mix(l, k, out, gate, h);
            gate += layout_choices(l, k);
        }
    }
}

static float mix_dot(const float *a, const float *b, uint32_t n) {
    float sum = 0.0f;
    for (uint32_t c = 0; c < n; c++) {
        sum += a[c] * b[c];
    }
    return sum;
}

/* For one strand of one impression: adds to dexperts and sets dgate. */
static void unmix(const struct layout *l, uint32_t strand, const float *experts, const float *gate,
                  const float *dh, float *dexperts, float *dgate) {
    const uint32_t width = l->hidden[0], choices = layout_choices(l, strand);
    float mean = 0.0f;
    for (uint32_t j = 0; j < choices; j++) {
        const size_t at = (size_t)layout_expert(l, strand, j) * width;
        dgate[j] = mix_dot(dh, experts + at, width);
        mean += gate[j] * dgate[j];
        for (uint32_t c = 0; c < width; c++) {
            dexperts[at + c] += gate[j] * dh[c];
        }
    }
    for (uint32_t j = 0; j < choices; j++) {
        dgate[j] = gate[j] * (dgate[j] - mean);
    }
}

void expert_mix_backward(const struct layout *l, uint32_t level, const float *out, const float *dh,
                         uint32_t n, float *dout) {
    const size_t width = layout_level_width(l, level), experts = (size_t)l->experts * l->hidden[0];
    const uint32_t gates = layout_gates(l, level);
    memset(dout, 0, n * width * sizeof *dout);
    for (uint32_t i = 0; i < n; i++, out += width, dout += width) {
        size_t gate = experts;
        for (uint32_t k = 0; k < gates; k++, dh += l->hidden[0]) {
            unmix(l, k, out, out + gate, dh, dout, dout + gate);
            gate += layout_choices(l, k);
        }
    }
}
