/* attention.c - the transfer between two towers, a chunk of impressions at a time.
 *
 * The two vectors of an impression lie side by side, so that 2n rows go through K, Q and V in one
 * product each. The rest, two dot products and two mixtures of L an impression, is one pass over
 * the vectors.
 */
#include "attention.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"

static uint32_t width_of(const struct layout *l) {
    return l->hidden[l->layers - 1];
}

enum status attention_init(struct attention *t, const struct layout *layout,
                           const struct kernel *kernel, size_t rows) {
    *t = (struct attention){.layout = layout};
    const uint32_t width = width_of(layout);
    struct linear *linears[] = {&t->g, &t->k, &t->q, &t->v};
    float **vectors[] = {&t->u, &t->uk, &t->uq, &t->uv, &t->du, &t->dk, &t->dq, &t->z};
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) {
        TRY(linear_init(linears[i], kernel, width, width));
    }
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        TRY(mem_array(vectors[i], rows * ATTENTION_VECTORS * width));
    }
    return mem_array(&t->a, rows * ATTENTION_VECTORS);
}

void attention_fini(struct attention *t) {
    struct linear *linears[] = {&t->g, &t->k, &t->q, &t->v};
    float **vectors[] = {&t->u, &t->uk, &t->uq, &t->uv, &t->du, &t->dk, &t->dq, &t->z, &t->a};
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) {
        linear_fini(linears[i]);
    }
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        mem_free(vectors[i]);
    }
}

static uint64_t attention_at(const struct attention *t, enum layout_part part) {
    return layout_attention(t->layout, part)->offset;
}

void attention_load(struct attention *t, const float *dense, bool backward) {
    const size_t width = width_of(t->layout);
    t->dense = dense;
    linear_load(&t->g, (struct matrix){dense + attention_at(t, PART_G), width}, backward);
    linear_load(&t->k, (struct matrix){dense + attention_at(t, PART_K), width}, backward);
    linear_load(&t->q, (struct matrix){dense + attention_at(t, PART_Q), width}, backward);
    linear_load(&t->v, (struct matrix){dense + attention_at(t, PART_V), width}, backward);
}

static float attention_dot(const float *a, const float *b, uint32_t n) {
    float sum = 0.0f;
    for (uint32_t c = 0; c < n; c++) {
        sum += a[c] * b[c];
    }
    return sum;
}

/* --- forward ---------------------------------------------------------------------------------- */

/* Computes u of all impressions. relu lets NaN through, as the towers' does. */
static void gather(struct attention *t, const struct linear_work *work, const float *h,
                   uint32_t n) {
    const uint32_t width = width_of(t->layout);
    const size_t row = (size_t)ATTENTION_VECTORS * width;
    const float *bias = t->dense + attention_at(t, PART_BIAS);
    linear_forward(&t->g, work, (struct matrix){h, row}, n, false, t->u + width, row);
    for (uint32_t i = 0; i < n; i++) {
        float *own = t->u + i * row, *told = own + width;
        memcpy(own, h + i * row + width, width * sizeof *own);
        for (uint32_t c = 0; c < width; c++) {
            const float x = told[c] + bias[c];
            told[c] = x < 0.0f ? 0.0f : x;
        }
    }
}

/* Computes a and z of one impression; the softmax of two values is a sigmoid of their
 * difference. */
static void attend(const struct attention *t, const float *q1, size_t i) {
    const uint32_t width = width_of(t->layout);
    const size_t row = i * ATTENTION_VECTORS * width;
    const float *k = t->uk + row, *r = t->uq + row, *v = t->uv + row;
    const float gap = (attention_dot(k, r, width) - attention_dot(k + width, r + width, width)) /
                      sqrtf((float)width);
    const float e = expf(-fabsf(gap)), larger = 1.0f / (1.0f + e), smaller = e / (1.0f + e);
    float *a = t->a + i * ATTENTION_VECTORS, *z = t->z + row;
    a[0] = gap < 0.0f ? smaller : larger;
    a[1] = gap < 0.0f ? larger : smaller;
    memcpy(z, q1, width * sizeof *z);
    for (uint32_t c = 0; c < width; c++) {
        z[width + c] = a[0] * v[c] + a[1] * v[width + c];
    }
}

