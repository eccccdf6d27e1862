/* blas.h - the only way to OpenBLAS: no other file includes its header or calls it.
 *
 * Many threads call products at once; each must use one core and get the same bits every time. Only
 * some builds of OpenBLAS allow that. Debian has three builds, all with one file name
 * (libopenblas.so.0):
 *
 *   pthread   locks its store of work buffers. With its own threads set to one it is right from
 *             any thread.
 *   openmp    keeps its number of threads per calling thread: a thread that starts later has
 *             all cores again, and sums of another order.
 *   serial    has no locks: two threads may be given one work buffer. Their products are wrong
 *             then, seldom and without an error.
 *
 * The machine chooses the build when the program starts (alternatives, LD_LIBRARY_PATH,
 * LD_PRELOAD). It is not known when the program is compiled, so blas_ready asks the library that is
 * loaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* Call this before the first product: it checks the build and sets OpenBLAS's own threads to one,
 * whatever the environment says. Any thread may call it, and often. ERR_CONFIG: this build may not
 * be called by many threads. */
enum status blas_ready(void);

/* The CPU that its kernels are made for, e.g. "Haswell"; a static text. OPENBLAS_CORETYPE in the
 * environment decides. */
const char *blas_core(void);

/* A matrix in rows of `stride` floats; `transposed`: the operand is its transpose. */
struct blas_operand {
    const float *at;
    size_t stride;
    bool transposed;
};

/* c [m, n] = a b, or c += a b with `add`; a stands for [m, k], b for [k, n]. Widths may be 0. */
void blas_multiply(struct blas_operand a, struct blas_operand b, uint32_t m, uint32_t n, uint32_t k,
                   bool add, float *c, size_t stride);
