#include "synth_normal.h"

#include <assert.h>
#include <math.h>

#define PI 3.14159265358979323846

double normal_phi(double x) {
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

/* Computes node i of n on [-1, 1], a root of the Legendre polynomial P_n, by Newton's method from
 * Tricomi's guess; and its weight, 2 / ((1 - x^2) P_n'(x)^2). */
static void legendre_node(uint32_t i, uint32_t n, double *node, double *weight) {
    double x = cos(PI * (i + 0.75) / (n + 0.5)), slope = 1;
    for (int step = 0; step < 100; step++) {
        double p = 1, before = 0;
        for (uint32_t k = 1; k <= n; k++) {
            const double next = ((2.0 * k - 1) * x * p - (k - 1.0) * before) / k;
            before = p;
            p = next;
        }
        slope = n * (x * p - before) / (x * x - 1);
        const double move = p / slope;
        x -= move;
        if (fabs(move) < 1e-15) {
            break;
        }
    }
    *node = x;
    *weight = 2 / ((1 - x * x) * slope * slope);
}

void phi2_init(struct phi2 *p, double rho, uint32_t nodes) {
    assert(fabs(rho) <= PHI2_RHO_MAX && nodes >= 1 && nodes <= PHI2_NODES_MAX);
    *p = (struct phi2){.rho = rho, .nodes = rho == 0 ? 0 : nodes};
    const double half = 0.5 * asin(rho);
    for (uint32_t i = 0; i < p->nodes; i++) {
        double node, weight;
        legendre_node(i, nodes, &node, &weight);
        const double sine = sin(half * (node + 1)), cosine2 = 1 - sine * sine;
        p->weight[i] = weight * half / (2 * PI);
        p->cross[i] = sine / cosine2;
        p->square[i] = 0.5 / cosine2;
    }
}

double phi2(const struct phi2 *p, double h, double k) {
    const double a = normal_phi(h), b = normal_phi(k), hk = h * k, hh = h * h + k * k;
    double sum = a * b;
    for (uint32_t i = 0; i < p->nodes; i++) {
        sum += p->weight[i] * exp(p->cross[i] * hk - p->square[i] * hh);
    }
    return fmax(fmax(0, a + b - 1), fmin(sum, fmin(a, b)));
}
