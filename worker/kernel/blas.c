#include "blas.h"

#include <cblas.h>

enum status blas_ready(void) {
    const int build = openblas_get_parallel();
    if (build != OPENBLAS_THREAD) {
        return fail(
            ERR_CONFIG,
            "the %s build of OpenBLAS is loaded, whose products %s: let libopenblas.so.0 be the "
            "pthread build (package libopenblas0-pthread; update-alternatives, "
            "LD_LIBRARY_PATH, LD_PRELOAD), or choose another compute.kernel",
            build == OPENBLAS_OPENMP ? "OpenMP" : "serial",
            build == OPENBLAS_OPENMP ? "depend on the number of its threads"
                                     : "may be wrong when several threads call it");
    }
    if (openblas_get_num_threads() != 1) {
        openblas_set_num_threads(1);
    }
    return OK;
}

const char *blas_core(void) {
    return openblas_get_corename();
}

void blas_multiply(struct blas_operand a, struct blas_operand b, uint32_t m, uint32_t n, uint32_t k,
                   bool add, float *c, size_t stride) {
    cblas_sgemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
                b.transposed ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                a.at, (blasint)a.stride, b.at, (blasint)b.stride, add ? 1.0f : 0.0f, c,
                (blasint)stride);
}
