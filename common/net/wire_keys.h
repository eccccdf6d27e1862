/* wire_keys.h - packs feature ids into a keys frame (wire_keys.c describes the coding). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

/* The most bytes that n ids of this many fields may take. */
size_t wire_keys_bytes_max(size_t n, uint32_t fields);
/* ids: the ids of all fields in slot order; counts[fields]: how many each field has. Returns the
 * bytes written, at most wire_keys_bytes_max of the total. */
size_t wire_keys_pack(const uint32_t *counts, uint32_t fields, const uint64_t *ids, void *out);
/* Reads hostile bytes into ids[sum of counts]. ERR_PROTOCOL: malformed. A frame of n bytes cannot
 * hold more than n keys: the caller checks that before it makes room. */
enum status wire_keys_unpack(const uint32_t *counts, uint32_t fields, const void *data,
                             size_t bytes, uint64_t *ids);

/* Turns n flags (0 or 1) into bits in place, lowest bit first. Returns the number of bytes that
 * they take.
 */
size_t wire_bits_pack(uint8_t *flags, size_t n);
