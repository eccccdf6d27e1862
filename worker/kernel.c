#include "kernel.h"

#include "common/log.h"

const struct kernel *kernel_find(enum kernel_choice choice, enum precision precision) {
    if (choice == KERNEL_BLAS) {
        return NULL;
    }
    const struct kernel *bf16 = precision == PRECISION_BF16 ? kernel_bf16() : NULL;
    return bf16 != NULL ? bf16 : kernel_f32();
}

void kernel_log(enum kernel_choice choice, enum precision precision) {
    const struct kernel *kernel = kernel_find(choice, precision);
    const char *name = kernel == NULL ? "float32, OpenBLAS" : kernel->name;
    if (precision == PRECISION_F32 || (kernel != NULL && kernel == kernel_bf16())) {
        log_info("matrix products: %s", name);
    } else {
        log_warn("matrix products: %s, for compute.precision=bf16 %s", name,
                 choice == KERNEL_BLAS ? "needs compute.kernel=auto"
                                       : "needs a CPU with AVX512_BF16 and a build that knows it");
    }
}
