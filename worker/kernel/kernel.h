/* kernel.h - the inner loop of a matrix product, in the fastest form that this CPU has.
 *
 *     c [m, n] (+)= left [m, k] right [k, n]           float results, float32 accumulation
 *
 * Both operands are made of 32-bit cells: one float, or a pair of bf16 that are neighbours in k
 * (what one lane of vdpbf16ps multiplies). K = k / cell_depth, rounded up, is the number of cells
 * that cover k.
 *
 *     right: panels of the kernel's width, each [K, columns] cells in one piece, so that the inner
 *            loop reads memory in order; made by `pack` or `pack_transposed`
 *     left:  rows in strips, of which the kernel multiplies one at a time; cell (i, k) of the strip
 *            that begins with row s is cell[s * next + (i - s) * row + k * step]. A matrix where it
 *            lies, or a copy in the caller's scratch; made by `left` or `left_transposed`
 *
 * A row of c depends only on its own row of `left`, and sums run over k in order, so the bits do
 * not depend on m. Rounding to bf16 is to the nearest, ties to even; subnormal operands count as
 * zero; NaN stays NaN. The padded half of a pair is zero. Nothing allocates, blocks or keeps state.
 */
#pragma once

#include <stddef.h>

#include <stdbool.h>
#include <stdint.h>
#include "common/job/precision.h"

struct matrix {
    const float *at;
    size_t stride; /* floats from row to row */
};

struct kernel_left {
    const void *cell;
    size_t row, step; /* in cells; step 0: as many as the strip has rows */
    size_t next;      /* for each row of the strips before */
};

struct kernel {
    const char *name;
    uint32_t columns;    /* of a right panel */
    uint32_t cell_depth; /* 1: float32, 2: pairs of bf16 */
    /* right = x [k, n], or w^T of w [n, k]; both have kernel_right_cells(k, n) cells. */
    void (*pack)(struct matrix x, uint32_t k, uint32_t n, void *right);
    void (*pack_transposed)(struct matrix w, uint32_t k, uint32_t n, void *right);
    /* Cells of scratch that suffice to make a left operand of any matrix of at most rows x columns,
     * or of its transpose. */
    size_t (*left_cells)(uint32_t rows, uint32_t columns);
    /* left = x [m, k], or x^T of x [k, m]; scratch has left_cells(x's shape) cells. */
    struct kernel_left (*left)(struct matrix x, uint32_t m, uint32_t k, void *scratch);
    struct kernel_left (*left_transposed)(struct matrix x, uint32_t m, uint32_t k, void *scratch);
    /* c = the product; with `add` c += the product. */
    void (*multiply)(struct kernel_left left, const void *right, uint32_t m, uint32_t n, uint32_t k,
                     bool add, float *c, size_t stride);
};

/* The number of cells of `right`, in whole panels. */
static inline size_t kernel_right_cells(const struct kernel *kernel, uint32_t k, uint32_t n) {
    size_t panels = ((size_t)n + kernel->columns - 1) / kernel->columns;
    size_t depth = ((size_t)k + kernel->cell_depth - 1) / kernel->cell_depth;
    return panels * depth * kernel->columns;
}

/* Each kernel, or NULL if the build or the CPU lacks its instructions. */
const struct kernel *kernel_avx2(void);
const struct kernel *kernel_avx512(void);
const struct kernel *kernel_avx512_bf16(void);
const struct kernel *kernel_neon(void);
const struct kernel *kernel_amx(void);

/* The kernels that a machine has; NULL: it lacks that one. OpenBLAS is everywhere. */
struct kernel_set {
    const struct kernel *avx2, *avx512, *avx512_bf16, *neon, *amx;
};
struct kernel_set kernel_here(void);

/* Those that the choice auto takes here for each precision; NULL: none. */
const struct kernel *kernel_f32(void);
const struct kernel *kernel_bf16(void);

/* Finds the kernel for a choice and a precision; NULL stands for OpenBLAS. If bf16 is wanted but
 * missing, the result is a float32 kernel. The choice auto takes the best kernel in `have`: that
 * with the widest vectors, and never amx, which no hardware has tested. Any other choice gives that
 * kernel or ERR_CONFIG, whose text names the kernels there are; amx multiplies bf16 only.
 * ERR_CONFIG also if the result is an OpenBLAS that cannot be used (blas_ready). */
enum status kernel_choose(enum kernel_choice choice, enum precision precision,
                          struct kernel_set have, const struct kernel **kernel);
/* The same with what this machine has. */
enum status kernel_find(enum kernel_choice choice, enum precision precision,
                        const struct kernel **kernel);

#define KERNEL_NAME_MAX 64
/* Describes for people what computes: "float32, AVX-512", "float32, OpenBLAS for Haswell". */
void kernel_describe(const struct kernel *kernel, char out[KERNEL_NAME_MAX]);
/* Logs in one line which kernel computes; a warning if bf16 was asked for and `kernel`, found by
 * kernel_find, computes in float32. */
void kernel_log(const struct kernel *kernel, enum kernel_choice choice, enum precision precision);
