#include "kernel.h"

#include <stdio.h>

#include "blas.h"
#include "common/base/log.h"

/* Their names in compute.kernel, in the order of the enum. */
static const char *const words[] = {"auto", "blas", "avx2", "avx512", "neon", "amx"};

struct kernel_set kernel_here(void) {
    return (struct kernel_set){kernel_avx2(), kernel_avx512(), kernel_avx512_bf16(), kernel_neon(),
                               kernel_amx()};
}

static const struct kernel *best_f32(struct kernel_set have) {
    return have.avx512 != NULL ? have.avx512 : have.avx2 != NULL ? have.avx2 : have.neon;
}

const struct kernel *kernel_f32(void) {
    return best_f32(kernel_here());
}

const struct kernel *kernel_bf16(void) {
    return kernel_here().avx512_bf16;
}

/* What `have` has for a choice; NULL: OpenBLAS, or that it is missing. */
static const struct kernel *kernel_of(enum kernel_choice choice, enum precision precision,
                                      struct kernel_set have) {
    const struct kernel *bf16 = precision == PRECISION_BF16 ? have.avx512_bf16 : NULL;
    switch (choice) {
    case KERNEL_AUTO: return bf16 != NULL ? bf16 : best_f32(have);
    case KERNEL_AVX2: return have.avx2;
    case KERNEL_AVX512: return bf16 != NULL ? bf16 : have.avx512;
    case KERNEL_NEON: return have.neon;
    case KERNEL_AMX: return have.amx;
    case KERNEL_BLAS: break;
    }
    return NULL;
}

static enum status fail_missing(enum kernel_choice choice, struct kernel_set have) {
    return fail(ERR_CONFIG,
                "compute.kernel is %s, which this CPU or this build lacks; here is: blas%s%s%s%s; "
                "auto takes the best there is",
                words[choice], have.avx2 != NULL ? ", avx2" : "",
                have.avx512 != NULL ? ", avx512" : "", have.neon != NULL ? ", neon" : "",
                have.amx != NULL ? ", amx" : "");
}

enum status kernel_choose(enum kernel_choice choice, enum precision precision,
                          struct kernel_set have, const struct kernel **kernel) {
    *kernel = kernel_of(choice, precision, have);
    if (choice == KERNEL_AMX && precision != PRECISION_BF16) {
        return fail(ERR_CONFIG, "compute.kernel is amx, which multiplies bf16 only: it needs "
                                "compute.precision=bf16");
    }
    if (*kernel == NULL && choice != KERNEL_AUTO && choice != KERNEL_BLAS) {
        return fail_missing(choice, have);
    }
    return *kernel == NULL ? blas_ready() : OK;
}

enum status kernel_find(enum kernel_choice choice, enum precision precision,
                        const struct kernel **kernel) {
    return kernel_choose(choice, precision, kernel_here(), kernel);
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
    if (precision == PRECISION_F32 || (kernel != NULL && kernel->cell_depth == 2)) {
        log_info("matrix products: %s", name);
    } else {
        log_warn("matrix products: %s, for compute.precision=bf16 %s", name,
                 choice == KERNEL_AUTO || choice == KERNEL_AVX512
                     ? "needs a CPU with AVX512_BF16 and a build that knows it"
                     : "needs compute.kernel=auto");
    }
}
