/* wire_keys.h - feature ids as they travel in a keys frame (wire_keys.c has the coding). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"

/* Room that n ids of so many fields may take. */
size_t wire_keys_bytes_max(size_t n, uint32_t fields);
/* ids: of each field in slot order, counts[fields] of them. Returns the bytes written, at most
 * wire_keys_bytes_max of the total. */
size_t wire_keys_pack(const uint32_t *counts, uint32_t fields, const uint64_t *ids, void *out);
/* Hostile bytes into ids[sum of counts]: ERR_PROTOCOL. A frame of n bytes cannot hold more than n
 * keys: the caller checks that before it makes room. */
enum status wire_keys_unpack(const uint32_t *counts, uint32_t fields, const void *data,
                             size_t bytes, uint64_t *ids);

/* n flags (0 or 1) to bits, the lowest first, in their own place; returns the bytes that they take.
 */
size_t wire_bits_pack(uint8_t *flags, size_t n);
