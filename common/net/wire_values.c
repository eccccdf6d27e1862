/* wire_values.c - see wire_values.h; wire_bf16.c has what is done to bf16. */
#include "wire_values.h"

#include <string.h>

#include "wire_bf16.h"

size_t wire_values_bytes(enum value_type type, size_t n) {
    return type == VALUE_BF16 ? n * 2 : n * sizeof(float);
}

void wire_values_pack(enum value_type type, const float *values, size_t n, void *out) {
    if (n == 0) {
        return;
    }
    if (type == VALUE_BF16) {
        wire_bf16_at(cpu_level())->pack(values, n, out);
    } else {
        memcpy(out, values, n * sizeof *values);
    }
}

void wire_values_unpack(enum value_type type, const void *bytes, size_t n, float *out) {
    if (n == 0) {
        return;
    }
    if (type == VALUE_BF16) {
        wire_bf16_at(cpu_level())->unpack(bytes, n, out);
    } else {
        memcpy(out, bytes, n * sizeof *out);
    }
}
