/* synth_normal.h - the normal distribution in one and two dimensions. Pure functions. */
#pragma once

#include <stdint.h>

#define PHI2_NODES_MAX 24u
#define PHI2_RHO_MAX   0.95 /* a larger |rho| needs more nodes */

/* P(E < x), E standard normal; relative accuracy holds far into the lower tail. */
double normal_phi(double x);

/* P(E1 < h, E2 < k) for standard normals with correlation rho, computed as
 *
 *     Phi(h) Phi(k) + 1/(2 pi) int_0^asin(rho) exp(-(h^2 - 2 h k sin t + k^2) / (2 cos^2 t)) dt
 *
 * (Plackett 1954; Drezner and Wesolowsky 1990, with Genz's substitution rho = sin t) with
 * Gauss-Legendre nodes. The nodes depend on rho alone, so they are computed once. With 24 nodes the
 * absolute error is below 1e-11 for |rho| <= 0.95. */
struct phi2 {
    double rho;
    uint32_t nodes;
    double weight[PHI2_NODES_MAX]; /* of the integral, 1/(2 pi) included */
    double cross[PHI2_NODES_MAX];  /* exponent = cross * h * k - square * (h^2 + k^2) */
    double square[PHI2_NODES_MAX];
};
/* Asserts |rho| <= PHI2_RHO_MAX and nodes in 1..PHI2_NODES_MAX. */
void phi2_init(struct phi2 *p, double rho, uint32_t nodes);
/* h and k must be finite. The result is kept within the margins' bounds: max(0, Phi(h)+Phi(k)-1) <=
 * . <= min(Phi). */
double phi2(const struct phi2 *p, double h, double k);
