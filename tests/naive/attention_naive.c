/* attention_naive.c - the oracle of attention.c: one impression and one multiplication at a time,
 * in double. The softmax is computed as it is written, its Jacobian term by term.
 */
#include "attention_naive.h"

#include "linear_naive.h"

#include <math.h>

/* Per vector: u, k, r, v and the gradients of all four. */
struct vectors {
    double *u[ATTENTION_VECTORS], *y[3][ATTENTION_VECTORS]; /* y: outputs of K, Q, V */
    double *du[ATTENTION_VECTORS], *dy[3][ATTENTION_VECTORS];
    double a[ATTENTION_VECTORS];
};
static const enum layout_part parts[3] = {PART_K, PART_Q, PART_V};

static uint32_t width_of(const struct layout *l) {
    return l->hidden[l->layers - 1];
}

size_t attention_naive_doubles(const struct layout *l) {
    return l->attention ? (size_t)ATTENTION_VECTORS * 8 * width_of(l) : 0;
}

static void lay(struct vectors *s, uint32_t width, double *room) {
    for (uint32_t i = 0; i < ATTENTION_VECTORS; i++, room += 8 * (size_t)width) {
        s->u[i] = room;
        s->du[i] = room + width;
        for (uint32_t k = 0; k < 3; k++) {
            s->y[k][i] = room + (2 + k) * (size_t)width;
            s->dy[k][i] = room + (5 + k) * (size_t)width;
        }
    }
}

static double operand(enum precision precision, double x) {
    return precision == PRECISION_BF16 ? (double)linear_naive_round(precision, x) : x;
}

static void product(enum precision precision, const float *w, const double *x, uint32_t width,
                    double *y) {
    for (uint32_t o = 0; o < width; o++) {
        for (uint32_t c = 0; c < width; c++) {
            y[o] += operand(precision, (double)w[(size_t)o * width + c]) * operand(precision, x[c]);
        }
    }
}

/* Adds to dw and dx. */
static void product_backward(enum precision precision, const float *w, const double *x,
                             const double *dy, uint32_t width, double *dw, double *dx) {
    for (uint32_t o = 0; o < width; o++) {
        for (uint32_t c = 0; c < width; c++) {
            const size_t i = (size_t)o * width + c;
            dw[i] += operand(precision, dy[o]) * operand(precision, x[c]);
            dx[c] += operand(precision, dy[o]) * operand(precision, (double)w[i]);
        }
    }
}

/* Computes u, y and a. */
static void attend(const struct layout *l, enum precision precision, const float *dense,
                   const double *h, struct vectors *s) {
    const uint32_t width = width_of(l);
    double sum = 0.0;
    for (uint32_t c = 0; c < width; c++) {
        s->u[0][c] = h[width + c];
        s->u[1][c] = (double)dense[layout_attention(l, PART_BIAS)->offset + c];
    }
    product(precision, dense + layout_attention(l, PART_G)->offset, h, width, s->u[1]);
    for (uint32_t c = 0; c < width; c++) {
        s->u[1][c] = fmax(s->u[1][c], 0.0);
    }
    for (uint32_t i = 0; i < ATTENTION_VECTORS; i++) {
        double score = 0.0;
        for (uint32_t k = 0; k < 3; k++) {
            for (uint32_t c = 0; c < width; c++) {
                s->y[k][i][c] = 0.0;
            }
            product(precision, dense + layout_attention(l, parts[k])->offset, s->u[i], width,
                    s->y[k][i]);
        }
        for (uint32_t c = 0; c < width; c++) {
            score += s->y[0][i][c] * s->y[1][i][c];
        }
        s->a[i] = exp(score / sqrt(width));
        sum += s->a[i];
    }
    for (uint32_t i = 0; i < ATTENTION_VECTORS; i++) {
        s->a[i] /= sum;
    }
}

void attention_naive_forward(const struct layout *l, enum precision precision, const float *dense,
                             const double *h, double *room, double *z) {
    const uint32_t width = width_of(l);
    struct vectors s;
    lay(&s, width, room);
    attend(l, precision, dense, h, &s);
    for (uint32_t c = 0; c < width; c++) {
        z[c] = h[c];
        z[width + c] = s.a[0] * s.y[2][0][c] + s.a[1] * s.y[2][1][c];
    }
}

/* Computes dy of vector i from dz2. */
static void attend_backward(const struct vectors *s, uint32_t i, uint32_t width,
                            const double *dz2) {
    double score = 0.0;
    for (uint32_t j = 0; j < ATTENTION_VECTORS; j++) {
        double da = 0.0;
        for (uint32_t c = 0; c < width; c++) {
            da += dz2[c] * s->y[2][j][c];
        }
        score += da * s->a[j] * ((i == j ? 1.0 : 0.0) - s->a[i]);
    }
    for (uint32_t c = 0; c < width; c++) {
        s->dy[0][i][c] = score / sqrt(width) * s->y[1][i][c];
        s->dy[1][i][c] = score / sqrt(width) * s->y[0][i][c];
        s->dy[2][i][c] = s->a[i] * dz2[c];
    }
}

void attention_naive_backward(const struct layout *l, enum precision precision, const float *dense,
                              const double *h, const double *dz, double *room, double *ddense,
                              double *dh) {
    const uint32_t width = width_of(l);
    struct vectors s;
    lay(&s, width, room);
    attend(l, precision, dense, h, &s);
    for (uint32_t i = 0; i < ATTENTION_VECTORS; i++) {
        attend_backward(&s, i, width, dz + width);
        for (uint32_t c = 0; c < width; c++) {
            s.du[i][c] = 0.0;
        }
        for (uint32_t k = 0; k < 3; k++) {
            const uint64_t w = layout_attention(l, parts[k])->offset;
            product_backward(precision, dense + w, s.u[i], s.dy[k][i], width, ddense + w, s.du[i]);
        }
    }
    for (uint32_t c = 0; c < width; c++) {
        s.du[1][c] = s.u[1][c] > 0.0 ? s.du[1][c] : 0.0;
        ddense[layout_attention(l, PART_BIAS)->offset + c] += s.du[1][c];
        dh[c] = dz[c];
        dh[width + c] = s.du[0][c];
    }
    const uint64_t g = layout_attention(l, PART_G)->offset;
    product_backward(precision, dense + g, h, s.du[1], width, ddense + g, dh);
}