void attention_forward(struct attention *t, const struct linear_work *work, const float *h,
                       uint32_t n) {
    const uint32_t width = width_of(t->layout), rows = ATTENTION_VECTORS * n;
    const struct matrix u = {t->u, width};
    gather(t, work, h, n);
    linear_forward(&t->k, work, u, rows, false, t->uk, width);
    linear_forward(&t->q, work, u, rows, false, t->uq, width);
    linear_forward(&t->v, work, u, rows, false, t->uv, width);
    for (size_t i = 0; i < n; i++) {
        attend(t, h + i * ATTENTION_VECTORS * width, i);
    }
}

/* --- backward --------------------------------------------------------------------------------- */

/* Computes dk and dq of both vectors from dz2 of one impression. */
static void attend_backward(const struct attention *t, const float *dz2, size_t i) {
    const uint32_t width = width_of(t->layout);
    const size_t row = i * ATTENTION_VECTORS * width;
    const float *a = t->a + i * ATTENTION_VECTORS;
    const float da[] = {attention_dot(dz2, t->uv + row, width),
                        attention_dot(dz2, t->uv + row + width, width)};
    const float ds = a[0] * a[1] * (da[0] - da[1]) / sqrtf((float)width); /* the other: -ds */
    for (uint32_t c = 0; c < width; c++) {
        t->dk[row + c] = ds * t->uq[row + c];
        t->dq[row + c] = ds * t->uk[row + c];
        t->dk[row + width + c] = -ds * t->uq[row + width + c];
        t->dq[row + width + c] = -ds * t->uk[row + width + c];
    }
}

/* For one of K, Q, V: from dy [2n, L] the gradient of its weights, and du. The first call
 * overwrites du, the others add to it. */
static void attention_through(struct attention *t, const struct linear_work *work,
                              const struct linear *w, const float *dy, uint32_t n, float *dw,
                              bool first) {
    const uint32_t width = width_of(t->layout), rows = ATTENTION_VECTORS * n;
    const struct matrix d = {dy, width};
    linear_weight(w, work, d, (struct matrix){t->u, width}, rows, dw, width);
    linear_input(w, work, d, rows, !first, t->du, width);
}

static void values_backward(struct attention *t, const float *d, uint32_t n) {
    const uint32_t width = width_of(t->layout);
    for (size_t i = 0; i < n; i++) {
        const size_t row = i * ATTENTION_VECTORS * width;
        const float *a = t->a + i * ATTENTION_VECTORS, *dz2 = d + row + width;
        for (uint32_t c = 0; c < width; c++) {
            t->dk[row + c] = a[0] * dz2[c];
            t->dk[row + width + c] = a[1] * dz2[c];
        }
    }
}

/* From du: dq2, which replaces dz2, and through g a part that is added to dq1. */
static void attention_scatter(struct attention *t, const struct linear_work *work, const float *h,
                              uint32_t n, float *ddense, float *d) {
    const uint32_t width = width_of(t->layout);
    const size_t row = (size_t)ATTENTION_VECTORS * width;
    float *bias = ddense + attention_at(t, PART_BIAS);
    for (uint32_t i = 0; i < n; i++) {
        float *own = t->du + i * row, *told = own + width;
        memcpy(d + i * row + width, own, width * sizeof *d);
        for (uint32_t c = 0; c < width; c++) {
            told[c] = t->u[i * row + width + c] > 0.0f ? told[c] : 0.0f;
            bias[c] += told[c];
        }
    }
    const struct matrix dg = {t->du + width, row};
    linear_weight(&t->g, work, dg, (struct matrix){h, row}, n, ddense + attention_at(t, PART_G),
                  width);
    linear_input(&t->g, work, dg, n, true, d, row);
}

void attention_backward(struct attention *t, const struct linear_work *work, const float *h,
                        uint32_t n, float *ddense, float *d) {
    const uint32_t width = width_of(t->layout);
    for (size_t i = 0; i < n; i++) {
        attend_backward(t, d + i * ATTENTION_VECTORS * width + width, i);
    }
    attention_through(t, work, &t->k, t->dk, n, ddense + attention_at(t, PART_K), true);
    attention_through(t, work, &t->q, t->dq, n, ddense + attention_at(t, PART_Q), false);
    values_backward(t, d, n);
    attention_through(t, work, &t->v, t->dk, n, ddense + attention_at(t, PART_V), false);
    attention_scatter(t, work, h, n, ddense, d);
}
