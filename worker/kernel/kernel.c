#include "kernel.h"

#include <stdio.h>

#include "blas.h"
#include "common/base/log.h"

enum status kernel_choose(enum kernel_choice choice, enum precision precision,
                          struct kernel_set have, const struct kernel **kernel) {
    *kernel = precision == PRECISION_BF16 && have.bf16 != NULL ? have.bf16 : have.f32;
    if (choice == KERNEL_AVX512 && *kernel == NULL) {
        return fail(ERR_CONFIG,
                    "compute.kernel is avx512, which this CPU or this build lacks; here is: "
                    "blas; auto takes the best there is");
    }
    if (choice == KERNEL_BLAS) {
        *kernel = NULL;
    }
    return *kernel == NULL ? blas_ready() : OK;
}

enum status kernel_find(enum kernel_choice choice, enum precision precision,
                        const struct kernel **kernel) {
    return kernel_choose(choice, precision, (struct kernel_set){kernel_f32(), kernel_bf16()},
                         kernel);
}

void kernel_describe(const struct kernel *kernel, char out[KERNEL_NAME_MAX]) {
    if (kernel == NULL) {
        snprintf(out, KERNEL_NAME_MAX, "float32, OpenBLAS for %s", blas_core());
    } else {
        snprintf(out, KERNEL_NAME_MAX, "%s", kernel->name);
    }
}

void kernel_log(const struct kernel *kernel, enum kernel_choice choice, enum precision precision) {
    char name[KERNEL_NAME_MAX];
    kernel_describe(kernel, name);
    if (precision == PRECISION_F32 || (kernel != NULL && kernel == kernel_bf16())) {
        log_info("matrix products: %s", name);
    } else {
        log_warn("matrix products: %s, for compute.precision=bf16 %s", name,
                 choice == KERNEL_BLAS ? "needs compute.kernel=auto"
                                       : "needs a CPU with AVX512_BF16 and a build that knows it");
    }
}
