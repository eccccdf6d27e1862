/* blas.h - the one door to OpenBLAS: no other file includes its header or calls it.
 *
 * Products are called by many threads at once, and each wants one core and the same bits every
 * time. That takes an OpenBLAS made for it. Debian has three, and one file name (libopenblas.so.0)
 * for all:
 *
 *   pthread   locks its store of work buffers. With its own threads set to one it is right from
 *             any thread.
 *   openmp    keeps its number of threads per calling thread: a thread that starts later has
 *             all cores again, and sums of another order.
 *   serial    has no locks: two threads may be given one work buffer. Their products are wrong
 *             then, seldom and without an error.
 *
 * Which of them the loader takes is the machine's choice at the moment the program starts
 * (alternatives, LD_LIBRARY_PATH, LD_PRELOAD), so the build cannot know; blas_ready asks the one
 * that is there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* Before the first product: checks the build, and sets its own threads to one, whatever the
 * environment says. May be called often and by any thread. ERR_CONFIG: a build that many threads
 * may not call. */
enum status blas_ready(void);

/* What its kernels are for, e.g. "Haswell"; a static text. OPENBLAS_CORETYPE in the environment
 * decides. */
const char *blas_core(void);

/* A matrix in rows of `stride` floats; `transposed`: its columns are the operand's rows. */
struct blas_operand {
    const float *at;
    size_t stride;
    bool transposed;
};

/* c [m, n] = a b, or c += a b with `add`; a stands for [m, k], b for [k, n]. Widths may be 0. */
void blas_multiply(struct blas_operand a, struct blas_operand b, uint32_t m, uint32_t n, uint32_t k,
                   bool add, float *c, size_t stride);
