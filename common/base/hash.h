/* hash.h - hashes: XXH3-64 for bytes, and the key hash that places a row.
 *
 * A row's key is (field, feature id). The hash uses the field's NAME (its salt), so the order of
 * columns in a data set changes neither a row's bucket nor its initial value. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "rng.h"
#include "status.h"

#define BUCKETS 4096u

/* The first bucket of partition k of `parts` (parts > 0). Partition k owns the buckets
 * [bucket_begin(k, parts), bucket_begin(k + 1, parts)). */
static inline uint32_t bucket_begin(uint64_t k, uint64_t parts) {
    return (uint32_t)(BUCKETS * k / parts);
}

uint64_t hash_bytes(const void *data, size_t bytes); /* XXH3-64, seed 0 */

/* Streaming XXH3-64. */
struct hash_stream;
enum status hash_stream_create(struct hash_stream **h); /* ERR_MEMORY */
void hash_stream_add(struct hash_stream *h, const void *data, size_t bytes);
uint64_t hash_stream_value(const struct hash_stream *h);
void hash_stream_destroy(struct hash_stream **h); /* NULL allowed */

static inline uint64_t hash_key(uint64_t field_salt, uint64_t id) {
    return rng_mix(id ^ field_salt);
}
/* The bucket uses the top bits; tables use the others. */
static inline uint32_t hash_bucket(uint64_t key_hash) {
    return (uint32_t)(key_hash >> 52);
}
