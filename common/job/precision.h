/* precision.h - how numbers are sent and how they are multiplied. */
#pragma once

enum value_type { VALUE_F32, VALUE_BF16 };        /* how rows and gradients are sent */
enum precision { PRECISION_F32, PRECISION_BF16 }; /* of the operands of matrix products */
/* What multiplies matrices. */
enum kernel_choice {
    KERNEL_AUTO,
    KERNEL_BLAS,
    KERNEL_AVX2,
    KERNEL_AVX512,
    KERNEL_NEON,
    KERNEL_AMX
};
