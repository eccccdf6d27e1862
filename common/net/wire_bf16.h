/* wire_bf16.h - floats as bf16, the upper half of an f32: the arrays of wire_values.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "common/cpu/level.h"

/* 2n bytes, at any address. */
struct wire_bf16 {
    void (*pack)(const float *values, size_t n, uint8_t *out);
    void (*unpack)(const uint8_t *bytes, size_t n, float *out);
};
LEVELLED(struct wire_bf16, wire_bf16)
