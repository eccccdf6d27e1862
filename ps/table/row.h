/* row.h - one row in memory: the header of its record, and its cells (see table.h). */
#pragma once

#include <stdint.h>

#define HANDLE_NONE UINT32_MAX /* no row */

/* Records of cells other than f32 are multiples of 4 bytes, so an id may lie on half of its 8. */
struct __attribute__((packed, aligned(4))) row {
    uint64_t id;
    uint32_t step;
    uint32_t last;
    float data[]; /* w[dim] then state where all cells are f32 (row_layout_plain) */
};
