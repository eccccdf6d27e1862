/* row.h - one row in memory: the header of its record, and its floats (see table.h). */
#pragma once

#include <stdint.h>

#define HANDLE_NONE UINT32_MAX /* no row */

struct row {
    uint64_t id;
    uint32_t step;
    uint32_t last;
    float data[]; /* w[dim] then state */
};
