/* wire_values.h - packs floats into a values frame: as f32, or as bf16 rounded to nearest even. */
#pragma once

#include <stddef.h>
#include "common/job/precision.h"

/* The size of n packed floats: 4n or 2n bytes. Frames may lie at any address. */
size_t wire_values_bytes(enum value_type type, size_t n);
void wire_values_pack(enum value_type type, const float *values, size_t n, void *out);
void wire_values_unpack(enum value_type type, const void *bytes, size_t n, float *out);
