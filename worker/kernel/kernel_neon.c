/* kernel_neon.c - float32 on AArch64: tiles of 6 rows by 16 columns. A left cell is a scalar:
 * multiply-adds take it from a lane, without spreading it first. */
#include "kernel.h"

#ifdef __aarch64__

#include <arm_neon.h>
#include <string.h>

#define CELL                      float
#define CELL_DEPTH                1
#define LANES                     4
#define VECTORS                   4
#define VECTOR                    float32x4_t
#define LOAD(p)                   vld1q_f32(p)
#define ONE                       float32x4_t /* the cell is lane 0 */
#define SPREAD(p)                 vsetq_lane_f32(*(p), vdupq_n_f32(0.0f), 0)
#define MULTIPLY_ADD(a, b, c)     vfmaq_laneq_f32(c, b, a, 0)
#define SUMS                      float32x4_t
#define ZERO()                    vdupq_n_f32(0.0f)
#define READ(p)                   vld1q_f32(p)
#define WRITE(p, sum)             vst1q_f32(p, sum)
#define ADD(a, b)                 vaddq_f32(a, b)
#define MASK                      uint32_t
#define FIRST(n)                  (n)
#define READ_FIRST(p, mask)       read_first(p, mask)
#define WRITE_FIRST(p, sum, mask) write_first(p, sum, mask)
#define PREFETCH(p)               __builtin_prefetch(p)
#define LEFT_IN_STRIPS

static inline float32x4_t read_first(const float *p, uint32_t n) {
    float all[LANES] = {0};
    memcpy(all, p, n * sizeof *all);
    return vld1q_f32(all);
}

static inline void write_first(float *p, float32x4_t sum, uint32_t n) {
    float all[LANES];
    vst1q_f32(all, sum);
    memcpy(p, all, n * sizeof *all);
}

#include "kernel_tile.h"
#include "kernel_f32.h"

static const struct kernel kernel = {"float32, NEON", COLUMNS,    CELL_DEPTH, pack,
                                     pack_transposed, left_cells, left,       left_transposed,
                                     multiply};

const struct kernel *kernel_neon(void) {
    return &kernel;
}

#else

const struct kernel *kernel_neon(void) {
    return NULL;
}

#endif
