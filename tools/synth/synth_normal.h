/* synth_normal.h - the normal distribution in one and two dimensions. Pure functions. */
#pragma once

#include <stdint.h>

#define PHI2_NODES_MAX 24u
#define PHI2_RHO_MAX   0.95 /* |rho| beyond: more nodes than these are needed */

/* P(E < x), E standard normal; relative accuracy holds far into the lower tail. */
double normal_phi(double x);

/* P(E1 < h, E2 < k) for standard normals with correlation rho, by
 *
 *     Phi(h) Phi(k) + 1/(2 pi) int_0^asin(rho) exp(-(h^2 - 2 h k sin t + k^2) / (2 cos^2 t)) dt
 *
 * (Plackett 1954; Drezner and Wesolowsky 1990, with Genz's substitution rho = sin t) and
 * Gauss-Legendre nodes, which depend on rho alone and are therefore made once. With 24 nodes the
 * absolute error is below 1e-11 for |rho| <= 0.95. */
struct phi2 {
    double rho;
    uint32_t nodes;
    double weight[PHI2_NODES_MAX]; /* of the integral, 1/(2 pi) included */
    double cross[PHI2_NODES_MAX];  /* exponent = cross * h * k - square * (h^2 + k^2) */
    double square[PHI2_NODES_MAX];
};
/* |rho| <= PHI2_RHO_MAX, nodes 1..PHI2_NODES_MAX: asserted. */
void phi2_init(struct phi2 *p, double rho, uint32_t nodes);
/* h and k finite. At least what the margins allow: max(0, Phi(h)+Phi(k)-1) <= . <= min(Phi). */
double phi2(const struct phi2 *p, double h, double k);
